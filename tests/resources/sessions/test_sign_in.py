"""POST /v1/auth/token, and what a token is worth."""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import jwt
import pytest
from fastapi.testclient import TestClient
from httpx2 import Client
from sqlalchemy.orm import Session

from app.api import create_app
from app.foundation.settings import DEV_SECRET, Settings
from tests.people import PASSWORD, Person, problem, sign_in, sign_up, token_of


def test_a_token_for_the_right_password_in_any_case_of_the_address(client: Client, ada: Person) -> None:
    answer = token_of(client, "ADA@example.com", PASSWORD)
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["expires_in"] == 15 * 60
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.com", "not-her-password"),
        ("nobody@example.com", PASSWORD),
        ("x", "\x00"),
    ],
)
def test_no_token_for_anything_else(client: Client, ada: Person, email: str, password: str) -> None:
    problem(token_of(client, email, password), 401, "bad_credentials")


def test_an_address_that_postgresql_cannot_hold(client: Client) -> None:
    problem(token_of(client, "\x00", PASSWORD), 422, "invalid_request")


@pytest.mark.parametrize("field", ["username", "password"])
def test_a_form_in_an_encoding_that_makes_no_text(client: Client, field: str) -> None:
    values = {"username": "ada@example.com", "password": PASSWORD, field: "\\ud800"}
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in values.items()
    )
    kind = {"Content-Type": "multipart/form-data; charset=unicode_escape; boundary=b"}
    answer = client.post("/v1/auth/token", content=f"{parts}--b--\r\n", headers=kind)
    problem(answer, 422, "invalid_request")


def test_a_token_of_another_environment_is_refused(
    settings: Settings, make_session: Callable[[], Session], ada: Person
) -> None:
    staging = TestClient(create_app(settings.model_copy(update={"environment": "staging"}), make_session))
    problem(Person(staging, ada.token, ada.id).call("GET", "/v1/users/me"), 401, "token_refused")


def test_known_and_unknown_addresses_get_the_same_answer_in_the_same_time(
    client: Client, ada: Person
) -> None:
    times: dict[str, list[float]] = {"ada@example.com": [], "nobody@example.com": []}
    bodies = set()
    for _ in range(7):
        for email, taken in times.items():
            began = time.perf_counter()
            answer = token_of(client, email, "not-the-password")
            taken.append(time.perf_counter() - began)
            bodies.add(answer.json()["detail"])
    assert len(bodies) == 1
    known, unknown = (statistics.median(taken) for taken in times.values())
    # skipping the hash would make one many times quicker
    assert 0.5 < known / unknown < 2


@pytest.mark.parametrize("form", [{}, {"username": "ada@example.com"}])
def test_a_form_with_something_missing(client: Client, form: dict[str, str]) -> None:
    faults = problem(client.post("/v1/auth/token", data=form), 422, "invalid_request")["errors"]
    assert "password" in {fault["field"] for fault in faults}


def forged(ada: Person, key: str = DEV_SECRET, algorithm: str = "HS256", **claims: Any) -> Person:
    """Ada, with her token's claims changed and signed anew."""
    good = jwt.decode(ada.token, options={"verify_signature": False}) | claims
    token = jwt.encode({name: value for name, value in good.items() if value is not None}, key, algorithm)
    return Person(ada.client, token, ada.id)


def test_a_token_signed_anew_without_a_change_is_good(ada: Person) -> None:
    """The forger's own control."""
    assert forged(ada).call("GET", "/v1/users/me").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"exp": datetime(2026, 1, 1, tzinfo=UTC)},
        {"exp": None},
        {"iss": "slipway/prod"},
        {"aud": "another"},
        {"aud": None},
        {"sub": None},
        {"sub": "not-an-id"},
        {"sub": str(uuid4())},
        {"sid": None},
        {"sid": 7},
        {"sid": str(uuid4())},
        {"key": "another-key-that-is-long-enough-for-the-hash-it-feeds-and-longer"},
        {"algorithm": "HS512"},
        {"algorithm": "none", "key": ""},
    ],
)
def test_a_forged_or_stale_token_is_refused(ada: Person, change: dict[str, Any]) -> None:
    problem(forged(ada, **change).call("GET", "/v1/users/me"), 401, "token_refused")


def test_a_token_of_one_user_with_anothers_session_is_refused(client: Client, ada: Person) -> None:
    grace = sign_up(client, "grace@example.com")
    session = jwt.decode(grace.token, options={"verify_signature": False})["sid"]
    problem(forged(ada, sid=session).call("GET", "/v1/users/me"), 401, "token_refused")


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Basic YTpi", "nonsense"])
def test_an_authorization_header_that_is_none(client: Client, header: str) -> None:
    answer = client.get("/v1/users/me", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["code"] in {"not_signed_in", "token_refused"}


def test_two_people_are_two_people(client: Client, ada: Person) -> None:
    grace = sign_up(client, "grace@example.com")
    assert grace.id != ada.id
    assert sign_in(client, "ada@example.com").id == ada.id

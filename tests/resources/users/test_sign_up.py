"""POST /v1/users."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Client
from sqlalchemy.orm import Session

from app.api import create_app
from app.foundation.settings import Settings
from app.resources.users.model import User
from tests.people import ADMIN, PASSWORD, Person, problem, sign_in

NEW = {"email": "grace@example.com", "name": "Grace Hopper", "password": PASSWORD}


def test_a_new_user_is_told_where_it_is(client: Client, admin: Person) -> None:
    answer = client.post("/v1/users", json=NEW)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["email"], body["name"], body["role"], body["active"]) == (
        NEW["email"],
        NEW["name"],
        "user",
        True,
    )
    assert answer.headers["location"] == f"/v1/users/{body['id']}"
    assert admin.call("GET", answer.headers["location"]).json() == body


def test_location_keeps_the_prefix_it_came_by(
    settings: Settings, make_session: Callable[[], Session]
) -> None:
    client = TestClient(create_app(settings, make_session), root_path="/stage")
    assert client.post("/v1/users", json=NEW).headers["location"].startswith("/stage/v1/users/")


def test_an_internationalised_address_signs_in_as_it_was_written(client: Client) -> None:
    new = NEW | {"email": "a@xn--bcher-kva.example"}
    assert client.post("/v1/users", json=new).json()["email"] == "a@bücher.example"
    assert sign_in(client, "a@xn--bcher-kva.example").id == sign_in(client, "a@bücher.example").id


def test_times_are_utc(client: Client) -> None:
    assert client.post("/v1/users", json=NEW).json()["created_at"].endswith("Z")


def test_no_answer_holds_the_password_and_the_database_only_its_hash(
    client: Client, stored: Callable[[str], User]
) -> None:
    answer = client.post("/v1/users", json=NEW)
    assert PASSWORD not in answer.text
    assert "hash" not in answer.text
    assert stored(answer.json()["id"]).password_hash.startswith("$argon2id$")


@pytest.mark.parametrize("email", ["grace@example.com", "GRACE@Example.COM", "Grace@example.com"])
def test_an_address_is_taken_in_any_case(client: Client, email: str) -> None:
    client.post("/v1/users", json=NEW)
    problem(client.post("/v1/users", json=NEW | {"email": email}), 409, "email_taken")


@pytest.mark.parametrize(
    ("wrong", "field", "detail"),
    [
        ({"email": "grace"}, "email", "@-sign"),
        ({"email": None}, "email", "valid string"),
        ({"email": f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.com"}, "email", "too long"),
        ({"name": "  "}, "name", "at least 1 character"),
        ({"name": "x" * 101}, "name", "at most 100"),
        ({"name": "Gr\x00ce"}, "name", "control characters"),
        ({"email": "Ada <ada@example.com>"}, "email", "without a name"),
        ({"password": "short"}, "password", "at least 12"),
        ({"password": "x" * 129}, "password", "at most 128"),
        ({"role": "admin"}, "role", "not permitted"),
        ({"name": "\ud800"}, "name", "valid string"),
        ({"password": "a-long-enough-\ud800"}, "password", "valid string"),
    ],
)
def test_a_wrong_field_is_named(client: Client, wrong: dict[str, Any], field: str, detail: str) -> None:
    text = json.dumps(NEW | wrong)
    answer = client.post("/v1/users", content=text, headers={"Content-Type": "application/json"})
    faults = problem(answer, 422, "invalid_request")["errors"]
    assert [fault["field"] for fault in faults] == [field]
    assert faults[0]["place"] == "body"
    assert detail in faults[0]["detail"]


def test_a_fault_never_repeats_the_password(client: Client) -> None:
    assert "sesame" not in client.post("/v1/users", json=NEW | {"password": "sesame"}).text


def test_closed_sign_up_is_for_administrators(
    settings: Settings, make_session: Callable[[], Session], admin: Person
) -> None:
    closed = settings.model_copy(update={"signup": "closed"})
    client = TestClient(create_app(closed, make_session))
    problem(client.post("/v1/users", json=NEW), 403, "sign_up_closed")
    person = sign_in(client, ADMIN["email"], ADMIN["password"])
    assert person.call("POST", "/v1/users", json=NEW).status_code == 201
    user = sign_in(client, NEW["email"])
    problem(user.call("POST", "/v1/users", json=NEW | {"email": "x@example.com"}), 403, "sign_up_closed")

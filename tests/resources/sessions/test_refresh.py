"""POST /v1/auth/refresh and /v1/auth/logout: staying signed in, and no longer."""

from typing import Any

import pytest
from httpx2 import Client, Response
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.resources.sessions.model import SignIn
from tests.people import PASSWORD, Person, problem, sign_up, token_of


@pytest.fixture
def tokens(client: Client, ada: Person) -> dict[str, Any]:
    """Of a sign-in of Ada's, beside the one `ada` has."""
    answer: dict[str, Any] = token_of(client, "ada@example.com", PASSWORD).json()
    return answer


def refresh(client: Client, refresh_token: str) -> Response:
    return client.post("/v1/auth/refresh", json={"refresh_token": refresh_token})


def me(client: Client, access_token: str) -> Response:
    return Person(client, access_token, "").call("GET", "/v1/users/me")


def test_a_refresh_token_gives_new_tokens(client: Client, tokens: dict[str, Any]) -> None:
    answer = refresh(client, tokens["refresh_token"])
    assert answer.status_code == 200
    new = answer.json()
    assert set(new) == set(tokens)
    assert new["refresh_token"] != tokens["refresh_token"]
    assert me(client, new["access_token"]).status_code == 200
    assert refresh(client, new["refresh_token"]).status_code == 200


def test_a_stolen_token_ends_the_whole_family(client: Client, ada: Person, tokens: dict[str, Any]) -> None:
    thief = refresh(client, tokens["refresh_token"]).json()
    problem(refresh(client, tokens["refresh_token"]), 401, "refresh_reused")
    problem(refresh(client, thief["refresh_token"]), 401, "refresh_refused")
    problem(me(client, thief["access_token"]), 401, "token_refused")
    problem(me(client, tokens["access_token"]), 401, "token_refused")
    # another sign-in of the same user is another family
    assert ada.call("GET", "/v1/users/me").status_code == 200


def test_no_token_is_stored(client: Client, tokens: dict[str, Any], session: Session) -> None:
    secret = tokens["refresh_token"].partition(".")[2]
    rows = session.execute(text("SELECT * FROM sessions")).all()
    assert rows
    assert secret not in str(rows)


@pytest.mark.parametrize("change", ["expires_at = now() - interval '1 second'", "revoked_at = now()"])
def test_a_session_that_is_over(
    client: Client, tokens: dict[str, Any], session: Session, change: str
) -> None:
    with session.begin():
        session.execute(text(f"UPDATE sessions SET {change}"))
    problem(refresh(client, tokens["refresh_token"]), 401, "refresh_refused")
    problem(me(client, tokens["access_token"]), 401, "token_refused")


def test_a_session_lasts_as_long_as_the_setting_and_longer_with_each_refresh(
    client: Client, tokens: dict[str, Any], session: Session
) -> None:
    days = text("SELECT round(extract(epoch FROM max(expires_at) - now()) / 86400) FROM sessions")
    with session.begin():
        assert session.scalar(days) == 30
        session.execute(text("UPDATE sessions SET expires_at = now() + interval '1 minute'"))
    assert refresh(client, tokens["refresh_token"]).status_code == 200
    assert session.scalar(days) == 30


def test_logout_ends_this_session_at_once(client: Client, ada: Person, tokens: dict[str, Any]) -> None:
    leaving = Person(client, tokens["access_token"], ada.id)
    assert leaving.call("POST", "/v1/auth/logout").status_code == 204
    problem(me(client, tokens["access_token"]), 401, "token_refused")
    problem(refresh(client, tokens["refresh_token"]), 401, "refresh_refused")
    assert ada.call("GET", "/v1/users/me").status_code == 200
    problem(client.post("/v1/auth/logout"), 401, "not_signed_in")


def test_a_new_password_ends_the_other_sessions(client: Client, ada: Person, tokens: dict[str, Any]) -> None:
    grace = sign_up(client, "grace@example.com")
    change = {"current_password": PASSWORD, "new_password": "another-long-password"}
    assert ada.call("PUT", "/v1/users/me/password", json=change).status_code == 204
    problem(refresh(client, tokens["refresh_token"]), 401, "refresh_refused")
    problem(me(client, tokens["access_token"]), 401, "token_refused")
    assert ada.call("GET", "/v1/users/me").status_code == 200
    assert grace.call("GET", "/v1/users/me").status_code == 200


def test_a_deactivated_user_refreshes_nothing(
    client: Client, admin: Person, ada: Person, tokens: dict[str, Any]
) -> None:
    admin.call("PATCH", f"/v1/users/{ada.id}", json={"active": False})
    problem(refresh(client, tokens["refresh_token"]), 401, "refresh_refused")
    # nor does it come back with them
    admin.call("PATCH", f"/v1/users/{ada.id}", json={"active": True})
    problem(refresh(client, tokens["refresh_token"]), 401, "refresh_refused")
    problem(me(client, tokens["access_token"]), 401, "token_refused")
    assert admin.call("GET", "/v1/users/me").status_code == 200


def test_a_deleted_user_leaves_no_session(
    admin: Person, ada: Person, tokens: dict[str, Any], session: Session
) -> None:
    assert admin.call("DELETE", f"/v1/users/{ada.id}").status_code == 204
    assert {row.user_id.hex for row in session.query(SignIn)} == {admin.id.replace("-", "")}


def test_an_invented_token_ends_nothing(client: Client, tokens: dict[str, Any]) -> None:
    """The id of a session is no secret: it stands in every access token."""
    token = tokens["refresh_token"]
    invented = [
        token[:-1] + ("0" if token[-1] != "0" else "1"),
        token[:33] + "x" * 107,
        token[:33],
        f"{token}0",
    ]
    for each in invented:
        problem(refresh(client, each), 401, "refresh_refused")
    assert refresh(client, token).status_code == 200


@pytest.mark.parametrize("token", ["", "x", ".", f"{'0' * 32}.x", "\x00.\x00"])
def test_a_token_that_never_was(client: Client, token: str) -> None:
    problem(refresh(client, token), 401, "refresh_refused")

"""/v1/users/me: the caller."""

import json

from httpx2 import Client

from tests.people import PASSWORD, Person, problem, sign_up, token_of

NEW_PASSWORD = "another-long-password"


def test_the_caller_reads_and_changes_their_own(ada: Person) -> None:
    assert ada.call("GET", "/v1/users/me").json()["email"] == "ada@example.com"
    changed = ada.call("PATCH", "/v1/users/me", json={"name": "Ada King"})
    assert changed.status_code == 200
    assert changed.json()["name"] == "Ada King"
    assert ada.call("GET", "/v1/users/me").json() == changed.json()


def test_a_change_of_nothing_changes_nothing(ada: Person) -> None:
    before = ada.call("GET", "/v1/users/me").json()
    assert ada.call("PATCH", "/v1/users/me", json={}).json() == before


def test_the_caller_cannot_make_themselves_an_administrator(ada: Person) -> None:
    faults = problem(ada.call("PATCH", "/v1/users/me", json={"role": "admin"}), 422, "invalid_request")[
        "errors"
    ]
    assert faults[0]["field"] == "role"


def test_a_password_that_is_no_text_is_refused(ada: Person) -> None:
    text = json.dumps({"current_password": "\ud800", "new_password": NEW_PASSWORD})
    headers = {"Content-Type": "application/json"}
    answer = ada.call("PUT", "/v1/users/me/password", content=text, headers=headers)
    problem(answer, 422, "invalid_request")


def test_null_is_no_name(ada: Person) -> None:
    problem(ada.call("PATCH", "/v1/users/me", json={"name": None}), 422, "invalid_request")


def test_an_address_may_change_its_case_but_not_be_anothers(client: Client, ada: Person) -> None:
    sign_up(client, "grace@example.com")
    changed = ada.call("PATCH", "/v1/users/me", json={"email": "Ada@example.com"})
    assert changed.json()["email"] == "Ada@example.com"
    taken = ada.call("PATCH", "/v1/users/me", json={"email": "GRACE@example.com"})
    problem(taken, 409, "email_taken")
    assert ada.call("GET", "/v1/users/me").json()["email"] == "Ada@example.com"


def test_a_new_password_replaces_the_old(client: Client, ada: Person) -> None:
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = ada.call("PUT", "/v1/users/me/password", json=change)
    assert (answer.status_code, answer.text) == (204, "")
    problem(token_of(client, "ada@example.com", PASSWORD), 401, "bad_credentials")
    assert token_of(client, "ada@example.com", NEW_PASSWORD).status_code == 200


def test_a_new_password_needs_the_current_one(client: Client, ada: Person) -> None:
    change = {"current_password": "not-it-at-all", "new_password": NEW_PASSWORD}
    problem(ada.call("PUT", "/v1/users/me/password", json=change), 403, "wrong_password")
    assert token_of(client, "ada@example.com", PASSWORD).status_code == 200


def test_a_new_password_is_long(ada: Person) -> None:
    change = {"current_password": PASSWORD, "new_password": "short"}
    problem(ada.call("PUT", "/v1/users/me/password", json=change), 422, "invalid_request")

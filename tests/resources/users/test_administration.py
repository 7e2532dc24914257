"""/v1/users and /v1/users/{id}: what administrators do."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx2 import Client, Response
from sqlalchemy.orm import Session

from app.resources.users.model import User
from tests.people import Person, problem, sign_up, token_of


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/users"),
        ("GET", "/v1/users/{id}"),
        ("PATCH", "/v1/users/{id}"),
        ("DELETE", "/v1/users/{id}"),
        ("POST", "/v1/mail/test"),
    ],
)
def test_others_may_not(client: Client, ada: Person, method: str, path: str) -> None:
    path = path.replace("{id}", ada.id)
    bodies: dict[str, Any] = {"PATCH": {}, "POST": {"recipient": "ada@example.com"}}
    body = bodies.get(method)
    problem(ada.call(method, path, json=body), 403, "administrators_only")
    refused = client.request(method, path, json=body)
    problem(refused, 401, "not_signed_in")
    assert refused.headers["www-authenticate"] == "Bearer"


def test_pages_hold_everyone_once_even_while_users_arrive(client: Client, admin: Person) -> None:
    for number in range(4):
        sign_up(client, f"user{number}@example.com")
    seen: list[str] = []
    path = "/v1/users?limit=2"
    while path:
        page = admin.call("GET", path).json()
        seen += [user["email"] for user in page["items"]]
        assert len(page["items"]) <= 2
        if len(seen) == 2:
            sign_up(client, "late@example.com")
        path = f"/v1/users?limit=2&cursor={page['next']}" if page["next"] else ""
    assert seen == ["admin@example.com", *(f"user{n}@example.com" for n in range(4)), "late@example.com"]


def test_pages_follow_the_ids_and_not_the_table(admin: Person, session: Session) -> None:
    late, early = (UUID(f"0000000{n}-0000-7000-8000-000000000000") for n in (2, 1))
    with session.begin():
        for id_ in (late, early):
            session.add(User(id=id_, email=f"{id_}@example.com", name="x", password_hash="x"))
            session.flush()
    items = admin.call("GET", "/v1/users?limit=2").json()["items"]
    assert [item["id"] for item in items] == [str(early), str(late)]


def test_active_is_true_or_false(admin: Person, ada: Person) -> None:
    problem(admin.call("PATCH", f"/v1/users/{ada.id}", json={"active": "no"}), 422, "invalid_request")


def test_the_last_page_says_so(admin: Person) -> None:
    assert admin.call("GET", "/v1/users?limit=1").json()["next"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=ten", "cursor=yesterday"])
def test_a_wrong_page_is_refused(admin: Person, query: str) -> None:
    faults = problem(admin.call("GET", f"/v1/users?{query}"), 422, "invalid_request")["errors"]
    assert (faults[0]["place"], faults[0]["field"]) == ("query", query.partition("=")[0])


def test_a_user_is_read_changed_and_deleted(admin: Person, ada: Person) -> None:
    path = f"/v1/users/{ada.id}"
    before = admin.call("GET", path).json()
    changed = admin.call("PATCH", path, json={"name": "Countess", "role": "admin"}).json()
    assert changed == before | {"name": "Countess", "role": "admin"}
    assert admin.call("DELETE", path).status_code == 204
    problem(admin.call("GET", path), 404, "user_not_found")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_user_who_is_not_there(admin: Person, method: str) -> None:
    body: dict[str, str] | None = {} if method == "PATCH" else None
    problem(admin.call(method, f"/v1/users/{uuid4()}", json=body), 404, "user_not_found")


def test_an_id_that_is_none(admin: Person) -> None:
    problem(admin.call("GET", "/v1/users/1"), 422, "invalid_request")


def test_a_deactivated_user_is_out_at_once(client: Client, admin: Person, ada: Person) -> None:
    assert admin.call("PATCH", f"/v1/users/{ada.id}", json={"active": False}).status_code == 200
    problem(ada.call("GET", "/v1/users/me"), 401, "token_refused")
    problem(token_of(client, "ada@example.com", "a-long-enough-password"), 401, "bad_credentials")


def test_a_deleted_users_token_is_refused(admin: Person, ada: Person) -> None:
    admin.call("DELETE", f"/v1/users/{ada.id}")
    problem(ada.call("GET", "/v1/users/me"), 401, "token_refused")


def test_a_demoted_administrator_is_one_no_longer(admin: Person, ada: Person) -> None:
    admin.call("PATCH", f"/v1/users/{ada.id}", json={"role": "admin"})
    assert ada.call("GET", "/v1/users").status_code == 200
    admin.call("PATCH", f"/v1/users/{ada.id}", json={"role": "user"})
    problem(ada.call("GET", "/v1/users"), 403, "administrators_only")


@pytest.mark.parametrize("change", [{"role": "user"}, {"active": False}, None])
def test_the_last_active_administrator_stays(admin: Person, ada: Person, change: dict[str, object]) -> None:
    path = f"/v1/users/{admin.id}"

    def leave() -> Response:
        return admin.call("DELETE", path) if change is None else admin.call("PATCH", path, json=change)

    # an administrator who is not active does not count
    admin.call("PATCH", f"/v1/users/{ada.id}", json={"role": "admin", "active": False})
    problem(leave(), 409, "last_administrator")
    admin.call("PATCH", f"/v1/users/{ada.id}", json={"active": True})
    assert leave().status_code in {200, 204}

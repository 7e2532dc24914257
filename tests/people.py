"""Who calls in tests: a client that carries a person's token."""

from dataclasses import dataclass
from typing import Any

from httpx2 import Client, Response

ADMIN = {"email": "admin@example.com", "password": "the-administrators-own"}
PASSWORD = "a-long-enough-password"


@dataclass
class Person:
    client: Client
    token: str
    id: str

    def call(self, method: str, path: str, **options: Any) -> Response:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return self.client.request(method, path, headers=headers, **options)


def token_of(client: Client, email: str, password: str) -> Response:
    return client.post("/v1/auth/token", data={"username": email, "password": password})


def sign_in(client: Client, email: str, password: str = PASSWORD) -> Person:
    answer = token_of(client, email, password)
    assert answer.status_code == 200, answer.text
    person = Person(client, answer.json()["access_token"], "")
    person.id = person.call("GET", "/v1/users/me").json()["id"]
    return person


def sign_up(client: Client, email: str, name: str = "Ada Lovelace") -> Person:
    new = {"email": email, "name": name, "password": PASSWORD}
    answer = client.post("/v1/users", json=new)
    assert answer.status_code == 201, answer.text
    return sign_in(client, email)


def problem(answer: Response, status: int, code: str) -> dict[str, Any]:
    """The problem in `answer`, after checking that it is a whole one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return body

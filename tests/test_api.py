"""What every answer has: problems, request ids, headers, CORS, one log line."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from httpx2 import Client
from sqlalchemy.orm import Session

from app.api import create_app
from app.foundation.errors import MAX_BODY_BYTES
from app.foundation.settings import Settings
from tests.conftest import LogLines
from tests.people import PASSWORD, Person, problem

HERE, ELSEWHERE = "http://localhost:3000", "https://elsewhere.example"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def broken(settings: Settings) -> TestClient:
    """An application whose every database call meets a bug."""

    def fall_over() -> Session:
        raise RuntimeError("a secret of the inside")

    return TestClient(create_app(settings, fall_over), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code", "words"),
    [
        ("GET", "/nothing", {}, 404, "not_found", "Nothing is at /nothing"),
        ("GET", "/v1/users/", {}, 404, "not_found", "/v1/users/"),
        ("DELETE", "/health", {}, 405, "method_not_allowed", "DELETE is not for /health"),
        ("POST", "/v1/users", {"content": "{", "headers": JSON}, 422, "invalid_request", "is not JSON"),
        ("POST", "/v1/users", {"content": b"\xff", "headers": JSON}, 400, "unreadable", "not JSON in UTF-8"),
        ("POST", "/v1/users", {"headers": JSON}, 422, "invalid_request", "a body is required"),
        ("POST", "/v1/users", {"json": []}, 422, "invalid_request", "a JSON object is required"),
        ("POST", "/v1/users", {"content": "{}"}, 422, "invalid_request", "Content-Type: application/json"),
        (
            "POST",
            "/v1/users",
            {"json": {}},
            422,
            "invalid_request",
            "email: Field required; name: Field required",
        ),
        ("POST", "/v1/auth/token", {"json": {}}, 422, "invalid_request", "username: Field required"),
        ("GET", "/v1/users", {}, 401, "not_signed_in", "POST /v1/auth/token"),
    ],
)
def test_a_bad_request_is_a_problem_that_helps(
    client: Client, method: str, path: str, options: dict[str, Any], status: int, code: str, words: str
) -> None:
    answer = client.request(method, path, **options)
    body = problem(answer, status, code)
    assert words in body["detail"]


@pytest.mark.parametrize("length_known", [True, False])
def test_a_body_that_is_too_long(client: Client, length_known: bool) -> None:  # noqa: FBT001
    body = b" " * (MAX_BODY_BYTES + 1)
    answer = client.post("/v1/users", content=body if length_known else iter([body]), headers=JSON)
    assert "1000000 bytes" in problem(answer, 413, "content_too_large")["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/health", "GET"),
        ("PUT", "/v1/users", "GET, POST"),
        ("POST", "/v1/users/1", "GET, PATCH, DELETE"),
    ],
)
def test_a_method_that_is_not_there_tells_which_are(
    client: Client, method: str, path: str, allow: str
) -> None:
    assert client.request(method, path).headers["allow"] == allow


def test_a_bug_shows_nothing_of_the_inside(broken: TestClient, lines: LogLines) -> None:
    answer = broken.get("/ready")
    problem(answer, 500, "unexpected")
    assert "secret" not in answer.text
    error = next(line for line in lines() if line["level"] == "ERROR")
    assert "a secret of the inside" in error["exception"]
    assert error["request_id"] == answer.headers["x-request-id"]


def test_a_response_that_breaks_off_is_not_answered_twice(
    settings: Settings, make_session: Callable[[], Session]
) -> None:
    app: FastAPI = create_app(settings, make_session)

    @app.get("/half")
    def half() -> Any:
        def parts() -> Iterator[bytes]:
            yield b"one"
            raise RuntimeError("broken off")

        return StreamingResponse(parts())

    with pytest.raises(RuntimeError, match="broken off"):
        TestClient(app).get("/half")


@pytest.mark.parametrize("path", ["/health", "/nothing", "/v1/users", "/ready"])
def test_every_answer_has_the_headers(client: Client, broken: TestClient, path: str) -> None:
    for answer in (client.get(path), broken.get(path)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert answer.headers["cache-control"] == "no-store"


def test_a_server_may_announce_its_start_and_end(client: Client) -> None:
    """The ASGI lifespan, which uvicorn sends, passes every layer."""
    with client:
        assert client.get("/health").status_code == 200


def test_a_request_id_is_made_or_kept(client: Client) -> None:
    made = {client.get("/health").headers["x-request-id"] for _ in range(2)}
    assert len(made) == 2
    kept = client.get("/health", headers={"X-Request-ID": "order-4711.a"})
    assert kept.headers["x-request-id"] == "order-4711.a"


@pytest.mark.parametrize("bad", ["short", "x" * 65, "new\tline-forged", 'quote"quote"'])
def test_a_request_id_that_could_harm_is_replaced(client: Client, bad: str) -> None:
    assert client.get("/health", headers={"X-Request-ID": bad}).headers["x-request-id"] != bad


def preflight(client: Client, origin: str, header: str = "x-request-id") -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": f"authorization,content-type,{header}",
    }
    return client.options("/v1/users/me", headers=asked)


def test_the_preflight_of_an_allowed_origin(client: Client) -> None:
    answer = preflight(client, HERE)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == HERE
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert answer.headers["x-request-id"]


def test_a_preflight_refused_for_its_header_can_be_read(client: Client) -> None:
    asked = {
        "Origin": HERE,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-odd",
    }
    answer = client.options("/v1/users", headers=asked)
    assert problem(answer, 400, "preflight_refused")["detail"] == "Disallowed CORS headers."
    assert answer.headers["access-control-allow-origin"] == HERE


def test_the_preflight_of_a_refused_origin(client: Client) -> None:
    answer = preflight(client, ELSEWHERE)
    assert "ORIGIN_CORS" in problem(answer, 400, "preflight_refused")["detail"]
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/nothing", "/v1/users", "/ready"])
def test_errors_too_can_be_read_by_an_allowed_origin_only(broken: TestClient, path: str) -> None:
    answer = broken.get(path, headers={"Origin": HERE})
    assert answer.headers["access-control-allow-origin"] == HERE
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert "Origin" in answer.headers["vary"]
    refused = broken.get(path, headers={"Origin": ELSEWHERE})
    assert "access-control-allow-origin" not in refused.headers


def test_one_line_a_request(client: Client, ada: Person, lines: LogLines) -> None:
    answer = ada.call("GET", "/v1/users/me", headers={"X-Request-ID": "order-4711"})
    assert answer.status_code == 200
    [line] = lines()
    assert line["level"] == "INFO"
    assert line["service"] == "slipway"
    assert line["request_id"] == "order-4711"
    assert line["caller_id"] == ada.id
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/users/me", 200)
    assert 0 < line["duration_ms"] < 10_000
    assert line["client"]


def test_routes_are_logged_as_templates(client: Client, ada: Person, lines: LogLines) -> None:
    ada.call("GET", f"/v1/users/{ada.id}")
    client.get("/nothing/secret")
    assert [line["route"] for line in lines()] == ["/v1/users/{user_id}", "none"]
    assert "caller_id" not in lines()[1]


def test_no_secret_is_ever_logged(client: Client, admin: Person, lines: LogLines) -> None:
    logging.getLogger().setLevel("DEBUG")
    client.post("/v1/users", json={"email": "ada@example.com", "name": "Ada", "password": PASSWORD})
    client.post("/v1/users", json={"email": "ada@example.com", "name": "Ada", "password": PASSWORD})
    token = client.post("/v1/auth/token", data={"username": "ada@example.com", "password": PASSWORD})
    admin.call("POST", "/v1/mail/test", json={"recipient": "ada@example.com"})
    text = json.dumps(lines())
    assert len(lines()) >= 5
    for secret in (
        PASSWORD,
        token.json()["access_token"],
        admin.token,
        "Nothing needs to be done",
        "argon2id",
    ):
        assert secret not in text

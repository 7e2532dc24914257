"""Health, readiness, version, documentation."""

import re
from collections.abc import Callable

from fastapi.testclient import TestClient
from httpx2 import Client
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import NAME, VERSION
from app.api import create_app
from app.foundation.schema import expected_revision
from app.foundation.settings import Settings
from tests.people import problem


def test_health_touches_nothing(settings: Settings) -> None:
    def no_database() -> Session:
        raise AssertionError

    client = TestClient(create_app(settings, no_database))
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/version").status_code == 200
    assert client.get("/docs").status_code == 200


def test_ready_tells_the_revision(client: Client) -> None:
    assert client.get("/ready").json() == {
        "status": "ready",
        "schema": "current",
        "revision": expected_revision(),
    }


def test_ready_on_a_newer_schema(client: Client, session: Session) -> None:
    """A rollback must not stop at the readiness check."""
    with session.begin():
        newer(session, "expand")
    assert client.get("/ready").json() == {"status": "ready", "schema": "ahead", "revision": "newer"}


def test_not_ready_once_newer_code_took_something_away(client: Client, session: Session) -> None:
    with session.begin():
        newer(session, "contract")
    detail = problem(client.get("/ready"), 503, "schema_not_ready")["detail"]
    assert detail == "Revision newer took away what this code uses: deploy newer code."


def newer(session: Session, phase: str) -> None:
    """A revision that this code does not know, after its last."""
    row = {"parent": expected_revision(), "phase": phase}
    session.execute(text("INSERT INTO schema_revisions VALUES ('newer', :parent, :phase)"), row)
    session.execute(text("UPDATE alembic_version SET version_num = 'newer'"))


def test_not_ready_on_another_line_of_history(client: Client, session: Session) -> None:
    with session.begin():
        session.execute(text("UPDATE alembic_version SET version_num = 'other'"))
    detail = problem(client.get("/ready"), 503, "schema_not_ready")["detail"]
    assert "at revision other (diverged)" in detail


def test_not_ready_on_no_schema(client: Client, session: Session) -> None:
    with session.begin():
        session.execute(text("DROP TABLE alembic_version"))
    detail = problem(client.get("/ready"), 503, "schema_not_ready")["detail"]
    assert "at revision none" in detail
    assert "make migrate" in detail


def test_version(settings: Settings, make_session: Callable[[], Session]) -> None:
    built = settings.model_copy(update={"commit": "0123abcd"})
    answer = TestClient(create_app(built, make_session)).get("/version").json()
    assert answer == {"name": NAME, "version": VERSION, "commit": "0123abcd", "revision": expected_revision()}


def test_docs_need_nothing_from_elsewhere_and_no_inline_code(client: Client) -> None:
    page = client.get("/docs")
    assert (
        "default-src 'none'; script-src 'self'; style-src 'self'" in page.headers["content-security-policy"]
    )
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "//" not in page.text
    assert not re.search(r"<script(?![^>]*src=)|<style|style=| on\w+=", page.text)
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    kinds = [client.get(f"/{file}") for file in files if not file.startswith("data:")]
    assert [answer.headers["content-type"].partition(";")[0] for answer in kinds] == [
        "text/css",
        "text/javascript",
        "text/javascript",
    ]
    assert all(answer.status_code == 200 for answer in kinds)


def test_no_other_file_is_served(client: Client) -> None:
    problem(client.get("/docs/redoc.standalone.js"), 404, "not_found")
    problem(client.get("/docs/..%2f..%2fpyproject.toml"), 404, "not_found")


def test_openapi_tells_of_problems_and_of_sign_in(client: Client) -> None:
    schema = client.get("/openapi.json").json()
    create = schema["paths"]["/v1/users"]["post"]["responses"]
    assert set(create) == {"201", "422", "default"}
    assert list(create["422"]["content"]) == ["application/problem+json"]
    assert {"Problem", "Fault", "UserOut"} <= set(schema["components"]["schemas"])
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    flow = schema["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"]
    assert flow["tokenUrl"] == "v1/auth/token"

"""One server, migrated once; each test's work is rolled back."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from app.api import create_app
from app.foundation.database import make_engine
from app.foundation.logs import set_up_logs
from app.foundation.settings import Settings, load_settings
from app.resources.users.model import User
from app.resources.users.service import seed_administrator
from ops import migrations
from tests import scratch
from tests.people import ADMIN, Person, sign_in, sign_up

# every line so far
LogLines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def server() -> Iterator[URL]:
    with scratch.server() as url:
        yield url


@pytest.fixture(scope="session")
def migrated(server: URL) -> Iterator[URL]:
    """A database at the newest revision. Nothing is ever committed to it."""
    with scratch.database(server) as url:
        engine = make_engine(url)
        migrations.upgrade(engine)
        engine.dispose()
        yield url


@pytest.fixture(scope="session")
def engine(migrated: URL, server: URL) -> Iterator[Engine]:
    """Over a copy, so that `migrated` stays free to be copied."""
    with scratch.database(server, template=str(migrated.database)) as url:
        engine = make_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def make_session(engine: Engine) -> Iterator[Callable[[], Session]]:
    """Sessions whose commits are savepoints of one transaction, which the test's end rolls back."""
    with engine.connect() as connection:
        transaction = connection.begin()
        yield partial(Session, connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
        transaction.rollback()


@pytest.fixture
def session(make_session: Callable[[], Session]) -> Iterator[Session]:
    with make_session() as session:
        yield session


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only ENVIRONMENT=test, whatever the shell has."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ENVIRONMENT", "test")


@pytest.fixture
def settings(environment: None) -> Settings:
    return load_settings()


@pytest.fixture
def client(settings: Settings, make_session: Callable[[], Session]) -> TestClient:
    """Nobody, calling."""
    return TestClient(create_app(settings, make_session), raise_server_exceptions=False)


@pytest.fixture
def admin(client: TestClient, session: Session) -> Person:
    """The seeded administrator, signed in."""
    with session.begin():
        seed_administrator(session, ADMIN["email"], ADMIN["password"])
    return sign_in(client, ADMIN["email"], ADMIN["password"])


@pytest.fixture
def ada(client: TestClient) -> Person:
    """A user who signed up, signed in."""
    return sign_up(client, "ada@example.com")


@pytest.fixture
def stored(session: Session) -> Callable[[str], User]:
    """What the database holds under an id."""

    def load(user_id: str) -> User:
        session.expire_all()
        user = session.get(User, UUID(user_id))
        assert user is not None
        return user

    return load


@pytest.fixture
def lines() -> Iterator[LogLines]:
    """The log, as its reader gets it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    set_up_logs("INFO", "slipway")
    written = io.StringIO()
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    handler.addFilter(lambda record: record.name != "httpx2")  # the test's own client
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers[:], root.level = before

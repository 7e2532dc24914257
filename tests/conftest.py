"""One server, migrated once; each test's work is rolled back."""

import asyncio
import io
import json
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import anyio.to_thread
import httpx2
import pytest
from fastapi.testclient import TestClient
from mangum import Mangum
from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from app.api import create_app
from app.foundation.database import make_engine
from app.foundation.logs import set_up_logs
from app.foundation.settings import Settings, load_settings
from app.resources.users.model import User
from app.resources.users.service import seed_administrator
from tests import scratch
from tests.checkout import Checkout, copy_checkout
from tests.doors.lambda_door import LambdaTransport
from tests.people import ADMIN, Person, sign_in, sign_up

Handler = Callable[[dict[str, Any]], dict[str, Any]]
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
        scratch.upgrade(url)
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


@pytest.fixture(scope="session")
def lambda_module() -> ModuleType:
    """The Lambda door, whose import starts an application and changes this process; both are undone."""
    root = logging.getLogger()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENVIRONMENT", "test")
        patch.setattr(anyio.to_thread, "run_sync", anyio.to_thread.run_sync)
        patch.setattr(root, "handlers", root.handlers[:])
        patch.setattr(root, "level", root.level)
        with event_loop():
            return import_module("app.entrypoints.api_lambda")


@contextmanager
def event_loop() -> Iterator[None]:
    """The one that Mangum finds and uses."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def lambda_door(
    lambda_module: ModuleType,
    settings: Settings,
    make_session: Callable[[], Session],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Mangum]:
    monkeypatch.setattr(anyio.to_thread, "run_sync", lambda_module.run_here)
    with event_loop():
        yield lambda_module.make_handler(create_app(settings, make_session))


@pytest.fixture
def lambda_handler(lambda_door: Mangum) -> Handler:
    return lambda event: lambda_door(event, {})  # type: ignore[arg-type]


@pytest.fixture(params=["server", "lambda"])
def client(request: pytest.FixtureRequest) -> httpx2.Client:
    """Nobody, calling; once through each door."""
    if request.param == "lambda":
        transport = LambdaTransport(request.getfixturevalue("lambda_door"))
        return httpx2.Client(transport=transport, base_url="http://testserver")
    app = create_app(request.getfixturevalue("settings"), request.getfixturevalue("make_session"))
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def admin(client: httpx2.Client, session: Session) -> Person:
    """The seeded administrator, signed in."""
    with session.begin():
        seed_administrator(session, ADMIN["email"], ADMIN["password"])
    return sign_in(client, ADMIN["email"], ADMIN["password"])


@pytest.fixture
def ada(client: httpx2.Client) -> Person:
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


@pytest.fixture
def checkout(tmp_path: Path, server: URL) -> Iterator[Checkout]:
    checkout = Checkout(copy_checkout(tmp_path / "a checkout"))
    yield checkout
    for process in checkout.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise

"""A database and revisions of a test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL

from app.foundation.database import make_engine
from tests import scratch
from tests.migration.workshop import Workshop


@pytest.fixture
def url(server: URL) -> Iterator[URL]:
    with scratch.database(server) as url:
        yield url


@pytest.fixture
def shop(tmp_path: Path, url: URL) -> Workshop:
    return Workshop(tmp_path / "migrations", url)


@pytest.fixture
def owner(url: URL) -> Iterator[Engine]:
    engine = make_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def rows(owner: Engine) -> Callable[[str], list[tuple[Any, ...]]]:
    """What a query finds."""

    def query(statement: str) -> list[tuple[Any, ...]]:
        with owner.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    return query


@pytest.fixture
def work(owner: Engine) -> Callable[[str], None]:
    """Does it, and commits."""

    def run(statement: str) -> None:
        with owner.begin() as connection:
            connection.execute(text(statement))

    return run


@pytest.fixture
def reader(owner: Engine) -> Iterator[Connection]:
    """Somebody else's connection."""
    with owner.connect() as connection:
        yield connection

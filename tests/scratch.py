"""Databases for tests and checks: made empty, dropped after."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr
from sqlalchemy.engine import URL

from app.foundation.database_url import postgresql_url
from app.foundation.settings import Settings
from app.migration.actions import Answer, Call, act
from ops.environment import DATA
from ops.postgres import Postgres, chosen_major, libpq

# nothing here outlives a test, so nothing is forced to the disk; and a time zone that would show
FAST = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c timezone=Asia/Tokyo"


@contextmanager
def server() -> Iterator[URL]:
    """TEST_DATABASE_URL, whose user may create databases, or an embedded server."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield postgresql_url(given)
        return
    with Postgres(DATA / f"test-postgres-{chosen_major()}", options=FAST).running() as embedded:
        yield postgresql_url(embedded.url("postgres"))


@contextmanager
def database(on: URL, template: str = "template0") -> Iterator[URL]:
    """An own database, a copy of `template`."""
    name = f"scratch_{secrets.token_hex(6)}"
    run(
        on,
        SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE {}").format(Identifier(name), Identifier(template)),
    )
    try:
        yield on.set(database=name)
    finally:
        run(on, SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def upgrade(url: URL) -> None:
    """To the newest revision, as `make migrate` does."""
    ask(url, {"action": "upgrade"})


def ask(url: URL, event: dict[str, Any]) -> Answer:
    """What the migration function answers."""
    given = SecretStr(url.render_as_string(hide_password=False))
    return act(Call(Settings(environment="test", database_url=given)), event)


def run(on: URL, statement: psycopg.sql.Composed) -> None:
    with psycopg.connect(libpq(on), autocommit=True) as connection:
        connection.execute(statement)

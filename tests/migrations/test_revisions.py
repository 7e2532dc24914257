"""Revisions against models, and against the history that the code carries."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from sqlalchemy import Column, Connection, Engine, insert, text
from sqlalchemy.engine import URL

import app.resources  # noqa: F401  # fills Base.metadata
from app.foundation.database import Base, make_engine
from app.foundation.schema import HISTORY, expected_revision
from ops import migrations
from tests import scratch


@pytest.fixture
def empty(server: URL) -> Iterator[Engine]:
    with scratch.database(server) as url:
        engine = make_engine(url)
        yield engine
        engine.dispose()


def test_the_revisions_give_what_the_models_say(empty: Engine) -> None:
    """`alembic check`."""
    scratch.upgrade(empty.url)
    with empty.connect() as connection:
        command.check(migrations.config(connection))


def test_the_history_that_the_code_carries_is_alembics() -> None:
    assert json.loads(HISTORY.read_text()) == migrations.history()
    assert expected_revision() == migrations.history()[-1]["id"]


def test_every_revision_goes_down_and_up_and_down_again_with_rows_in_every_table(empty: Engine) -> None:
    scratch.upgrade(empty.url)
    with empty.begin() as connection:
        fill(connection)
    for revision in migrations.history()[::-1]:
        before = revision["parent"] or "base"
        down = {"action": "downgrade", "to": "-1", "confirm": before}
        up = {"action": "upgrade", "to": revision["id"]}
        for event in (down, up, down):
            assert scratch.ask(empty.url, event)["applied"] == [revision["id"]]
    with empty.connect() as connection:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        left = {"alembic_version", "schema_ledger", "schema_revisions"}
        assert set(connection.scalars(text(tables)).all()) == left


VALUES: dict[type, Any] = {
    bool: True, int: 1, float: 1.0, Decimal: 1, str: "x", bytes: b"x", dict: {}, list: [], UUID: UUID(int=1),
    date: date(2026, 1, 1), datetime: datetime(2026, 1, 1, tzinfo=UTC), timedelta: timedelta(1),
}  # fmt: skip


def fill(connection: Connection) -> None:
    """A row in each of the models' tables; what has no default gets a value of its type."""
    made: dict[Column[Any], Any] = {}
    for table in Base.metadata.sorted_tables:
        row = {
            column.name: parent(column, made) if column.foreign_keys else VALUES[column.type.python_type]
            for column in table.columns
            if column.foreign_keys or not (column.default or column.server_default or column.identity)
        }
        stored = connection.execute(insert(table).values(row).returning(*table.columns)).one()
        made |= dict(zip(table.columns, stored, strict=True))


def parent(column: Column[Any], made: dict[Column[Any], Any]) -> Any:
    """What it refers to; nothing where that has no row yet."""
    [key] = column.foreign_keys
    return made.get(key.column)

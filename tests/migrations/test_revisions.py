"""Revisions against models, and against the history that the code carries."""

import json
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL

from app.foundation.database import make_engine
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


def test_every_revision_goes_down_and_up_again(empty: Engine) -> None:
    scratch.upgrade(empty.url)
    with empty.connect() as connection:
        command.downgrade(migrations.config(connection), "base")
    with empty.connect() as connection:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        left = {"alembic_version", "schema_ledger", "schema_revisions"}
        assert set(connection.scalars(text(tables)).all()) == left
    scratch.upgrade(empty.url)

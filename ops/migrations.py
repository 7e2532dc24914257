"""Alembic from the shell: upgrade, new revisions, and the history that the application carries."""

import json
import logging
import sys
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from app.foundation import schema
from app.foundation.schema import HISTORY
from ops.environment import ROOT
from ops.terminal import fail


def config(connection: Connection | None = None) -> Config:
    made = Config(toml_file=str(ROOT / "pyproject.toml"), stdout=sys.stderr)
    made.attributes["connection"] = connection
    return made


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Brings the database to `revision`, a line for each step."""
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("alembic.runtime.migration").addFilter(lambda record: "Running" in record.msg)
    logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
    with engine.connect() as connection:
        try:
            command.upgrade(config(connection), revision)
        except CommandError as error:
            fail(f"{error}. The database may have been migrated by newer code.")
        except DBAPIError as error:
            fail(f"the database refused a step, and is as before it: {' '.join(str(error.orig).split())}")


def new_revision(engine: Engine, message: str) -> str:
    """Writes a revision from what the models have and the database has not; gives its file."""
    text = message.replace("\\", "/").replace('"', "'")  # it becomes a docstring
    with engine.connect() as connection:
        script = command.revision(config(connection), text, autogenerate=True)
    write_history()
    assert script is not None
    assert not isinstance(script, list)
    return script.path


def history() -> list[dict[str, Any]]:
    """Every revision, oldest first: id and parent."""
    scripts = ScriptDirectory.from_config(config())
    newest_first = scripts.walk_revisions()
    return [{"id": each.revision, "parent": each.down_revision} for each in newest_first][::-1]


def write_history() -> None:
    lines = ",\n".join(f"  {json.dumps(revision)}" for revision in history())
    HISTORY.write_text(f"[\n{lines}\n]\n")
    schema.history.cache_clear()

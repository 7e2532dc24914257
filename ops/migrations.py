"""The schema from the shell: what the migration function does, and writing revisions."""

import getpass
import json
import logging
import os
import sys
from dataclasses import asdict
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

from app.foundation import schema
from app.foundation.schema import HISTORY
from app.foundation.settings import load_settings
from app.migration.actions import Answer, Call, act
from app.migration.scripts import Scripts
from ops import hazards
from ops.environment import ROOT
from ops.terminal import fail, say


def ask(action: str, **fields: Any) -> Answer:
    """The answer to an action; a line for each step. Raises Refused."""
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("app.migration").setLevel(logging.INFO)
    return act(Call(load_settings(), invoker=getpass.getuser()), {"action": action} | fields)


def upgrade() -> None:
    answer = ask("upgrade")
    if answer["held"]:
        say(f"Held until older releases are out of service: {', '.join(answer['held'])}")
    say(f"The database is at revision {answer['to']}: {answer['verdict']}.")


def plan() -> None:
    """The SQL of each pending revision, and what is dangerous in it."""
    answer, scripts = ask("plan"), Scripts(load_settings().migrations_dir)
    pending = answer["plan"]
    if answer["verdict"] == "diverged":
        fail(f"the database is at revision {answer['to']}, which is not on this code's line")
    known = {revision.id: revision for revision in scripts.known}
    for each in pending:
        say(f"-- {each['id']} {scripts.titles()[each['id']]} ({each['phase']})\n{each['sql']}")
        hazards.show(scripts, known[each["id"]])
        say("")
    if not pending:
        say("Nothing is pending.")


def downgrade(to: str) -> None:
    """After asking: it may drop data."""
    found = ask("history")
    parents = {revision["id"]: revision["parent"] or "base" for revision in found["revisions"]}
    target = parents.get(found["to"], to) if to == "-1" else to
    asked = f"This takes back every revision after {target}, with what only they hold. Type yes to go on: "
    if not os.environ.get("YES") and (not sys.stdin.isatty() or input(asked) != "yes"):
        fail("nothing was changed; YES=yes answers for you")
    answer = ask("downgrade", to=to, confirm=target, lose_data=True)
    say(f"The database is at revision {answer['to'] or 'base'}.")


def config(connection: Connection | None = None) -> Config:
    made = Config(toml_file=str(ROOT / "pyproject.toml"), stdout=sys.stderr)
    made.attributes["connection"] = connection
    return made


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
    """Every revision, oldest first: id, parent and phase."""
    return [asdict(revision) for revision in Scripts().known]


def write_history() -> None:
    lines = ",\n".join(f"  {json.dumps(revision)}" for revision in history())
    HISTORY.write_text(f"[\n{lines}\n]\n")
    schema.history.cache_clear()

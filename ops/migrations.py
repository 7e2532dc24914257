"""The schema from the shell: what the migration function does, and writing revisions."""

import getpass
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

from app import NAME
from app.foundation import schema
from app.foundation.schema import HISTORY
from app.foundation.settings import load_settings
from app.migration.actions import Answer, Call, act
from app.migration.look import sql
from app.migration.scripts import Scripts
from ops import environment, hazards
from ops.dev import database
from ops.environment import ROOT
from ops.terminal import agree, fail, say

Ask = Callable[..., Answer]  # an action, and its fields


@contextmanager
def asking(**how: bool) -> Iterator[Ask]:
    """The database that is set or embedded; with ENV its release's, through the migration function."""
    if os.environ.get("ENV"):
        from ops.cloud.schema import of_release

        with of_release(**how) as ask:
            yield ask
        return
    environment.load()
    with database():
        yield ask_directly()


def ask_directly() -> Ask:
    """Of the database that the settings name; a line for each step. Raises Refused."""
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("app.migration").setLevel(logging.INFO)
    call = Call(load_settings(), invoker=getpass.getuser())
    return lambda action, **fields: act(call, {"action": action} | fields)


def migrate() -> None:
    """To the newest revision; with DO=current or DO=history it only looks."""
    do = os.environ.get("DO") or "upgrade"
    if do not in {"upgrade", "current", "history"}:
        fail(f"DO={do} is not known: DO=current or DO=history, or none")
    with asking() as ask:
        if do == "upgrade":
            upgrade(ask)
        else:
            say(json.dumps(ask(do), indent=2))


def upgrade(ask: Ask) -> None:
    answer = ask("upgrade")
    if answer["held"]:
        say(f"Held until older releases are out of service: {', '.join(answer['held'])}")
    say(f"The database is at revision {answer['to']}: {answer['verdict']}.")


def plan() -> None:
    """The SQL of each revision of this checkout that the database has not, and what is dangerous in it."""
    with asking(first=True) as ask:
        found, scripts = ask("current"), Scripts()
    known = [revision.id for revision in scripts.known]
    if (to := found["to"]) not in {None, *known}:
        fail(f"the database is at revision {to}, which is not on this code's line")
    left = {*found["pending"], *known[known.index(to) + 1 if to else 0 :]}
    for revision in (each for each in scripts.known if each.id in left):
        title = f"{revision.id} {scripts.titles()[revision.id]} ({revision.phase})"
        say(f"-- {title}\n{sql(scripts, revision)}")
        hazards.show(scripts, revision)
        say("")
    if not left:
        say("Nothing is pending.")


def downgrade() -> None:
    """To TO, after asking: it may drop data."""
    to = os.environ.get("TO") or fail("where to? make downgrade TO=-1, or TO=<revision>")
    with asking(back=True) as ask:
        found = ask("history")
        parents = {revision["id"]: revision["parent"] or "base" for revision in found["revisions"]}
        target = parents.get(found["to"], to) if to == "-1" else to
        where = f"in {NAME}-{os.environ['ENV']}" if os.environ.get("ENV") else "in this database"
        agree(f"This takes back every revision after {target} {where}, with what only they hold")
        answer = ask("downgrade", to=to, confirm=target, lose_data=True)
        say(f"The database is at revision {answer['to'] or 'base'}: {answer['verdict']}.")


def seed() -> None:
    """The first administrator: EMAIL, PASSWORD."""
    with asking() as ask:
        answer = ask("seed", email=os.environ.get("EMAIL"), password=os.environ.get("PASSWORD"))
        say("The administrator is made." if answer["seeded"] else "There is an administrator already.")


def revision() -> None:
    """Of what changed in the models; m is its message."""
    message = os.environ.get("m", "").strip()  # noqa: SIM112
    if not message:
        fail('what changes? make revision m="add age to users"')
    environment.load()
    with database() as (engine, _):
        upgrade(ask_directly())
        say(f"Read it, then run `make migrate`: {new_revision(engine, message)}")


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

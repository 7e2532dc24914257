"""What the migration function can be asked: an action and its fields -> one JSON object."""

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import VERSION
from app.foundation.database import make_engine
from app.foundation.errors import ApiError
from app.foundation.settings import Settings
from app.migration import ledger, look, moving, roles
from app.migration.errors import Refused
from app.migration.moving import Moved
from app.migration.scripts import Scripts
from app.migration.steps import Limits, Run, alone, said
from app.resources.users.service import seed_administrator

Answer = dict[str, Any]
LIMITS = Limits()
# "false", as text, is no consent
TYPES = ConfigDict(strict=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation: the settings, who asks, and the seconds that are left."""

    settings: Settings
    invoker: str = "unknown"
    function_version: str | None = None
    left: Callable[[], float] = lambda: float("inf")
    limits: Limits = LIMITS

    @contextmanager
    def run(self) -> Iterator[Run]:
        """On the database, as the schema's owner."""
        actor = ledger.Actor(VERSION, self.settings.commit, self.invoker, self.function_version)
        scripts = Scripts(self.settings.migrations_dir)
        with connected(self.settings.url, self.settings) as connection:
            holds = not self.settings.developing
            yield Run(connection, scripts, actor, self.left, holds=holds, limits=self.limits)


def upgrade(
    call: Call, to: str | None = None, allow: list[str] | None = None, reason: str | None = None
) -> Answer:
    """Moves the schema to the newest revision that may run, or to `to`."""
    with call.run() as run:
        return told(run, moving.upgrade(run, to, allow or [], reason))


def downgrade(call: Call, to: str, confirm: str | None = None, *, lose_data: bool = False) -> Answer:
    """Takes back revisions, to `to`, or the newest with "-1"."""
    with call.run() as run:
        return told(run, moving.downgrade(run, to, confirm, lose_data=lose_data))


def prepare(call: Call) -> Answer:
    """bootstrap where it is needed, then upgrade: what a deployment asks for."""
    if call.settings.admin_database_url:
        with connected(call.settings.admin_url, call.settings) as connection:
            needed = roles.needed(connection)
        if needed:
            bootstrap(call)
    return upgrade(call)


def current(call: Call) -> Answer:
    """The verdict, and where the database is."""
    with call.run() as run:
        return told(run)


def history(call: Call) -> Answer:
    """Every revision this code knows, and the last runs."""
    with call.run() as run:
        return told(run) | look.history(run)


def plan(call: Call) -> Answer:
    """The SQL of each revision that is not applied."""
    with call.run() as run:
        return told(run) | look.plan(run)


def check(call: Call) -> Answer:
    """Where the database differs from the models."""
    with call.run() as run:
        return told(run) | {"drift": look.drift(run.connection)}


def describe(call: Call) -> Answer:
    """Each table's columns and indexes."""
    with call.run() as run:
        return told(run) | look.describe(run.connection)


def released(call: Call) -> Answer:
    """Records that this code has all the traffic; contract steps wait for that."""
    with call.run() as run:
        moving.release(run)
        return told(run)


def seed(call: Call, email: str | None = None, password: str | None = None) -> Answer:
    """Makes the first administrator; nothing where there is one."""
    settings = call.settings
    secret = settings.administrator_password
    email = email or settings.administrator_email
    password = password or (secret.get_secret_value() if secret else None)
    if not email or not password:
        raise Refused("who? give email and password, or set ADMINISTRATOR_EMAIL and ADMINISTRATOR_PASSWORD")
    with call.run() as run, alone(run.connection, run.left):
        try:
            with Session(run.connection) as session, session.begin():
                made = seed_administrator(session, email, password)
        except ValidationError as error:
            [fault, *_] = error.errors(include_url=False, include_input=False, include_context=False)
            raise Refused(f"{fault['loc'][0]}: {fault['msg']}") from None
        return told(run) | {"seeded": made}


def bootstrap(call: Call) -> Answer:
    """Makes the roles app and migrator and what they may; again, it changes nothing."""
    with connected(call.settings.admin_url, call.settings) as connection, alone(connection, call.left):
        return {"made": roles.bootstrap(connection, call.limits)}


def create_database(call: Call, name: str) -> Answer:
    """Makes a preview's database."""
    with connected(call.settings.admin_url, call.settings, autocommit=True) as connection:
        roles.create_database(connection, name)
    return {"made": [name]}


def drop_database(call: Call, name: str, confirm: str | None = None) -> Answer:
    """Drops a preview's database."""
    with connected(call.settings.admin_url, call.settings, autocommit=True) as connection:
        roles.drop_database(connection, name, confirm)
    return {"dropped": [name]}


ACTIONS: dict[str, Callable[..., Answer]] = {
    action.__name__: action
    for action in (
        prepare, upgrade, downgrade, current, history, plan, check, describe, released, seed, bootstrap,
        create_database, drop_database,
    )
}  # fmt: skip


def act(call: Call, event: dict[str, Any]) -> Answer:
    """Raises Refused: one line that says what is wrong and what to do."""
    began = time.monotonic()
    name = event.get("action") if isinstance(event, dict) else None
    if not isinstance(name, str) or name not in ACTIONS:
        raise Refused(f"unknown action {name!r}; actions are: {', '.join(ACTIONS)}")
    given = {field: value for field, value in event.items() if field != "action"}
    try:
        answer = validate_call(config=TYPES)(ACTIONS[name])(call, **given)
    except ValidationError as error:
        [fault, *_] = error.errors(include_url=False, include_input=False, include_context=False)
        fields = [*inspect.signature(ACTIONS[name]).parameters][1:]
        raise Refused(
            f"{name}: {fault['loc'][0]}: {fault['msg']}; its fields are: {', '.join(fields) or 'none'}"
        ) from None
    except DBAPIError as error:
        raise Refused(said(error)) from error
    except ApiError as error:
        raise Refused(f"{name}: {error.detail}") from error
    return {"action": name} | answer | {"seconds": round(time.monotonic() - began, 3)}


def told(run: Run, moved: Moved | None = None) -> Answer:
    found = run.standing()
    answer = {
        "verdict": found.verdict,
        "from": moved.before.revision if moved else found.revision,
        "to": found.revision,
        "applied": moved.applied if moved else [],
        "held": moved.held if moved else [],
        "pending": list(found.pending),
        "broken_by": list(found.broken_by),
        "hazards": [
            {"revision": revision, "rule": rule, "reason": reason}
            for revision in [*(moved.applied if moved else []), *found.pending]
            for rule, reason in run.scripts.reasons(revision).items()
        ],
    }
    return answer | ({"stopped": moved.stopped} if moved and moved.stopped else {})


@contextmanager
def connected(url: URL, settings: Settings, *, autocommit: bool = False) -> Iterator[Connection]:
    """One connection, which is not left behind. Raises Refused where there is none."""
    engine = make_engine(url, connections=1, iam=settings.db_auth == "iam")
    try:
        try:
            connection = engine.connect()
        except DBAPIError as error:
            where = url.set(query={}).render_as_string()
            raise Refused(f"no connection to {where}: {said(error)}") from error
        # a run that was killed lets its locks go, too
        connection.execute(text("SET client_connection_check_interval = '1s'"))
        connection.commit()
        if autocommit:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        with connection:
            yield connection
    finally:
        engine.dispose()

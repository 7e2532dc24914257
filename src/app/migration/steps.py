"""One step of the schema, which gives way to those who use the tables."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from app.foundation.schema import Revision, Standing, standing
from app.migration import ledger
from app.migration.errors import Refused
from app.migration.scripts import Scripts

log = logging.getLogger(__name__)

# PostgreSQL, "Appendix A. PostgreSQL Error Codes"
GIVE_WAY = {"55P03": "lock_not_available", "40P01": "deadlock_detected"}
BACK_OFF = 3  # the pause doubles so often
RESERVE = 60.0  # seconds that a step must have before Lambda's end, and that reporting needs


CONCURRENTLY = re.compile(
    r"\s*(CREATE\s+(UNIQUE\s+)?INDEX|DROP\s+INDEX|REINDEX\b.*)\s+CONCURRENTLY\b", re.IGNORECASE | re.DOTALL
)
VALIDATE = re.compile(r"\s*ALTER\s+TABLE\s.*\bVALIDATE\s+CONSTRAINT\b", re.IGNORECASE | re.DOTALL)
BUILT = re.compile(
    r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(\S+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: to wait for a lock, for a statement, after the first try; and how many tries a step has."""

    lock: float = 2.0
    statement: float = 300.0
    pause: float = 2.0
    tries: int = 20


@dataclass(slots=True)
class Run:
    """One invocation. `left` gives the seconds until its end."""

    connection: Connection
    scripts: Scripts
    actor: ledger.Actor
    left: Callable[[], float]
    holds: bool
    """Whether contract steps wait for `released`; in development they do not."""
    limits: Limits = field(default_factory=Limits)

    def standing(self) -> Standing:
        found = standing(self.connection, self.scripts.known)
        self.connection.rollback()
        return found


def step(run: Run, entry: ledger.Entry, revision: Revision, *, up: bool) -> None:
    """Tried again when it had to give way: whoever waits behind it for the lock is let through meanwhile."""
    for number in range(1, run.limits.tries + 1):
        done = len(entry.applied)
        try:
            drop_invalid_indexes(run, revision, up=up)
            with limits(run):
                run.scripts.move(run.connection, revision, up=up, on_apply=entry.step, left=run.left)
        except DBAPIError as error:
            del entry.applied[done:]
            code = getattr(error.orig, "sqlstate", None)
            if code not in GIVE_WAY or number == run.limits.tries:
                raise
            pause = run.limits.pause * 2 ** min(number - 1, BACK_OFF)
            if run.left() < RESERVE + pause:
                raise Refused(f"gave way {number} times to users of its tables; invoke it again") from error
            log.info("%s gave way (%s), try %d; the next in %g s", revision.id, GIVE_WAY[code], number, pause)
            time.sleep(pause)
        else:
            log.info("%s %s", "applied" if up else "took back", revision.id)
            return


@contextmanager
def alone(connection: Connection, left: Callable[[], float]) -> Iterator[None]:
    """The advisory lock of this database's schema. Raises Refused when `left`, in seconds, runs out.

    Asked for again and again: a statement that waits would hold up CREATE INDEX CONCURRENTLY, which waits
    for every transaction.
    """
    lock = {"key": "schema"}
    waiting = False
    while True:
        got = connection.scalar(text("SELECT pg_try_advisory_lock(hashtext(:key))"), lock)
        connection.commit()
        if got:
            break
        if left() < RESERVE:
            raise Refused("another run is moving the schema; invoke it again when it is done")
        if not waiting:
            log.info("another run is moving the schema; waiting for it")
        waiting = True
        time.sleep(0.1)
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(hashtext(:key))"), lock)
        connection.commit()


@contextmanager
def limits(run: Run) -> Iterator[None]:
    """How long a statement may wait for a lock, and run.

    The waits of one transaction share the limit, as it holds meanwhile what it has got. What is CONCURRENTLY
    blocks nobody and waits for everybody: it may take all the time there is. So may VALIDATE run.
    """
    all_there_is = max(1.0, min(run.left() - RESERVE / 2, 86400))
    began: float | None = None

    def before(_: Connection, cursor: psycopg.Cursor[object], statement: str, *__: object) -> None:
        nonlocal began
        began = began or time.monotonic()
        spent = 0.0 if cursor.connection.autocommit else time.monotonic() - began
        lock = 0.0 if CONCURRENTLY.match(statement) else max(0.05, run.limits.lock - spent)
        patient = CONCURRENTLY.match(statement) or VALIDATE.match(statement)
        seconds = all_there_is if patient else min(run.limits.statement, all_there_is)
        cursor.execute(f"SET lock_timeout = {lock * 1000:.0f}; SET statement_timeout = {seconds * 1000:.0f}")

    event.listen(run.connection, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(run.connection, "before_cursor_execute", before)
        run.connection.rollback()
        run.connection.exec_driver_sql("RESET lock_timeout; RESET statement_timeout")
        run.connection.commit()


def drop_invalid_indexes(run: Run, revision: Revision, *, up: bool) -> None:
    """The revision's own: what a CREATE INDEX CONCURRENTLY that failed left has the name, and no use."""
    if not run.scripts.speaks_of_concurrently(revision):
        return
    try:
        built = BUILT.findall(run.scripts.sql(revision, up=up))
    except Refused:
        return
    names = [name.rpartition(".")[2].strip('"') for name in built]
    query = text(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = current_schema() "
        "AND c.relname = ANY(:names)"
    )
    found = run.connection.scalars(query, {"names": names}).all()
    run.connection.rollback()
    for name in found:
        log.info("dropping the invalid index %s", name)
        autocommit = run.connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            autocommit.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        finally:
            run.connection.rollback()
            run.connection.execution_options(isolation_level="READ COMMITTED")


def said(error: Exception) -> str:
    """In one line, without the statement; and what to do about a missing privilege."""
    first: BaseException | None = None if isinstance(error, Refused) else error
    while first and not isinstance(first, DBAPIError):
        first = first.__cause__ or first.__context__
    cause = getattr(first, "orig", None) or error
    words = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause)
    hint = ""
    if getattr(cause, "sqlstate", None) == "42501":  # insufficient_privilege
        hint = ' (connect as the schema\'s owner, or let {"action": "bootstrap"} grant it)'
    return " ".join(words.split()) + hint

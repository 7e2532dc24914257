"""What was done to the schema, when, by whom; in two tables of the database itself."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    Identity,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    text,
    update,
)  # fmt: skip
from sqlalchemy.dialects import postgresql

from app.foundation.schema import Revision

TABLES = MetaData()
REVISIONS = Table(
    "schema_revisions",
    TABLES,
    Column("revision", Text, primary_key=True),
    Column("parent", Text),
    Column("phase", Text, nullable=False),
    Column("applied_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)
LEDGER = Table(
    "schema_ledger",
    TABLES,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    *(Column(name, Text) for name in ("version", "commit", "invoker", "function_version")),
    *(Column(name, Text) for name in ("action", "from_revision", "to_revision", "note", "result", "error")),
    Column("applied", ARRAY(Text), nullable=False),
    Column("seconds", Float),
)

# the application reads where the schema is, and writes none of it
PROTECT = text(
    "DO $$ DECLARE name text; BEGIN "
    "IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN "
    "FOR name IN SELECT t FROM unnest(ARRAY['schema_ledger', 'schema_revisions', 'alembic_version']) t "
    "WHERE to_regclass(t) IS NOT NULL LOOP "
    "EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %I FROM app', name); "
    "END LOOP; END IF; END $$"
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who moves the schema: the code's version and commit, who asked, and the function's version."""

    version: str
    commit: str
    invoker: str
    function_version: str | None = None


@dataclass(slots=True)
class Entry:
    """One row of schema_ledger: `running` until it is closed, so that a killed run shows."""

    connection: Connection
    actor: Actor
    action: str
    before: str | None
    note: str | None = None
    applied: list[str] = field(default_factory=list)
    id: int = 0
    began: float = field(default_factory=time.monotonic)

    def open(self) -> None:
        row = {
            "action": self.action,
            "from_revision": self.before,
            "note": self.note,
            "applied": self.applied,
        }
        made = insert(LEDGER).values(**row, **asdict(self.actor), result="running").returning(LEDGER.c.id)
        self.id = self.connection.execute(made).scalar_one()
        self.connection.commit()

    def step(self, revision: Revision, up: bool) -> None:  # noqa: FBT001
        """Within the revision's own transaction, so that the record cannot differ from what happened."""
        if up:
            upsert(self.connection, revision)
        else:
            self.connection.execute(delete(REVISIONS).where(REVISIONS.c.revision == revision.id))
        self.applied.append(revision.id)
        self.write(applied=self.applied, to_revision=revision.id if up else revision.parent)
        self.connection.execute(PROTECT)  # Alembic's own table was made by the first step

    def close(self, after: str | None, result: str, error: str | None = None) -> None:
        self.connection.rollback()
        seconds = round(time.monotonic() - self.began, 3)
        self.write(to_revision=after, result=result, error=error, seconds=seconds)
        self.connection.commit()

    def write(self, **values: object) -> None:
        self.connection.execute(update(LEDGER).where(LEDGER.c.id == self.id).values(**values))


def exists(connection: Connection) -> bool:
    found = connection.scalar(text("SELECT to_regclass('schema_ledger')"))
    connection.rollback()
    return found is not None


def ensure(connection: Connection, known: Sequence[Revision], found: str | None) -> None:
    """Makes the tables, and makes good what Alembic did by itself, or a run that was cut off.

    Only for who holds the advisory lock.
    """
    TABLES.create_all(connection)
    connection.execute(PROTECT)
    ids = [revision.id for revision in known]
    there = ids[: ids.index(found) + 1] if found in ids else []
    if there or not found:
        connection.execute(delete(REVISIONS).where(REVISIONS.c.revision.in_(ids[len(there) :])))
    for revision in known[: len(there)]:
        upsert(connection, revision)
    connection.execute(update(LEDGER).where(LEDGER.c.result == "running").values(result="interrupted"))
    connection.commit()


def upsert(connection: Connection, revision: Revision) -> None:
    row = {"revision": revision.id, "parent": revision.parent, "phase": revision.phase}
    connection.execute(postgresql.insert(REVISIONS).values(row).on_conflict_do_nothing())

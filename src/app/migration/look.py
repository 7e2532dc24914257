"""What there is, and what would be done."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from app.foundation.database import Base
from app.foundation.schema import Revision
from app.migration.errors import Refused
from app.migration.ledger import TABLES
from app.migration.moving import pending
from app.migration.scripts import Scripts
from app.migration.steps import Run

BOOKKEEPING = {"alembic_version", *TABLES.tables}


def history(run: Run) -> dict[str, Any]:
    """Every revision this code knows, and the ledger's last 20 runs, newest first."""
    titles = run.scripts.titles()
    found = run.standing()
    missing = {*found.pending} if found.verdict != "diverged" else {each.id for each in run.scripts.known}
    revisions = [
        {"id": each.id, "parent": each.parent, "phase": each.phase, "title": titles[each.id],
         "applied": each.id not in missing}
        for each in run.scripts.known
    ]  # fmt: skip
    return {"revisions": revisions, "runs": runs(run.connection)}


def runs(connection: Connection) -> list[dict[str, Any]]:
    if connection.scalar(text("SELECT to_regclass('schema_ledger')")) is None:
        return []
    rows = connection.execute(text("SELECT * FROM schema_ledger ORDER BY id DESC LIMIT 20")).mappings()
    return [{**row, "at": row["at"].isoformat()} for row in rows]


def plan(run: Run) -> dict[str, Any]:
    """The SQL of each revision that is not applied."""
    left = pending(run, run.standing(), None)
    return {"plan": [{"id": each.id, "phase": each.phase, "sql": sql(run.scripts, each)} for each in left]}


def sql(scripts: Scripts, revision: Revision) -> str:
    try:
        return scripts.sql(revision)
    except Refused as error:
        return f"-- {error}"


def describe(connection: Connection) -> dict[str, Any]:
    """Each table's columns and indexes."""
    inspector = inspect(connection)
    tables = {}
    for name in sorted(set(inspector.get_table_names()) - BOOKKEEPING):
        columns = {
            column["name"]: f"{column['type']}{'' if column['nullable'] else ' not null'}"
            for column in inspector.get_columns(name)
        }
        tables[name] = {"columns": columns, "indexes": [each["name"] for each in inspector.get_indexes(name)]}
    return {"tables": tables}


def drift(connection: Connection) -> list[str]:
    """Where the database differs from the models, in Alembic's words."""
    context = MigrationContext.configure(
        connection, opts={"include_name": lambda name, kind, _: not (kind == "table" and name in BOOKKEEPING)}
    )
    return [str(difference) for difference in compare_metadata(context, Base.metadata)]

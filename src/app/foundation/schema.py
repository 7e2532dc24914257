"""The revision of the schema that this code was built for, and the one that the database has."""

import json
from functools import cache
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

HISTORY = Path(__file__).parents[1] / "revisions.json"


@cache
def expected_revision() -> str | None:
    """The newest revision in revisions.json, which `make revision` writes."""
    revisions: list[dict[str, str]] = json.loads(HISTORY.read_text())
    return revisions[-1]["id"] if revisions else None


def found_revision(session: Session) -> str | None:
    """What Alembic last recorded; None in a database that was never migrated."""
    if session.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    return found

"""The revision of the schema that this code was built for, and the one that the database has."""

import json
from functools import cache
from pathlib import Path
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

HISTORY = Path(__file__).parents[1] / "revisions.json"


Verdict = Literal["empty", "behind", "current", "ahead"]


@cache
def history() -> list[str]:
    """The revisions of revisions.json, which `make revision` writes, oldest first."""
    return [revision["id"] for revision in json.loads(HISTORY.read_text())]


def expected_revision() -> str | None:
    return history()[-1] if history() else None


def verdict(found: str | None, known: list[str]) -> Verdict:
    """Where a database at `found` stands for code that knows `known`.

    An unknown revision was made by newer code, so the database is ahead.
    """
    if found is None:
        return "empty"
    if found not in known:
        return "ahead"
    return "current" if found == known[-1] else "behind"


def found_revision(session: Session) -> str | None:
    """What Alembic last recorded; None in a database that was never migrated."""
    if session.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    return found

"""Where a database's schema stands for this code; needs no Alembic."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

HISTORY = Path(__file__).parents[1] / "revisions.json"

Verdict = Literal["empty", "behind", "current", "ahead", "diverged"]


@dataclass(frozen=True, slots=True)
class Revision:
    """`expand` adds what older code can live with; `contract` takes away what only older code used."""

    id: str
    parent: str | None
    phase: Literal["expand", "contract"] = "expand"


@dataclass(frozen=True, slots=True)
class Standing:
    verdict: Verdict
    revision: str | None = None
    pending: tuple[str, ...] = ()
    """To be applied, oldest first; while `current`, those that wait for a contract step."""
    broken_by: tuple[str, ...] = ()
    """Contract steps that newer code made: this code misses what they took away."""

    @property
    def works(self) -> bool:
        """Whether this code can do its work there."""
        return self.verdict in {"current", "ahead"} and not self.broken_by


@cache
def history() -> tuple[Revision, ...]:
    """The revisions this code knows, oldest first: revisions.json, which `make revision` writes."""
    return tuple(Revision(**revision) for revision in json.loads(HISTORY.read_text()))


def expected_revision() -> str | None:
    return history()[-1].id if history() else None


def stand(known: Sequence[Revision], recorded: Mapping[str, Revision], found: Sequence[str]) -> Standing:
    """For code that knows `known`, on a database whose ledger holds `recorded` and that is at `found`."""
    if not found:
        return Standing("empty", pending=tuple(revision.id for revision in known))
    if len(found) > 1:
        return Standing("diverged", ", ".join(found))
    [at] = found
    ids = [revision.id for revision in known]
    if at in ids:
        left = known[ids.index(at) + 1 :]
        # code does without its own contract steps, and not without its expand steps
        state: Verdict = "behind" if any(each.phase == "expand" for each in left) else "current"
        return Standing(state, at, tuple(revision.id for revision in left))
    newer = []
    row = recorded.get(at)
    while row and row.id not in ids:
        newer.append(row)
        row = recorded.get(row.parent or "")
    if not row or row.id != ids[-1]:
        return Standing("diverged", at)
    return Standing("ahead", at, broken_by=tuple(each.id for each in newer[::-1] if each.phase == "contract"))


def standing(session: Session | Connection, known: Sequence[Revision] | None = None) -> Standing:
    """Of the session's database, for this code, or for one that knows `known`."""
    tables = session.execute(text("SELECT to_regclass('alembic_version'), to_regclass('schema_revisions')"))
    versions, ledger = tables.one()
    found = session.scalars(text("SELECT version_num FROM alembic_version")).all() if versions else []
    query = text("SELECT revision, parent, phase FROM schema_revisions")
    rows = session.execute(query).all() if ledger else []
    return stand(history() if known is None else known, {row[0]: Revision(*row) for row in rows}, found)

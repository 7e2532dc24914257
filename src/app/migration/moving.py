"""Moving the schema up and down: what is asked, what may be done, and its record."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.foundation.schema import Revision, Standing
from app.migration import ledger, phases
from app.migration.errors import Refused
from app.migration.scripts import BASE
from app.migration.steps import RESERVE, Run, alone, said, step


@dataclass(slots=True)
class Moved:
    before: Standing
    applied: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    stopped: str | None = None


def upgrade(run: Run, to: str | None = None, allow: Sequence[str] = (), reason: str | None = None) -> Moved:
    """To the newest revision that may run, or to `to`. Raises Refused."""
    check_wishes(run, to, allow, reason)
    before = run.standing()
    refuse_diverged(before)
    if before.verdict == "ahead" or (before.verdict == "current" and not before.pending):
        return nothing(run, before, reason)
    with alone(run.connection, run.left):
        before = run.standing()
        refuse_diverged(before)
        ledger.ensure(run.connection, run.scripts.known, before.revision)
        plan = phases.plan(pending(run, before, to), allowed(run, before, allow))
        if not plan.apply:
            return nothing(run, before, reason, plan.held)
        entry = ledger.Entry(run.connection, run.actor, "upgrade", before.revision, reason)
        moved = move(run, entry, before, plan.apply, up=True)
        moved.held = [revision.id for revision in plan.held]
        return moved


def check_wishes(run: Run, to: str | None, allow: Sequence[str], reason: str | None) -> None:
    """Raises Refused for what this code does not know."""
    ids = [revision.id for revision in run.scripts.known]
    contracts = [revision.id for revision in run.scripts.known if revision.phase == "contract"]
    if to is not None and to not in ids:
        raise Refused(f"unknown revision {to}; there are: {', '.join(ids) or 'none'}")
    if unknown := sorted(set(allow) - set(contracts)):
        raise Refused(f"no contract step: {', '.join(unknown)}; there are: {', '.join(contracts) or 'none'}")
    if allow and not reason:
        raise Refused('allowing a contract step needs a reason, which the ledger keeps: add "reason"')


def downgrade(run: Run, to: str, confirm: str | None, *, lose_data: bool = False) -> Moved:
    """Back to revision `to`, one step with "-1". Raises Refused."""
    before = run.standing()
    if before.verdict == "ahead":
        raise Refused(
            f"the database is at {before.revision}, which newer code made; send this to the version of the "
            "function that knows it: schema_ledger.function_version"
        )
    refuse_diverged(before)
    undone = undoing(run, before, to)
    target = undone[-1].parent or BASE
    if confirm != target:
        raise Refused(
            f'this takes back {", ".join(each.id for each in undone)}; say so: "confirm": "{target}"'
        )
    if run.holds and not lose_data and (lossy := [each.id for each in undone if loses(run, each)]):
        raise Refused(f'taking back {", ".join(lossy)} may lose data; agree to it: "lose_data": true')
    with alone(run.connection, run.left):
        if run.standing() != before:
            raise Refused("the schema was moved meanwhile; look at it again")
        ledger.ensure(run.connection, run.scripts.known, before.revision)
        entry = ledger.Entry(run.connection, run.actor, "downgrade", before.revision)
        return move(run, entry, before, undone, up=False)


def release(run: Run) -> None:
    """Records that this code has taken over the traffic, and the revisions it knows."""
    with alone(run.connection, run.left):
        found = run.standing()
        refuse_diverged(found)
        if not found.works:
            raise Refused(f"this code does not work on the database, which is {found.verdict}; upgrade first")
        ledger.ensure(run.connection, run.scripts.known, found.revision)
        entry = ledger.Entry(run.connection, run.actor, "released", found.revision)
        entry.applied = [revision.id for revision in run.scripts.known]
        entry.open()
        entry.close(found.revision, "ok")


def refuse_diverged(found: Standing) -> None:
    if found.verdict == "diverged":
        raise Refused(
            f"the database is at {found.revision}, which is not on this code's line; nothing was done"
        )


def nothing(run: Run, found: Standing, note: str | None, held: Sequence[Revision] = ()) -> Moved:
    if ledger.exists(run.connection):
        entry = ledger.Entry(run.connection, run.actor, "upgrade", found.revision, note)
        entry.open()
        entry.close(found.revision, "ok")
    waiting = [revision.id for revision in held] or list(found.pending)
    return Moved(found, held=waiting)


def pending(run: Run, found: Standing, to: str | None) -> list[Revision]:
    """Those up to `to`; none where the database is there already, or further."""
    left = [revision for revision in run.scripts.known if revision.id in found.pending]
    if to is None:
        return left
    ids = [revision.id for revision in left]
    return left[: ids.index(to) + 1] if to in ids else []


def allowed(run: Run, found: Standing, allow: Sequence[str]) -> list[str]:
    if not run.holds or found.verdict == "empty" or phases.nothing_served(run.connection):
        return [revision.id for revision in run.scripts.known]
    return [*phases.released(run.connection, run.scripts.known), *allow]


def undoing(run: Run, found: Standing, to: str) -> list[Revision]:
    """From the newest applied back to the one after `to`."""
    applied = [revision for revision in run.scripts.known if revision.id not in found.pending][::-1]
    if not found.revision or not applied:
        raise Refused("the database has no revision to take back")
    if to == "-1":
        return applied[:1]
    targets = [revision.parent or BASE for revision in applied]
    if to not in targets:
        raise Refused(f"revision {to} is not behind the database; these are: {', '.join(targets)}, -1")
    return applied[: targets.index(to) + 1]


# what takes no row and no value away, one clause at a time
HARMLESS = re.compile(
    r"(CREATE (UNIQUE )?INDEX|CREATE TABLE|COMMENT ON|DROP INDEX|ALTER INDEX|ALTER TABLE (ONLY )?\S+ "
    r"(ADD|VALIDATE|RENAME|DROP CONSTRAINT|ALTER (COLUMN )?\S+ (SET|DROP) (DEFAULT|NOT NULL)))\b[^;]*",
    re.IGNORECASE,
)


def loses(run: Run, revision: Revision) -> bool:
    """Whether taking it back may lose rows or values: all but what is known not to."""
    try:
        sql = run.scripts.sql(revision, up=False)
    except Refused:
        return True
    statements = [statement.strip() for statement in sql.split(";\n") if statement.strip(";\n ")]
    return not all(
        HARMLESS.fullmatch(each.rstrip(";")) and not re.search(r",\s*(DROP|ALTER)\b", each, re.IGNORECASE)
        for each in statements
    )


def enough(left: float) -> None:
    """Raises Refused where no step can begin: to invoke it again would not help."""
    if left < RESERVE:
        raise Refused(f"{left:.0f} s are left, and a step needs {RESERVE:.0f}: raise the function's time-out")


def move(run: Run, entry: ledger.Entry, before: Standing, steps: Sequence[Revision], *, up: bool) -> Moved:
    entry.open()
    moved = Moved(before, entry.applied)
    try:
        for revision in steps:
            left = run.left()
            if left < RESERVE and entry.applied:
                moved.stopped = f"{left:.0f} s are left; invoke it again to go on"
                break
            enough(left)
            step(run, entry, revision, up=up)
    except Exception as error:  # a revision is anybody's code
        at = run.standing().revision
        entry.close(at, "failed", said(error))
        done = f"after {len(entry.applied)} of {len(steps)} steps the database is at {at or BASE}"
        raise Refused(f"revision {revision.id}: {said(error)}; {done}") from error
    entry.close(run.standing().revision, "stopped" if moved.stopped else "ok")
    return moved

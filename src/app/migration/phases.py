"""Which contract steps may run: those that no release in service can miss."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, text

from app.foundation.schema import Revision
from app.migration.errors import Refused

# how long older code must be out of service: longer than a canary, and than any request
OUT_OF_SERVICE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Plan:
    apply: tuple[Revision, ...]
    held: tuple[Revision, ...]


def plan(pending: Sequence[Revision], allowed: Sequence[str]) -> Plan:
    """Up to the first contract step not yet allowed. Raises Refused where an expand step sits on that."""
    for number, revision in enumerate(pending):
        if revision.phase == "contract" and revision.id not in allowed:
            held = pending[number:]
            if stuck := [each.id for each in held if each.phase == "expand"]:
                raise Refused(
                    f"{', '.join(stuck)} cannot run before the contract step {revision.id}, which is held "
                    "until older releases are out of service; deploy them in two releases, or allow it: "
                    f'{{"action": "upgrade", "allow": ["{revision.id}"], "reason": ".."}}'
                )
            return Plan(tuple(pending[:number]), tuple(held))
    return Plan(tuple(pending), ())


def released(connection: Connection, known: Sequence[Revision]) -> list[str]:
    """The contract steps that every release in service has known for OUT_OF_SERVICE.

    `released` in the ledger says what the release that took over the traffic knows, in `applied`.
    """
    rows = connection.execute(
        text(
            "SELECT applied, at < now() - :wait AS settled FROM schema_ledger "
            "WHERE action = 'released' ORDER BY at DESC, id DESC"
        ),
        {"wait": OUT_OF_SERVICE},
    ).all()
    # those that may have been in service since then: the last that is settled, and all after it
    serving: list[set[str]] = []
    for knows, settled in rows:
        serving.append(set(knows))
        if settled:
            break
    else:
        return []
    contracts = [revision.id for revision in known if revision.phase == "contract"]
    return [id_ for id_ in contracts if all(id_ in knows for knows in serving)]


def nothing_served(connection: Connection) -> bool:
    """Whether the first run of all has not come to its end yet, so that no code can be in service."""
    first = "SELECT from_revision IS NULL FROM schema_ledger ORDER BY id LIMIT 1"
    done = "SELECT EXISTS (SELECT FROM schema_ledger WHERE result = 'ok')"
    return bool(connection.scalar(text(first))) and not connection.scalar(text(done))

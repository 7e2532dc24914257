"""Whether this code can do its work on this database."""

from sqlalchemy.orm import Session

from app.foundation.schema import expected_revision, found_revision, history, verdict
from app.resources.system.errors import SchemaNotReady
from app.resources.system.schemas import Ready


def check_ready(session: Session) -> Ready:
    """A database ahead of this code is ready, so that a rollback is. Raises SchemaNotReady."""
    found = found_revision(session)
    state = verdict(found, history())
    if state == "current" or state == "ahead":  # noqa: PLR1714  # mypy narrows these
        return Ready(schema=state, revision=found)
    raise SchemaNotReady(
        f"The database is at revision {found or 'none'}, and this code expects {expected_revision()}: "
        "run `make migrate`."
    )

"""Whether this code can do its work on this database."""

from sqlalchemy.orm import Session

from app.foundation.schema import expected_revision, found_revision
from app.resources.system.errors import SchemaNotReady
from app.resources.system.schemas import Ready


def check_ready(session: Session) -> Ready:
    """Raises SchemaNotReady."""
    expected, found = expected_revision(), found_revision(session)
    if found != expected:
        raise SchemaNotReady(
            f"The database is at revision {found or 'none'}, and this code expects {expected}: "
            "run `make migrate`."
        )
    return Ready(revision=found)

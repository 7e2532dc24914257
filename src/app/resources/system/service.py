"""Whether this code can do its work on this database."""

from sqlalchemy.orm import Session

from app.foundation.schema import expected_revision, standing
from app.resources.system.errors import SchemaNotReady
from app.resources.system.schemas import Ready


def check_ready(session: Session) -> Ready:
    """A database ahead of this code is ready, so that a rollback is. Raises SchemaNotReady."""
    found = standing(session)
    if found.works:
        return Ready(schema=found.verdict, revision=found.revision)
    if found.broken_by:
        gone = ", ".join(found.broken_by)
        raise SchemaNotReady(f"Revision {gone} took away what this code uses: deploy newer code.")
    raise SchemaNotReady(
        f"The database is at revision {found.revision or 'none'} ({found.verdict}), and this code expects "
        f"{expected_revision()}: run `make migrate`."
    )

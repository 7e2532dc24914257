"""Why the application may not be ready."""

from app.foundation.errors import Unavailable


class SchemaNotReady(Unavailable):
    """The database answers, and its schema is not the one this code was built for."""

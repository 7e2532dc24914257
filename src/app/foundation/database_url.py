"""The address of a PostgreSQL, as people write it."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = ("postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg")


def postgresql_url(text: str) -> URL:
    """Any PostgreSQL URL people paste, for psycopg 3. Raises ValueError."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the library's own message may show the password
        raise ValueError(
            "is no URL; write postgresql://user:password@host:5432/name, with %40 for @ in a password"
        ) from None
    if url.drivername not in DRIVERS:
        raise ValueError(f"'{url.drivername}://' is not PostgreSQL; write postgresql://..")
    # asyncpg's own, as SQLAlchemy takes them
    query = {name: value for name, value in url.query.items() if "statement_cache_size" not in name}
    if "ssl" in query:  # asyncpg's name for libpq's sslmode
        value = query.pop("ssl")
        query["sslmode"] = {"true": "require", "false": "disable"}.get(str(value), value)
    return url.set(drivername="postgresql+psycopg", query=query)

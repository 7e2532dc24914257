"""The database: models' base, connections, and the transaction that each request is."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy import DateTime, Engine, MetaData, create_engine, event
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Session

from app.foundation import aws
from app.foundation.errors import ApiError


class Base(DeclarativeBase):
    """Constraints get names, so that revisions and errors can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {datetime: DateTime(timezone=True)}
    # an UPDATE returns what the database set, so that a response needs no second query
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # as SQLAlchemy declares it


# at most so many requests of a process work on the database; the others wait without a thread
CONNECTIONS = 15


def make_engine(url: URL, connections: int = CONNECTIONS, *, iam: bool = False) -> Engine:
    """Connects at the first query. A database that went away costs its next user a reconnect, no error."""
    given = url.query.get("options", "")
    url = url.update_query_dict({"options": f"-c timezone=utc {given}".strip()})
    url = url.update_query_dict({"client_encoding": "utf8"})
    url = url.update_query_dict({"connect_timeout": url.query.get("connect_timeout", "5")})
    engine = create_engine(
        url,
        pool_size=min(5, connections),
        max_overflow=max(0, connections - 5),
        pool_pre_ping=True,
        hide_parameters=True,  # an error in the log shows no address and no hash
    )
    if iam and not url.password:
        event.listen(engine, "do_connect", sign_in)
    return engine


def sign_in(dialect: Dialect, _: object, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Each connection with its own token of AWS (SQLAlchemy, "Generating dynamic authentication tokens").

    Once more where it is refused: the credentials may have changed.
    """
    where = (options["host"], options.get("port", 5432), options["user"])
    try:
        try:
            return dialect.connect(*arguments, **options, password=aws.database_token(*where))
        except dialect.loaded_dbapi.OperationalError as error:
            if "authentication failed" not in str(error):  # psycopg tells no SQLSTATE of it
                raise
        aws.forget()
        return dialect.connect(*arguments, **options, password=aws.database_token(*where))
    except aws.AwsError as error:  # is as good as no database
        raise dialect.loaded_dbapi.OperationalError(str(error)) from None


def open_session(request: Request) -> Iterator[Session]:
    """One request, one transaction: commits when the route returns, rolls back when it raises."""
    make_session: Callable[[], Session] = request.app.state.make_session
    with make_session() as session, session.begin():
        try:
            yield session
        except ApiError as error:
            if error.keeps_work:
                session.commit()
            raise


# scope="function" commits before the answer leaves: a commit that fails is an error, never a 2xx
# (FastAPI, "Dependencies with yield", Early exit and scope). max_concurrency: a request that waited for a
# connection in a thread could hold up one that has its connection and waits for a thread.
SessionDep = Annotated[Session, Depends(open_session, scope="function", max_concurrency=CONNECTIONS)]


@contextmanager
def constraint(name: str, means: type[ApiError]) -> Iterator[None]:
    """Turns a violation of the constraint `name` into an error of the domain."""
    try:
        yield
    except IntegrityError as error:
        if getattr(getattr(error.orig, "diag", None), "constraint_name", None) == name:
            raise means from error
        raise


def new_id() -> UUID:
    """A UUIDv7: opaque, and ordered by time to the millisecond (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = milliseconds << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)

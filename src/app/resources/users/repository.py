"""Users in SQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from app.foundation.database import constraint
from app.resources.users.errors import EmailTaken, UserNotFound
from app.resources.users.model import UNIQUE_EMAIL, User


def add(session: Session, user: User) -> User:
    session.add(user)
    return save(session, user)


def save(session: Session, user: User) -> User:
    """Sends what changed now, so that the unique index decides whether an address is taken."""
    try:
        with constraint(UNIQUE_EMAIL, means=EmailTaken):
            session.flush()
    except StaleDataError as error:  # deleted since it was read
        raise UserNotFound from error
    return user


def change(session: Session, user: User, values: dict[str, Any]) -> User:
    for name, value in values.items():
        setattr(user, name, value)
    return save(session, user)


def get(session: Session, user_id: UUID) -> User | None:
    return session.get(User, user_id)


def get_by_email(session: Session, email: str) -> User | None:
    return session.scalar(select(User).where(func.lower(User.email) == func.lower(email)))


def lock(session: Session, user_id: UUID) -> User | None:
    """The user as they are now; who wants to change them waits for this transaction's end."""
    query = select(User).where(User.id == user_id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def page(session: Session, after: UUID | None, limit: int) -> Sequence[User]:
    query = select(User).order_by(User.id).limit(limit)
    if after is not None:
        query = query.where(User.id > after)
    return session.scalars(query).all()


def lock_active_admins(session: Session) -> Sequence[UUID]:
    """Their ids. Whoever asks at the same moment waits, then sees what the first left."""
    query = select(User.id).where(User.role == "admin", User.active).order_by(User.id)
    return session.scalars(query.with_for_update()).all()


def delete(session: Session, user: User) -> None:
    session.delete(user)

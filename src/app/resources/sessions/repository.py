"""Sessions in SQL."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from app.resources.sessions.model import SignIn
from app.resources.users.model import User


def live() -> ColumnElement[bool]:
    return and_(SignIn.revoked_at.is_(None), SignIn.expires_at > func.now())


def add(session: Session, sign_in: SignIn) -> SignIn:
    session.add(sign_in)
    session.flush()
    return sign_in


def get_live(session: Session, session_id: UUID) -> SignIn | None:
    """The session, if it is neither revoked nor expired and its user is active."""
    query = select(SignIn).join(User, User.id == SignIn.user_id)
    return session.scalar(query.where(SignIn.id == session_id, live(), User.active))


def get_user(session: Session, session_id: UUID, user_id: UUID) -> User | None:
    """The active user of a live session, in one query."""
    query = select(User).join(SignIn, SignIn.user_id == User.id)
    return session.scalar(query.where(SignIn.id == session_id, User.id == user_id, live(), User.active))


def rotate(session: Session, sign_in: SignIn, new_hash: str, expires_at: datetime) -> bool:
    """False if another request did so, or ended the session, since `sign_in` was read."""
    change = (
        update(SignIn)
        .where(SignIn.id == sign_in.id, SignIn.refresh_hash == sign_in.refresh_hash, live())
        .values(refresh_hash=new_hash, expires_at=expires_at)
        .returning(SignIn.id)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(change) is not None


def revoke(session: Session, session_id: UUID) -> None:
    revoke_where(session, SignIn.id == session_id)


def revoke_all(session: Session, user_id: UUID) -> None:
    revoke_where(session, SignIn.user_id == user_id)


def revoke_others(session: Session, user_id: UUID, kept: UUID) -> None:
    revoke_where(session, and_(SignIn.user_id == user_id, SignIn.id != kept))


def revoke_where(session: Session, which: ColumnElement[bool]) -> None:
    change = update(SignIn).where(which, SignIn.revoked_at.is_(None)).values(revoked_at=func.now())
    session.execute(change.execution_options(synchronize_session=False))

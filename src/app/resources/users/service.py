"""The rules about users."""

from typing import Any
from uuid import UUID

from pydantic import validate_email
from sqlalchemy.orm import Session

from app.foundation.auth import Caller, EndSessions
from app.foundation.paging import Page
from app.foundation.passwords import hash_password, password_matches
from app.foundation.settings import Settings
from app.resources.users import repository
from app.resources.users.errors import LastAdministrator, SignUpClosed, UserNotFound, WrongPassword
from app.resources.users.model import User
from app.resources.users.schemas import PasswordChange, ProfileChange, UserCreate, UserOut


def create(session: Session, settings: Settings, caller: Caller | None, new: UserCreate) -> User:
    """Raises SignUpClosed, EmailTaken."""
    if settings.signup == "closed" and not (caller and caller.is_admin):
        raise SignUpClosed
    hashed = hash_password(new.password.get_secret_value())
    return repository.add(session, User(email=new.email, name=new.name, password_hash=hashed))


def get(session: Session, user_id: UUID) -> User:
    """Raises UserNotFound."""
    if user := repository.get(session, user_id):
        return user
    raise UserNotFound


def page(session: Session, cursor: UUID | None, limit: int) -> Page[UserOut]:
    """Stable under inserts: whoever was there at the first page is on one page, once."""
    users = repository.page(session, cursor, limit + 1)
    items = [UserOut.model_validate(user) for user in users[:limit]]
    return Page(items=items, next=items[-1].id if len(users) > limit else None)


def change(
    session: Session, user_id: UUID, changes: ProfileChange, end_sessions: EndSessions | None = None
) -> User:
    """Deactivating ends the user's sessions. Raises UserNotFound, EmailTaken, LastAdministrator."""
    user = get(session, user_id)
    values: dict[str, Any] = changes.model_dump(exclude_unset=True)
    if values.get("role", "admin") != "admin" or values.get("active") is False:
        keep_an_administrator(session, user)
    if end_sessions and values.get("active") is False:
        end_sessions(session, user_id)
    return repository.change(session, user, values)


def change_password(session: Session, user_id: UUID, change: PasswordChange) -> None:
    """Raises WrongPassword."""
    user = get(session, user_id)
    if not password_matches(change.current_password.get_secret_value(), user.password_hash):
        raise WrongPassword
    hashed = hash_password(change.new_password.get_secret_value())
    repository.change(session, user, {"password_hash": hashed})


def delete(session: Session, user_id: UUID) -> None:
    """Raises UserNotFound, LastAdministrator."""
    user = get(session, user_id)
    keep_an_administrator(session, user)
    repository.delete(session, user)


def keep_an_administrator(session: Session, leaving: User) -> None:
    """Raises LastAdministrator if no active one but `leaving` is left."""
    if list(repository.lock_active_admins(session)) == [leaving.id]:
        raise LastAdministrator


def authenticate(session: Session, email: str, password: str) -> User | None:
    """The active user with this address and password; any other pair takes as long and gives None."""
    user = repository.get_by_email(session, as_stored(email))
    known = user.password_hash if user else None
    if not password_matches(password, known) or user is None:
        return None
    # checking took a while: a new password or a deactivation meanwhile must win
    user = repository.lock(session, user.id)
    return user if user and user.active and user.password_hash == known else None


def as_stored(email: str) -> str:
    """The address as sign-up keeps it: an internationalised domain, for one, is decoded."""
    try:
        return validate_email(email)[1]
    except ValueError:
        return email


def seed_administrator(session: Session, email: str, password: str) -> bool:
    """Creates the first administrator. False, and nothing done, where an active one exists."""
    if repository.lock_active_admins(session):
        return False
    new = UserCreate.model_validate({"email": email, "name": "Administrator", "password": password})
    hashed = hash_password(password)
    repository.add(session, User(email=new.email, name=new.name, role="admin", password_hash=hashed))
    return True

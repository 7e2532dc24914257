"""The rules of signing in and staying signed in."""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy.orm import Session

from app.foundation.auth import Caller, make_token
from app.foundation.database import new_id
from app.foundation.settings import Settings
from app.resources.sessions import repository
from app.resources.sessions.errors import BadCredentials, RefreshedMeanwhile, RefreshRefused, RefreshReused
from app.resources.sessions.model import SignIn
from app.resources.sessions.schemas import Token
from app.resources.users import service as users
from app.resources.users.schemas import PasswordChange


def sign_in(session: Session, settings: Settings, email: str, password: str) -> Token:
    """Raises BadCredentials, which does not tell whether the address is known."""
    user = users.authenticate(session, email, password)
    if user is None:
        raise BadCredentials
    new = SignIn(id=new_id(), user_id=user.id, expires_at=expiry(settings))
    secret = new_secret(settings, new.id)
    new.refresh_hash = hash_of(secret)
    return token(settings, repository.add(session, new), secret)


def refresh(session: Session, settings: Settings, refresh_token: str) -> Token:
    """Rotates: each refresh token is good once. Raises RefreshRefused, RefreshReused, RefreshedMeanwhile."""
    session_id, given = split(settings, refresh_token)
    current = repository.get_live(session, session_id)
    if current is None:
        raise RefreshRefused
    if not hmac.compare_digest(current.refresh_hash, hash_of(given)):
        repository.revoke(session, session_id)
        raise RefreshReused
    secret = new_secret(settings, session_id)
    if not repository.rotate(session, current, hash_of(secret), expiry(settings)):
        raise RefreshedMeanwhile
    return token(settings, current, secret)


def sign_out(session: Session, caller: Caller) -> None:
    """Ends the caller's session: its refresh and access tokens stop working at once."""
    repository.revoke(session, caller.session_id)


def change_password(session: Session, caller: Caller, change: PasswordChange) -> None:
    """Ends the user's other sessions. Raises WrongPassword."""
    users.change_password(session, caller.id, change)
    repository.revoke_others(session, caller.id, kept=caller.session_id)


def load_caller(session: Session, user_id: UUID, session_id: UUID) -> Caller | None:
    """None once the session has ended, or the user is deactivated or deleted."""
    user = repository.get_user(session, session_id, user_id)
    return Caller(user.id, session_id, user.role == "admin") if user else None


def token(settings: Settings, sign_in: SignIn, secret: str) -> Token:
    access, seconds = make_token(settings, sign_in.user_id, sign_in.id)
    return Token(access_token=access, expires_in=seconds, refresh_token=f"{sign_in.id.hex}.{secret}")


def end_all(session: Session, user_id: UUID) -> None:
    """Every session of a user, for good."""
    repository.revoke_all(session, user_id)


def split(settings: Settings, refresh_token: str) -> tuple[UUID, str]:
    """The session and the secret of a token made here. Raises RefreshRefused.

    An invented one ends nothing: whoever knows a session's id could end it otherwise.
    """
    first, _, secret = refresh_token.partition(".")
    try:
        session_id = UUID(first)
    except ValueError:
        raise RefreshRefused from None
    if not hmac.compare_digest(secret.encode(), signed(settings, session_id, secret[:43]).encode()):
        raise RefreshRefused
    return session_id, secret


def new_secret(settings: Settings, session_id: UUID) -> str:
    return signed(settings, session_id, secrets.token_urlsafe(32))


def signed(settings: Settings, session_id: UUID, random: str) -> str:
    """43 characters of 256 random bits, and the mark that this application drew them for that id."""
    key = settings.secret_key.get_secret_value().encode()
    return random + hmac.new(key, f"refresh {session_id} {random}".encode(), sha256).hexdigest()


def hash_of(secret: str) -> str:
    """Plain SHA-256 is enough for 256 random bits."""
    return sha256(secret.encode()).hexdigest()


def expiry(settings: Settings) -> datetime:
    return datetime.now(UTC) + timedelta(days=settings.refresh_token_expire_days)

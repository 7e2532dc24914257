"""The rules of signing in."""

from sqlalchemy.orm import Session

from app.foundation.auth import make_token
from app.foundation.settings import Settings
from app.resources.sessions.errors import BadCredentials
from app.resources.sessions.schemas import Token
from app.resources.users import service as users


def sign_in(session: Session, settings: Settings, email: str, password: str) -> Token:
    """Raises BadCredentials, which does not tell whether the address is known."""
    user = users.authenticate(session, email, password)
    if user is None:
        raise BadCredentials
    token, seconds = make_token(settings, user.id)
    return Token(access_token=token, expires_in=seconds)

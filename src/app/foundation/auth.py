"""Who is calling: access tokens (JWT, RFC 7519) and the dependencies that ask for one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import jwt
from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.orm import Session

from app import NAME
from app.foundation.database import SessionDep
from app.foundation.errors import Forbidden, Unauthorized
from app.foundation.logs import add_context
from app.foundation.settings import Settings


class NotSignedIn(Unauthorized):
    detail = "Sign in first: POST /v1/auth/token, then send its access_token as a Bearer token."


class TokenRefused(Unauthorized):
    detail = "This access token is not valid, or no longer; sign in again."


class AdministratorsOnly(Forbidden):
    detail = "Only an administrator may do this."


@dataclass(frozen=True, slots=True)
class Caller:
    id: UUID
    session_id: UUID
    is_admin: bool


# (database session, user id, session id) -> the caller, or None if they may not call; api.py hands it over
LoadCaller = Callable[[Session, UUID, UUID], Caller | None]
# (database session, user id); likewise
EndSessions = Callable[[Session, UUID], None]

bearer = OAuth2PasswordBearer(tokenUrl="v1/auth/token", auto_error=False)


def issuer(settings: Settings) -> str:
    """Names the environment, so that one's tokens are refused by another with the same key."""
    return f"{NAME}/{settings.environment}"


def make_token(settings: Settings, user_id: UUID, session_id: UUID) -> tuple[str, int]:
    """An access token, and the seconds until it expires."""
    now = datetime.now(UTC)
    life = timedelta(minutes=settings.access_token_expire_minutes)
    claims = {
        "iss": issuer(settings),
        "aud": NAME,
        "sub": str(user_id),
        "sid": str(session_id),
        "iat": now,
        "exp": now + life,
        "jti": uuid4().hex,
    }
    token = jwt.encode(claims, settings.secret_key.get_secret_value(), settings.algorithm)
    return token, int(life.total_seconds())


def read_token(settings: Settings, token: str) -> tuple[UUID, UUID]:
    """The user and the session a token was made for. Raises TokenRefused."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            settings.secret_key.get_secret_value(),
            algorithms=[settings.algorithm],
            issuer=issuer(settings),
            audience=NAME,
            leeway=10,  # seconds, for clocks that differ
            options={"require": ["iss", "aud", "sub", "sid", "exp"]},
        )
        return UUID(claims["sub"]), UUID(claims["sid"])
    except (jwt.InvalidTokenError, ValueError, AttributeError) as error:
        raise TokenRefused from error


def find_caller(
    request: Request, session: SessionDep, token: Annotated[str | None, Depends(bearer)]
) -> Caller | None:
    """None without a token; a token that is refused is an error even where none is needed."""
    if token is None:
        return None
    state = request.app.state
    load: LoadCaller = state.load_caller
    caller = load(session, *read_token(state.settings, token))
    if caller is None:
        raise TokenRefused
    add_context(caller_id=str(caller.id))
    return caller


OptionalCaller = Annotated[Caller | None, Depends(find_caller, scope="function")]


# async, as nothing here waits: no thread is borrowed for it
async def signed_in(caller: OptionalCaller) -> Caller:
    if caller is None:
        raise NotSignedIn
    return caller


SignedIn = Annotated[Caller, Depends(signed_in)]


async def administrator(caller: SignedIn) -> Caller:
    if not caller.is_admin:
        raise AdministratorsOnly
    return caller


Administrator = Annotated[Caller, Depends(administrator)]

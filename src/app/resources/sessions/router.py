"""Signing in and staying signed in, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordRequestForm

from app.foundation.auth import SignedIn
from app.foundation.database import SessionDep
from app.resources.sessions import service
from app.resources.sessions.schemas import Refresh, Token
from app.resources.users.schemas import PasswordChange

router = APIRouter(prefix="/v1", tags=["sessions"])


@router.post("/auth/token")
def sign_in(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], session: SessionDep, request: Request
) -> Token:
    return service.sign_in(session, request.app.state.settings, form.username, form.password)


@router.post("/auth/refresh")
def refresh(given: Refresh, session: SessionDep, request: Request) -> Token:
    """Each refresh token is good once; one that comes back ends its session."""
    return service.refresh(session, request.app.state.settings, given.refresh_token)


@router.post("/auth/logout", status_code=204)
def sign_out(session: SessionDep, caller: SignedIn) -> None:
    service.sign_out(session, caller)


@router.put("/users/me/password", status_code=204)
def change_my_password(change: PasswordChange, session: SessionDep, caller: SignedIn) -> None:
    """Ends the caller's other sessions."""
    service.change_password(session, caller, change)

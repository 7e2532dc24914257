"""Signing in over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordRequestForm

from app.foundation.database import SessionDep
from app.resources.sessions import service
from app.resources.sessions.schemas import Token

router = APIRouter(prefix="/v1/auth", tags=["sessions"])


@router.post("/token")
def sign_in(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], session: SessionDep, request: Request
) -> Token:
    return service.sign_in(session, request.app.state.settings, form.username, form.password)

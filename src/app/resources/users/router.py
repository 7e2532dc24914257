"""Users over HTTP."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.foundation.auth import Administrator, OptionalCaller, SignedIn
from app.foundation.database import SessionDep
from app.foundation.paging import Cursor, Limit, Page
from app.resources.users import service
from app.resources.users.model import User
from app.resources.users.schemas import ProfileChange, UserChange, UserCreate, UserOut

router = APIRouter(prefix="/v1/users", tags=["users"])


@router.post("", status_code=201, response_model=UserOut)
def create_user(
    new: UserCreate, session: SessionDep, caller: OptionalCaller, request: Request, response: Response
) -> User:
    user = service.create(session, request.app.state.settings, caller, new)
    response.headers["Location"] = f"{request.scope.get('root_path', '')}/v1/users/{user.id}"
    return user


@router.get("/me", response_model=UserOut)
def read_me(session: SessionDep, caller: SignedIn) -> User:
    return service.get(session, caller.id)


@router.patch("/me", response_model=UserOut)
def change_me(changes: ProfileChange, session: SessionDep, caller: SignedIn) -> User:
    return service.change(session, caller.id, changes)


@router.get("")
def list_users(
    session: SessionDep, _: Administrator, limit: Limit = 50, cursor: Cursor = None
) -> Page[UserOut]:
    return service.page(session, cursor, limit)


@router.get("/{user_id}", response_model=UserOut)
def read_user(user_id: UUID, session: SessionDep, _: Administrator) -> User:
    return service.get(session, user_id)


@router.patch("/{user_id}", response_model=UserOut)
def change_user(
    user_id: UUID, changes: UserChange, session: SessionDep, _: Administrator, request: Request
) -> User:
    return service.change(session, user_id, changes, request.app.state.end_sessions)


@router.delete("/{user_id}", status_code=204)
def delete_user(user_id: UUID, session: SessionDep, _: Administrator) -> None:
    service.delete(session, user_id)

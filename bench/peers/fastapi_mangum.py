"""A peer: FastAPI and Mangum as their own guides show them, over plain psycopg; no ORM, no sessions."""

import os
from typing import Annotated
from uuid import UUID, uuid4

import jwt
import psycopg
from argon2 import PasswordHasher
from fastapi import Depends, FastAPI
from fastapi.security import OAuth2PasswordBearer
from mangum import Mangum
from psycopg.rows import dict_row
from pydantic import BaseModel, EmailStr

app = FastAPI()
connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row)
hasher = PasswordHasher()
FIELDS = "id, email, name, role, active"


class UserCreate(BaseModel):
    email: EmailStr
    name: str
    password: str


class UserOut(BaseModel):
    id: UUID
    email: str
    name: str
    role: str
    active: bool


def caller(token: Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="token"))]) -> str:
    claims = jwt.decode(token, os.environ["SECRET_KEY"], algorithms=["HS256"], audience="slipway")
    return str(claims["sub"])


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/v1/users/{user_id}", dependencies=[Depends(caller)])
def read_user(user_id: UUID) -> UserOut:
    row = connection.execute(f"SELECT {FIELDS} FROM users WHERE id = %s", [user_id]).fetchone()
    return UserOut.model_validate(row)


@app.get("/v1/users", dependencies=[Depends(caller)], response_model=list[UserOut])
def list_users(limit: int = 50) -> list[dict[str, object]]:
    return connection.execute(f"SELECT {FIELDS} FROM users ORDER BY id LIMIT %s", [limit]).fetchall()


@app.post("/v1/users", status_code=201)
def create_user(new: UserCreate) -> UserOut:
    row = connection.execute(
        "INSERT INTO users (id, email, name, role, active, password_hash) "
        f"VALUES (%s, %s, %s, 'user', true, %s) RETURNING {FIELDS}",
        [uuid4(), new.email, new.name, hasher.hash(new.password)],
    ).fetchone()
    return UserOut.model_validate(row)


handler = Mangum(app)

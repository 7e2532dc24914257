"""What callers send and get."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, EmailStr, Field, Secret, StringConstraints

Role = Literal["user", "admin"]

Email = Annotated[EmailStr, Field(max_length=254)]
# no control characters: PostgreSQL cannot store NUL, and no name has the others
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
# NIST SP 800-63B: long, without rules of composition
Password = Annotated[
    Secret[Annotated[str, StringConstraints(min_length=12, max_length=128)]],
    Field(json_schema_extra={"format": "password", "writeOnly": True}),
]


def without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


# may be left out, and may not be null
LeftOut: Any = Field(default=None, json_schema_extra=without_default)


class Strict(BaseModel):
    """A misspelt field is an error, not silence."""

    model_config = ConfigDict(extra="forbid")


class UserCreate(Strict):
    email: Email
    name: Name
    password: Password


class ProfileChange(Strict):
    email: Email = LeftOut
    name: Name = LeftOut


class UserChange(ProfileChange):
    role: Role = LeftOut
    active: bool = LeftOut


class PasswordChange(Strict):
    current_password: Secret[str]
    new_password: Password


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    name: str
    role: Role
    active: bool
    created_at: datetime
    updated_at: datetime

"""What callers send and get."""

import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    Secret,
    StrictBool,
    StringConstraints,
)

Role = Literal["user", "admin"]


def address_only(value: object) -> object:
    if isinstance(value, str) and "<" in value:
        raise ValueError("write the address only, without a name")
    return value


def printable(value: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise ValueError("must not have control characters")
    return value


Email = Annotated[EmailStr, BeforeValidator(address_only), Field(max_length=254)]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(printable),
]
# NIST SP 800-63B: long, without rules of composition
hidden = Field(json_schema_extra={"format": "password", "writeOnly": True})
Password = Annotated[Secret[Annotated[str, StringConstraints(min_length=12, max_length=128)]], hidden]


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
    active: StrictBool = LeftOut


class PasswordChange(Strict):
    current_password: Annotated[Secret[str], hidden]
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

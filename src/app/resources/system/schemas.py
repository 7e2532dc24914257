"""What the system calls answer."""

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"
    schema_: Literal["current", "ahead"] = Field(alias="schema")
    revision: str | None


class Version(BaseModel):
    name: str
    version: str
    commit: str
    revision: str | None

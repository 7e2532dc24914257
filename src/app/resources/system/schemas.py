"""What the system calls answer."""

from typing import Literal

from pydantic import BaseModel, Field

from app.foundation.schema import Verdict


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"
    schema_: Verdict = Field(alias="schema")
    revision: str | None


class Version(BaseModel):
    name: str
    version: str
    commit: str
    revision: str | None

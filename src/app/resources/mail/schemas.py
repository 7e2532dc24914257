"""What the mail test takes and answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, EmailStr


class MailTest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recipient: EmailStr


class MailSent(BaseModel):
    provider: Literal["smtp", "console"]
    message_id: str

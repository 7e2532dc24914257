"""AWS Lambda's door: an event of API Gateway (HTTP or REST), a load balancer or a function URL -> app."""

import os
import random
import re
from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
from fastapi import FastAPI
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from app.api import start
from app.foundation.aws import forget

Result = TypeVar("Result")


async def run_here(function: Callable[..., Result], *arguments: Any, **_: Any) -> Result:
    """Instead of in a thread, as an environment serves one request at a time.

    Under Mangum each request is a root task to anyio, so each would start threads of its own.
    """
    return function(*arguments)


# what Mangum can read; on anything else it raises before the application is asked
READABLE = {"host": re.compile(r"[^:]*(:[0-9]{1,5})?"), "x-forwarded-port": re.compile("[0-9]{1,5}")}


class Door(Mangum):
    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """A Host such as [::1]:8000 is left out, as nothing here needs it; a load balancer passes on any."""
        for part in ("headers", "multiValueHeaders"):
            for name, value in list((event.get(part) or {}).items()):
                pattern = READABLE.get(name.lower())
                if pattern and not pattern.fullmatch(value if isinstance(value, str) else value[-1]):
                    del event[part][name]
        return super().__call__(event, context)


def make_handler(app: FastAPI) -> Mangum:
    """No lifespan: Mangum would run it around every invocation. Problems are text, which a REST API needs."""
    return Door(app, lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"])


anyio.to_thread.run_sync = run_here  # type: ignore[assignment]  # the one patch of somebody else's module
app = start(connections=1)
handler = make_handler(app)
# many environments start from one snapshot: what was connected, signed or random in it is nobody's (AWS
# Lambda Developer Guide, "Defined runtime environment variables", "Lambda SnapStart runtime hooks for
# Python", "Handling uniqueness with Lambda SnapStart": os.urandom, and what is made of it, is new by itself)
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    from snapshot_restore_py import register_after_restore, register_before_snapshot  # the runtime's

    for renew in (app.state.engine.dispose, forget):
        register_before_snapshot(renew)
    for renew in (forget, random.seed):
        register_after_restore(renew)

"""AWS Lambda's door: an event of API Gateway (HTTP or REST), a load balancer or a function URL -> app."""

from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
from fastapi import FastAPI
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from app.api import start

Result = TypeVar("Result")


async def run_here(function: Callable[..., Result], *arguments: Any, **_: Any) -> Result:
    """Instead of in a thread, as an environment serves one request at a time.

    Under Mangum each request is a root task to anyio, so each would start threads of its own.
    """
    return function(*arguments)


def make_handler(app: FastAPI) -> Mangum:
    """No lifespan: Mangum would run it around every invocation. Problems are text, which a REST API needs."""
    return Mangum(app, lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"])


anyio.to_thread.run_sync = run_here  # type: ignore[assignment]  # the one patch of somebody else's module
handler = make_handler(start(connections=1))

"""JSON logs: one line a request, and the request's id on every line written while it runs."""

import logging
import os
import re
import sys
from contextvars import ContextVar
from typing import Any

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

DETAIL = re.compile(r"^DETAIL: .*$\n?", re.MULTILINE)

# a dict that threads of one request share, since a thread's own changes of a ContextVar are lost
_context: ContextVar[dict[str, Any] | None] = ContextVar("log_context", default=None)


def start_context(request: str) -> dict[str, Any]:
    """Begins a request; what is put into the dict goes on each of its lines."""
    context: dict[str, Any] = {"request_id": request}
    _context.set(context)
    return context


def add_context(**keys: object) -> None:
    (_context.get() or {}).update(keys)


def request_id() -> str:
    return str((_context.get() or {}).get("request_id", ""))


def add_request(record: logging.LogRecord) -> bool:
    for key, value in (_context.get() or {}).items():
        setattr(record, key, value)
    return True


class JsonLines(LambdaPowertoolsFormatter):
    """Powertools' JSON, less what PostgreSQL tells of a failing row: its values."""

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return DETAIL.sub("", super().formatException(ei))


def set_up_logs(level: str, service: str) -> None:
    """Sends every logger's lines to standard output as JSON. Once per process."""
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(add_request)
    # on Lambda, by which alarms tell a new version from the old
    version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
    formatter = JsonLines(service=service, utc=True, use_rfc3339=True, serialize_stacktrace=False)
    if version:
        formatter.append_keys(version=version)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn.access", "mangum.http"):  # they have a line a request of their own
        logging.getLogger(name).setLevel(logging.WARNING)

"""Errors carry their status; one renderer makes each a problem (RFC 9457)."""

import logging
import re
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from sqlalchemy import exc
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.foundation.logs import request_id

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_000_000

DATABASE_DOWN = "The database did not answer; try again in a moment."
UNEXPECTED = "Something went wrong on our side. Give the request id to whoever runs this service."


class ApiError(Exception):
    """An answer that is not the wished one. Subclasses are named for the domain; the name is the code."""

    status: ClassVar[int] = 500
    headers: ClassVar[dict[str, str]] = {}
    detail = UNEXPECTED
    keeps_work: ClassVar[bool] = False
    """Whether the request's transaction is committed all the same."""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.detail
        super().__init__(self.detail)


class Unauthorized(ApiError):
    status = 401
    headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class Forbidden(ApiError):
    status = 403


class NotFound(ApiError):
    status = 404


class Conflict(ApiError):
    status = 409


class BadGateway(ApiError):
    status = 502


class Unavailable(ApiError):
    status = 503
    headers: ClassVar = {"Retry-After": "2"}


class Fault(BaseModel):
    """One part of the request that is wrong."""

    place: str
    field: str
    detail: str


class Problem(BaseModel):
    """RFC 9457; `type` is left at its default, about:blank, and `code` tells problems apart."""

    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[Fault] | None = None


# for OpenAPI: every error of every call has this one shape
_, _schema = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
PROBLEM_SCHEMAS: dict[str, Any] = _schema["$defs"]
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, description in ((422, "The request is not valid"), ("default", "A problem"))
}


def render(
    status: int,
    code: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: list[Fault] | None = None,
) -> JSONResponse:
    """The one place where a problem becomes a response."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        request_id=request_id(),
        errors=errors,
    )
    content = problem.model_dump(exclude_none=True)
    return JSONResponse(content, status, headers, media_type="application/problem+json")


def code_of(error: Exception) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def on_api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return render(error.status, code_of(error), error.detail, headers=error.headers)


def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """The framework's own: unknown routes and methods, unreadable or oversized bodies."""
    assert isinstance(error, HTTPException)
    status, path = error.status_code, request.url.path
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(methods_of(request))
    phrase = HTTPStatus(status).phrase.lower().replace(" ", "_")
    code, detail = {
        400: ("unreadable", "The body is not JSON in UTF-8, is nested too deep, or is no form."),
        404: ("not_found", f"Nothing is at {path}; /docs lists what is."),
        405: ("method_not_allowed", f"{request.method} is not for {path}; see the Allow header."),
        413: ("content_too_large", f"A body may have {MAX_BODY_BYTES} bytes."),
    }.get(status, (phrase, str(error.detail)))
    return render(status, code, detail, headers=headers)


def methods_of(request: Request) -> list[str]:
    """All that the path takes, where the router tells only the first route's (RFC 9110, section 15.5.6)."""
    scope = {name: request.scope[name] for name in ("type", "path", "root_path", "headers")}
    return [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches(scope | {"method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [fault_of(item) for item in error.errors()]
    detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in faults[:3])
    return render(422, "invalid_request", detail, errors=faults)


def fault_of(item: Any) -> Fault:
    """One pydantic error, without the value it saw: that may be a password."""
    place, *path = item["loc"]
    detail = item["msg"].removeprefix("Value error, ")
    if item["type"] == "json_invalid":
        return Fault(place=place, field="body", detail=f"is not JSON: {item['ctx']['error']}")
    if item["type"] == "missing" and not path:
        detail = "a body is required, with Content-Type: application/json"
    if item["type"] == "model_attributes_type":
        detail = "a JSON object is required, with Content-Type: application/json"
    return Fault(place=place, field=".".join(map(str, path)) or place, detail=detail)


def on_database_error(_: Request, error: Exception) -> JSONResponse:
    reason = str(getattr(error, "orig", error)).partition("\nDETAIL")[0]
    log.error("database unavailable", extra={"error": reason[:300]})
    return render(503, "database_unavailable", DATABASE_DOWN, headers=Unavailable.headers)


def on_unfit_value(_: Request, _error: Exception) -> JSONResponse:
    """What validation let through and PostgreSQL or UTF-8 cannot hold: NUL, or half a surrogate pair."""
    return render(422, "invalid_request", "A value holds characters, or a number, that cannot be stored.")


def register(app: FastAPI) -> None:
    """Makes `app` answer every error as a problem."""
    app.add_exception_handler(ApiError, on_api_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(exc.DataError, on_unfit_value)
    app.add_exception_handler(UnicodeEncodeError, on_unfit_value)
    for kind in (exc.OperationalError, exc.InterfaceError, exc.TimeoutError):
        app.add_exception_handler(kind, on_database_error)

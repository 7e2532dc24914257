"""The layers around the application, from the inside out."""

import logging
import re
import time
from http import HTTPStatus
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.foundation.errors import MAX_BODY_BYTES, UNEXPECTED, render
from app.foundation.logs import start_context

log = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9_.=-]{8,64}")

# OWASP REST Security Cheat Sheet, "Security Headers"
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LastResort:
    """Answers what nothing else did, inside CORS, so that a browser can read it: a bug, an endless body.

    FastAPI's own max_body_size would answer in plain text, and outside of every other layer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        left = MAX_BODY_BYTES
        started = False

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0 or (length.isdigit() and int(length) > MAX_BODY_BYTES):
                raise HTTPException(413)
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, limited, watched)
        except Exception:
            log.exception("unexpected error")
            if started:
                raise
            await render(500, "unexpected", UNEXPECTED)(scope, receive, send)


class Cors(CORSMiddleware):
    """A refused preflight is a problem, too, and says which setting decides about origins."""

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code == HTTPStatus.OK:
            return answer
        detail = bytes(answer.body).decode() + "."
        if "origin" in detail:
            detail += " ORIGIN_CORS lists those allowed."
        headers = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        return render(400, "preflight_refused", detail, headers=headers)


class EveryAnswer:
    """The outermost layer, preflights and errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        context = start_context(request)
        began = time.perf_counter()
        status = 500

        async def finish(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, finish)
        finally:
            context |= {
                "method": scope["method"],
                "route": getattr(scope.get("route"), "path", "none"),
                "status": status,
                "client": (scope.get("client") or ["unknown"])[0],
                "duration_ms": round((time.perf_counter() - began) * 1000, 1),
            }
            log.info("request")

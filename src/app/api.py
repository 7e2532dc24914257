"""The hall: every door opens the application made here."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import FastAPI
from sqlalchemy.orm import Session

from app import NAME, VERSION
from app.foundation import errors
from app.foundation.database import CONNECTIONS, make_engine
from app.foundation.logs import set_up_logs
from app.foundation.middleware import Cors, EveryAnswer, LastResort
from app.foundation.settings import Settings, load_settings
from app.resources import RESOURCES
from app.resources.sessions.service import end_all, load_caller


class Api(FastAPI):
    """FastAPI, whose schema also tells the shape of a problem (FastAPI, "Extending OpenAPI")."""

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()
        schema["components"]["schemas"] |= errors.PROBLEM_SCHEMAS
        return schema


def start(connections: int = CONNECTIONS) -> FastAPI:
    """What a door does once per process: settings, logs, connections. Raises SettingsError."""
    settings = load_settings()
    set_up_logs(settings.log_level, NAME)
    engine = make_engine(settings.url, connections, iam=settings.db_auth == "iam")
    app = create_app(settings, partial(Session, engine, expire_on_commit=False))
    app.state.engine = engine
    return app


def create_app(settings: Settings, make_session: Callable[[], Session]) -> FastAPI:
    """The application over any database and settings."""
    app = Api(
        title=NAME,
        version=VERSION,
        docs_url=None,  # resources/system serves it, without a CDN
        redoc_url=None,
        redirect_slashes=False,  # behind a gateway a redirect names the wrong host
        responses=errors.PROBLEM_RESPONSES,
    )
    app.state.settings = settings
    app.state.make_session = make_session
    app.state.load_caller = load_caller
    app.state.end_sessions = end_all
    for router in RESOURCES:
        app.include_router(router)
    errors.register(app)
    # the last added is the outermost
    app.add_middleware(LastResort)
    app.add_middleware(
        Cors,
        allow_origins=settings.origin_cors,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
        expose_headers=["Location", "Retry-After", "X-Request-ID"],
    )
    app.add_middleware(EveryAnswer)
    return app

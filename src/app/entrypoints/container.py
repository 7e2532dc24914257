"""The container's door: `serve` (uvicorn -> app), or `migrate` and `seed`, which do so and end."""

import logging
import os
import signal
import sys
import time
from collections.abc import Sequence

import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from app import NAME
from app.api import start
from app.foundation.database import make_engine
from app.foundation.logs import set_up_logs
from app.foundation.settings import Settings, SettingsError, load_settings

log = logging.getLogger(__name__)

# s; above the 60 s for which a load balancer keeps a connection that is idle, so that it never sends a
# request into one that ends at that moment (Elastic Load Balancing, "Edit attributes for your Application
# Load Balancer", Connection idle timeout)
KEEP_ALIVE = 75
# s to answer what is in flight; ECS kills 30 s after SIGTERM (Amazon ECS, ContainerDefinition, stopTimeout)
DRAIN = 25
# what a container's start may ask for, in this order
AT_START = ("prepare", "seed", "released")
COMMANDS = {"migrate": ("prepare",), "seed": ("seed",)}


def main(command: str = "serve") -> None:
    """A fault ends the program in one line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # as a shell tells of it
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(f"{NAME}: {error}")
    if command not in {"serve", *COMMANDS}:
        sys.exit(f"{NAME}: {command} is no command; these are: serve, {', '.join(COMMANDS)}")
    set_up_logs(settings.log_level, NAME)
    wait_for_database(settings)
    if command != "serve":
        act(settings, COMMANDS[command])
        return
    if settings.prepare_at_start:
        known = settings.administrator_email and settings.administrator_password
        act(settings, [action for action in AT_START if action != "seed" or known])
    serve(settings)


def serve(settings: Settings) -> None:
    """Until SIGTERM; then what is in flight is answered first."""
    # uvicorn raises the signal anew once it is done; a route that hangs then holds nothing up
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if settings.workers > 1:
        make_app()  # what cannot start ends here; its workers would be started anew for ever
    log.info("serving", extra={"port": 8000, "workers": settings.workers})
    uvicorn.run(
        "app.entrypoints.container:make_app",
        factory=True,
        host="0.0.0.0",  # noqa: S104  # all of the container's own
        port=8000,
        workers=settings.workers,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=DRAIN,
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=None,
        log_level="warning",
        server_header=False,
    )


def make_app() -> FastAPI:
    """What each worker serves; `make dev`, too."""
    return start()


def act(settings: Settings, actions: Sequence[str]) -> None:
    from app.migration.actions import Call, act  # Alembic is for those who move the schema
    from app.migration.errors import Refused

    for action in actions:
        try:
            answer = act(Call(settings, invoker="container"), {"action": action})
        except Refused as error:
            sys.exit(f"{NAME}: {error}")
        log.info(action, extra={"answer": answer})


def wait_for_database(settings: Settings) -> None:
    """For `database_wait_seconds` at most, and says so each second."""
    engine = make_engine(settings.url, connections=1, iam=settings.db_auth == "iam")
    end = time.monotonic() + settings.database_wait_seconds
    while True:
        try:
            engine.connect().close()
        except (DBAPIError, UnicodeError) as error:  # UnicodeError: a name that no host can have
            reason = " ".join(str(getattr(error, "orig", error)).split())
            if time.monotonic() > end:
                sys.exit(f"{NAME}: the database did not answer: {reason}")
            log.warning("waiting for the database", extra={"error": reason})
            time.sleep(1)
        else:
            return
        finally:
            engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])

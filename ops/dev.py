"""`make dev`: one command from a fresh clone to a served, migrated, seeded API."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import uvicorn
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from uvicorn.supervisors.watchfilesreload import WatchFilesReload

from app.foundation.database import make_engine
from app.foundation.errors import ApiError
from app.foundation.schema import standing
from app.foundation.settings import Settings, load_settings
from app.resources.users.service import seed_administrator
from ops import environment, postgres
from ops.environment import ADMINISTRATOR
from ops.terminal import agree, attend, fail, say


def serve() -> None:
    settings = environment.load()
    port = free_port("8000")
    with prepared(port) as where:
        threading.Thread(target=greet, args=(settings, port, where), daemon=True).start()
        config = uvicorn.Config(
            "app.entrypoints.container:make_app",
            factory=True,
            port=port,
            reload=True,
            reload_dirs=[str(environment.ROOT / "src")],
            reload_includes=["*.py", "*.json"],  # revisions.json, too
            log_config=None,
            log_level="warning",
            server_header=False,
        )
        Reload(config, target=uvicorn.Server(config).run, sockets=[config.bind_socket()]).run()


class Reload(WatchFilesReload):
    """Uvicorn's, but signals do not hang it."""

    ending = False

    def signal_handler(self, *_: object) -> None:
        if not self.ending:
            self.ending = True
            # by a thread: what this interrupts may hold the event's lock
            threading.Thread(target=self.should_exit.set).start()


@contextmanager
def prepared(port: int) -> Iterator[str]:
    """The database, running, migrated and with an administrator; and where it is, in words."""
    with database() as (engine, where):
        with alone(engine):
            prepare(engine)
            seed(engine, port)
        engine.dispose()
        yield where


@contextmanager
def database() -> Iterator[tuple[Engine, str]]:
    """The database that the environment names, or the embedded one, running; and where it is, in words."""
    if environment.has_database():
        settings = load_settings()
        url = settings.url
        yield reach(make_engine(url, iam=settings.db_auth == "iam")), url.set(query={}).render_as_string()
        return
    with postgres.development().running() as server:
        os.environ["DATABASE_URL"] = server.url("app")
        yield reach(make_engine(load_settings().url)), f"{postgres.shown(server.data)} (make psql opens it)"


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """One process at a time migrates and seeds; another waits."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext('make dev'))"))
        yield


def reach(engine: Engine) -> Engine:
    try:
        engine.connect().close()
    except (DBAPIError, psycopg.Error) as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        fail(f"the database cannot be reached: {reason}. Check DATABASE_URL or DB_HOST and its fellows.")
    return engine


def prepare(engine: Engine) -> None:
    """Migrates; in a process of its own, so that a start with nothing to do never imports Alembic."""
    with Session(engine) as session:
        found = standing(session)
    if found.verdict in {"ahead", "diverged"}:
        fail(f"the database is at revision {found.revision}, not of this code; `make reset` forgets it")
    if found.verdict == "current" and not found.pending:
        return
    here = os.environ | {"ENV": ""}  # by which `migrate` is another's
    if subprocess.run([sys.executable, "-m", "ops", "migrate"], env=here, check=False).returncode:
        fail("the database could not be migrated: see the lines above")


def seed(engine: Engine, port: int) -> None:
    """Makes an administrator where there is none, and tells the password at once: nothing else knows it."""
    password = secrets.token_urlsafe(12)
    try:
        with Session(engine) as session, session.begin():
            made = seed_administrator(session, ADMINISTRATOR, password)
        if made:
            say(f"\n  Administrator   {ADMINISTRATOR}\n  Password        {password}   (shown once)")
            say(f"\n  Try it in another terminal: make demo URL=http://localhost:{port} PASSWORD={password}")
    except ApiError as error:
        fail(f"no administrator is active, and {ADMINISTRATOR} cannot be made one: {error.detail}")


def greet(settings: Settings, port: int, where: str) -> None:
    """Says where everything is, once it is there."""
    base = f"http://localhost:{port}"
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.05)
    by_smtp = settings.email_provider == "smtp"
    mail = f"{settings.smtp_server}:{settings.smtp_port}" if by_smtp else "printed here"
    say(f"\n  API       {base}\n  Docs      {base}/docs\n  Mail      {mail}\n  Data      {where}")
    say("\n  Ctrl-C stops everything.\n")


def free_port(default: str) -> int:
    """PORT, or the default, when nothing else has it. A fault ends the program."""
    given = os.environ.get("PORT") or default
    if not (given.isascii() and given.isdecimal() and 0 < int(given) < 65536):
        fail(f"PORT={given} is no port; set it to a number from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(given)))
        except OSError as error:
            reason = f"{error.strerror}; does an earlier start still run?"
            fail(f"port {given} cannot be used ({reason}); try another: PORT={int(given) + 1}")
    return int(given)


def psql() -> None:
    """Opens the database."""
    environment.load()
    with database():
        url = load_settings().url
        program = postgres.binaries("18") / "psql"
        # the password by environment: an argument can be read by everyone on this machine
        secret = os.environ | {"PGPASSWORD": url.password or ""}
        command = [str(program), postgres.libpq(url.set(password=None))]
        sys.exit(attend(command, env=secret))


def reset() -> None:
    """Forgets the embedded database, after asking."""
    environment.read_file()
    if environment.has_database():
        fail("a database is set by DATABASE_URL or DB_HOST; this forgets only the embedded one")
    server = postgres.development()
    if not server.data.exists():
        fail("there is no embedded database; `make dev` makes one")
    with server.data.with_suffix(".users").open("w") as users:
        if not postgres.lock_alone(users):
            fail("the embedded database is in use; stop `make dev` first")
        agree(f"This forgets every row in {postgres.shown(server.data)}")
        server.stop()
        shutil.rmtree(server.data)
    say("Forgotten; `make dev` starts anew.")

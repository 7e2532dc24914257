"""`make load` against the real application, and against what is not sound."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import psycopg
import pytest
import uvicorn
from pydantic import SecretStr
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from app.api import create_app
from app.foundation.database import make_engine
from app.foundation.settings import Settings
from app.resources.users.service import seed_administrator
from ops.load import fault_of
from ops.postgres import libpq
from ops.tools import environment_of
from tests import scratch
from tests.checkout import Checkout
from tests.mail_server import free_port
from tests.people import ADMIN
from tests.stand_ins.endpoint import Endpoint

pytestmark = pytest.mark.pipeline

SIGNED_IN = f"EMAIL={ADMIN['email']}", f"PASSWORD={ADMIN['password']}"
TOLD = re.compile(
    r"^(\d+) requests, (\d+) failed, 95 % within \d+ ms, [\d.]+ a second \(dist/load.html\)$", re.MULTILINE
)


@pytest.fixture(scope="module", autouse=True)
def locust() -> None:
    environment_of("load")


@contextmanager
def serving(url: URL) -> Iterator[str]:
    """The application on that database, by uvicorn."""
    settings = Settings(environment="test", database_url=SecretStr(url.render_as_string(hide_password=False)))
    engine = make_engine(url)
    app = create_app(settings, partial(Session, engine, expire_on_commit=False))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            engine.dispose()


@pytest.fixture
def database(server: URL, migrated: URL) -> Iterator[URL]:
    with scratch.database(server, template=str(migrated.database)) as url:
        yield url


def test_a_sound_one_passes_and_nobody_stays_signed_in(
    checkout: Checkout, database: URL, tmp_path: Path
) -> None:
    engine = make_engine(database)
    with Session(engine) as session, session.begin():
        seed_administrator(session, ADMIN["email"], ADMIN["password"])
    engine.dispose()
    checkout.environment["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary")
    # they sign in at once, in the process of this test: no figure for anybody
    with serving(database) as base:
        done = checkout.make("load", f"URL={base}/", *SIGNED_IN, "USERS=3", "SECONDS=3", "MOST_MS=9000")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith(f"{base}, for 3 s, signed in as {ADMIN['email']}\n   3 visitors ")
    [(requests, failed)] = TOLD.findall(done.stdout)
    assert int(requests) > 6
    assert failed == "0"
    report = (checkout.folder / "dist/load.html").read_text()
    assert all(path in report for path in ("/v1/auth/token", "/v1/users/me", "/v1/auth/logout"))
    [line] = (tmp_path / "summary").read_text().splitlines()
    assert line.startswith(f"- Load: {base}, 3 visitors for 3 s: {requests} requests, 0 failed, ")
    assert line.endswith("; sound")
    with psycopg.connect(libpq(database)) as connection:
        counted = connection.execute("SELECT count(*), count(revoked_at) FROM sessions").fetchone()
    assert counted == (3, 3)
    assert checkout.left_behind() == []


def test_one_that_is_slow_fails(checkout: Checkout, database: URL, tmp_path: Path) -> None:
    checkout.environment["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary")
    with serving(database) as base:
        done = checkout.make("load", f"URL={base}", "USERS=2", "SECONDS=2", "MOST_MS=0")
    assert "signed in as nobody" in done.stdout
    [line] = faults(done.returncode, done.stderr)
    assert re.fullmatch(f"slipway: {base}: 95 % were answered within \\d+ ms, and MOST_MS=0", line)
    assert (tmp_path / "summary").read_text().endswith(" ms, and MOST_MS=0\n")


def test_one_that_is_not_ready_fails(checkout: Checkout, server: URL) -> None:
    with scratch.database(server) as empty, serving(empty) as base:
        done = checkout.make("load", f"URL={base}", "SECONDS=3")
    [line] = faults(done.returncode, done.stderr)
    assert re.search(r": \d+ of \d+ requests failed, and one in a hundred may$", line), line
    assert re.search(r"^  \d+ x GET /ready: .*503 Server Error", done.stdout, re.MULTILINE), done.stdout


def test_a_server_with_nothing_but_errors_fails(checkout: Checkout) -> None:
    with Endpoint((500, {})) as endpoint:
        Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True).start()
        done = checkout.make("load", f"URL=http://{endpoint.host}", "SECONDS=2")
        endpoint.shutdown()
    [line] = faults(done.returncode, done.stderr)
    assert re.search(r": (\d+) of \1 requests failed, and one in a hundred may$", line), line
    assert "500 Server Error" in done.stdout


def test_nobody_there_fails(checkout: Checkout) -> None:
    done = checkout.make("load", f"URL=http://127.0.0.1:{free_port()}", "SECONDS=2")
    [line] = faults(done.returncode, done.stderr)
    assert re.search(r": (\d+) of \1 requests failed, and one in a hundred may$", line), line
    assert "Connection refused" in done.stdout


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ((), "slipway: load what? make load URL=https://..; `make url ENV=staging` tells"),
        (("URL=ftp://example.com",), "slipway: load what? "),
        (("URL=http://127.0.0.1:1", "SECONDS=0"), "slipway: SECONDS=0 is no number from 1"),
        (("URL=http://127.0.0.1:1", "USERS=many"), "slipway: USERS=many is no number from 1"),
        # make takes it as it stands
        (
            ("URL=http://127.0.0.1:1", "USERS=$(no)$x"),
            "slipway: USERS=$(no)$x is no number from 1",
        ),
    ],
)
def test_what_cannot_be_run_says_why(checkout: Checkout, given: tuple[str, ...], line: str) -> None:
    done = checkout.make("load", *given)
    [said] = faults(done.returncode, done.stderr)
    assert said.startswith(line)
    assert not (checkout.folder / "dist").exists()


@pytest.mark.parametrize(
    ("requests", "failures", "p95", "begins"),
    [
        (200, 2, 1000, ""),
        (200, 3, 1, "3 of 200 requests failed"),
        (200, 0, 1100, "95 % were answered within 1100 ms"),
        (0, 0, 0, "0 of 0 requests failed"),
        (5, 5, 1, "5 of 5 requests failed"),
    ],
)
def test_how_much_is_too_much(requests: int, failures: int, p95: int, begins: str) -> None:
    fault = fault_of({"requests": requests, "failures": failures, "p95_ms": p95}, most=1000)
    assert fault.startswith(begins)
    assert bool(fault) == bool(begins)


def faults(code: int, said: str) -> list[str]:
    """The lines of a failed run, without make's."""
    assert code != 0, said
    return [text for text in said.splitlines() if not text.startswith("make: ***")]

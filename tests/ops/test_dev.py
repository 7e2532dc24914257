"""`make dev` as a stranger runs it, in a copy of the checkout."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import httpx2
import pytest
from sqlalchemy.engine import URL

from ops.environment import ROOT
from tests import scratch
from tests.checkout import START_SECONDS, Checkout


def test_a_first_start_serves_a_seeded_api_and_a_second_keeps_it(checkout: Checkout) -> None:
    first = checkout.start()
    told = first.told()
    assert f"API       http://localhost:{checkout.port}" in told
    assert f"Docs      http://localhost:{checkout.port}/docs" in told
    assert "Mail      printed here" in told
    assert re.search(r"Data      \.data/postgres-1[78] \(make psql opens it\)", told)
    [password] = re.findall(r"Password +(\S+)", told)

    demo = checkout.make("demo", f"URL={first.base}", f"PASSWORD={password}")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert len(re.findall(r"^ ?\d+  ok ", demo.stdout, re.MULTILINE)) == 14
    assert len(demo.stdout.splitlines()) == 14
    wrong = checkout.make("demo", f"URL={first.base}", "PASSWORD=wrong")
    assert wrong.returncode != 0
    assert "bad_credentials" in wrong.stderr

    assert first.stop(signal.SIGINT) is not None
    assert checkout.left_behind() == []

    second = checkout.start()
    assert "Password" not in second.told()
    form = {"username": "admin@example.com", "password": password}
    before = len(checkout.log.read_text().splitlines())
    answer = httpx2.post(f"{second.base}/v1/auth/token", data=form)
    assert answer.status_code == 200
    assert "server" not in answer.headers
    second.wait_for(answer.headers["x-request-id"])
    [line] = checkout.log.read_text().splitlines()[before:]
    assert json.loads(line)["route"] == "/v1/auth/token"
    second.stop(signal.SIGTERM)
    assert checkout.left_behind() == []


def test_a_changed_file_is_served(checkout: Checkout) -> None:
    serving = checkout.start()
    serving.told()
    file = checkout.folder / "src/app/__init__.py"
    file.write_text(file.read_text().replace('VERSION = "', 'VERSION = "changed-'))
    end = time.monotonic() + START_SECONDS
    version = ""
    while "changed" not in version and time.monotonic() < end:
        with suppress(httpx2.HTTPError):
            version = httpx2.get(f"{serving.base}/version").json()["version"]
    assert version.startswith("changed-")
    serving.stop(signal.SIGHUP)
    assert checkout.left_behind() == []


# `make` passes SIGTERM on, and whoever signals the group has sent it already
TWO_SIGNALS = """
import signal, uvicorn
from ops.dev import Reload
reload = Reload(uvicorn.Config("none:none"), target=print, sockets=[])
signal.signal(signal.SIGTERM, reload.signal_handler)
with reload.should_exit._cond:  # in the middle of waiting for it
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
assert reload.should_exit.wait(10)
"""


def test_the_reloader_ends_whatever_a_signal_interrupts() -> None:
    where = os.environ | {"PYTHONPATH": "src"}
    subprocess.run([sys.executable, "-c", TWO_SIGNALS], cwd=ROOT, env=where, timeout=20, check=True)


def test_psql_and_a_second_server_share_the_database(checkout: Checkout) -> None:
    checkout.environment["ENV"] = "staging"  # of which `make dev` and its database know nothing
    first = checkout.start()
    first.told()
    assert "admin@example.com" in checkout.make("psql", stdin="SELECT email FROM users;\n").stdout
    taken = checkout.make("dev")
    assert (taken.returncode != 0, taken.stdout) == (True, "")
    assert taken.stderr.splitlines()[0].startswith(f"slipway: port {checkout.port} cannot be used")
    busy = checkout.make("reset", "YES=yes")
    assert "slipway: the embedded database is in use; stop `make dev` first" in busy.stderr
    # a refused reset and a closed psql left the server alone
    assert httpx2.get(f"{first.base}/ready").status_code == 200
    first.stop(signal.SIGTERM)
    assert checkout.left_behind() == []

    for unasked in (checkout.make("reset"), checkout.make("reset", "YES=no")):
        assert "nobody is there to ask" in unasked.stderr
    assert checkout.make("reset", "YES=yes").returncode == 0
    assert not list((checkout.folder / ".data").glob("postgres-*/PG_VERSION"))


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ("DB_PORT=x", "slipway: DB_PORT: Input should be a valid integer"),
        ("LOG_LEVEL", "slipway: .env, line 1: cannot be read"),
        ("DATABASE_URL=postgresql://127.0.0.1:1/app", "slipway: the database cannot be reached: "),
        ("PORT=zero", "slipway: PORT=zero is no port"),
        ("LOG_LEVEL=\udcff", "slipway: .env cannot be read: "),
    ],
)
def test_what_cannot_start_says_why_in_one_line(checkout: Checkout, env: str, line: str) -> None:
    (checkout.folder / ".env").write_text(f"{env}\n", errors="surrogateescape")
    del checkout.environment["PORT"]
    done = checkout.make("dev")
    assert done.returncode != 0
    said = [text for text in done.stderr.splitlines() if not text.startswith("make: ***")]
    assert len(said) == 1, done.stderr
    assert said[0].startswith(line)
    assert checkout.left_behind() == []


def test_the_seed_guides_style_of_env_loads(checkout: Checkout, server: URL) -> None:
    with scratch.database(server) as url:
        text = url.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
        (checkout.folder / ".env").write_text(
            f"TYPE_DB=postgres\nDATABASE_URL={text}\n"
            'ORIGIN_CORS="http://localhost:4200,http://localhost:5173"\n'
            f"PORT={checkout.port}\n"
        )
        del checkout.environment["PORT"]
        serving = checkout.start()
        serving.told()
        answer = httpx2.get(f"{serving.base}/ready", headers={"Origin": "http://localhost:4200"})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "http://localhost:4200"
        assert not (checkout.folder / ".data").exists()
        serving.stop(signal.SIGTERM)
        assert checkout.left_behind() == []


def test_a_revision_is_written_from_the_models(checkout: Checkout) -> None:
    model = checkout.folder / "src/app/resources/users/model.py"
    model.write_text(
        model.read_text().replace(
            "    name: Mapped[str]\n", "    name: Mapped[str]\n    age: Mapped[int | None]\n"
        )
    )
    done = checkout.make("revision", "m=add age to users")
    assert done.returncode == 0, done.stderr
    [file] = (checkout.folder / "migrations/versions").glob("*_add_age_to_users_*.py")
    assert 'op.add_column("users", sa.Column("age", sa.Integer(), nullable=True))' in file.read_text()
    assert len((checkout.folder / "src/app/revisions.json").read_text().splitlines()) >= 4
    assert "ADD COLUMN age INTEGER;" in checkout.make("plan").stdout
    assert ": current." in checkout.make("migrate").stdout
    assert "Nothing is pending." in checkout.make("plan").stdout
    unasked = checkout.make("downgrade", "TO=-1")
    assert "nobody is there to ask; say so with YES=yes" in unasked.stderr
    back = checkout.make("downgrade", "TO=-1", "YES=yes")
    assert "The database is at revision 94fb9396801f: behind." in back.stdout, back.stderr
    assert checkout.make("migrate").returncode == 0
    assert "slipway: who? give email and password" in checkout.make("seed").stderr
    who = ("EMAIL=root@example.com", "PASSWORD=a-long-enough-one")
    assert "The administrator is made." in checkout.make("seed", *who).stdout
    assert "There is an administrator already." in checkout.make("seed", *who).stdout
    again = checkout.make("revision", 'm=add "age" to users')
    assert again.returncode == 0, again.stderr
    assert len(list((checkout.folder / "migrations/versions").glob("*_add_age_to_users_*.py"))) == 2
    assert checkout.make("migrate").returncode == 0
    assert "what changes?" in checkout.make("revision").stderr

"""`make up` and its fellows, from a copy of the checkout."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

from tests.checkout import Checkout
from tests.container.conftest import compose, docker

pytestmark = pytest.mark.container


def test_from_nothing_to_a_signed_in_session_and_back(composed: Checkout) -> None:
    up = composed.make("up")
    assert up.returncode == 0, up.stdout + up.stderr
    [line] = [line for line in up.stdout.splitlines() if "Try it: make " in line]
    demo = composed.make(*line.partition("Try it: make ")[2].split())
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert len(demo.stdout.splitlines()) == 14
    base = f"http://localhost:{composed.port}"
    assert httpx2.get(f"{base}/version").json()["revision"]

    name = composed.environment["COMPOSE_PROJECT_NAME"]
    ours = f"--filter=label=com.docker.compose.project={name}"
    assert composed.make("down").returncode == 0
    assert docker("ps", "--all", "--quiet", ours) == ""
    assert docker("network", "ls", "--quiet", ours) == ""
    assert docker("volume", "ls", "--quiet", ours) == f"{name}_data"
    # whose rows are there again
    assert composed.make("up").returncode == 0
    assert composed.make("demo", *line.split()[4:]).returncode == 0


def test_changed_code_is_served(composed: Checkout) -> None:
    assert composed.make("up").returncode == 0
    command = ["docker", "compose", "watch", "--no-up"]
    with (
        composed.log.open("w") as log,
        subprocess.Popen(
            command, cwd=composed.folder, env=composed.environment, stdout=log, stderr=log
        ) as watch,
    ):
        end = time.monotonic() + 60
        while "Watch enabled" not in composed.log.read_text():
            assert time.monotonic() < end, composed.log.read_text()
        module = composed.folder / "src/app/__init__.py"
        module.write_text(module.read_text().replace('VERSION = "', 'VERSION = "9.'))
        while version(composed)[:2] != "9.":
            assert time.monotonic() < end, composed.log.read_text()
            time.sleep(0.1)
        watch.send_signal(signal.SIGINT)


def version(composed: Checkout) -> str:
    """Empty while it starts anew."""
    try:
        return str(httpx2.get(f"http://localhost:{composed.port}/version").json()["version"])
    except httpx2.TransportError:
        return ""


def test_with_an_env_file_and_without(composed: Checkout) -> None:
    assert compose(composed, "config", "--quiet").returncode == 0
    example = (composed.folder / ".env.example").read_text()
    (composed.folder / ".env").write_text(f"{example}\nPOSTGRES_PASSWORD=one of its own\nSIGNUP=closed\n")
    composed.environment["WORKERS"] = "3"
    told = compose(composed, "config")
    assert 'WORKERS: "3"' in told.stdout
    assert told.returncode == 0, told.stderr
    for name in ("DB_PASSWORD", "POSTGRES_PASSWORD"):
        assert f" {name}: one of its own\n" in told.stdout
    assert "SIGNUP: closed" in told.stdout
    mail = compose(composed, "--profile=mail", "config", "--services").stdout.split()
    assert sorted(mail) == ["app", "mail", "postgres"]


def test_what_does_not_start_says_why(composed: Checkout) -> None:
    (composed.folder / ".env").write_text("ENVIRONMENT=prod\n")
    done = composed.make("up")
    assert done.returncode != 0
    assert "slipway: SECRET_KEY: missing with ENVIRONMENT=prod; make one: python3 -c" in done.stdout
    assert "slipway: it did not start: see the lines above; `make logs` has all" in done.stderr


def test_without_docker_it_says_what_is_missing(checkout: Checkout, tmp_path: Path) -> None:
    """PATH has what the Makefile needs, and no more."""
    for program in ("env", "git"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    done = checkout.make("up", f"PATH={tmp_path}")
    assert "slipway: Docker is missing: install Docker Engine or Docker Desktop" in done.stderr

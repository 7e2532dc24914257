"""An engine, the image built on it, and a PostgreSQL beside it."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg
import pytest

from ops.environment import ROOT
from tests.checkout import Checkout
from tests.mail_server import free_port

IMAGE = "slipway:test"
SECRET = "a-password-of-the-tests"
ADMIN = {"ADMINISTRATOR_EMAIL": "admin@example.com", "ADMINISTRATOR_PASSWORD": "long enough for a test"}


def docker(*arguments: str, check: bool = True, seconds: float = 300) -> str:
    """What it prints, errors among it."""
    command = ["docker", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert not check or done.returncode == 0, done.stdout
    return done.stdout.strip()


class Container:
    """One that runs; `address` is its port 8000 on this machine."""

    def __init__(self, *options: str, image: str = IMAGE, command: tuple[str, ...] = ()) -> None:
        self.id = docker("run", "--detach", *options, image, *command).splitlines()[-1]

    def port(self, inside: int) -> str:
        return docker("port", self.id, str(inside)).splitlines()[0].rpartition(":")[2]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port(8000)}"

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .State}}", self.id))
        return found

    def logs(self) -> str:
        return docker("logs", self.id)

    def healthy(self) -> "Container":
        self.until(lambda: self.state().get("Health", {}).get("Status") == "healthy")
        return self

    def until(self, true: Any, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.logs()
            assert self.state()["Running"], self.logs()
            time.sleep(0.1)

    def ended(self) -> tuple[int, str]:
        """Its exit code, and the last line that it said."""
        code = int(docker("wait", self.id, seconds=60))
        return code, self.logs().splitlines()[-1]

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.id)


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine; where MUST_RUN names docker, its absence is a failure."""
    try:
        done = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
        missing = done.stderr.strip().splitlines()[-1] if done.returncode else ""
    except FileNotFoundError:
        missing = "the program docker is not there"
    if missing:
        assert "docker" not in os.environ.get("MUST_RUN", ""), missing
        pytest.skip(f"needs a Docker engine: {missing}")


@pytest.fixture(scope="session")
def image(engine: None) -> str:
    docker("build", "--quiet", "--tag", IMAGE, "--build-arg", "COMMIT=0123abcd", ".")
    return IMAGE


@pytest.fixture(scope="session")
def network(engine: None) -> Iterator[str]:
    name = f"slipway-test-{secrets.token_hex(4)}"
    docker("network", "create", name)
    yield name
    docker("network", "rm", name)


@pytest.fixture
def database(network: str) -> Iterator[Container]:
    """Reached by the name `database`."""
    variables = (f"POSTGRES_PASSWORD={SECRET}", "POSTGRES_USER=app", "POSTGRES_DB=app")
    options = [word for variable in variables for word in ("--env", variable)]
    where = ("--network", network, "--network-alias", "database", "--publish=127.0.0.1::5432")
    made = Container(*where, *options, image="postgres:17")
    yield made
    made.remove()


@pytest.fixture
def run(image: str, network: str) -> Iterator[Any]:
    """Starts the image with these settings, as locked up as ECS may have it."""
    made: list[Container] = []
    where = ("--network", network, "--publish=127.0.0.1::8000")
    locked = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    usual = {"ENVIRONMENT": "test", "DATABASE_URL": f"postgresql://app:{SECRET}@database/app"}

    def start(
        *command: str, options: tuple[str, ...] = (), target: str = image, **settings: str
    ) -> Container:
        variables = [f"--env={name}={value}" for name, value in (usual | settings).items()]
        made.append(Container(*where, *locked, *variables, *options, image=target, command=command))
        return made[-1]

    yield start
    for container in made:
        container.remove()


@pytest.fixture
def served(run: Any, database: Container) -> Container:
    """Migrated, seeded, healthy."""
    container: Container = run(PREPARE_AT_START="yes", **ADMIN)
    return container.healthy()


@pytest.fixture
def owner(served: Container, database: Container) -> Iterator[psycopg.Connection]:
    """Of the database that it serves."""
    given = f"postgresql://app:{SECRET}@127.0.0.1:{database.port(5432)}/app"
    with psycopg.connect(given) as connection:
        yield connection


@pytest.fixture
def client(served: Container) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.address, timeout=30) as client:
        yield client


@pytest.fixture
def composed(checkout: Checkout, image: str) -> Iterator[Checkout]:
    """Under a name and on ports of its own; what it builds is built already."""
    name = f"slipway-test-{secrets.token_hex(4)}"
    checkout.environment |= {"COMPOSE_PROJECT_NAME": name, "POSTGRES_PORT": str(free_port())}
    yield checkout
    compose(checkout, "down", "--volumes", "--remove-orphans")


def compose(checkout: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "compose", *arguments]
    environment, folder = checkout.environment, checkout.folder
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

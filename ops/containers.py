"""What needs Docker: the container in Compose, and SAM's own local commands on Compose's database."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from app.foundation.settings import DEV_SECRET, EXAMPLE_PASSWORD, Settings
from ops import emulator, environment
from ops.dev import free_port
from ops.environment import ADMINISTRATOR, ROOT
from ops.terminal import fail, say
from ops.tools import environment_of


def up() -> None:
    """Builds and starts it, and waits until it is healthy."""
    environment.read_file()
    if compose("up", "--build", "--wait"):
        compose("logs", "--no-log-prefix", "--tail=5", "app")
        fail("it did not start: see the lines above; `make logs` has all")
    tell(os.environ.get("PORT") or "8000", "make logs follows it, make down stops it and keeps the data.")


def down() -> None:
    if compose("--profile=*", "down", "--remove-orphans"):
        fail("it did not stop: see the lines above")


def logs() -> None:
    compose("logs", "--follow")


def sam_local() -> None:
    """`sam local start-api`, until it is stopped."""
    environment.read_file()
    port = free_port("3000")
    start_database()
    for command in ("migrate", "seed"):
        if compose("run", "--build", "--rm", "app", command):
            fail("the database could not be prepared: see the lines above")
    with sam_variables() as variables:
        tell(str(port), "Ctrl-C stops this, make down the database.")
        done = sam("local", "start-api", *variables, f"--port={port}", "--warm-containers=EAGER")
    if done.returncode:
        fail("SAM did not start: see the lines above")


def sam_invoke() -> None:
    """`sam local invoke` with EVENT; fails when the function does, though SAM does not."""
    environment.read_file()
    event = Path(os.environ.get("EVENT") or fail("which? make sam-invoke EVENT=events/migrate-current.json"))
    if not event.is_file():
        fail(f"there is no file {event}; `ls events` shows what there is")
    start_database()
    function = "MigrationFunction" if '"action"' in event.read_text() else "ApiFunction"
    with sam_variables() as variables:
        given = (*variables, f"--event={event.resolve()}")
        done = sam("local", "invoke", function, *given, output=subprocess.PIPE)
    say(done.stdout)
    if done.returncode or not done.stdout.strip():
        fail(f"{function} did not answer: see the lines above")
    answer = json.loads(done.stdout.splitlines()[-1])
    if isinstance(answer, dict) and "errorType" in answer:
        fail(f"{function} failed: {answer.get('errorMessage')}")


def start_database() -> None:
    if compose("up", "--wait", "postgres"):
        fail("the database did not start: see the lines above")


def tell(port: str, end: str) -> None:
    base = f"http://localhost:{port}"
    who = os.environ.get("ADMINISTRATOR_EMAIL") or ADMINISTRATOR
    own = os.environ.get("ADMINISTRATOR_PASSWORD")
    password = ".." if own else EXAMPLE_PASSWORD
    shown = "ADMINISTRATOR_PASSWORD" if own else EXAMPLE_PASSWORD
    say(f"\n  API       {base}\n  Docs      {base}/docs\n  Sign in   {who}, {shown}")
    say(f"\n  Try it: make demo URL={base} EMAIL={who} PASSWORD={password}\n  {end}\n")


def compose(*arguments: str) -> int:
    """`docker compose`, whose own words are shown; its exit code."""
    if not shutil.which("docker"):
        fail("Docker is missing: install Docker Engine or Docker Desktop (make dev does without)")
    variables = {"COMMIT": environment.commit()} | os.environ
    return subprocess.run(["docker", "compose", *arguments], cwd=ROOT, env=variables, check=False).returncode


@contextmanager
def sam_variables() -> Iterator[list[str]]:
    """Builds, and gives the options by which SAM's functions have Compose's database and every setting.

    SAM passes a variable only where the template declares it ("sam local invoke", --env-vars).
    """
    architecture = f"Architecture={emulator.ARCHITECTURE}"
    if sam("build", "--parameter-overrides", architecture).returncode:
        fail("see the lines above")
    given = {name: os.environ[name] for name in map(str.upper, Settings.model_fields) if os.environ.get(name)}
    password = quote(os.environ.get("POSTGRES_PASSWORD") or "app", safe="")
    usual = {"ENVIRONMENT": "dev", "SECRET_KEY": DEV_SECRET, "DB_AUTH": "password", "SECRETS_ARN": ""}
    passed = usual | given | {"DATABASE_URL": f"postgresql://app:{password}@postgres/app"}
    network = f"{os.environ.get('COMPOSE_PROJECT_NAME') or 'slipway'}_default"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"Parameters": passed}, file)
        file.flush()
        files = [f"--env-vars={file.name}", f"--docker-network={network}"]
        try:
            yield [*files, "--skip-pull-image", "--parameter-overrides", architecture]
        finally:
            remove_foreign(network)


def remove_foreign(network: str) -> None:
    """What is on Compose's network and not Compose's: SAM may leave containers when it is interrupted."""
    shape = '{{.ID}} {{.Label "com.docker.compose.project"}}'
    command = ["docker", "ps", "--all", f"--filter=network={network}", f"--format={shape}"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    left = [words[0] for words in map(str.split, listed.splitlines()) if len(words) == 1]
    if left:
        subprocess.run(["docker", "rm", "--force", *left], stdout=subprocess.DEVNULL, check=False)


def sam(*arguments: str, output: int | None = None) -> subprocess.CompletedProcess[str]:
    """SAM CLI, with nothing of AWS: it would ask for credentials. It answers Ctrl-C by itself."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    quiet = {"SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}
    # of Docker's contexts, such as Docker Desktop's, SAM knows the default alone
    shape = "{{.Endpoints.docker.Host}}"
    asked = subprocess.run(
        ["docker", "context", "inspect", f"--format={shape}"], capture_output=True, text=True, check=False
    )
    if asked.returncode == 0:
        ours.setdefault("DOCKER_HOST", asked.stdout.strip())
    command = [str(environment_of("sam") / "bin" / "sam"), *arguments]
    # it has containers to remove, and must not be killed meanwhile
    signal.signal(signal.SIGINT, lambda *_: None)
    return subprocess.run(command, cwd=ROOT, env=ours | quiet, stdout=output, text=True, check=False)

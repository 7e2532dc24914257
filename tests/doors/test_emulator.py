"""The Lambda door as AWS runs it: `make lambda`, in the runtime emulator."""

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.migration.actions import ACTIONS
from ops import emulator
from ops.environment import ROOT
from ops.postgres import Postgres
from tests.checkout import Checkout
from tests.doors.test_artifact import build
from tests.mail_server import free_port

pytestmark = pytest.mark.artifact

# in an order that works
ANSWERS: dict[str, dict[str, Any]] = {
    "upgrade": {"verdict": "current", "held": []},
    "prepare": {"verdict": "current", "applied": []},
    "current": {"verdict": "current"},
    "history": {"verdict": "current"},
    "plan": {"plan": []},
    "check": {"drift": []},
    "describe": {"verdict": "current"},
    "released": {"verdict": "current"},
    "bootstrap": {"made": ["migrator", "app"]},
    "seed": {"seeded": True},
    "create_database": {"made": ["preview_example"]},
    "drop_database": {"dropped": ["preview_example"]},
    "downgrade": {"verdict": "behind", "to": "7fda5bc873b8"},
}
FAILING = ROOT / "tests" / "stand_ins"


linux = pytest.mark.skipif(not emulator.EMULATED, reason="AWS's runtime emulator is for Linux only")


def demo(checkout: Checkout, password: str, base: str) -> list[str]:
    done = checkout.make("demo", f"URL={base}", f"PASSWORD={password}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@linux
def test_the_same_14_answers_as_from_make_dev(checkout: Checkout) -> None:
    server = checkout.start()
    [password] = re.findall(r"Password +(\S+)", server.told())
    expected = demo(checkout, password, server.base)
    assert len(expected) == 14
    script = httpx2.get(f"{server.base}/docs/swagger-ui-bundle.js").content
    server.stop(signal.SIGINT)

    door = checkout.start("lambda")
    door.told()
    assert demo(checkout, password, door.base) == expected
    # from the artifact in the emulator, not from here
    assert "REPORT RequestId" in checkout.log.read_text()

    # one at a time, whoever calls
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(httpx2.get, [f"{door.base}/version"] * 40))
    assert {answer.status_code for answer in answers} == {200}
    assert httpx2.get(f"{door.base}/docs/swagger-ui-bundle.js").content == script

    door.stop(signal.SIGINT)
    assert checkout.left_behind() == []


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def gateway(log: Path) -> Iterator[httpx2.Client]:
    """In front of the function that fails when told to, after three seconds at the latest."""
    port = free_port()
    with (
        log.open("wb") as written,
        emulator.function(FAILING, "failing.handler", seconds=3, log=written) as url,
        emulator.gateway(port, url, log=written),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield client


@linux
@pytest.mark.parametrize(
    ("how", "next_count", "told"),
    [("throw", 2, "thrown"), ("sleep", 1, "timed out after 3.00"), ("exit", 1, "exit status 3")],
)
def test_after_a_failure_the_next_invocation_works(
    gateway: httpx2.Client, log: Path, how: str, next_count: int, told: str
) -> None:
    """In the same process after an error, in a new one after a time-out or an exit."""
    assert gateway.get("/").json() == 1
    failed = gateway.get(f"/{how}")
    assert failed.status_code == 500
    assert failed.json() == {"message": "Internal Server Error"}
    assert told in log.read_text().partition("The function failed")[2]
    answer = gateway.put("/", content=b"\xff")
    assert answer.json() == next_count
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_without_the_emulator_the_handler_answers_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "EMULATED", False)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}{os.pathsep}{FAILING}")
    event = json.loads((ROOT / "events/http-api-version.json").read_text())
    with emulator.function(ROOT / "src", emulator.HANDLER) as url:
        answer = httpx2.post(url, json=event).json()
        assert json.loads(answer["body"])["name"] == "slipway"
    with emulator.function(ROOT / "src", "failing.handler") as url:
        with pytest.raises(httpx2.HTTPError):
            httpx2.post(url, json={"rawPath": "/throw"})
        assert httpx2.post(url, json={"rawPath": "/"}).json()["body"] == "1"


@linux
def test_the_migration_function_answers_every_action(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The artifact's, with each event of events/; a refusal fails the invocation in one line."""
    artifact = build(emulator.ARCHITECTURE).with_suffix("")
    # a server of its own, as roles are the whole server's
    with Postgres(tmp_path / "postgres").running() as server:
        monkeypatch.setenv("DATABASE_URL", server.url("app"))
        with emulator.function(artifact, "app.entrypoints.migration_lambda.handler", seconds=300) as function:

            def invoke(event: dict[str, Any]) -> dict[str, Any]:
                answer: dict[str, Any] = httpx2.post(function, json=event, timeout=60).json()
                return answer

            for action, expected in ANSWERS.items():
                event = json.loads((ROOT / f"events/migrate-{action}.json").read_text())
                answer = invoke(event)
                assert answer.items() >= {"action": action, **expected}.items(), answer
            refused = invoke({"action": "upgrade", "force": True})
            assert refused["errorType"] == "Refused"
            assert refused["errorMessage"].endswith("its fields are: to, allow, reason")
    files = {file.stem.removeprefix("migrate-") for file in (ROOT / "events").glob("migrate-*.json")}
    assert files == set(ANSWERS) == set(ACTIONS)


def test_a_setting_that_is_wrong_ends_it_in_one_line(checkout: Checkout) -> None:
    done = checkout.make("lambda", "DB_PORT=x")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("slipway: DB_PORT: Input should be a valid integer")

"""The gate: what it asks of the migration function, and how it answers CodeDeploy and ECS, over the wire."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest

from ops import emulator
from ops.environment import ROOT

VERSION = "arn:aws:lambda:us-east-1:123456789012:function:slipway-migration:7"
CODEDEPLOY: dict[str, Any] = json.loads((ROOT / "events/hook-codedeploy.json").read_text())
ECS: dict[str, Any] = json.loads((ROOT / "events/hook-ecs.json").read_text())
ECS_AFTER = ECS | {"lifecycleStage": "POST_PRODUCTION_TRAFFIC_SHIFT"}
CURRENT = {"verdict": "current", "broken_by": [], "held": []}
STOPPED = CURRENT | {"verdict": "behind", "stopped": "41 s are left; invoke it again to go on"}
ERROR = {"X-Amz-Function-Error": "Unhandled"}  # AWS Lambda API Reference, "Invoke", FunctionError

before = pytest.mark.parametrize("event", [CODEDEPLOY, ECS], ids=["codedeploy", "ecs"])
after = pytest.mark.parametrize("event", [CODEDEPLOY, ECS_AFTER], ids=["codedeploy", "ecs"])


def answered(event: dict[str, Any], status: str) -> tuple[dict[str, str] | None, list[dict[str, str]]]:
    """What is returned, which ECS reads, and what CodeDeploy is told: never both."""
    if event is not CODEDEPLOY:
        return {"hookStatus": status}, []
    told = {
        "deploymentId": event["DeploymentId"],
        "lifecycleEventHookExecutionId": event["LifecycleEventHookExecutionId"],
        "status": status.capitalize(),
    }
    return None, [told]


class Aws(ThreadingHTTPServer):
    """Answers Invoke as `answers` says, and takes what CodeDeploy is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Calls)
        self.answers: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        self.invoked: list[tuple[str, dict[str, Any]]] = []
        self.told: list[dict[str, str]] = []
        self.slow = threading.Event()
        self.slow.set()


class Calls(BaseHTTPRequestHandler):
    server: Aws

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        target = self.headers.get("X-Amz-Target", "")
        if target.endswith(".PutLifecycleEventHookExecutionStatus"):
            self.server.told.append(body)
            self.answer(200, {})
            return
        self.server.invoked.append((self.path, body))
        self.server.slow.wait(timeout=70)
        if not self.server.answers:
            self.connection.close()
            return
        self.answer(*self.server.answers[0])

    def answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with Aws() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://localhost:{server.server_port}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "MIGRATION_FUNCTION": VERSION,
        }.items():
            monkeypatch.setenv(name, value)
        yield server
        server.slow.set()
        server.shutdown()


@pytest.fixture
def gate() -> ModuleType:
    return import_module("app.entrypoints.gate_lambda")


@before
@pytest.mark.parametrize(
    ("status", "answer", "headers", "expected", "reason"),
    [
        (200, CURRENT, {}, "SUCCEEDED", ""),
        # ECS runs its hook then, too; its event is the same (CodeDeploy does not)
        (200, CURRENT | {"from": None, "to": "0123abcd", "applied": ["0123abcd"]}, {}, "SUCCEEDED", ""),
        (200, CURRENT | {"held": ["0123abcd"]}, {}, "SUCCEEDED", ""),
        (200, CURRENT | {"verdict": "ahead"}, {}, "SUCCEEDED", ""),
        (200, CURRENT | {"verdict": "ahead", "broken_by": ["0123abcd"]}, {}, "FAILED", "the schema is ahead"),
        (200, CURRENT | {"verdict": "behind"}, {}, "FAILED", "the schema is behind"),
        (
            200,
            {"errorMessage": "no time is left", "errorType": "Refused"},
            ERROR,
            "FAILED",
            "failed: no time is left",
        ),
        (
            200,
            {"errorMessage": "2026-11-25T13:00:00Z 1 Task timed out after 840.00 seconds"},
            ERROR,
            "FAILED",
            "Task timed out after 840.00 seconds",
        ),
        (403, {"Message": "not yours"}, {}, "FAILED", "could not be asked"),
        (500, {"Message": "broken"}, {}, "FAILED", "could not be asked"),
        (200, {"answer": "of something else"}, {}, "FAILED", "KeyError"),
    ],
    ids=[
        "current",
        "first",
        "held",
        "ahead",
        "broken",
        "behind",
        "error",
        "time-out",
        "denied",
        "service",
        "strange",
    ],
)
def test_traffic_comes_once_the_schema_is_ready(
    aws: Aws,
    gate: ModuleType,
    caplog: pytest.LogCaptureFixture,
    event: dict[str, Any],
    status: int,
    answer: dict[str, Any],
    headers: dict[str, str],
    expected: str,
    reason: str,
) -> None:
    aws.answers.append((status, answer, headers))
    assert (gate.before_traffic(event, None), aws.told) == answered(event, expected)
    # asked once, whatever the answer, of the published version
    asked = f"/2015-03-31/functions/{VERSION.replace(':', '%3A')}/invocations"
    assert aws.invoked == [(asked, {"action": "prepare"})]
    assert reason in caplog.text


@before
def test_a_lost_answer_is_not_asked_for_again(aws: Aws, gate: ModuleType, event: dict[str, Any]) -> None:
    """The migration may be running."""
    assert (gate.before_traffic(event, None), aws.told) == answered(event, "FAILED")
    assert len(aws.invoked) == 1


def test_what_stopped_for_want_of_time_goes_on_when_ecs_asks_again(aws: Aws, gate: ModuleType) -> None:
    aws.answers += [(200, STOPPED, {}), (200, CURRENT, {})]
    assert gate.before_traffic(ECS, None) == {"hookStatus": "IN_PROGRESS"}
    aws.answers.pop(0)
    assert (gate.before_traffic(ECS, None), aws.told) == answered(ECS, "SUCCEEDED")


def test_what_stopped_for_want_of_time_has_failed_for_codedeploy(aws: Aws, gate: ModuleType) -> None:
    """It calls a hook once."""
    aws.answers.append((200, STOPPED, {}))
    assert (gate.before_traffic(CODEDEPLOY, None), aws.told) == answered(CODEDEPLOY, "FAILED")


@after
@pytest.mark.parametrize(
    ("status", "answer", "headers", "reason"),
    [
        (200, CURRENT, {}, ""),
        (200, {"errorMessage": "no connection"}, ERROR, "no connection"),
        (403, {"Message": "not yours"}, {}, "could not be asked"),
    ],
    ids=["told", "error", "denied"],
)
def test_after_traffic_the_database_is_told_and_no_good_deployment_ends(
    aws: Aws,
    gate: ModuleType,
    caplog: pytest.LogCaptureFixture,
    event: dict[str, Any],
    status: int,
    answer: dict[str, Any],
    headers: dict[str, str],
    reason: str,
) -> None:
    aws.answers.append((status, answer, headers))
    assert (gate.after_traffic(event, None), aws.told) == answered(event, "SUCCEEDED")
    assert [asked for _, asked in aws.invoked] == [{"action": "released"}]
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("hook", "stage", "early"),
    [("before_traffic", "PRE_SCALE_UP", ECS_AFTER), ("after_traffic", "POST_PRODUCTION_TRAFFIC_SHIFT", ECS)],
)
def test_another_event_begins_nothing(
    aws: Aws, gate: ModuleType, hook: str, stage: str, early: dict[str, Any]
) -> None:
    halves = [{key: value} for key, value in (CODEDEPLOY | {"lifecycleStage": stage}).items()]
    for event in [None, [], {}, {"action": "prepare"}, ECS["executionDetails"], early, *halves]:
        with pytest.raises(ValueError, match=f"expected Amazon ECS's event of stage {stage} .* CodeDeploy's"):
            getattr(gate, hook)(event, None)
    assert (aws.invoked, aws.told) == ([], [])


@pytest.mark.artifact
@pytest.mark.skipif(not emulator.EMULATED, reason="AWS's runtime emulator is for Linux only")
@before
def test_it_runs_as_it_is_shipped(aws: Aws, tmp_path: Path, event: dict[str, Any]) -> None:
    """A few files and Lambda's boto3, in Lambda's runtime."""
    aws.answers.append((200, CURRENT, {}))
    folder = tmp_path / "GateFunction"
    shipped = os.environ | {"ARTIFACTS_DIR": str(folder)}
    subprocess.run(["make", "-s", "build-GateFunction"], cwd=ROOT, env=shipped, check=True)
    with emulator.function(folder, "app.entrypoints.gate_lambda.before_traffic") as url:
        returned = httpx2.post(url, json=event, timeout=30).json()
    assert (returned, aws.told) == answered(event, "SUCCEEDED")
    assert [asked for _, asked in aws.invoked] == [{"action": "prepare"}]


@pytest.mark.cloud
def test_an_answer_after_a_minute_is_waited_for(aws: Aws, gate: ModuleType) -> None:
    """boto3 by itself would give up at 60 s, and start the migration again."""
    aws.answers.append((200, CURRENT, {}))
    aws.slow.clear()
    timer = threading.Timer(62, aws.slow.set)
    timer.start()
    gate.before_traffic(CODEDEPLOY, None)
    timer.join()
    assert [len(aws.invoked), aws.told[0]["status"]] == [1, "Succeeded"]

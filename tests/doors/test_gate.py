"""The gate: what it asks of the migration function, and what it tells CodeDeploy, over boto3's own wire."""

import json
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
from ops.build import artifact

VERSION = "arn:aws:lambda:us-east-1:123456789012:function:slipway-migration:7"
EVENT = {"DeploymentId": "d-A1B2C3D4E", "LifecycleEventHookExecutionId": "eyJlbmNyeXB0ZWQifQ"}
CURRENT = {"verdict": "current", "broken_by": [], "held": []}


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


@pytest.mark.parametrize(
    ("status", "answer", "headers", "told", "reason"),
    [
        (200, CURRENT, {}, "Succeeded", ""),
        (200, CURRENT | {"held": ["0123abcd"]}, {}, "Succeeded", ""),
        (200, CURRENT | {"verdict": "ahead"}, {}, "Succeeded", ""),
        (200, CURRENT | {"verdict": "ahead", "broken_by": ["0123abcd"]}, {}, "Failed", "the schema is ahead"),
        (200, CURRENT | {"verdict": "behind"}, {}, "Failed", "the schema is behind"),
        # AWS Lambda API Reference, "Invoke", FunctionError
        (
            200,
            {"errorMessage": "no time is left", "errorType": "Refused"},
            {"X-Amz-Function-Error": "Unhandled"},
            "Failed",
            "failed: no time is left",
        ),
        (
            200,
            {"errorMessage": "2026-11-25T13:00:00Z 1 Task timed out after 840.00 seconds"},
            {"X-Amz-Function-Error": "Unhandled"},
            "Failed",
            "Task timed out after 840.00 seconds",
        ),
        (403, {"Message": "not yours"}, {}, "Failed", "could not be asked"),
        (500, {"Message": "broken"}, {}, "Failed", "could not be asked"),
        (200, {"answer": "of something else"}, {}, "Failed", "KeyError"),
    ],
    ids=["current", "held", "ahead", "broken", "behind", "error", "time-out", "denied", "service", "strange"],
)
def test_traffic_comes_once_the_schema_is_ready(
    aws: Aws,
    gate: ModuleType,
    caplog: pytest.LogCaptureFixture,
    status: int,
    answer: dict[str, Any],
    headers: dict[str, str],
    told: str,
    reason: str,
) -> None:
    aws.answers.append((status, answer, headers))
    gate.before_traffic(EVENT, None)
    # asked once, whatever the answer, of the published version
    asked = f"/2015-03-31/functions/{VERSION.replace(':', '%3A')}/invocations"
    assert aws.invoked == [(asked, {"action": "prepare"})]
    assert aws.told == [
        {
            "deploymentId": EVENT["DeploymentId"],
            "lifecycleEventHookExecutionId": EVENT["LifecycleEventHookExecutionId"],
            "status": told,
        }
    ]
    assert reason in caplog.text


def test_a_lost_answer_is_not_asked_for_again(aws: Aws, gate: ModuleType) -> None:
    """The migration may be running."""
    gate.before_traffic(EVENT, None)
    assert [len(aws.invoked), aws.told[0]["status"]] == [1, "Failed"]


def test_after_traffic_the_database_is_told(aws: Aws, gate: ModuleType) -> None:
    aws.answers.append((200, CURRENT, {}))
    gate.after_traffic(EVENT, None)
    assert [event for _, event in aws.invoked] == [{"action": "released"}]
    assert [call["status"] for call in aws.told] == ["Succeeded"]


def test_what_cannot_be_told_ends_no_good_deployment(
    aws: Aws, gate: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    aws.answers.append((200, {"errorMessage": "no connection"}, {"X-Amz-Function-Error": "Unhandled"}))
    gate.after_traffic(EVENT, None)
    assert [call["status"] for call in aws.told] == ["Succeeded"]
    assert "no connection" in caplog.text


@pytest.mark.artifact
@pytest.mark.skipif(not emulator.EMULATED, reason="AWS's runtime emulator is for Linux only")
def test_it_runs_as_it_is_shipped(aws: Aws, tmp_path: Path) -> None:
    """A few files and Lambda's boto3, in Lambda's runtime."""
    aws.answers.append((200, CURRENT, {}))
    folder = tmp_path / "GateFunction"
    artifact(folder)
    with emulator.function(folder, "app.entrypoints.gate_lambda.before_traffic") as url:
        assert httpx2.post(url, json=EVENT, timeout=30).json() is None
    assert [event for _, event in aws.invoked] == [{"action": "prepare"}]
    assert [call["status"] for call in aws.told] == ["Succeeded"]


@pytest.mark.cloud
def test_an_answer_after_a_minute_is_waited_for(aws: Aws, gate: ModuleType) -> None:
    """boto3 by itself would give up at 60 s, and start the migration again."""
    aws.answers.append((200, CURRENT, {}))
    aws.slow.clear()
    timer = threading.Timer(62, aws.slow.set)
    timer.start()
    gate.before_traffic(EVENT, None)
    timer.join()
    assert [len(aws.invoked), aws.told[0]["status"]] == [1, "Succeeded"]

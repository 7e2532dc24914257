"""A stack that somebody else changes, over CloudFormation's own wire; and how a deployment meets it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import boto3
import pytest

from ops.cloud import deploy
from ops.cloud.account import Account
from ops.cloud.deploy import present
from ops.cloud.stack import Stack
from tests.stand_ins.endpoint import Endpoint

# AWS CloudFormation API Reference: DescribeStacks, DescribeStackEvents
STATUS = """<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>slipway-dev</StackName>
<StackStatus>{}</StackStatus></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""
EVENTS = """<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents></StackEvents>
</DescribeStackEventsResult></DescribeStackEventsResponse>"""
GONE = """<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>
<Message>Stack with id slipway-dev does not exist</Message></Error></ErrorResponse>"""


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stack]]:
    """In these states, one after the other; "" is none."""
    started: list[Endpoint] = []

    def of(*states: str) -> Stack:
        told = [(200, STATUS.format(state).encode()) if state else (400, GONE.encode()) for state in states]
        events = (200, EVENTS.encode())
        # first asked once, and for the newest event; then each time for the state and the events
        answers = [told[0], events, *(answer for one in told[1:] for answer in (one, events))]
        endpoint = Endpoint(*answers)
        Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True).start()
        started.append(endpoint)
        url = f"http://{endpoint.host}"
        keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        client = boto3.client("cloudformation", region_name="us-east-1", endpoint_url=url, **keys)
        return Stack("slipway-dev", client)

    monkeypatch.setenv("SAM_CLI_POLL_DELAY", "0.01")
    yield of
    for endpoint in started:
        endpoint.shutdown()
        endpoint.server_close()


def test_another_deployment_is_waited_for(
    stack: Callable[..., Stack], capsys: pytest.CaptureFixture[str]
) -> None:
    found = stack(
        "UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_COMPLETE"
    )
    assert found.settled() is True
    assert "slipway-dev is in UPDATE_IN_PROGRESS: waiting until that is done" in capsys.readouterr().out


def test_a_deletion_ends_the_waiting(stack: Callable[..., Stack]) -> None:
    assert stack("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", "").settled() is False


@pytest.mark.parametrize("state", ["", "REVIEW_IN_PROGRESS"])
def test_what_was_never_made_is_not_there(stack: Callable[..., Stack], state: str) -> None:
    assert stack(state).settled() is False


def test_a_stack_that_is_stuck_says_what_to_do(stack: Callable[..., Stack]) -> None:
    with pytest.raises(SystemExit, match="slipway-dev is in UPDATE_ROLLBACK_FAILED: aws cloudformation"):
        stack("UPDATE_ROLLBACK_FAILED").settled()


def test_what_ends_as_one_that_never_was_is_offered_for_deletion(
    stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it goes back only now."""
    monkeypatch.delenv("AGREE", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    found = stack("ROLLBACK_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE")
    with pytest.raises(SystemExit, match=r"is in ROLLBACK_COMPLETE: it never was there, .* AGREE=yes agrees"):
        present(Account("dev", "us-east-1", "1"), found)


def test_a_password_that_may_be_in_use_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever interrupts its seeding cannot know whether the function went on."""

    def invoke(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deploy, "invoke", invoke)
    for name in ("CI", "ADMINISTRATOR_PASSWORD", "ADMINISTRATOR_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(KeyboardInterrupt):
        deploy.administrator(Account("dev", "us-east-1", "1"), "function")
    said = capsys.readouterr().out
    assert re.fullmatch("  admin@example.com may have become the administrator, with [\\w-]{24}\n", said)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "slipway: samconfig.toml cannot be read for dev: KeyError"),
        ("[dev", "slipway: samconfig.toml cannot be read for dev: TOMLDecodeError"),
        (
            '[dev.deploy.parameters]\nparameter_overrides = ["Runs=lambda", "Tasks=1-1"]',
            "slipway: samconfig.toml, dev: name Architecture, CertificateArn, DomainName, HostedZoneId, L",
        ),
    ],
)
def test_settings_of_a_deployment_that_are_missing_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, line: str
) -> None:
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    (tmp_path / "samconfig.toml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        deploy.parameters_of("dev")
    assert str(ended.value.code).startswith(line)

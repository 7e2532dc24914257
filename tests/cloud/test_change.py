"""What a change set does before it is carried out: it is told, and refused or agreed to."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from ops.cloud.account import Account
from ops.cloud.change import carry_out
from ops.cloud.stack import Stack
from ops.cloud.traffic import Traffic
from tests.cloud.emulated import ACCOUNT, REGION, Cloud

pytestmark = pytest.mark.cloud

TEMPLATE = """
Resources:
  Images:
    Type: AWS::ECR::Repository
    Properties: {{RepositoryName: {images}}}
  Logs: {{Type: AWS::Logs::LogGroup, Properties: {{RetentionInDays: {days}}}}}
"""


@pytest.fixture
def stack(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Of the emulated account, with a first state."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AGREE", raising=False)
    name = f"change-{abs(hash(request.node.name))}"
    cloud.apply(TEMPLATE.format(images="first", days=1), name)
    yield Stack(name, boto3.client("cloudformation", region_name=REGION))
    cloud.delete(name)


def plan(stack: Stack, **values: Any) -> None:
    text = TEMPLATE.format(**{"images": "first", "days": 1} | values)
    stack.client.create_change_set(StackName=stack.name, ChangeSetName="next", TemplateBody=text)
    stack.client.get_waiter("change_set_create_complete").wait(StackName=stack.name, ChangeSetName="next")


def account(environment: str) -> Account:
    return Account(environment, REGION, ACCOUNT)


def test_a_change_is_told_and_carried_out(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    plan(stack, days=3)
    carry_out(account("prod"), stack)
    said = capsys.readouterr().out
    assert "  change   Logs                             Logs LogGroup\n" in said
    assert f"  UPDATE_COMPLETE                      {stack.name}\n" in said
    assert stack.status() == "UPDATE_COMPLETE"


def test_nothing_is_replaced_in_prod_unless_agreed_to(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what is refused does not wait to be carried out after all."""
    plan(stack, images="second")
    with pytest.raises(SystemExit, match="Images would be replaced in prod; AGREE=yes agrees to it"):
        carry_out(account("prod"), stack)
    assert "  change   Images                           ECR Repository, by another" in capsys.readouterr().out
    assert (stack.status(), stack.planned()) == ("CREATE_COMPLETE", None)
    monkeypatch.setenv("AGREE", "yes")
    plan(stack, images="second")
    carry_out(account("prod"), stack)
    assert stack.status() == "UPDATE_COMPLETE"


def test_elsewhere_nobody_is_asked(stack: Stack) -> None:
    plan(stack, images="second")
    carry_out(account("dev"), stack)
    assert stack.status() == "UPDATE_COMPLETE"


def test_without_a_change_set_nothing_changes(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    carry_out(account("prod"), stack)
    assert capsys.readouterr().out == f"{stack.name}: nothing changes\n"


def test_an_alarm_that_begins_to_ring_is_told_once(stack: Stack, cloud: Cloud) -> None:
    """And not that of a preview, whose name begins alike."""
    metric = {"Namespace": "test", "MetricName": "errors", "Statistic": "Sum", "Period": 60, "Threshold": 1.0}
    when = {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"}
    traffic = Traffic(account("dev"), stack)
    for name in (f"{stack.name}-Errors", f"{stack.name}-preview-x-Errors"):
        cloud.call("cloudwatch", "put_metric_alarm", AlarmName=name, **metric, **when)
        cloud.call("cloudwatch", "set_alarm_state", AlarmName=name, StateValue="ALARM", StateReason="a test")
    assert traffic() == [f"Alarm: {stack.name}-Errors: a test"]
    assert traffic() == []

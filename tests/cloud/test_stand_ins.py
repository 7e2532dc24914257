"""The emulated AWS does what the templates' tests lean on, shown by small templates of its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.emulated import AwsError, Cloud, Invocation, emulated_cloud
from tests.cloud.samples import DATABASE, NETWORK, RELEASE

pytestmark = pytest.mark.cloud

SEEN = {"INHERITED": "from the emulator"}
DONE = {
    "status": "Succeeded",
    "BeforeAllowTraffic": "Succeeded",
    "AllowTraffic": "Succeeded",
    "AfterAllowTraffic": "Succeeded",
}
STOPPED = {
    "status": "Failed",
    "BeforeAllowTraffic": "Failed",
    "AllowTraffic": "Pending",
    "AfterAllowTraffic": "Pending",
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """Less patient with a hook than the tests' common one."""
    with emulated_cloud("database.test:5433", SEEN | {"STAND_IN_HOOK_SECONDS": "12"}) as cloud:
        yield cloud


def name_of(release: str) -> str:
    """The first ten characters name the version."""
    return release * 10


def deploy(cloud: Cloud, folder: Path, stack: str, **parameters: str) -> int:
    (folder / "template.yaml").write_text(RELEASE)
    given = [f"{name}={value}" for name, value in parameters.items()]
    return cloud.deploy(folder / "template.yaml", stack, "--parameter-overrides", *given).returncode


def live(cloud: Cloud, stack: str) -> Invocation:
    return cloud.invoke(cloud.outputs(stack)["Alias"], {})


def deployments(cloud: Cloud, stack: str) -> list[dict[str, Any]]:
    """Each as its status, and its events' by name."""
    application = cloud.outputs(stack)["Application"]
    found = []
    for one in cloud.call("codedeploy", "list_deployments", applicationName=application)["deployments"]:
        target = cloud.call("codedeploy", "get_deployment_target", deploymentId=one, targetId="x")
        target = target["deploymentTarget"]["lambdaTarget"]
        events = {event["lifecycleEventName"]: event["status"] for event in target["lifecycleEvents"]}
        found.append({"status": target["status"]} | events)
    return found


def test_an_update_waits_for_the_hook_and_the_first_creation_does_not(cloud: Cloud, tmp_path: Path) -> None:
    assert deploy(cloud, tmp_path, "waits", Release=name_of("a")) == 0
    assert deployments(cloud, "waits") == []
    assert live(cloud, "waits").version == "1"
    assert deploy(cloud, tmp_path, "waits", Release=name_of("b")) == 0
    assert deployments(cloud, "waits") == [DONE]
    assert live(cloud, "waits").version == "2"
    # the alias changes, and stays on its version
    assert cloud.apply(RELEASE, "waits", Release=name_of("b"), Warm="yes") == "UPDATE_COMPLETE"
    assert deployments(cloud, "waits") == [DONE]


@pytest.mark.parametrize("answer", ["Failed", "none"])
def test_a_hook_that_refuses_or_is_silent_rolls_the_stack_back(
    cloud: Cloud, tmp_path: Path, answer: str
) -> None:
    stack = f"hook-{answer}"
    assert cloud.apply(RELEASE, stack, Release=name_of("a")) == "CREATE_COMPLETE"
    assert deploy(cloud, tmp_path, stack, Release=name_of("b"), Before=answer) == 1
    assert cloud.stack(stack)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert deployments(cloud, stack) == [STOPPED]
    now = live(cloud, stack)
    assert (now.version, now.payload["RELEASE"]) == ("1", name_of("a"))


def test_a_failure_after_the_traffic_moves_it_back(cloud: Cloud) -> None:
    cloud.apply(RELEASE, "after", Release=name_of("a"))
    assert cloud.apply(RELEASE, "after", Release=name_of("b"), After="Failed") == "UPDATE_ROLLBACK_COMPLETE"
    assert deployments(cloud, "after") == [DONE | {"status": "Failed", "AfterAllowTraffic": "Failed"}]
    assert live(cloud, "after").version == "1"


def test_a_failure_elsewhere_is_a_deployment_back(cloud: Cloud) -> None:
    cloud.apply(RELEASE, "later", Release=name_of("a"))
    assert cloud.apply(RELEASE, "later", Release=name_of("b"), Broken="yes") == "UPDATE_ROLLBACK_COMPLETE"
    assert deployments(cloud, "later") == [DONE, DONE]
    assert live(cloud, "later").version == "1"


def test_an_alarm_that_fires_stops_a_deployment(cloud: Cloud) -> None:
    cloud.apply(RELEASE, "alarmed", Release=name_of("a"))
    alarm = cloud.outputs("alarmed")["Alarm"]
    cloud.call("cloudwatch", "set_alarm_state", AlarmName=alarm, StateValue="ALARM", StateReason="a test")
    assert cloud.apply(RELEASE, "alarmed", Release=name_of("b")) == "UPDATE_ROLLBACK_COMPLETE"
    assert "One or more alarms have been activated" in cloud.failures("alarmed")[0]
    assert live(cloud, "alarmed").version == "1"


def test_the_managed_role_may_not_invoke_a_hook_of_any_name(cloud: Cloud) -> None:
    policy = "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited"
    cloud.apply(RELEASE, "managed", Release=name_of("a"), Managed=policy)
    status = cloud.apply(RELEASE, "managed", Release=name_of("b"), Managed=policy)
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "does not give you permission" in cloud.failures("managed")[0]


def test_codedeploy_answers_errors_as_aws_names_them(cloud: Cloud) -> None:
    with pytest.raises(AwsError, match="DeploymentDoesNotExistException"):
        cloud.call("codedeploy", "get_deployment", deploymentId="d-ABCDEFGHI")
    with pytest.raises(AwsError, match="UnknownOperationException"):
        cloud.call("codedeploy", "list_applications")


def test_a_version_keeps_its_code_and_settings(cloud: Cloud) -> None:
    for release in ("a", "b"):
        cloud.apply(RELEASE, "kept", Release=name_of(release))
    function = cloud.outputs("kept")["Function"]
    for version, release in (("1", "a"), ("2", "b"), ("live", "b")):
        done = cloud.invoke(f"{function}:{version}", {})
        assert done.payload["RELEASE"] == name_of(release)
        assert done.payload["AWS_LAMBDA_FUNCTION_VERSION"] == done.payload["version"] == done.version
    variables = {
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": function,
    }
    assert variables.items() | SEEN.items() <= cloud.invoke(function, {}).payload.items()
    with cloud.gateway(cloud.outputs("kept")["Gateway"]) as gateway:
        for path in ("/any/path", "/health"):
            assert gateway.get(path).json()["version"] == "2"


def test_a_function_that_fails_answers_as_on_lambda(cloud: Cloud) -> None:
    cloud.apply(RELEASE, "fails", Release=name_of("a"))
    late = cloud.invoke(cloud.outputs("fails")["Alias"], {"seconds": 30})
    assert (late.error, late.payload["errorMessage"]) == ("Unhandled", "Task timed out after 2.00 seconds")
    raised = cloud.invoke(cloud.outputs("fails")["Alias"], {"seconds": "many"})
    assert raised.error == "Unhandled"


def test_a_network_and_a_database_that_imports_from_it(cloud: Cloud) -> None:
    assert cloud.apply(NETWORK, "network") == "CREATE_COMPLETE", cloud.failures("network")
    given = {"Network": "network", "Protected": "true"}
    assert cloud.apply(DATABASE, "database", **given) == "CREATE_COMPLETE", cloud.failures("database")
    with pytest.raises(AwsError, match="network-subnets is imported by stack database"):
        cloud.delete("network")
    outputs = cloud.outputs("database")
    assert outputs["Address"] == "database.test:5433"
    assert outputs["Id"].startswith("db-")
    master = json.loads(secret(cloud, outputs["Master"]))
    assert master["username"] == "master"
    generated = json.loads(secret(cloud, outputs["Secret"]))
    assert generated["A"] == ""
    assert generated["B"].isalnum()
    assert cloud.delete("database") == "DELETE_FAILED"
    assert "Cannot delete protected DB Instance" in cloud.failures("database")[-1]


def secret(cloud: Cloud, arn: str) -> str:
    assert arn.startswith("arn:aws:secretsmanager:us-east-1:123456789012:secret:")
    value: str = cloud.call("secretsmanager", "get_secret_value", SecretId=arn)["SecretString"]
    return value


def test_a_deleted_database_leaves_a_snapshot_and_its_network_goes(cloud: Cloud) -> None:
    cloud.apply(NETWORK, "brief")
    cloud.apply(DATABASE, "dropped", Network="brief", Protected="false")
    name = cloud.outputs("dropped")["Name"]
    assert cloud.delete("dropped") == "DELETE_COMPLETE"
    snapshots = cloud.call("rds", "describe_db_snapshots")["DBSnapshots"]
    assert name in {snapshot["DBInstanceIdentifier"] for snapshot in snapshots}
    assert cloud.delete("brief") == "DELETE_COMPLETE"

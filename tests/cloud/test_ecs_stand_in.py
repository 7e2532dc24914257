"""Amazon ECS's blue/green deployments in the emulated AWS, shown by a small template (samples.SERVICE)."""

import json
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from sqlalchemy.engine import URL

from tests.cloud.emulated import Cloud, emulated_cloud
from tests.cloud.samples import SERVICE

pytestmark = pytest.mark.cloud

# answers its settings, and says that it is there
PROGRAM = """
import json, os, sys, uvicorn

async def app(scope, receive, send):
    said = json.dumps({**os.environ, **{name.decode(): value.decode() for name, value in scope["headers"]}})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said.encode()})

print("release", os.environ["RELEASE"], flush=True)
if os.environ["FAULT"]:
    sys.exit(os.environ["FAULT"])
uvicorn.run(app, host="0.0.0.0", port=8000, lifespan="off")
"""

TLS = "Protocol: HTTPS\n      Certificates: [{CertificateArn: arn:aws:acm:us-east-1:1:certificate/1}]"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("task") / "program.py"
    file.write_text(PROGRAM)
    return file


@pytest.fixture(scope="module")
def cloud(program: Path) -> Iterator[Cloud]:
    with emulated_cloud("database.test:5433", {"STAND_IN_TASK": str(program)}) as cloud:
        yield cloud
    assert running(program) == []


def running(program: Path, release: str = "") -> list[str]:
    """The releases of the tasks that run, or those whose name begins so."""
    every = [one for one in psutil.process_iter(["cmdline"]) if str(program) in (one.info["cmdline"] or [])]
    return [name for one in every if (name := one.environ()["RELEASE"]).startswith(release)]


def calls(cloud: Cloud, stack: str) -> list[Any]:
    """Of the hook: each stage, with the number of tasks at that time and what was handed back to it."""
    queue, found = cloud.outputs(stack)["Calls"], []
    while messages := cloud.call("sqs", "receive_message", QueueUrl=queue, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        for message in messages:
            found.append(json.loads(message["Body"]))
            cloud.call("sqs", "delete_message", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def command_of(process: psutil.Process) -> list[str]:
    """Empty, where it has just ended."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def serving(cloud: Cloud, stack: str) -> Any:
    answer = httpx2.get(f"{cloud.outputs(stack)['Address']}/v1?x=1")
    return answer.json()["RELEASE"] if answer.status_code == 200 else answer.status_code


def weights(cloud: Cloud, stack: str) -> list[int]:
    [rule] = cloud.call("elbv2", "describe_rules", RuleArns=[cloud.outputs(stack)["Rule"]])["Rules"]
    return [one["Weight"] for one in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]]


def test_the_first_creation_runs_the_hook_before_any_task(cloud: Cloud) -> None:
    assert cloud.apply(SERVICE, "first", Release="first-a") == "CREATE_COMPLETE", cloud.failures("first")
    assert calls(cloud, "first") == [["PRE_SCALE_UP", 0, {}], ["POST_PRODUCTION_TRAFFIC_SHIFT", 1, {}]]
    assert serving(cloud, "first") == "first-a"


def test_an_update_moves_all_traffic_and_ends_the_old_task(cloud: Cloud, program: Path) -> None:
    cloud.apply(SERVICE, "moves", Release="moves-a")
    assert weights(cloud, "moves") == [100, 0]
    for release, moved in (("moves-b", [0, 100]), ("moves-c", [100, 0])):
        assert cloud.apply(SERVICE, "moves", Release=release) == "UPDATE_COMPLETE", cloud.failures("moves")
        assert (serving(cloud, "moves"), weights(cloud, "moves")) == (release, moved)
        assert running(program, "moves") == [release]
    calls(cloud, "moves")
    # it changes, and nothing of it is deployed
    assert cloud.apply(SERVICE, "moves", Release="moves-c", Tag="two") == "UPDATE_COMPLETE"
    assert calls(cloud, "moves") == []


def test_what_the_program_sees(cloud: Cloud) -> None:
    cloud.apply(SERVICE, "sees", Release="sees-a")
    outputs = cloud.outputs("sees")
    seen = httpx2.get(f"{outputs['Address']}/v1").json()
    assert (seen["AWS_ENDPOINT_URL"], seen["AWS_REGION"]) == (cloud.url, "us-east-1")
    assert (seen["host"], seen["x-forwarded-for"]) == (outputs["Address"].partition("//")[2], "127.0.0.1")
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("http", "80")
    assert "STAND_IN_TASK" not in seen
    events = cloud.call("logs", "filter_log_events", logGroupName=outputs["Logs"])["events"]
    assert "release sees-a" in {event["message"] for event in events}


@pytest.mark.parametrize("answer", ["FAILED", "error", "none"])
def test_a_hook_that_refuses_the_first_creation(cloud: Cloud, program: Path, answer: str) -> None:
    stack = f"refused-{answer.lower()}"
    assert cloud.apply(SERVICE, stack, Release=stack, Before=answer) == "ROLLBACK_COMPLETE"
    assert "hook execution failure(s) detected" in cloud.failures(stack)[0]
    assert running(program, stack) == []


def test_a_hook_that_refuses_an_update_leaves_the_old_task(cloud: Cloud, program: Path) -> None:
    cloud.apply(SERVICE, "kept", Release="kept-a")
    calls(cloud, "kept")
    for stage, tasks in (("Before", 1), ("After", 2)):
        given = {"Release": f"kept-{stage}", stage: "FAILED"}
        assert cloud.apply(SERVICE, "kept", **given) == "UPDATE_ROLLBACK_COMPLETE"
        assert (serving(cloud, "kept"), running(program, "kept")) == ("kept-a", ["kept-a"])
        # once for what failed, then for the way back
        assert [one[1] for one in calls(cloud, "kept")][-3:] == [tasks, 1, 2]
    assert sorted(weights(cloud, "kept")) == [0, 100]


def test_a_failure_elsewhere_is_a_deployment_back(cloud: Cloud, program: Path) -> None:
    cloud.apply(SERVICE, "later", Release="later-a")
    assert cloud.apply(SERVICE, "later", Release="later-b", Broken="yes") == "UPDATE_ROLLBACK_COMPLETE"
    assert (serving(cloud, "later"), running(program, "later")) == ("later-a", ["later-a"])
    assert len(calls(cloud, "later")) == 6


def test_a_program_that_ends_fails_the_deployment_with_its_last_line(cloud: Cloud, program: Path) -> None:
    assert cloud.apply(SERVICE, "ends", Release="ends-a", Fault="no database") == "ROLLBACK_COMPLETE"
    assert "Essential container in task exited with code 1: no database" in cloud.failures("ends")[0]
    assert running(program, "ends") == []


def test_a_hook_that_is_not_done_is_called_again(cloud: Cloud) -> None:
    assert cloud.apply(SERVICE, "again", Release="again-a", Before="IN_PROGRESS") == "CREATE_COMPLETE"
    assert calls(cloud, "again")[:2] == [["PRE_SCALE_UP", 0, {}], ["PRE_SCALE_UP", 0, {"asked": "before"}]]


def test_an_alarm_that_fires_during_a_deployment_rolls_it_back(cloud: Cloud, program: Path) -> None:
    cloud.apply(SERVICE, "alarmed", Release="alarmed-a")
    status = cloud.apply(SERVICE, "alarmed", Release="alarmed-b", After="alarm")
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "alarm(s) detected" in cloud.failures("alarmed")[0]
    assert serving(cloud, "alarmed") == "alarmed-a"
    # it fires still, and what is deployed may be the cure
    assert cloud.apply(SERVICE, "alarmed", Release="alarmed-c") == "UPDATE_COMPLETE"


def test_without_a_load_balancer_the_task_has_a_public_address(cloud: Cloud, program: Path) -> None:
    for release in ("alone-a", "alone-b"):
        cloud.apply(SERVICE, "alone", Release=release, Balanced="no")
        assert running(program, "alone") == [release]
        outputs = cloud.outputs("alone")
        where = {"cluster": outputs["Cluster"]}
        [service] = cloud.call("ecs", "describe_services", **where, services=[outputs["Service"]])["services"]
        assert (service["runningCount"], service["deployments"][0]["rolloutState"]) == (1, "COMPLETED")
        found = cloud.call("ecs", "list_tasks", **where, serviceName=outputs["Service"])["taskArns"]
        [task] = cloud.call("ecs", "describe_tasks", **where, tasks=found, include=["TAGS"])["tasks"]
        assert task["taskDefinitionArn"] == service["taskDefinition"]
        details = {one["name"]: one["value"] for one in task["attachments"][0]["details"]}
        asked = {"NetworkInterfaceIds": [details["networkInterfaceId"]]}
        [interface] = cloud.call("ec2", "describe_network_interfaces", **asked)["NetworkInterfaces"]
        [tag] = task["tags"]
        url = f"http://{interface['Association']['PublicIp']}:{tag['value']}"
        assert httpx2.get(url).json()["RELEASE"] == release


def test_an_image_of_this_account_has_to_be_pushed(cloud: Cloud) -> None:
    cloud.apply(SERVICE, "pushed", Release="pushed-a")
    repository = cloud.outputs("pushed")["Repository"]
    assert cloud.call("ecr", "get_authorization_token")["authorizationData"][0]["authorizationToken"]
    given = {"Release": "pushed-b", "Pushed": "abc"}
    assert cloud.apply(SERVICE, "pushed", **given) == "UPDATE_ROLLBACK_COMPLETE"
    assert "CannotPullContainerError" in cloud.failures("pushed")[0]
    cloud.call("ecr", "put_image", repositoryName=repository, imageManifest="{}", imageTag="abc")
    assert cloud.apply(SERVICE, "pushed", **given) == "UPDATE_COMPLETE"
    assert serving(cloud, "pushed") == "pushed-b"


def test_a_rule_that_is_edited_leads_nowhere(cloud: Cloud) -> None:
    """As on AWS (aws/containers-roadmap#2853): the template's weights are back."""
    for release in ("edited-a", "edited-b"):
        cloud.apply(SERVICE, "edited", Release=release)
    assert serving(cloud, "edited") == "edited-b"
    cloud.apply(SERVICE.replace("Priority: 1", "Priority: 2"), "edited", Release="edited-b")
    assert (serving(cloud, "edited"), weights(cloud, "edited")) == (503, [100, 0])


def test_a_role_that_may_not_invoke_the_hook(cloud: Cloud) -> None:
    template = SERVICE.replace("Action: lambda:InvokeFunction", "Action: lambda:GetFunction")
    assert cloud.apply(template, "role", Release="role-a") == "ROLLBACK_COMPLETE"
    assert "does not allow InvokeFunction" in cloud.failures("role")[0]


def test_the_projects_own_container_which_ends_with_the_emulator(server: URL, certificates: Path) -> None:
    url = server.render_as_string(hide_password=False)
    own = f"Environment: [{{Name: ENVIRONMENT, Value: test}}, {{Name: DATABASE_URL, Value: '{url}'}}, "
    template = SERVICE.replace("Environment: [", own).replace(
        "Protocol: HTTP\n      Def", f"{TLS}\n      Def"
    )
    files = {"STAND_IN_CERTIFICATE": "certificate.pem", "STAND_IN_KEY": "key.pem"}
    with emulated_cloud(
        "database.test:5433", {name: str(certificates / file) for name, file in files.items()}
    ) as cloud:
        assert cloud.apply(template, "real", Release="real-a") == "CREATE_COMPLETE", cloud.failures("real")
        address = cloud.outputs("real")["Address"].replace("http:", "https:")
        trusted = ssl.create_default_context(cafile=certificates / "ca.pem")
        assert httpx2.get(f"{address}/ready", verify=trusted).status_code == 503  # there is no schema
        # of this test's own, as another may run beside it
        children = psutil.Process().children(recursive=True)
        [task] = [one for one in children if "app.entrypoints.container" in command_of(one)[5:6]]
        emulator = task.parent()
        assert emulator
        emulator.kill()
        assert psutil.wait_procs([task], timeout=5)[1] == []


def test_a_deleted_service_leaves_no_process(cloud: Cloud, program: Path) -> None:
    cloud.apply(SERVICE, "deleted", Release="deleted-a")
    address = cloud.outputs("deleted")["Address"]
    assert running(program, "deleted") == ["deleted-a"]
    assert cloud.delete("deleted") == "DELETE_COMPLETE"
    assert running(program, "deleted") == []
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(address)

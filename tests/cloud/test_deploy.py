"""A checkout in an empty account: deployed, released again, refused, deleted; and what each left behind."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from ops import emulator
from tests.cloud.emulated import CREDENTIALS, REGION, AwsError
from tests.cloud.place import Place
from tests.cloud.test_rules import translated

pytestmark = pytest.mark.cloud

NAME = "slipway-staging"


@dataclass
class Seen:
    """After one deployment."""

    done: subprocess.CompletedProcess[str]
    commit: str  # of the checkout that was deployed
    version: dict[str, Any]  # what /version tells
    ready: int
    alias: str  # the API function's version that has the traffic
    revision: str  # the schema's
    status: dict[str, str]  # of each stack
    deployments: list[str]  # of CodeDeploy, oldest first
    watched: bool  # whether alarms stop the next one
    failures: list[str]  # of resources, so far


def deploy(place: Place, commit: str, command: str = "make -s deploy", **variables: str) -> Seen:
    done = place.run("sh", "-c", command, **variables)
    print(done.stdout, done.stderr)  # noqa: T201  # where the story breaks off
    outputs = place.cloud.outputs(NAME)
    with httpx2.Client(base_url=outputs["ApiUrl"], timeout=60) as client:
        version, ready = client.get("/version").json(), client.get("/ready").status_code
    alias = place.cloud.call("lambda", "get_alias", FunctionName=outputs["ApiFunctionName"], Name="live")
    stacks = (NAME, f"{NAME}-network", f"{NAME}-database")
    return Seen(
        done,
        commit,
        version,
        ready,
        alias["FunctionVersion"],
        place.query("SELECT version_num FROM alembic_version")[0][0],
        {name: place.cloud.stack(name)["StackStatus"] for name in stacks},
        place.deployments(),
        watched(place),
        place.cloud.failures(NAME),
    )


def watched(place: Place) -> bool:
    names = {
        "applicationName": place.resource("ServerlessDeploymentApplication"),
        "deploymentGroupName": place.resource("ApiFunctionDeploymentGroup"),
    }
    group = place.cloud.call("codedeploy", "get_deployment_group", **names)["deploymentGroupInfo"]
    return bool(group["alarmConfiguration"]["enabled"])


@dataclass
class Story:
    first: Seen
    second: Seen
    refused: Seen
    rung: Seen  # while an alarm is on
    ignored: Seen  # the same, by ALARMS=ignore
    invoked: subprocess.CompletedProcess[str]
    deleted: subprocess.CompletedProcess[str]
    after: dict[str, str]  # the stacks that are left, and their status
    rows: int  # users, after the release is gone
    logs: str  # of all functions
    records: set[tuple[str, str, str]]  # of the zone: name, type, what it is an alias of
    mapped: str  # which API the name is mapped to
    told: dict[str, str]  # the stack's outputs


@pytest.fixture(scope="module")
def story(place: Place, tell: Callable[[str], None]) -> Story:
    """All that happens, in its order, told as it goes; the tests look at what it left."""
    tell("a first release, with its network and database")
    first = deploy(place, place.commit("first"))
    [password] = re.findall(r"Password +(\S+)", first.done.stdout) or [""]
    tell("a second, with a revision, and a name of its own")
    place.name("api.example.com")
    place.add_revision("aaaaaaaaaaaa", "94fb9396801f", "nickname")
    second = deploy(place, place.commit("second"), ADMINISTRATOR_PASSWORD=password)
    tell("a third, whose migration is refused")
    # a column of that name is there, which only the database can tell
    place.add_revision("bbbbbbbbbbbb", "aaaaaaaaaaaa", "email")
    refused = deploy(place, place.commit("third"))
    tell("a fourth, by SAM's own commands, while an alarm rings")
    place.take_back_revision("bbbbbbbbbbbb")
    place.settle(emulator.ARCHITECTURE)
    commit = place.commit("fourth")
    alarm = place.resource("ServerErrors")
    place.cloud.call("cloudwatch", "set_alarm_state", AlarmName=alarm, StateValue="ALARM", StateReason="test")
    rung = deploy(place, commit, "sam build && sam deploy --config-env staging")
    tell("the same, in spite of it")
    ignored = deploy(place, commit, ALARMS="ignore", CI="true")
    tell("sam delete")
    told = place.cloud.outputs(NAME)
    line = told["InvokeMigration"]
    records = place.records()
    [mapping] = place.cloud.call("apigatewayv2", "get_api_mappings", DomainName="api.example.com")["Items"]
    invoked = place.run(*shlex.split(line))
    logs = place.logs()
    deleted = place.run("sam", "delete", "--stack-name", NAME, "--no-prompts", "--region", REGION)
    listed = place.cloud.call("cloudformation", "list_stacks")["StackSummaries"]
    left = {s["StackName"]: s["StackStatus"] for s in listed if s["StackStatus"] != "DELETE_COMPLETE"}
    rows = place.query("SELECT count(*) FROM users")[0][0]
    return Story(
        first,
        second,
        refused,
        rung,
        ignored,
        invoked,
        deleted,
        left,
        rows,
        logs,
        records,
        mapping["ApiId"],
        told,
    )


def test_one_command_makes_network_database_and_release(story: Story) -> None:
    assert story.first.done.returncode == 0, story.first.done.stdout + story.first.done.stderr
    assert set(story.first.status.values()) == {"CREATE_COMPLETE"}
    assert story.first.version["commit"] == story.first.commit


def test_it_prepares_the_schema_as_nothing_else_would(story: Story) -> None:
    """A first creation has no gate."""
    assert story.first.deployments == []
    assert "Schema: current, 2 revisions applied" in story.first.done.stdout
    assert (story.first.revision, story.first.ready) == ("94fb9396801f", 200)


def test_it_makes_an_administrator_and_14_calls(story: Story) -> None:
    said = story.first.done.stdout
    assert len(re.findall(r"^ *\d+ +ok +\d{3} ", said, re.MULTILINE)) == 14
    assert said.count("(shown once)") == 1


def test_it_says_where_everything_is(story: Story) -> None:
    said = story.first.done.stdout
    for name in ("ApiUrl", "MigrationFunctionName", "InvokeMigration", "ApiLogGroup", "DashboardUrl"):
        assert re.search(rf"^  {name} +\S+", said, re.MULTILINE), name


def test_everybody_signs_in_by_token(story: Story, place: Place) -> None:
    """Over TLS that is verified, as a role of its own; no token was refused."""
    users = {re.findall(r"DBUser=(\w+)", token)[0] for token in place.rds.tokens}
    assert users == {"app", "migrator", "postgres"}
    owners = place.query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [("migrator",)]
    assert not place.query("SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL")


def test_no_token_and_no_secret_is_logged(story: Story, place: Place) -> None:
    said = story.logs + story.first.done.stdout + story.second.done.stdout + story.refused.done.stdout
    assert '"message":"request"' in said
    assert '"version":"2"' in said
    assert "X-Amz-Signature" not in said
    assert "SECRET_KEY=" not in said
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in said


def test_a_second_release_leaves_network_and_data_alone(story: Story) -> None:
    assert story.second.done.returncode == 0, story.second.done.stdout + story.second.done.stderr
    for part in ("network", "database"):
        assert f"{NAME}-{part}: there" in story.second.done.stdout
        assert story.second.status[f"{NAME}-{part}"] == "CREATE_COMPLETE"


def test_its_schema_comes_before_its_traffic(story: Story) -> None:
    assert story.second.deployments == ["Succeeded"]
    assert (story.second.alias, story.second.revision) == ("2", "aaaaaaaaaaaa")
    assert story.second.version["commit"] == story.second.commit
    assert story.second.version["revision"] == "aaaaaaaaaaaa"


def test_the_database_knows_who_moved_it_and_who_has_the_traffic(story: Story, place: Place) -> None:
    runs = place.query(
        "SELECT action, function_version, result FROM schema_ledger WHERE function_version = '2' ORDER BY at"
    )
    assert [run[0] for run in runs][:2] == ["upgrade", "released"], runs


def test_with_the_password_it_makes_14_calls_again(story: Story) -> None:
    assert len(re.findall(r"^ *\d+ +ok +\d{3} ", story.second.done.stdout, re.MULTILINE)) == 14


def test_a_name_of_ones_own_leads_to_the_api(story: Story) -> None:
    target = story.told["DomainTarget"]
    assert story.records == {("api.example.com.", kind, target) for kind in ("A", "AAAA")}
    assert story.mapped in story.told["ApiUrl"]
    assert story.told["DomainUrl"] == "https://api.example.com"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"DomainName": "api.example.com"}, "DomainName needs HostedZoneId, or CertificateArn"),
        (
            {
                "Runs": "container",
                "LoadBalancer": "none",
                "DomainName": "a.example.com",
                "HostedZoneId": "Z1",
            },
            "Without a load balancer there is nothing that DomainName could lead to",
        ),
        ({"Environment": "prod", "Runs": "container"}, "In prod containers need DomainName"),
        ({"Environment": "prod", "Runs": "both", "LoadBalancer": "none"}, "need LoadBalancer=yes"),
    ],
    ids=["nobody can prove", "leads nowhere", "without TLS", "trial in prod"],
)
def test_what_cannot_be_is_refused(place: Place, given: dict[str, str], said: str) -> None:
    """By a rule of the template, before anything is made."""
    with pytest.raises(AwsError, match=said):
        place.cloud.apply(rules_alone(), "refused", **given)


def test_a_name_in_a_zone_is_not_refused(place: Place) -> None:
    for name, given in {"named": {"DomainName": "api.example.com", "HostedZoneId": "Z1"}, "none": {}}.items():
        assert place.cloud.apply(rules_alone(), name, **given) == "CREATE_COMPLETE"


def rules_alone() -> str:
    template = translated()
    kept = {"Environment", "Runs", "LoadBalancer", "DomainName", "HostedZoneId", "CertificateArn"}
    parameters = {name: one for name, one in template["Parameters"].items() if name in kept}
    group = {"Group": {"Type": "AWS::Logs::LogGroup"}}
    return json.dumps({"Parameters": parameters, "Rules": template["Rules"], "Resources": group})


def test_a_refused_migration_changes_nothing(story: Story) -> None:
    assert story.refused.done.returncode != 0
    assert story.refused.deployments == ["Succeeded", "Failed"]
    assert (story.refused.alias, story.refused.revision) == ("2", "aaaaaaaaaaaa")
    assert story.refused.version["commit"] == story.second.commit
    assert story.refused.ready == 200


def test_it_ends_where_another_deployment_can_begin(story: Story) -> None:
    assert story.refused.status[NAME] == "UPDATE_ROLLBACK_COMPLETE"


def test_it_says_which_resource_and_why(story: Story) -> None:
    [line, *_] = story.refused.done.stderr.strip().splitlines()[-2:]
    assert line.startswith(f"slipway: {NAME} was not deployed: ApiFunctionAliaslive: "), (
        story.refused.done.stderr
    )


def test_sam_makes_the_same_release(story: Story) -> None:
    """Each build is one: it is published, and CodeDeploy is asked."""
    assert len(story.rung.deployments) == len(story.refused.deployments) + 1
    assert story.rung.status[NAME] == "UPDATE_ROLLBACK_COMPLETE"


def test_an_alarm_that_rings_stops_a_release(story: Story) -> None:
    assert story.rung.done.returncode != 0
    assert "alarms have been activated" in " ".join(story.rung.failures)
    assert (story.rung.alias, story.rung.version["commit"]) == ("2", story.second.commit)


def test_and_does_not_stop_the_one_that_mends_it(story: Story) -> None:
    assert story.ignored.done.returncode == 0, story.ignored.done.stdout + story.ignored.done.stderr
    assert story.ignored.version["commit"] == story.ignored.commit
    assert story.ignored.ready == 200
    assert story.ignored.watched


def test_a_pipeline_sees_no_password(story: Story) -> None:
    """Without one it calls what anybody may call."""
    assert "Password" not in story.ignored.done.stdout
    assert len(re.findall(r"^ *\d+ +ok +\d{3} ", story.ignored.done.stdout, re.MULTILINE)) == 4


def test_the_printed_line_asks_the_migration_function(story: Story) -> None:
    assert story.invoked.returncode == 0, story.invoked.stderr
    answer, _ = json.JSONDecoder().raw_decode(story.invoked.stdout)
    assert (answer["verdict"], answer["from"]) == ("current", "aaaaaaaaaaaa"), story.invoked.stdout


def test_deleting_a_release_deletes_nothing_else(story: Story) -> None:
    assert story.deleted.returncode == 0, story.deleted.stdout + story.deleted.stderr
    assert NAME not in story.after
    assert story.after[f"{NAME}-network"] == story.after[f"{NAME}-database"] == "CREATE_COMPLETE"
    assert story.rows == 1


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"ENV": "test"}, "slipway: which environment? ENV=dev or ENV=staging or ENV=prod"),
        (
            {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""},
            "slipway: which region? set AWS_DEFAULT_REGION, such as",
        ),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "slipway: AWS does not know you: "),
    ],
    ids=["environment", "region", "credentials"],
)
def test_what_is_missing_is_said_in_one_line(place: Place, variables: dict[str, str], line: str) -> None:
    done = place.run("make", "-s", "deploy", **variables)
    assert done.returncode != 0
    assert done.stderr.startswith(line), done.stderr


def test_a_stack_that_never_was_is_deleted_where_that_is_agreed_to(place: Place) -> None:
    broken = "Resources: {Stream: {Type: AWS::Logs::LogStream, Properties: {}}}"
    assert place.cloud.apply(broken, "slipway-dev-network") == "ROLLBACK_COMPLETE"
    done = place.run("make", "-s", "deploy", ENV="dev")
    said = "slipway-dev-network is in ROLLBACK_COMPLETE: it never was there, and has to be deleted first"
    assert done.stderr.startswith(f"slipway: {said}; AGREE=yes agrees to it"), done.stderr
    # goes on, as far as to a processor that there is none of
    done = place.run("make", "-s", "deploy", ENV="dev", AGREE="yes", ARCH="none")
    assert "slipway-dev-network: deleted" in done.stdout, done.stdout + done.stderr
    assert place.cloud.stack("slipway-dev-network")["StackStatus"] == "CREATE_COMPLETE"

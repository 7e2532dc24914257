"""The same checkout in containers: made, joined by functions, refused, deleted; and one for a trial."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ops.cloud.doors import Door
from tests.cloud.place import Place

pytestmark = pytest.mark.cloud

NAMED = "api.example.com"
NEWEST = "94fb9396801f"
CALLS = re.compile(r"^ *\d+ +ok +\d{3} ", re.MULTILINE)


@dataclass
class Seen:
    """After one deployment."""

    done: subprocess.CompletedProcess[str]
    commit: str  # of the checkout that was deployed
    status: str  # the stack's
    answers: dict[str, tuple[int, dict[str, Any]]]  # /ready and /version, by door
    revision: str  # the schema's
    weights: list[int]  # of blue and green
    tasks: list[str]  # that run
    runs: list[tuple[str, str]]  # of the migration function: action and result, oldest first
    failures: list[str]


def deploy(place: Place, **variables: str) -> Seen:
    commit = place.commit("a release")
    done = place.run("make", "-s", "deploy", **variables)
    print(done.stdout, done.stderr)  # noqa: T201  # where the story breaks off
    outputs = place.cloud.outputs(place.stack)
    told = [url for url in place.run("make", "-s", "url").stdout.split() if NAMED not in url]
    return Seen(
        done,
        commit,
        str(place.cloud.stack(place.stack)["StackStatus"]),
        {url: answers(place, url) for url in told},
        place.query("SELECT version_num FROM alembic_version")[0][0],
        weights(place) if "ContainersUrl" in outputs else [],
        tasks(place, outputs["ServiceName"]) if "ServiceName" in outputs else [],
        place.query("SELECT action, result FROM schema_ledger ORDER BY at"),
        place.cloud.failures(place.stack),
    )


def answers(place: Place, url: str) -> tuple[int, dict[str, Any]]:
    door = Door(url, NAMED if url.startswith("https:") else "")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(place.ca))
        with door.client() as client:
            return client.get("/ready").status_code, client.get("/version").json()


def weights(place: Place) -> list[int]:
    rule = place.cloud.call("elbv2", "describe_rules", RuleArns=[place.resource("ListenerRule")])["Rules"][0]
    both = {
        one["TargetGroupArn"]: one["Weight"] for one in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
    }
    return [both[place.resource(name)] for name in ("Blue", "Green")]


def tasks(place: Place, service: str) -> list[str]:
    listed = place.cloud.call("ecs", "list_tasks", cluster=service.split("/")[1], desiredStatus="RUNNING")
    return list(listed["taskArns"])


@dataclass
class Story:
    trial: Seen  # without a load balancer
    both: Seen  # with one, functions beside it, and a revision
    frozen: Seen  # an edit of the rule that ECS moves
    named: Seen  # containers alone, with a name
    records: set[tuple[str, str, str]]  # of its zone
    target: str  # of the name
    refused: Seen  # its migration is
    functions: Seen  # alone, and a revision
    deleted: str  # the status
    calls: list[list[str]]  # of docker
    left: list[str]  # tasks, after all


@pytest.fixture(scope="module")
def story(place: Place, tell: Callable[[str], None]) -> Story:
    """All that happens, in its order, told as it goes; the tests look at what it left."""
    tell("a trial, without a load balancer, and all that it stands on")
    place.give(Runs="container", LoadBalancer="none")
    trial = deploy(place)
    [password] = re.findall(r"Password +(\S+)", trial.done.stdout) or [""]
    tell("behind a load balancer, functions beside it, and a revision")
    place.give(Runs="both", LoadBalancer="yes")
    place.add_revision("aaaaaaaaaaaa", NEWEST, "nickname")
    both = deploy(place, ADMINISTRATOR_PASSWORD=password)
    tell("an edit of the rule that ECS moves")
    file = place.folder / "template.yaml"
    written = file.read_text()
    file.write_text(written.replace("Priority: 1", "Priority: 2"))
    frozen = deploy(place)
    file.write_text(written)
    tell("containers alone, with a name of their own")
    place.give(Runs="container")
    place.name(NAMED)
    named = deploy(place, SSL_CERT_FILE=str(place.ca))
    records, target = place.records(), place.cloud.outputs(place.stack)["DomainTarget"]
    tell("a release whose migration is refused")
    place.add_revision("bbbbbbbbbbbb", "aaaaaaaaaaaa", "email")
    refused = deploy(place)
    place.take_back_revision("bbbbbbbbbbbb")
    tell("functions alone, and a revision")
    place.give(Runs="lambda", DomainName="", HostedZoneId="")
    place.add_revision("cccccccccccc", "aaaaaaaaaaaa", "motto")
    service = place.cloud.outputs(place.stack)["ServiceName"]
    functions = deploy(place)
    left = tasks(place, service)
    deleted = place.cloud.delete(place.stack)
    calls = [json.loads(line) for line in (place.images / "calls").read_text().splitlines()]
    return Story(trial, both, frozen, named, records, target, refused, functions, deleted, calls, left)


def test_one_command_makes_all_of_it(story: Story) -> None:
    """With an address of its own, which another command tells."""
    assert story.trial.done.returncode == 0, story.trial.done.stdout + story.trial.done.stderr
    assert story.trial.status == "CREATE_COMPLETE"
    [(url, (ready, version))] = story.trial.answers.items()
    assert re.fullmatch(r"http://[\d.]+:8000", url)
    assert (ready, version["commit"], version["revision"]) == (200, story.trial.commit, NEWEST)
    assert len(CALLS.findall(story.trial.done.stdout)) == 14


def test_no_task_starts_on_an_empty_database(story: Story) -> None:
    """ECS calls the gate on a first creation, too, which makes the schema before there is a task."""
    assert story.trial.runs[:2] == [("upgrade", "ok"), ("released", "ok")]
    assert "Schema: current, 0 revisions applied" in story.trial.done.stdout


def test_the_image_is_of_this_release(story: Story) -> None:
    login, build, push = story.calls[:3]
    assert login[0] == "login"
    assert build[0] == "build"
    assert f"COMMIT={story.trial.commit}" in build
    assert build[build.index("--platform") + 1].startswith("linux/")
    assert push == ["push", build[build.index("--tag") + 1]]
    assert push[1].endswith(f"-{story.trial.commit}")


def test_both_doors_are_of_the_same_release(story: Story) -> None:
    assert story.both.done.returncode == 0, story.both.done.stdout + story.both.done.stderr
    assert [bool(re.fullmatch(r"http://localhost:\d+", url)) for url in story.both.answers] == [False, True]
    for ready, version in story.both.answers.values():
        assert (ready, version["commit"], version["revision"]) == (200, story.both.commit, "aaaaaaaaaaaa")
    assert len(CALLS.findall(story.both.done.stdout)) == 28


def test_the_old_task_ends(story: Story) -> None:
    assert len(story.both.tasks) == 1
    assert story.both.tasks != story.trial.tasks


def test_a_refused_migration_starts_no_task(story: Story) -> None:
    assert story.refused.done.returncode != 0
    assert story.refused.status == "UPDATE_ROLLBACK_COMPLETE"
    assert story.refused.revision == "aaaaaaaaaaaa"
    [(ready, version)] = story.refused.answers.values()
    assert (ready, version["commit"]) == (200, story.named.commit)


def test_it_says_which_resource_and_why(story: Story) -> None:
    [line] = [line for line in story.refused.done.stderr.splitlines() if line.startswith("slipway: ")]
    assert re.match(r"slipway: slipway-staging was not deployed: Service: ", line)


def test_the_rule_that_ecs_moves_is_not_edited(story: Story) -> None:
    assert story.frozen.done.returncode != 0
    assert "slipway: this would change ListenerRule, which ECS moves" in story.frozen.done.stderr
    # the change set was not executed
    assert (story.frozen.status, story.frozen.answers) == (story.both.status, story.both.answers)


def test_a_name_leads_to_the_load_balancer(story: Story) -> None:
    """With TLS alone; the program asks by the name, at the load balancer's own address."""
    assert story.named.done.returncode == 0, story.named.done.stdout + story.named.done.stderr
    assert story.records == {("api.example.com.", kind, story.target) for kind in ("A", "AAAA")}
    assert "ContainersUrl          https://localhost:" in story.named.done.stdout
    assert len(CALLS.findall(story.named.done.stdout)) == 4


def test_the_traffic_goes_over_to_the_other_colour(story: Story) -> None:
    assert (story.both.weights, story.named.weights) == ([100, 0], [0, 100])


def test_functions_that_are_new_get_their_schema_from_the_program(story: Story) -> None:
    """CodeDeploy has no hook for a first creation, and there are no containers any more."""
    assert story.functions.done.returncode == 0, story.functions.done.stdout + story.functions.done.stderr
    assert "Schema: current, 1 revisions applied" in story.functions.done.stdout
    [(ready, version)] = story.functions.answers.values()
    assert (ready, version["revision"]) == (200, "cccccccccccc")


def test_containers_end_with_their_service(story: Story) -> None:
    assert (story.functions.tasks, story.left) == ([], [])
    assert story.deleted == "DELETE_COMPLETE"

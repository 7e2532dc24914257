"""The Jenkinsfile, by a model of Jenkins that executes each shell step; make and docker only take notes."""

import re

import pytest

from tests.pipelines.jenkins import SECRET, Asked, Jenkins, Played

pytestmark = pytest.mark.pipeline

CHECKS = ["check", "test", "test T=-m artifact", "cloud-test", "test T=-m pipeline", "test T=-m container"]
CHECKS += ["scan"]
DEPLOY = ["plan ENV=staging", "deploy ENV=staging"]
LOAD = ["url ENV=staging", "load URL=https://api.example.com"]
STAGING = [*CHECKS, *DEPLOY, *LOAD]
PROD = ["plan ENV=prod", "deploy ENV=prod"]
BACK = "rollback ENV=staging"
ELSEWHERE = "docker.io/you/slipway"
# what is asked for, what make is called with, how it ends
CASES = {
    "main": (Asked(), [*STAGING, *PROD], "SUCCESS"),
    "a pull request": (Asked(branch="PR-7", change="7"), CHECKS, "SUCCESS"),
    "another branch": (Asked(branch="spike"), CHECKS, "SUCCESS"),
    "refused before prod": (Asked(answer="no"), STAGING, "ABORTED"),
    "a failing check": (Asked(fails="make check:2"), CHECKS[:1], "FAILURE"),
    "a failing test": (Asked(fails="make test:1"), CHECKS[:2], "FAILURE"),
    "a failing scan": (Asked(fails="make scan:1"), CHECKS, "FAILURE"),
    "a failing plan": (Asked(fails="make plan ENV=staging:1"), [*CHECKS, DEPLOY[0]], "FAILURE"),
    # its smoke, too: it has gone back by then
    "a failing deploy": (Asked(fails="make deploy ENV=staging:1"), [*CHECKS, *DEPLOY], "FAILURE"),
    "a failing load": (Asked(fails="make load:1"), [*STAGING, BACK], "FAILURE"),
    "a load that is ended": (Asked(fails="make load:143"), [*STAGING, BACK], "ABORTED"),
    "no address": (Asked(fails="make url:1"), [*STAGING[:-1], BACK], "FAILURE"),
    "a failing deploy to prod": (Asked(fails="make deploy ENV=prod:1"), [*STAGING, *PROD], "FAILURE"),
    "images elsewhere": (Asked(images=ELSEWHERE), [*STAGING, *PROD], "SUCCESS"),
    "a failing sign-in": (Asked(images=ELSEWHERE, fails="docker login:1"), [*CHECKS, DEPLOY[0]], "FAILURE"),
}


@pytest.fixture(scope="module")
def builds(jenkins: Jenkins) -> dict[str, Played]:
    return jenkins.play({name: asked for name, (asked, _, _) in CASES.items()})


@pytest.mark.parametrize("name", CASES)
def test_what_is_called_and_how_it_ends(name: str, builds: dict[str, Played]) -> None:
    build, (_, called, result) = builds[name], CASES[name]
    assert build.all_of("refused") == []
    assert (build.called(), build.all_of("result")) == (called, [result]), build.console


@pytest.mark.parametrize("name", CASES)
def test_nothing_stays_held_and_each_workspace_is_removed(name: str, builds: dict[str, Played]) -> None:
    build = builds[name]
    assert [lock["resource"] for lock in build.all_of("lock")] == build.all_of("unlock")
    assert build.all_of("agent")[0] == "slipway-checks"
    assert build.all_of("clean") == [True] * len(build.all_of("left"))
    assert build.all_of("left") == [label for label in build.all_of("agent") if isinstance(label, str)]


def test_nothing_is_held_while_an_approval_is_waited_for(builds: dict[str, Played]) -> None:
    [asked] = [note for note in builds["main"].notes if "input" in note]
    assert (asked["locks"], asked["agent"]) == ([], False)
    assert asked["input"]["submitter"] == "slipway-approvers"
    assert builds["main"].all_of("echo") == ["Approved by ada"]
    assert "input" not in str(builds["a pull request"].notes)


def test_each_environment_is_locked_while_it_changes(builds: dict[str, Played]) -> None:
    held: list[str] = []
    seen = []
    for note in builds["a failing load"].notes + builds["main"].notes:
        held = note.get("locks", held) if "unlock" not in note else []
        if environment := re.search(r"ENV=(\w+)", note.get("called", "")):
            seen.append(held == [f"slipway-{environment[1]}"])
    assert len(seen) == 9
    assert all(seen)


def test_no_lock_is_taken_for_a_pull_request(builds: dict[str, Played]) -> None:
    assert builds["a pull request"].all_of("lock") == []
    assert builds["a pull request"].all_of("credentials") == []
    assert {note["because"] for note in builds["a pull request"].notes if "skipped" in note} == {"when"}


def test_a_newer_build_ends_the_older_one_of_a_pull_request_alone(builds: dict[str, Played]) -> None:
    for name, ends in {"main": False, "a pull request": True, "another branch": False}.items():
        assert builds[name].all_of("options")[0]["disableConcurrentBuilds"] == {"abortPrevious": ends}


def test_all_that_may_take_long_has_a_limit(builds: dict[str, Played]) -> None:
    limits = [(limit["time"], limit["unit"]) for limit in builds["main"].all_of("timeout")]
    assert limits == [(2, "HOURS"), (2, "HOURS"), (1, "DAYS"), (2, "HOURS")]


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_it_signs_in_to_aws_by_a_role_and_no_key(environment: str, builds: dict[str, Played]) -> None:
    known = builds["main"].environment(f"make deploy ENV={environment}")
    assert known["AWS_PROFILE"] == f"slipway-{environment}"
    assert known["AWS_CONFIG_FILE"].startswith("[profile slipway-staging]")
    assert known["CI"] == "true"
    assert set(known) == {"AWS_CONFIG_FILE", "AWS_PROFILE", "CI", "DOCKER_CONFIG"}
    assert set(builds["main"].environment("make check")) == {"CI"}


def test_images_elsewhere_take_a_password_that_is_never_an_argument(builds: dict[str, Played]) -> None:
    build = builds["images elsewhere"]
    logins = [note for note in build.notes if note.get("called", "").startswith("docker")]
    assert {login["called"] for login in logins} == {"docker login --username you --password-stdin docker.io"}
    assert [login["said"].strip() for login in logins] == [SECRET] * 2
    assert [login["environment"]["AWS_PROFILE"] for login in logins] == ["slipway-staging", "slipway-prod"]
    assert "printenv IMAGES_PASSWORD" in build.console
    assert SECRET not in build.console
    # what docker writes down goes with the workspace
    places = [login["environment"]["DOCKER_CONFIG"] for login in logins]
    assert all(re.search(r"/workspace-\d/\.data/docker$", place) for place in places)
    assert builds["main"].called("docker") == []


def test_reports_and_artifacts_are_kept(builds: dict[str, Played]) -> None:
    reports = ["artifact.xml", "cloud.xml", "image.xml", "pipelines.xml", "test.xml"]
    assert builds["main"].all_of("junit") == [reports]
    coverage = "dist/reports/coverage/index.html"
    kept = sorted([coverage, *(f"dist/reports/{name}" for name in reports)])
    assert builds["main"].all_of("kept") == [kept, ["dist/release.yaml"], ["dist/release.yaml"]]
    assert builds["a failing test"].all_of("junit") == [["test.xml"]]
    assert builds["a failing test"].all_of("bad") == [1]
    assert builds["a failing check"].all_of("kept") == [[]]


def test_without_docker_the_image_is_not_passed_over(builds: dict[str, Played]) -> None:
    assert builds["main"].environment("make test T=-m container")["MUST_RUN"] == "docker"

"""Each workflow, run by act: what is called with what, in which order, and what is not where one fails."""

import re
from typing import Any

import pytest

from tests.pipelines.acting import PREVIEW, REGION, ROLE, SQL, URL, Stage

pytestmark = pytest.mark.pipeline
SIGN_IN = "aws-actions/configure-aws-credentials"
CHECKS = [
    "make check", "make test", "make test", "make test T=-m artifact", "make cloud-test",
    "make test T=-m pipeline", "make test T=-m container", "make scan",
]  # fmt: skip
STAGING = [
    "make plan ENV=staging",
    "make deploy ENV=staging",
    "make -s url ENV=staging",
    f"make load URL={URL}",
]
PROD = ["make plan ENV=prod", "make deploy ENV=prod", "make -s url ENV=prod"]
AFTER = ("staging", "approval", "prod")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("stage"))


def pull_request(action: str, repository: str = "you/slipway", login: str = "you") -> dict[str, Any]:
    asked = {"number": 7, "user": {"login": login}, "base": {"ref": "main"}}
    head = {"ref": "age", "repo": {"full_name": repository}}
    return {"action": action, "pull_request": asked | {"head": head}}


def test_a_pull_request_passes_every_check_without_a_role(stage: Stage) -> None:
    run = stage.run("check", "pull_request", payload=pull_request("opened"))
    assert run.code == 0, run.said
    assert sorted(run.made()) == sorted(CHECKS)
    assert run.made("templates") == ["make test T=-m artifact", "make cloud-test"]
    assert run.call("make test T=-m container")["MUST_RUN"] == "docker"
    assert {call["CI"] for call in run.calls} == {"true"}
    assert not run.given(SIGN_IN)
    assert not [call for call in run.calls if "GH_TOKEN" in call]
    # what was installed is kept by job, processor, Python, and all the requirements
    keys = {given["key"].split("-")[0]: given["key"] for _, given in run.given("actions/cache")}
    assert sorted(keys) == ["check", "image", "pipelines", "scan", "templates", "test"]
    assert all(re.fullmatch(r"\w+-\w+-3\.11\.0-[0-9a-f]{64}", key) for key in keys.values())


def test_both_pythons_are_tested_with_their_coverage_in_the_summary(stage: Stage) -> None:
    run = stage.run("check", "pull_request", job="test")
    given = [given["python-version"].split() for _, given in run.given("actions/setup-python")]
    assert sorted(given) == [["3.13", "3.11"], ["3.13", "3.13"]]
    for version in ("3.11", "3.13"):
        assert f"### Coverage on Python {version}\n\n| Name " in run.summary
    assert run.summary.count("| **TOTAL** ") == 2


def test_main_goes_to_staging_and_after_approval_to_prod(stage: Stage) -> None:
    run = stage.run("deploy", "push")
    assert run.code == 0, run.said
    assert sorted(run.made("check", "test", "templates", "pipelines", "image", "scan")) == sorted(CHECKS)
    asked = "gh api repos/you/slipway/environments/approval --jq .protection_rules[].type"
    assert run.made()[len(CHECKS) :] == [*STAGING, asked, *PROD]
    signed_in = {"role-to-assume": ROLE, "aws-region": REGION}
    assert run.given(SIGN_IN) == [("staging", signed_in), ("prod", signed_in)]
    for call in map(run.call, [*STAGING, *PROD]):
        assert (call["AWS_ROLE"], call["AWS_REGION"]) == (ROLE, REGION)
    assert [call["call"] for call in run.calls if "ADMINISTRATOR_PASSWORD" in call] == [STAGING[1], PROD[1]]
    assert [call["call"] for call in run.calls if "GH_TOKEN" in call] == [asked]
    for environment in ("staging", "prod"):
        assert f"### Plan of {environment}\n\n~~~\n{SQL}\n~~~" in run.summary
        assert f"### Told by make deploy ENV={environment}" in run.summary
    assert "### Coverage on Python 3.13" in run.summary


@pytest.mark.parametrize(
    ("job", "failing"),
    [
        ("check", "make check"),
        ("test", "make test"),
        ("templates", "make test T=-m artifact"),
        ("templates", "make cloud-test"),
        ("pipelines", "make test T=-m pipeline"),
        ("image", "make test T=-m container"),
        ("scan", "make scan"),
    ],
)
def test_what_fails_fails_its_job(stage: Stage, job: str, failing: str) -> None:
    run = stage.run("check", "pull_request", failing, job=job)
    assert run.code != 0
    assert run.made()[-1] == failing


def test_nothing_is_deployed_where_a_check_fails(stage: Stage) -> None:
    run = stage.run("deploy", "push", "make scan")
    assert run.code != 0
    assert sorted(run.made()) == sorted(CHECKS)
    assert not run.given(SIGN_IN)


@pytest.mark.parametrize(
    ("failing", "called"),
    [
        ("make plan ENV=staging", STAGING[:1]),
        # a failed smoke among them: the program goes back by itself, and exits non-zero
        ("make deploy ENV=staging", STAGING[:2]),
        ("make -s url", [*STAGING[:3], "make rollback ENV=staging"]),
        ("make load", [*STAGING, "make rollback ENV=staging"]),
    ],
)
def test_what_fails_in_staging_fails_the_job_and_prod_is_left_alone(
    stage: Stage, failing: str, called: list[str]
) -> None:
    run = stage.run("deploy", "push", failing)
    assert run.code != 0
    assert run.made(*AFTER) == called
    assert ("### Told by make rollback ENV=staging" in run.summary) == (
        called[-1].startswith("make rollback")
    )


def test_prod_is_refused_where_nobody_approves(stage: Stage) -> None:
    """GitHub waits for the reviewers, of which act knows nothing; this is where nobody named them."""
    run = stage.run("deploy", "push", gh_api="branch_policy")
    assert run.code != 0
    assert not run.made("prod")
    assert "approval has no reviewers" in run.said


def test_a_failed_deployment_of_prod_fails_the_job(stage: Stage) -> None:
    run = stage.run("deploy", "push", "make deploy ENV=prod")
    assert run.code != 0
    assert run.made("prod") == PROD[:2]


@pytest.mark.parametrize("action", ["opened", "reopened", "synchronize"])
def test_a_pull_request_gets_a_preview_and_its_url_in_the_one_comment(stage: Stage, action: str) -> None:
    run = stage.run("preview", "pull_request", payload=pull_request(action))
    assert run.code == 0, run.said
    comment = (
        f"gh pr comment 7 -R you/slipway --edit-last --create-if-none --body The preview is at {PREVIEW}"
    )
    assert run.made() == ["make preview ENV=dev NAME=pr7", comment]
    assert run.call("make preview")["AWS_ROLE"] == ROLE
    assert run.call("make preview")["ADMINISTRATOR_PASSWORD"] == "the first one"
    assert [call["call"] for call in run.calls if "GH_TOKEN" in call] == [comment]


def test_a_preview_that_fails_is_no_url(stage: Stage) -> None:
    run = stage.run("preview", "pull_request", "make preview", payload=pull_request("opened"))
    assert run.code != 0
    assert run.made() == ["make preview ENV=dev NAME=pr7"]


def test_a_closed_pull_request_loses_its_preview(stage: Stage) -> None:
    run = stage.run("preview", "pull_request", payload=pull_request("closed"))
    assert run.code == 0, run.said
    assert run.made()[0] == "make preview ENV=dev NAME=pr7 DOWN=yes"
    assert run.made()[1].endswith("The preview is gone")


@pytest.mark.parametrize(
    ("action", "repository", "login"),
    [
        ("opened", "stranger/slipway", "stranger"),
        ("closed", "stranger/slipway", "stranger"),
        ("opened", "you/slipway", "dependabot[bot]"),
    ],
)
def test_a_fork_or_a_dependency_gets_no_preview_and_no_role(
    stage: Stage, action: str, repository: str, login: str
) -> None:
    run = stage.run("preview", "pull_request", payload=pull_request(action, repository, login))
    assert run.code == 0, run.said
    assert run.calls == []


def test_the_nightly_sweep_keeps_the_previews_of_open_pull_requests(stage: Stage) -> None:
    run = stage.run("preview", "schedule")
    assert run.code == 0, run.said
    listed, swept = run.made()
    # word for word: a filter that gives nothing would have every preview deleted
    mapped = 'map("pr\\(.number)") | join(" ")'
    assert listed == f"gh pr list -R you/slipway --limit 1000 --json number --jq {mapped}"
    assert swept == "make preview ENV=dev DOWN=yes KEEP=pr7 pr12"


def test_the_sweep_deletes_nothing_where_the_list_is_not_to_be_had(stage: Stage) -> None:
    run = stage.run("preview", "schedule", "gh pr list")
    assert run.code != 0
    assert len(run.made()) == 1


@pytest.mark.parametrize("release", ["", "20261125-0123abcd", "$(shell false)"])
def test_a_rollback_by_hand(stage: Stage, release: str) -> None:
    inputs = {"inputs": {"environment": "prod", "release": release}}
    run = stage.run("rollback", "workflow_dispatch", payload=inputs)
    assert run.code == 0, run.said
    assert run.made() == ["make rollback ENV=prod"]
    assert run.call("make rollback").get("TO", "") == release
    assert run.call("make rollback")["AWS_ROLE"] == ROLE
    assert "### Told by make rollback ENV=prod" in run.summary


def test_drift_looks_at_both_environments_even_where_one_has_drifted(stage: Stage) -> None:
    run = stage.run("drift", "schedule", "make doctor ENV=staging")
    assert run.code != 0
    assert sorted(run.made()) == ["make doctor ENV=prod", "make doctor ENV=staging"]


def test_zap_is_pointed_at_staging_from_a_job_without_a_role(stage: Stage) -> None:
    run = stage.run("zap", "schedule")
    assert run.code == 0, run.said
    given = {"target": f"{URL}/docs", "fail_action": "true", "cmd_options": "-I"}
    given["allow_issue_writing"] = "false"
    assert run.given("zaproxy/action-baseline") == [("zap", given)]
    assert [job for job, _ in run.given(SIGN_IN)] == ["where"]

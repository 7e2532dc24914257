"""What the workflows' files say: linted, pinned, without keys, with no more rights than they need."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops.environment import ROOT
from tests.checkout import commit, copy_checkout
from tests.pipelines.workflows import FILES, FOLDER, commands, jobs, workflow

pytestmark = pytest.mark.pipeline
NAMES = ["check", "deploy", "drift", "preview", "rollback", "zap"]
SIGN_IN = "aws-actions/configure-aws-credentials@"
USES = re.compile(r"uses: (\S+)(?: # (\S+))?")
KEY = "AKIA" + "Q3EGUZ7BXN5C2LTD"
# job: what it needs beside reading the code; id-token is in each that signs in, and nowhere else
MORE = {"deploy.approval": {"actions": "read"}, "zap.zap": {}}
PULLS = {"preview.preview": {"pull-requests": "write"}, "preview.sweep": {"pull-requests": "read"}}


def test_these_are_all() -> None:
    assert sorted(file.stem for file in FOLDER.iterdir()) == NAMES


def test_the_checks_and_then_main_in_order() -> None:
    assert commands("check") == [
        "check", "test", 'test T="-m artifact"', "cloud-test", 'test T="-m pipeline"',
        'test T="-m container"', "scan",
    ]  # fmt: skip
    assert commands("deploy") == [
        "plan ENV=staging", "deploy ENV=staging", 'load URL="$URL"', "rollback ENV=staging",
        "plan ENV=prod", "deploy ENV=prod",
    ]  # fmt: skip
    assert commands("preview") == [
        'preview ENV=dev NAME="pr$NUMBER"', 'preview ENV=dev NAME="pr$NUMBER" DOWN=yes',
        'preview ENV=dev DOWN=yes KEEP="$KEEP"',
    ]  # fmt: skip


def test_every_target_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {words.split()[0] for name in NAMES for words in commands(name)} | {"url"}
    assert called - targets == set()


def test_every_action_is_pinned_to_a_commit_of_the_one_list() -> None:
    rows = re.findall(r"^\| ([\w-]+/[\w-]+) \| (\S+) \| ([0-9a-f]{40}) \|$", listing(), re.MULTILINE)
    listed = {f"{name}@{commit}": tag for name, tag, commit in rows}
    found = dict(USES.findall("\n".join(file.read_text() for file in FILES)))
    ours = {name for name in found if name.startswith("./.github/")}
    assert {name: found[name] for name in found.keys() - ours} == listed
    assert all((ROOT / name).exists() for name in ours)


def listing() -> str:
    return (ROOT / "docs" / "github.md").read_text()


def test_there_is_no_key_and_one_secret() -> None:
    text = "\n".join(file.read_text() for file in FILES)
    assert set(re.findall(r"secrets\.(\w+)", text)) == {"ADMINISTRATOR_PASSWORD"}
    assert not re.findall(r"(?i)access-?_?key|session-?_?token|secrets: inherit|AKIA", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_has_no_rights_and_its_jobs_few(name: str) -> None:
    assert workflow(name)["permissions"] == {}
    assert all("permissions" in job for job in workflow(name)["jobs"].values())


@pytest.mark.parametrize(("name", "job"), jobs().items(), ids=list(jobs()))
def test_a_job(name: str, job: dict[str, Any]) -> None:
    """What it may, how long, where; one that signs in names its environment and waits for its turn there."""
    signs_in = [step for step in job["steps"] if step.get("uses", "").startswith(SIGN_IN)]
    rights = MORE.get(name, {"contents": "read"}) | PULLS.get(name, {})
    assert job["permissions"] == rights | ({"id-token": "write"} if signs_in else {})
    assert (job["runs-on"], job["timeout-minutes"] <= 55) == ("ubuntu-24.04", True)
    if "strategy" in job:  # one that fails leaves the others alone
        assert job["strategy"]["fail-fast"] is False
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    for step in signs_in:
        assert step["with"] == {
            "role-to-assume": "${{ vars.DEPLOY_ROLE }}",
            "aws-region": "${{ vars.AWS_REGION }}",
        }
        environment = job["environment"]
        waits = job.get("concurrency") or workflow(name.partition(".")[0])["concurrency"]
        assert waits["cancel-in-progress"] is False
        if not name.startswith("preview."):  # each of which is an environment of its own
            where = environment["name"] if isinstance(environment, dict) else environment
            assert (waits["group"], waits["queue"]) == (where, "max")


def test_what_a_pull_request_starts_is_not_its_authors_to_write() -> None:
    """pull_request_target and workflow_run would run with this repository's rights."""
    events = {event for name in NAMES for event in workflow(name)["on"]}
    assert events == {"pull_request", "push", "schedule", "workflow_call", "workflow_dispatch"}
    assert workflow("deploy")["on"] == {"push": {"branches": ["main"]}}


def test_a_newer_commit_ends_the_check_of_an_older_one() -> None:
    assert workflow("check")["concurrency"]["cancel-in-progress"] is True
    assert "github.event.pull_request.number || github.run_id" in workflow("check")["concurrency"]["group"]


def test_prod_waits_for_staging_and_approval() -> None:
    jobs = workflow("deploy")["jobs"]
    assert [jobs[name].get("needs") for name in jobs] == [None, "check", "staging", "approval"]
    assert jobs["approval"]["environment"] == "approval"


def test_they_are_linted() -> None:
    done = scan(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert found == ["gitleaks", "bandit", "actionlint", "zizmor", "check-jsonschema", "check-jsonschema"]


def scan(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-s", "scan"], cwd=folder, capture_output=True, text=True)


CHECK, ACTION = ".github/workflows/check.yml", ".github/actions/python/action.yml"
RUN = "- run: make scan"


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("docs/github.md", "# GitHub Actions", f"# {KEY}", "aws-access-token"),
        ("ops/build.py", "import os", "import os\nimport pickle", "B403"),
        (CHECK, RUN, "- run: make $PWD", "SC2086"),
        (CHECK, RUN, "- run: make ${{ nothing.at.all }}", "undefined variable"),
        (CHECK, RUN, "- run: make ${{ github.ref_name }}", "template-injection"),
        (CHECK, "@3d3c42e5aac5ba805825da76410c181273ba90b1", "@v7", "unpinned-uses"),
        (CHECK, "permissions: {}", "permissions: {}\nrun-name: 5", "Schema validation errors"),
        (ACTION, "name: Python", "name: Python\nlicence: MIT", "Schema validation errors"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, file: str, old: str, new: str, told: str) -> None:
    folder = copy_checkout(tmp_path / "checkout")
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    commit(folder)
    done = scan(folder)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr

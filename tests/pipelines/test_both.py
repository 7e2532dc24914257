"""Both pipelines call the same targets of the Makefile, in the same order, as their own files say."""

import re
import shutil
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from ops.environment import ROOT
from tests.pipelines.workflows import workflow

pytestmark = pytest.mark.pipeline

WORKFLOWS = ".github/workflows"
# a line of a shell; `make -s` only asks
CALL = re.compile(r"^\s*make (?!-s)(.+?)(?: +[|>#].*)?$", re.MULTILINE)
SHELL = re.compile(r"\bsh '''(.*?)'''|\bsh '([^'\n]*)'", re.DOTALL)


def calls(shell: str) -> list[str]:
    """`deploy ENV=prod`, `load URL=..`, without quotes."""
    return [re.sub(r"URL=\S+", "URL=..", call.replace('"', "").strip()) for call in CALL.findall(shell)]


def of_jenkinsfile(root: Path) -> list[str]:
    text = (root / "Jenkinsfile").read_text(encoding="utf-8")
    return [call for long, short in SHELL.findall(text) for call in calls(long or short)]


def of_workflow(root: Path, name: str) -> list[str]:
    """Job by job, each after those it needs; where a job is a workflow, what that calls."""
    found: list[str] = []
    for job in in_order(workflow(name, root / WORKFLOWS)["jobs"]):
        if called := re.fullmatch(rf"\./{WORKFLOWS}/(.+)\.yml", job.get("uses", "")):
            found += of_workflow(root, called[1])
        found += [call for step in job.get("steps", []) for call in calls(step.get("run", ""))]
    return found


def in_order(jobs: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    done: list[str] = []
    while len(done) < len(jobs):
        done.append(next(name for name in jobs if name not in done and needed(jobs[name]) <= set(done)))
    return [jobs[name] for name in done]


def needed(job: dict[str, Any]) -> set[str]:
    named = job.get("needs", [])
    return {named} if isinstance(named, str) else set(named)


def differences(root: Path) -> list[str]:
    """In words; none where both go one way."""
    jenkins, github = of_jenkinsfile(root), of_workflow(root, "deploy")
    before, check = list(takewhile(lambda call: "ENV=" not in call, jenkins)), of_workflow(root, "check")
    return [
        *(f"deploy.yml lacks `make {call}`, which the Jenkinsfile calls" for call in less(jenkins, github)),
        *(f"the Jenkinsfile lacks `make {call}`, which deploy.yml calls" for call in less(github, jenkins)),
        *([f"the order: {jenkins}, and {github}"] if jenkins != github else []),
        *([f"a pull request: {before}, and {check}"] if before != check else []),
    ]


def less(these: list[str], those: list[str]) -> list[str]:
    return [call for call in these if these.count(call) > those.count(call)]


def test_both_go_one_way() -> None:
    assert differences(ROOT) == []
    assert of_jenkinsfile(ROOT)[-1] == "deploy ENV=prod"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("Jenkinsfile", "make scan", "echo", "the Jenkinsfile lacks `make scan`, which deploy.yml calls"),
        ("Jenkinsfile", "make test'", "make test T=x'", "deploy.yml lacks `make test T=x`, which the Jenk"),
        ("Jenkinsfile", "make check", "make bench", "a pull request: "),
        ("Jenkinsfile", "make plan ENV=staging", "make plan ENV=prod", "the order: "),
        ("check.yml", "make cloud-test", "echo", "deploy.yml lacks `make cloud-test`, which the Jenkinsfile"),
        ("deploy.yml", "make rollback ENV=staging", "echo", "deploy.yml lacks `make rollback ENV=staging`"),
    ],
)
def test_what_one_side_lacks_is_said(name: str, old: str, new: str, said: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Jenkinsfile", tmp_path)
    shutil.copytree(ROOT / WORKFLOWS, tmp_path / WORKFLOWS)
    file = tmp_path / ("" if name == "Jenkinsfile" else WORKFLOWS) / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert any(one.startswith(said) for one in differences(tmp_path))


def test_a_job_comes_after_those_it_needs() -> None:
    first, second, third = {"id": 1}, {"id": 2, "needs": "one"}, {"id": 3, "needs": ["one", "two"]}
    assert in_order({"three": third, "two": second, "one": first}) == [first, second, third]

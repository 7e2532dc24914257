"""A copy of the checkout whose workflows act runs, with stand-ins for make, gh and the actions.

What act does otherwise than GitHub: it knows no environments (no reviewers, no variables of one alone), no
permissions, no OIDC, no concurrency between runs. Its schema lacks `queue`, and so does the copy.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.environment import ROOT
from ops.tools import environment_of
from tests.checkout import commit, git
from tests.pipelines.workflows import FILES

ROLE, REGION = "arn:aws:iam::123456789012:role/pipeline/deploy", "eu-central-1"
URL, PREVIEW = "https://api.example.com", "https://pr7.example.com"
SQL = "ALTER TABLE users ADD COLUMN age integer;"
ANSWERS = {
    "make plan": SQL,
    # the first run in a job may install, and say so
    "make -s url": f"install: installing\n{URL}\nhttps://abc.execute-api.eu-central-1.amazonaws.com",
    "make preview ENV=dev NAME=pr7": f"building\n{PREVIEW}",
    "gh api": "required_reviewers",
    "gh pr list": "pr7 pr12",
}
# of each action that is used, the inputs
INPUTS = {
    "actions/setup-python": ["python-version"],
    "actions/cache": ["path", "key", "restore-keys"],
    "aws-actions/configure-aws-credentials": ["role-to-assume", "aws-region"],
    "zaproxy/action-baseline": ["target", "cmd_options", "fail_action", "allow_issue_writing"],
}
STUB = """name: stand-in
description: keeps what it is given
inputs: {inputs}
outputs: {{python-version: {{description: made up, value: 3.11.0}}}}
runs:
  using: composite
  steps: [{{shell: bash, run: "{call} uses {name}", env: {{GIVEN: "${{{{ toJSON(inputs) }}}}"}}}}]
"""


@dataclass
class Run:
    """What came of it."""

    code: int
    calls: list[dict[str, Any]]
    lines: list[dict[str, Any]]

    def made(self, *jobs: str) -> list[str]:
        """The calls of make and gh, in order; of these jobs or of all."""
        calls = [call for call in self.calls if not jobs or call["GITHUB_JOB"] in jobs]
        return [call["call"] for call in calls if not call["given"]]

    def call(self, begins: str) -> dict[str, Any]:
        [found] = [call for call in self.calls if call["call"].startswith(begins)]
        return found

    def given(self, action: str) -> list[tuple[str, dict[str, str]]]:
        """By job, what the action was given, in order."""
        return [
            (call["GITHUB_JOB"], call["given"]) for call in self.calls if call["call"] == f"uses {action}"
        ]

    @property
    def summary(self) -> str:
        return "\n".join(line["content"] for line in self.lines if line.get("command") == "summary")

    @property
    def said(self) -> str:
        return "\n".join(line["msg"] for line in self.lines)


class Stage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        for name in (".github", "src", "requirements"):  # act copies all of it for each job
            shutil.copytree(ROOT / name, self.checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", self.checkout)
        for file in self.checkout.glob(".github/workflows/*.yml"):
            file.write_text(file.read_text().replace(", queue: max", ""))
        commit(self.checkout)
        git(self.checkout, "remote", "add", "origin", "https://github.com/you/slipway")
        stand_in = ROOT / "tests" / "stand_ins" / "called.py"
        self.call = f"{sys.executable} {stand_in} {folder}"
        for name in ("make", "gh"):
            file = folder / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(f'#!/bin/sh\nexec {self.call} {name} "$@"\n')
            file.chmod(0o755)
        self.stubs = stubs(folder, self.call)

    def run(
        self, workflow: str, event: str, *fails: str, payload: Any = None, job: str = "", **answers: str
    ) -> Run:
        """As GitHub would on `event`, or of it one job; calls that begin with one of `fails` fail."""
        self.write("fails", fails)
        self.write("answers", ANSWERS | {name.replace("_", " "): text for name, text in answers.items()})
        self.write(
            "event", {"repository": {"full_name": "you/slipway", "default_branch": "main"}} | (payload or {})
        )
        (self.folder / "calls").write_text("")
        command = [
            *act(self.folder, workflow, event), "-e", str(self.folder / "event"),
            "--var", f"DEPLOY_ROLE={ROLE}", "--var", f"AWS_REGION={REGION}",
            "-s", "ADMINISTRATOR_PASSWORD=the first one", "-s", "GITHUB_TOKEN=a token", *self.stubs,
            *(["-j", job] if job else []),
        ]  # fmt: skip
        home = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache")}
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=self.checkout,
            env={"PATH": path, **home},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        calls = map(json.loads, (self.folder / "calls").read_text().splitlines())
        # act itself asks gh for a token first
        return Run(done.returncode, [call for call in calls if "GITHUB_JOB" in call], lines_of(done.stdout))

    def write(self, name: str, content: Any) -> None:
        (self.folder / name).write_text(json.dumps(content))


def act(folder: Path, workflow: str, event: str) -> list[str]:
    """The command's beginning: jobs run as processes of this machine, nothing is fetched."""
    return [
        str(environment_of("pipelines") / "bin" / "act"), event, "-W", f".github/workflows/{workflow}.yml",
        "--json", "-P", "ubuntu-24.04=-self-hosted", "--no-cache-server", "--action-offline-mode",
        "--action-cache-path", str(folder / "actions"),
    ]  # fmt: skip


def lines_of(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def stubs(folder: Path, call: str) -> list[str]:
    """act's options that put stand-ins, which call `call`, in the place of others' actions."""
    options = []
    for name, ref in uses().items():
        stub = folder / "stubs" / name
        stub.mkdir(parents=True)
        inputs = json.dumps({given: {"description": given} for given in INPUTS[name]})
        (stub / "action.yml").write_text(STUB.format(inputs=inputs, call=call, name=name))
        options += ["--local-repository", f"{name}@{ref}={stub}"]
    return options


def uses() -> dict[str, str]:
    """The actions of others, but for the checkout, which act does itself, and their commits."""
    text = "\n".join(file.read_text() for file in FILES)
    found = dict(re.findall(r"uses: ([\w-]+/[\w-]+)@(\w+)", text))
    del found["actions/checkout"]
    return found

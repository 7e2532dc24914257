"""SAM CLI: what it says in a few lines, and all of it where it fails."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence

from ops.cloud.account import Account
from ops.cloud.change import carry_out
from ops.cloud.stack import Stack
from ops.environment import ROOT
from ops.terminal import fail, say
from ops.tools import environment_of

BUILDING = re.compile(r"Building codeuri: .* functions: (\w+)")
UPLOADING = re.compile(r"Uploading to \S+ +(\d+) / (\d+)")
MUCH = 1_000_000  # bytes, of which the way up is worth a line


def run(account: Account, stack: Stack, options: Sequence[str], parameters: Sequence[str]) -> None:
    """Makes a change set by `sam deploy`, and carries it out."""
    overrides = ["--parameter-overrides", *parameters] if parameters else []
    usual = ["--no-fail-on-empty-changeset", "--no-execute-changeset", "--capabilities", "CAPABILITY_IAM"]
    named = ["--stack-name", stack.name, *options]
    sam(account, "deploy", *named, *usual, *way(account, stack), *overrides)
    carry_out(account, stack)


def way(account: Account, stack: Stack) -> list[str]:
    """By the pipeline's bucket, but for the pipeline's own stack."""
    pipeline = account.stack("pipeline")
    if stack.name == pipeline.name:
        return []
    as_whom = [f"--role-arn={arn}" for arn in account.role().values()]
    return ["--s3-bucket", pipeline.outputs()["Bucket"], "--s3-prefix", stack.name, *as_whom]


def sam(account: Account, command: str, *options: str) -> None:
    """A failure ends the program."""
    words = [program(), command, *options, "--region", account.region]
    usual = os.environ | {"SAM_CLI_TELEMETRY": "0", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        words, cwd=ROOT, env=usual, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            said = list(told(running.stdout or []))
        except BaseException:
            running.terminate()
            raise
    if running.returncode:
        sys.stderr.writelines(said[-40:])
        fail(f"sam {command} failed: see the lines above")


def program() -> str:
    return str(environment_of("sam") / "bin" / "sam")


def told(lines: Iterable[str]) -> Iterable[str]:
    """Each line, when what it is about has been said."""
    percent = 0
    for line in lines:
        if found := BUILDING.search(line):
            say(f"  building {found[1]}")
        if (found := UPLOADING.search(line)) and int(found[2]) > MUCH:
            now = 100 * int(found[1]) // int(found[2])
            if now < percent or now - percent >= 25:
                percent = now
                say(f"  uploading {int(found[2]) / 1e6:.0f} MB: {now} %")
        else:
            yield line

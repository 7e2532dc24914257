"""template.yaml: SAM CLI accepts it, and builds from it what `make build` builds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.foundation.settings import Settings
from ops import emulator
from ops.environment import ROOT
from ops.tools import environment_of
from tests.checkout import copy_checkout
from tests.doors.test_artifact import MACHINES, build

pytestmark = pytest.mark.artifact

# nothing is sent to AWS
QUIET = {"SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}


def sam(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(environment_of("sam") / "bin" / "sam"), *arguments]
    return subprocess.run(command, cwd=folder, env=os.environ | QUIET, capture_output=True, text=True)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    program = (
        "import json, sys; from samcli.yamlhelper import yaml_parse; "
        "print(json.dumps(yaml_parse(sys.stdin.read())))"
    )
    python = environment_of("sam") / "bin" / "python"
    text = (ROOT / "template.yaml").read_text()
    done = subprocess.run([python, "-c", program], input=text, capture_output=True, text=True, check=True)
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_it_is_valid() -> None:
    done = sam("validate")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_function_and_variable_is_known(template: dict[str, Any]) -> None:
    common = template["Globals"]["Function"]
    assert {name.lower() for name in common["Environment"]["Variables"]} <= set(Settings.model_fields)
    assert common["Timeout"] == emulator.SECONDS
    functions = [
        part["Properties"]
        for part in template["Resources"].values()
        if part["Type"] == "AWS::Serverless::Function"
    ]
    assert len(functions) == 2
    for function in functions:
        module, _, name = function["Handler"].rpartition(".")
        program = [sys.executable, "-c", f"from {module} import {name}"]
        subprocess.run(program, env={"PYTHONPATH": "src", "ENVIRONMENT": "test"}, cwd=ROOT, check=True)


@pytest.mark.parametrize("architecture", MACHINES)
def test_sam_builds_what_make_build_builds(architecture: str, tmp_path: Path) -> None:
    copy = copy_checkout(tmp_path / "copy")
    done = sam("build", "--parameter-overrides", f"Architecture={architecture}", folder=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("ApiFunction", "MigrationFunction"):
        made = contents(copy / ".aws-sam" / "build" / name)
        assert made == contents(build(architecture).with_suffix(""))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

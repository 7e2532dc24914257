"""`sam build`: what `make build` builds, and for the gate just what Lambda's own Python lacks."""

import os
import subprocess
from pathlib import Path

import pytest

from ops.tools import environment_of
from tests.checkout import copy_checkout
from tests.doors.test_artifact import MACHINES, build

pytestmark = pytest.mark.artifact


@pytest.mark.parametrize("architecture", MACHINES)
def test_sam_builds_what_make_build_builds(architecture: str, tmp_path: Path) -> None:
    copy = copy_checkout(tmp_path / "copy")
    # nothing is sent to AWS
    quiet = os.environ | {"SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}
    sam = str(environment_of("sam") / "bin" / "sam")
    command = [sam, "build", "--parameter-overrides", f"Architecture={architecture}"]
    done = subprocess.run(command, cwd=copy, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    built = copy / ".aws-sam" / "build"
    for name in ("ApiFunction", "MigrationFunction"):
        assert contents(built / name) == contents(build(architecture).with_suffix(""))
    for name in ("GateFunction", "ReleasedFunction"):
        python = str(environment_of("sam") / "bin" / "python")
        program = [python, "-c", "import app.entrypoints.gate_lambda"]
        subprocess.run(program, cwd=built / name, env={}, check=True)
    assert (copy / "dist" / "release.yaml").read_text().startswith("ReleaseId: ")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

"""The GitHub workflows, as data."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from ops.environment import ROOT
from ops.tools import environment_of

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml")) + sorted(FOLDER.parent.glob("actions/*/action.yml"))
READ = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))"
# a line that is a call of make, without what becomes of its output; `make -s url` only asks
CALL = re.compile(r"^\s*make (?!-s)(?P<words>.+?)(?: \| .*)?$", re.MULTILINE)


@cache
def workflow(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """`name` without .yml; YAML 1.1 takes the key `on` for true."""
    python = environment_of("pipelines") / "bin" / "python"
    text = (folder / f"{name}.yml").read_text(encoding="utf-8")
    done = subprocess.run([python, "-c", READ], input=text, capture_output=True, text=True, check=True)
    read: dict[str, Any] = json.loads(done.stdout)
    return {"on" if key == "true" else key: value for key, value in read.items()}


def jobs() -> dict[str, dict[str, Any]]:
    """All that have steps, by `workflow.job`."""
    return {
        f"{file.stem}.{name}": job
        for file in FOLDER.glob("*.yml")
        for name, job in workflow(file.stem)["jobs"].items()
        if "steps" in job
    }


def commands(name: str) -> list[str]:
    """What a workflow calls make with, as written and in the file's order: `plan ENV=staging`."""
    steps = [step for job in workflow(name)["jobs"].values() for step in job.get("steps", [])]
    return [call["words"] for step in steps for call in CALL.finditer(step.get("run", ""))]

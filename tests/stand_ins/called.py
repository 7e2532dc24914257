"""In the place of make, gh and others' actions in a pipeline: keeps what it is called with, and answers.

`python called.py FOLDER make test ..`: a line of JSON in FOLDER/calls. FOLDER/answers has what calls print,
FOLDER/fails which of them fail, by what they begin with. `.. FOLDER uses NAME` is an action, given GIVEN.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

NAMES = ("GITHUB_JOB", "CI", "AWS_REGION", "AWS_ROLE", "TO", "MUST_RUN", "ADMINISTRATOR_PASSWORD", "GH_TOKEN")


def main(folder: Path, *words: str) -> int:
    told = {name: os.environ[name] for name in NAMES if os.environ.get(name)}
    given = json.loads(os.environ["GIVEN"]) if words[0] == "uses" else {}
    call = " ".join(words)
    with (folder / "calls").open("a") as calls:
        calls.write(json.dumps({"call": call, "given": given, **told}) + "\n")
    answers = json.loads((folder / "answers").read_text())
    print(*[answer for begins, answer in answers.items() if call.startswith(begins)], sep="\n")  # noqa: T201
    effects(call, given)
    return int(any(call.startswith(begins) for begins in json.loads((folder / "fails").read_text())))


def effects(call: str, given: dict[str, str]) -> None:
    if call == "make test":
        measure()
    if call.startswith(("make deploy", "make rollback")):  # as the program itself tells
        append("GITHUB_STEP_SUMMARY", f"### Told by {call}")
    if call == "uses aws-actions/configure-aws-credentials":
        append("GITHUB_ENV", f"AWS_REGION={given['aws-region']}\nAWS_ROLE={given['role-to-assume']}")


def append(variable: str, text: str) -> None:
    with Path(os.environ[variable]).open("a") as file:
        file.write(f"{text}\n")


def measure() -> None:
    """A coverage file, by the real coverage, of a small but real part."""
    Path(".venv").symlink_to(Path(sys.prefix))
    command = [sys.executable, "-m", "coverage", "run", "-m", "app.foundation.errors"]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": "src"}, check=True)


sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))

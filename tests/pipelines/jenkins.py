"""The model of Jenkins (tests/stand_ins/jenkins), run on one or many requests by Groovy."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.environment import ROOT

MODEL = ROOT / "tests/stand_ins/jenkins"
SECRET = "the-password-of-images"
CREDENTIALS = {
    "slipway-aws": {"file": "[profile slipway-staging]"},
    "slipway-images": {"username": "you", "password": SECRET},
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What one build is about; `text` is the Jenkinsfile."""

    branch: str = "main"
    change: str | None = None
    answer: str = "yes"
    fails: str = ""
    images: str = ""
    text: str = (ROOT / "Jenkinsfile").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Played:
    notes: list[dict[str, Any]]
    console: str

    def called(self, program: str = "make") -> list[str]:
        calls = [note["called"] for note in self.notes if "called" in note]
        return [call.removeprefix(f"{program} ") for call in calls if call.startswith(f"{program} ")]

    def all_of(self, kind: str) -> list[Any]:
        return [note[kind] for note in self.notes if kind in note]

    def environment(self, called: str) -> dict[str, str]:
        [found] = [note["environment"] for note in self.notes if note.get("called") == called]
        assert isinstance(found, dict)
        return found


class Jenkins:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        java = os.environ.get("JAVA_HOME") or str(Path(shutil.which("java") or "").resolve().parents[1])
        quick = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
        self.environment = {"PATH": os.environ["PATH"], "JAVA_HOME": java, "JAVA_OPTS": quick}
        self.groovy("groovyc", "-d", str(folder / "model"), *map(str, MODEL.glob("*.groovy")))
        (folder / "bin").mkdir()
        recorder = (MODEL.parent / "recorder.py").read_text(encoding="utf-8")
        for program in ("make", "docker"):
            (folder / "bin" / program).write_text(f"#!{sys.executable} -I\n{recorder}")
            (folder / "bin" / program).chmod(0o755)

    def groovy(self, *command: str) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr

    def play(self, builds: dict[str, Asked]) -> dict[str, Played]:
        """All in one Java machine, as it takes longer to start than a build does."""
        places = {name: self.place(build) for name, build in builds.items()}
        requests = [str(place / "request.json") for place in places.values()]
        self.groovy("groovy", "-cp", str(self.folder / "model"), "-e", "Run.main(args)", *requests)
        return {name: played(place) for name, place in places.items()}

    def place(self, build: Asked) -> Path:
        """A folder of its own, with the request in it."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        (place / "Jenkinsfile").write_text(build.text, encoding="utf-8")
        environment = {
            "BRANCH_NAME": build.branch,
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
            "RECORD": str(place / "record"),
            "FAILS": build.fails,
        }
        if build.change:
            environment["CHANGE_ID"] = build.change
        files = {"file": "Jenkinsfile", "record": "record", "console": "console"}
        wanted = {
            **{name: str(place / file) for name, file in files.items()},
            "work": str(place),
            "answer": build.answer,
            "parameters": {"IMAGES": build.images},
            "credentials": CREDENTIALS,
            "environment": environment,
        }
        (place / "request.json").write_text(json.dumps(wanted))
        return place


def played(place: Path) -> Played:
    console = place / "console"
    notes = [json.loads(line) for line in (place / "record").read_text().splitlines()]
    return Played(notes, console.read_text() if console.exists() else "")

"""What stands in for make and docker in a pipeline that is only watched: it notes how it was called.

FAILS, as `make load:1`, says what fails, and with which exit code. RECORD is the file of notes.
"""

import json
import os
import re
import sys
from pathlib import Path

ENVIRONMENT = re.compile(r"AWS_.*|CI|DOCKER_CONFIG|MUST_RUN")
REPORT = '<testsuite><testcase name="one">{}</testcase></testsuite>'


def main(program: str, words: list[str]) -> int:
    called = " ".join([program, *(word for word in words if word != "-s")])
    said = sys.stdin.read() if "--password-stdin" in words else ""
    known = {name: value for name, value in os.environ.items() if ENVIRONMENT.fullmatch(name)}
    if "AWS_CONFIG_FILE" in known:
        known["AWS_CONFIG_FILE"] = Path(known["AWS_CONFIG_FILE"]).read_text()
    with Path(os.environ["RECORD"]).open("a") as record:
        record.write(json.dumps({"called": called, "said": said, "environment": known}) + "\n")
    beginning, _, code = os.environ["FAILS"].partition(":")
    failing = bool(beginning) and called.startswith(beginning)
    leave(called, "<failure/>" if failing else "")
    return int(code) if failing else 0


def leave(called: str, fault: str) -> None:
    """What the real one would: reports, artifacts, URLs."""
    if report := re.search(r"--junitxml=(\S+)", os.environ.get("PYTEST_ADDOPTS", "")):
        put(report[1], REPORT.format(fault))
    if folder := re.search(r"--cov-report=html:(\S+)", os.environ.get("PYTEST_ADDOPTS", "")):
        put(f"{folder[1]}/index.html", "<p>97 %</p>")
    if called.startswith("make deploy"):
        put("dist/release.yaml", "ReleaseId: 1-abc\n")
    if called.startswith("make url"):
        sys.stdout.write("https://api.example.com\nhttps://abc.execute-api.example.com\n")


def put(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:]))

"""`make load`: a few visitors for a short while (bench/visitors.py); whether all were answered, and soon."""

import json
import os
import subprocess
from typing import Any

from ops.environment import ROOT
from ops.terminal import attend, fail, note, say
from ops.tools import environment_of

REPORT = ROOT / "dist/load.html"


def run() -> None:
    url = os.environ.get("URL", "").rstrip("/")
    if not url.startswith(("http://", "https://")):
        fail("load what? make load URL=https://..; `make url ENV=staging` tells")
    users, seconds, most = number("USERS", 10), number("SECONDS", 30), number("MOST_MS", 1000, least=0)
    found = visit(url, users, seconds)
    line = "{requests} requests, {failures} failed, 95 % within {p95_ms:.0f} ms, {per_second} a second"
    said, fault = line.format(**found), fault_of(found, most)
    note(f"- Load: {url}, {users} visitors for {seconds} s: {said}; {fault or 'sound'}")
    say(f"{said} (dist/load.html)")
    if fault:
        fail(f"{url}: {fault}")


def number(name: str, default: int, least: int = 1) -> int:
    given = os.environ.get(name) or str(default)
    if not given.isdecimal() or int(given) < least:
        fail(f"{name}={given} is no number from {least}")
    return int(given)


def visit(url: str, users: int, seconds: int) -> dict[str, Any]:
    python = str(environment_of("load") / "bin/python")
    # one after the other in the first third of the time: functions that all start cold at once are no answer
    command = [python, "-m", "locust", "--headless", "--only-summary", "--loglevel=WARNING",
               "--locustfile=bench/visitors.py", f"--host={url}", f"--users={users}",
               f"--spawn-rate={3 * users / seconds}", f"--run-time={seconds}", f"--html={REPORT}",
               "--exit-code-on-error=0"]  # fmt: skip
    REPORT.parent.mkdir(exist_ok=True)
    # Ctrl-C is locust's: its visitors sign out, and what they have seen is judged
    if attend(command, cwd=ROOT, stdin=subprocess.DEVNULL):
        fail("locust ended early: see the lines above")
    found: dict[str, Any] = json.loads(REPORT.with_suffix(".json").read_text())
    return found


def fault_of(found: dict[str, Any], most: int) -> str:
    requests, failures = found["requests"], found["failures"]
    if not requests or failures > requests / 100:
        return f"{failures} of {requests} requests failed, and one in a hundred may"
    if found["p95_ms"] > most:
        return f"95 % were answered within {found['p95_ms']:.0f} ms, and MOST_MS={most}"
    return ""

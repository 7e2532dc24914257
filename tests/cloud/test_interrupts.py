"""Stopped at each stage of a first deployment and of the next; the same command goes on, and ends well."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import httpx2
import pytest

from tests.cloud.place import Place

pytestmark = pytest.mark.cloud

CTRL_C, CANCELLED = signal.SIGINT, signal.SIGTERM  # at a terminal, and as Jenkins ends what it started
STAGES = {
    "slipway-staging-network: making it": CTRL_C,
    "building MigrationFunction": CANCELLED,
    r"uploading \d+ MB": CTRL_C,
    r"CREATE_IN_PROGRESS +ApiFunction$": CANCELLED,
    r"UPDATE_IN_PROGRESS +ApiFunctionAliaslive$": CTRL_C,  # the gate, and the traffic
    r"ok +200 +GET +/ready": CANCELLED,  # its smoke
}


@dataclass
class Stopped:
    code: int
    said: str


def stopped_at(place: Place, stage: str, by: signal.Signals) -> Stopped:
    """The whole group gets the signal; make passes SIGTERM on, to whom got it already."""
    with subprocess.Popen(
        ["make", "-s", "deploy"],
        cwd=place.folder,
        env=place.variables(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    ) as running:
        said, reached = "", False
        for line in running.stdout or []:
            if not reached and re.search(stage, line.rstrip()):
                reached = True
                os.killpg(running.pid, by)
            said += line
    assert reached, said
    return Stopped(running.returncode, said)


@pytest.fixture(scope="module")
def story(
    place: Place, tell: Callable[[str], None]
) -> tuple[list[Stopped], subprocess.CompletedProcess[str]]:
    place.commit("a release")
    stopped = []
    for stage, by in STAGES.items():
        tell(f"{by.name} at: {stage}")
        stopped.append(stopped_at(place, stage, by))
    tell("and again")
    return stopped, place.run("make", "-s", "deploy")


def test_it_says_what_goes_on_without_it(
    story: tuple[list[Stopped], subprocess.CompletedProcess[str]],
) -> None:
    for stage, stopped in zip(STAGES, story[0], strict=True):
        assert stopped.code != 0
        assert "slipway: stopped here; what AWS has begun goes on there" in stopped.said, stage
        assert "Traceback" not in stopped.said, stage


def test_the_same_command_ends_it_well(
    story: tuple[list[Stopped], subprocess.CompletedProcess[str]], place: Place
) -> None:
    again = story[1]
    assert again.returncode == 0, again.stdout + again.stderr
    for part in ("pipeline", "network", "database"):
        assert f"slipway-staging-{part}: there" in again.stdout
    with httpx2.Client(base_url=place.cloud.outputs(place.stack)["ApiUrl"], timeout=60) as client:
        assert client.get("/ready").status_code == 200

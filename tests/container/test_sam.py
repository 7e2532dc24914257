"""`make sam-local` and `make sam-invoke`: SAM CLI's own way to run the functions, on Compose's database."""

import json
import signal

import pytest

from tests.checkout import Checkout
from tests.container.conftest import docker

pytestmark = pytest.mark.container


def test_an_event_is_answered_and_a_failure_is_one(composed: Checkout) -> None:
    done = composed.make("sam-invoke", "EVENT=events/migrate-upgrade.json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["verdict"], len(answer["applied"])) == ("current", 2)
    done = composed.make("sam-invoke", "EVENT=events/migrate-drop_database.json")
    assert done.returncode != 0
    assert "slipway: MigrationFunction failed: there is no database preview_example" in done.stderr
    done = composed.make("sam-invoke", "EVENT=events/http-api-version.json")
    assert json.loads(done.stdout.splitlines()[-1])["statusCode"] == 200
    done = composed.make("sam-invoke", "EVENT=events/none.json")
    assert done.stderr.startswith(
        "slipway: there is no file events/none.json; `ls events` shows what there is"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_same_14_answers_through_sam(composed: Checkout, number: signal.Signals) -> None:
    running = docker("ps", "--quiet").split()
    door = composed.start("sam-local")
    told = door.wait_for("Press CTRL+C to quit")
    [line] = [line for line in told.splitlines() if "Try it: make " in line]
    demo = composed.make(*line.partition("Try it: make ")[2].split())
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert len(demo.stdout.splitlines()) == 14
    door.stop(number)
    assert composed.left_behind() == []
    composed.make("down")
    assert set(docker("ps", "--quiet").split()) <= set(running)

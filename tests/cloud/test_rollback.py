"""A release that does not answer, and one that is taken back: by the program, by hand, and by nobody."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.cloud.place import Place

pytestmark = pytest.mark.cloud

NEWEST = "94fb9396801f"


@dataclass
class Seen:
    done: subprocess.CompletedProcess[str]
    commit: str  # of the checkout
    answered: dict[str, Any]  # /version
    ready: int
    status: str  # the stack's


def run(place: Place, *command: str, **variables: str) -> Seen:
    commit = place.commit("a release")
    done = place.run(*command, **variables)
    print(done.stdout, done.stderr)  # noqa: T201  # where the story breaks off
    with httpx2.Client(base_url=place.cloud.outputs(place.stack)["ApiUrl"], timeout=60) as client:
        version, ready = client.get("/version").json(), client.get("/ready").status_code
    return Seen(done, commit, version, ready, str(place.cloud.stack(place.stack)["StackStatus"]))


@dataclass
class Story:
    first: Seen
    second: Seen  # with a revision
    hazard: Seen  # a revision that would stop every write meanwhile
    silent: Seen  # does not answer at /ready
    back: Seen  # by hand, to the first
    nothing: Seen  # before that there is none
    contracted: Seen  # takes something away
    refused: Seen  # to go back from there


@pytest.fixture(scope="module")
def story(place: Place, tell: Callable[[str], None]) -> Story:
    """All that happens, in its order; the tests look at what it left."""
    tell("a release, and another")
    first = run(place, "make", "-s", "deploy")
    place.add_revision("aaaaaaaaaaaa", NEWEST, "nickname")
    second = run(place, "make", "-s", "deploy", JSON="yes")
    tell("one with a dangerous revision")
    place.add_revision("dddddddddddd", "aaaaaaaaaaaa", "danger")
    dangerous = place.folder / "migrations/versions/20261201_dddddddddddd.py"
    adding = 'op.add_column("users", sa.Column("danger", sa.Text(), nullable=True))'
    dangerous.write_text(
        dangerous.read_text()
        .replace(adding, 'op.create_index("ix_users_name", "users", ["name"])')
        .replace('op.drop_column("users", "danger")', 'op.drop_index("ix_users_name")')
    )
    hazard = run(place, "make", "-s", "deploy")
    place.take_back_revision("dddddddddddd")
    tell("one that does not answer")
    router = place.folder / "src/app/resources/system/router.py"
    written = router.read_text()
    router.write_text(written.replace('"/ready"', '"/steady"'))
    silent = run(place, "make", "-s", "deploy")
    router.write_text(written)
    tell("back, by hand, and further than there is")
    alarm = {"AlarmName": place.resource("ServerErrors"), "StateReason": "a test"}
    place.cloud.call("cloudwatch", "set_alarm_state", StateValue="ALARM", **alarm)
    back = run(place, "make", "-s", "rollback")
    place.cloud.call("cloudwatch", "set_alarm_state", StateValue="OK", **alarm)
    nothing = run(place, "make", "-s", "rollback")
    tell("one that takes something away, and back from there")
    place.add_revision("bbbbbbbbbbbb", "aaaaaaaaaaaa", "motto", phase="contract")
    contracted = run(place, "make", "-s", "deploy")
    function = f"{place.cloud.outputs(place.stack)['MigrationFunctionName']}:live"
    asked = {"action": "upgrade", "allow": ["bbbbbbbbbbbb"], "reason": "a test"}
    assert place.cloud.invoke(function, asked).error is None
    refused = run(place, "make", "-s", "rollback")
    return Story(first, second, hazard, silent, back, nothing, contracted, refused)


def line_of(seen: Seen) -> str:
    [line] = [line for line in seen.done.stderr.splitlines() if line.startswith("slipway: ")]
    return line


def test_what_does_not_answer_is_taken_back(story: Story) -> None:
    """By the program: the deployment had gone well."""
    assert story.silent.done.returncode != 0
    assert "what answers is not as it should be; going back" in story.silent.done.stdout
    assert line_of(story.silent).startswith("slipway: expected 200, and the answer was: ")
    assert (story.silent.status, story.silent.ready) == ("UPDATE_COMPLETE", 200)
    assert story.silent.answered["commit"] == story.second.commit


def test_what_is_dangerous_is_not_built(story: Story) -> None:
    assert story.hazard.done.returncode != 0
    said = story.hazard.done.stderr
    assert "dddddddddddd" in said
    assert "require-concurrent-index-creation: CREATE INDEX ix_users_name ON users (name)" in said
    assert 'or write the reason into the revision: hazards = {"<rule>": "<reason>"}' in said
    assert line_of(story.hazard) == "slipway: sam build failed: see the lines above"
    assert story.hazard.answered == story.second.answered


def test_a_machine_reads_what_a_deployment_says(story: Story) -> None:
    lines = [json.loads(line) for line in story.second.done.stdout.splitlines()]
    assert {name for line in lines for name in line} == {"say", "result"}
    result = lines[-1]["result"]
    assert result["Release"].endswith(f"-{story.second.commit}")
    assert result["ApiUrl"].startswith("http://localhost:")
    assert result["Schema"] == "current, at aaaaaaaaaaaa"


def test_an_alarm_that_rings_does_not_hinder_it(story: Story) -> None:
    assert "Alarms: ignored, this time" in story.back.done.stdout
    assert "Alarms: watched again" in story.back.done.stdout


def test_back_is_without_a_build_and_leaves_the_schema(story: Story, place: Place) -> None:
    assert story.back.done.returncode == 0, story.back.done.stdout + story.back.done.stderr
    assert "building" not in story.back.done.stdout
    assert re.search(f"^  Release +[0-9]+-{story.first.commit}$", story.back.done.stdout, re.MULTILINE)
    assert re.search("^  Functions: 100 % to version [0-9]+$", story.back.done.stdout, re.MULTILINE)
    assert story.back.answered["commit"] == story.first.commit
    assert story.back.ready == 200
    assert place.query("SELECT 1 FROM schema_revisions WHERE revision = 'aaaaaaaaaaaa'") == [(1,)]


def test_further_than_there_is(story: Story) -> None:
    assert story.nothing.done.returncode != 0
    assert re.search("before .* no release of slipway-staging is kept", line_of(story.nothing))
    assert story.nothing.answered == story.back.answered


def test_another_release_goes_on_from_there(story: Story) -> None:
    assert story.contracted.done.returncode == 0, story.contracted.done.stdout + story.contracted.done.stderr
    assert story.contracted.answered["commit"] == story.contracted.commit


def test_no_way_back_past_what_was_taken_away(story: Story) -> None:
    assert story.refused.done.returncode != 0
    assert "misses what bbbbbbbbbbbb took away from the schema" in line_of(story.refused)
    assert story.refused.answered == story.contracted.answered


def test_smoke_calls_what_anybody_may(story: Story, place: Place) -> None:
    program = (".venv/bin/python", "-m", "ops", "smoke")
    done = place.run(*program, place.cloud.outputs(place.stack)["ApiUrl"], PYTHONPATH="src")
    assert (done.returncode, done.stdout.count("  ok  ")) == (0, 4), done.stdout
    silent = place.run(*program, "http://localhost:1", PYTHONPATH="src")
    assert silent.stderr.startswith("slipway: http://localhost:1 does not answer: ")


def test_what_is_kept_is_told_by_its_id(story: Story, place: Place) -> None:
    done = place.run("make", "-s", "rollback", TO="1700000000-0123abcd4567")
    assert done.stderr.startswith("slipway: no release 1700000000-0123abcd4567 of slipway-staging is kept;")
    listed = place.cloud.call(
        "s3", "list_objects_v2", Bucket=place.cloud.outputs("slipway-staging-pipeline")["Bucket"]
    )
    kept = [one["Key"] for one in listed["Contents"] if one["Key"].endswith(".json")]
    assert len(kept) == 3, json.dumps(kept)

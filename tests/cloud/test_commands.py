"""A release looked at, moved and taken down by the other commands: preview, logs, migrate, destroy."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.cloud.place import Place

pytestmark = pytest.mark.cloud

STACK, PREVIEW = "slipway-dev", "slipway-dev-preview-x"
FIRST, NEWEST, ADDED = "7fda5bc873b8", "94fb9396801f", "aaaaaaaaaaaa"
SERVER = """
Resources:
  Server:
    Type: AWS::RDS::DBInstance
    Properties: {Engine: postgres, DBInstanceClass: db.t4g.micro, AllocatedStorage: "20", MasterUsername: a,
      MasterUserPassword: nobodys-password, DeletionProtection: true}
"""

BROKEN = "Resources: {Stream: {Type: AWS::Logs::LogStream, Properties: {}}}"
LEFT = "\x04"  # Ctrl-D

Done = subprocess.CompletedProcess[str]


def make(place: Place, target: str, **variables: str) -> Done:
    began = time.monotonic()
    done = place.run("make", "-s", target, **variables)
    # where the story breaks off, and what takes long
    print(f"{target} {variables}: {time.monotonic() - began:.1f} s", done.stdout, done.stderr, sep="\n")  # noqa: T201
    return done


@dataclass
class Seen:
    """After one command."""

    done: Done
    stacks: set[str]
    databases: set[str]
    revisions: dict[str, str]  # the schema's, by database
    users: dict[str, list[str]]  # their addresses, by database

    @property
    def said(self) -> list[str]:
        return self.done.stdout.splitlines()


def see(place: Place, done: Done) -> Seen:
    listed = place.cloud.call("cloudformation", "list_stacks")["StackSummaries"]
    rows = place.query("SELECT datname FROM pg_database WHERE datname ~ '^(app|preview_.*)$'", "postgres")
    databases = {name for (name,) in rows}
    return Seen(
        done,
        {one["StackName"] for one in listed if one["StackStatus"] != "DELETE_COMPLETE"},
        databases,
        {name: place.query("SELECT version_num FROM alembic_version", name)[0][0] for name in databases},
        {name: [row[0] for row in place.query("SELECT email FROM users", name)] for name in databases},
    )


def follow(place: Place) -> tuple[str, str, int]:
    """What `make logs FOLLOW=yes` tells of a call that is made meanwhile, and how Ctrl-C ends it."""
    url = place.cloud.outputs(STACK)["ApiUrl"]
    mark = f"followed-{time.time_ns()}"
    own = {"PATH": place.path(), "ENV": "dev", "FOLLOW": "yes", "PYTHONPATH": "src"}
    running = subprocess.Popen(
        [".venv/bin/python", "-m", "ops", "logs"],
        cwd=place.folder,
        env=place.cloud.environment | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout
    seen = running.stdout.readline()  # it has begun
    httpx2.get(f"{url}/health", headers={"X-Request-Id": mark}, timeout=60)
    for line in running.stdout:
        seen += line
        if mark in line:
            break
    running.send_signal(signal.SIGINT)
    said, faults = running.communicate(timeout=30)
    return seen[-2000:] + said, faults, seen.count(mark) if running.returncode == 0 else running.returncode


def shelf(place: Place) -> list[str]:
    """What is kept in the bucket of releases."""
    bucket = place.cloud.outputs(f"{STACK}-pipeline")["Bucket"]
    found = place.cloud.call("s3", "list_objects_v2", Bucket=bucket).get("Contents", [])
    return [one["Key"] for one in found if "/releases/" in one["Key"]]


def at_terminal(place: Place, answer: str, *command: str, **variables: str) -> Done:
    """With somebody there, who types that."""
    ours, theirs = pty.openpty()
    own = {"PATH": place.path(), "ENV": "dev", "PYTHONPATH": "src"}
    os.write(ours, answer.encode())
    done = subprocess.run(
        [".venv/bin/python", "-m", "ops", *command],
        cwd=place.folder,
        env=place.cloud.environment | own | variables,
        stdin=theirs,
        capture_output=True,
        text=True,
    )
    for end in (ours, theirs):
        os.close(end)
    return done


@dataclass
class Story:
    released: Seen
    up: Seen
    again: Seen
    url: str  # of the preview
    versions: tuple[Any, Any]  # what /version tells there, and of the shared release
    commits: tuple[str, str]
    logs: dict[str, Done]
    followed: tuple[str, str, int]
    looks: dict[str, Done]
    asked: Done
    typed: Done  # no, at a terminal
    back: Seen
    pending: Done
    migrated: Seen
    nowhere: dict[tuple[str, str], Done]  # commands for a release that is not there, or never was whole
    ahead: Done  # the plan of what is not released yet
    rolled: Seen
    after: Seen  # a downgrade after the rollback
    kept: Seen  # as it is named
    down: Seen
    down_again: Seen
    refused: list[Seen]  # destroy, by a wrong name
    failed: Seen  # where a stack stays
    destroyed: Seen
    empty: Done  # logs of what is gone
    half: Seen  # DATA=yes, agreed to once
    gone: Done
    left: set[str]
    snapshots: list[str]
    kept_releases: list[str]  # in the bucket
    nothing: Done  # destroy again


@pytest.fixture(scope="module")
def story(place: Place, tell: Callable[[str], None]) -> Story:
    """All that happens, in its order; the tests look at what it left."""
    place.environment = "dev"
    tell("a release")
    first = place.commit("first")
    released = see(place, make(place, "deploy"))
    looked = {**logged(place, tell), **moved(place, tell)}
    previewed = {**preview(place, tell), "commits": (first, place.commit("the same"))}
    tell("a release with that revision, rolled back, and then its schema")
    make(place, "deploy", CI="true")
    rolled = see(place, make(place, "rollback"))
    after = see(place, make(place, "downgrade", TO="-1", YES="yes"))
    back: dict[str, Any] = {"released": released, "rolled": rolled, "after": after}
    return Story(**looked, **previewed, **back, **destroy(place, tell))


def logged(place: Place, tell: Callable[[str], None]) -> dict[str, Any]:
    tell("logs, followed, too")
    logs = {of: make(place, "logs", OF=of) for of in ("api", "migrate", "task")}
    return {"logs": logs, "followed": follow(place)}


def moved(place: Place, tell: Callable[[str], None]) -> dict[str, Any]:
    """The schema, back and forth; and where there is no release, or none that ever was whole."""
    tell("migrate, plan, downgrade")
    looks = {do: make(place, "migrate", DO=do) for do in ("current", "history", "dance")}
    looks["plan"] = make(place, "plan")
    asked = make(place, "downgrade", TO="-1")
    typed = at_terminal(place, "no\n", "downgrade", TO="-1")
    back = see(place, make(place, "downgrade", TO="-1", YES="yes"))
    pending = make(place, "plan")
    migrated = see(place, make(place, "migrate"))
    assert place.cloud.apply(BROKEN, "slipway-prod") == "ROLLBACK_COMPLETE"
    places = {"staging": ("plan", "migrate", "url"), "prod": ("plan", "migrate", "downgrade", "logs", "url")}
    nowhere = {
        (where, what): make(place, what, ENV=where, TO="-1")
        for where, all_ in places.items()
        for what in all_
    }
    place.cloud.delete("slipway-prod")
    return {"looks": looks, "asked": asked, "typed": typed, "back": back, "pending": pending} | {
        "migrated": migrated,
        "nowhere": nowhere,
    }


def preview(place: Place, tell: Callable[[str], None]) -> dict[str, Any]:
    """With a revision that the release has not, in the place of one that never was whole."""
    tell("a preview, with a revision")
    place.add_revision(ADDED, NEWEST, "nickname")
    place.commit("second")
    ahead = make(place, "plan")
    assert place.cloud.apply(BROKEN, PREVIEW) == "ROLLBACK_COMPLETE"
    who = {"ADMINISTRATOR_EMAIL": "preview@example.com", "ADMINISTRATOR_PASSWORD": "a-long-enough-one"}
    up = see(place, make(place, "preview", NAME="x", CI="true", **who))
    url = place.cloud.outputs(PREVIEW)["ApiUrl"]
    both = (url, place.cloud.outputs(STACK)["ApiUrl"])
    versions = tuple(httpx2.get(f"{one}/version", timeout=60).json() for one in both)
    tell("the preview again")
    again = see(place, make(place, "preview", NAME="x"))
    tell("the preview kept, then swept")
    kept = see(place, make(place, "preview", DOWN="yes", KEEP="w x"))
    down = see(place, make(place, "preview", DOWN="yes", KEEP=""))
    down_again = see(place, make(place, "preview", NAME="x", DOWN="yes"))
    return {"ahead": ahead, "up": up, "url": url, "versions": versions, "again": again, "kept": kept} | {
        "down": down,
        "down_again": down_again,
    }


def destroy(place: Place, tell: Callable[[str], None]) -> dict[str, Any]:
    tell("destroy")
    refused = [see(place, make(place, "destroy", AGREE="slipway-prod"))]
    refused += [see(place, at_terminal(place, answer, "destroy")) for answer in ("slipway\n", LEFT)]
    half = see(place, make(place, "destroy", DATA="yes", AGREE=STACK))
    place.cloud.apply(SERVER, f"{STACK}-preview-y")
    failed = see(place, make(place, "destroy", AGREE=STACK))
    named = {"StackName": f"{STACK}-preview-y", "LogicalResourceId": "Server"}
    found = place.cloud.call("cloudformation", "describe_stack_resource", **named)["StackResourceDetail"]
    kept = {"DBInstanceIdentifier": found["PhysicalResourceId"]}
    place.cloud.call("rds", "modify_db_instance", **kept, DeletionProtection=False)
    destroyed = see(place, make(place, "destroy", AGREE=STACK))
    empty = make(place, "logs")
    tell("destroy, with the data")
    server = place.cloud.outputs(f"{STACK}-database")["Server"]
    place.cloud.call("rds", "modify_db_instance", DBInstanceIdentifier=server, DeletionProtection=True)
    gone = make(place, "destroy", DATA="yes", AGREE=f"{STACK} {STACK}-database")
    left = see(place, gone).stacks
    listed = place.cloud.call("rds", "describe_db_snapshots", DBInstanceIdentifier=server)["DBSnapshots"]
    nothing = make(place, "destroy", DATA="yes", AGREE=f"{STACK} {STACK}-database")
    seen = {"refused": refused, "half": half, "failed": failed, "destroyed": destroyed, "empty": empty}
    snapshots = [one["DBSnapshotIdentifier"] for one in listed]
    return (
        seen
        | {"gone": gone, "left": left, "snapshots": snapshots, "nothing": nothing}
        | {"kept_releases": shelf(place)}
    )


def well(done: Done) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def refuses(done: Done, line: str) -> None:
    """In one line, which make's own may follow."""
    assert done.returncode != 0, done.stdout
    assert done.stderr.splitlines()[0].startswith(f"slipway: {line}"), done.stderr
    assert "Traceback" not in done.stderr


def test_a_preview_is_one_more_release(story: Story) -> None:
    well(story.up.done)
    assert story.up.stacks - story.released.stacks == {PREVIEW}
    assert story.up.said[-1] == story.url
    assert "Database preview_x: made" in story.up.said
    assert f"{PREVIEW}: deleted" in story.up.said  # what was left of one that never was whole
    assert [version["commit"] for version in story.versions] == [*story.commits[::-1]]


def test_it_has_its_own_database(story: Story) -> None:
    assert story.up.databases == {"app", "preview_x"}
    assert story.up.revisions == {"app": NEWEST, "preview_x": ADDED}
    assert story.up.users == {"app": ["admin@example.com"], "preview_x": ["preview@example.com"]}


def test_it_answers_with_its_own_code_and_schema(story: Story) -> None:
    assert len(re.findall(r"^ *\d+ +ok +\d{3} ", story.up.done.stdout, re.MULTILINE)) == 14
    assert [version["revision"] for version in story.versions] == [ADDED, NEWEST]


def test_again_it_is_a_new_release_of_it(story: Story) -> None:
    well(story.again.done)
    assert "Database preview_x: there" in story.again.said
    assert "change" in story.again.done.stdout
    assert (story.again.stacks, story.again.users) == (story.up.stacks, story.up.users)
    assert story.again.said[-1] == story.url


def test_what_is_named_is_not_swept(story: Story) -> None:
    well(story.kept.done)
    assert (story.kept.stacks, story.kept.said) == (story.up.stacks, [])


def test_down_leaves_nothing_of_it(story: Story) -> None:
    well(story.down.done)
    assert (story.down.stacks, story.down.databases) == (story.released.stacks, {"app"})
    assert re.search(r"^  DELETE_\w+ +\w+", story.down.done.stdout, re.MULTILINE)
    assert (story.down.said[0], story.down.said[-1]) == ("Database preview_x: dropped", f"{PREVIEW}: deleted")


def test_down_of_what_is_not_there_is_no_error(story: Story) -> None:
    well(story.down_again.done)
    assert story.down_again.said == ["Database preview_x: not there", f"{PREVIEW}: not there"]


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"NAME": "Fix-1"}, "which preview? NAME=x, of a-z and 0-9, a letter first, 16 at most"),
        ({"NAME": "a" * 17}, "which preview?"),
        ({"NAME": "x", "ENV": "prod"}, "prod has no previews: ENV=dev or ENV=staging"),
        ({"NAME": "x", "DOWN": "1"}, "DOWN=1 is not known"),
        ({"NAME": "x", "ENV": "staging"}, "slipway-staging is not there: make deploy ENV=staging"),
        ({"NAME": "x", "ENV": "staging", "DOWN": "yes"}, "slipway-staging is not there: make deploy "),
        ({"DOWN": "yes"}, "which preview? NAME=x, of a-z"),
        ({"KEEP": "x"}, "which preview? NAME=x, of a-z"),
    ],
)  # fmt: skip
def test_a_preview_that_cannot_be_is_refused(place: Place, variables: dict[str, str], line: str) -> None:
    refuses(place.run("make", "-s", "preview", **variables), line)


def test_logs_are_those_of_the_group(story: Story) -> None:
    well(story.logs["api"])
    assert re.search('"message": ?"request"', story.logs["api"].stdout), story.logs["api"].stdout
    well(story.logs["migrate"])
    assert re.search('"message": ?"applied', story.logs["migrate"].stdout), story.logs["migrate"].stdout
    refuses(story.logs["task"], f"{STACK} has no logs of task: OF=api or OF=migrate")


def test_followed_they_go_on_until_they_are_stopped(story: Story) -> None:
    """Each once."""
    said, faults, count = story.followed
    assert (faults.strip(), count) == ("CTRL+C received, cancelling...", 1), said


def test_what_the_function_answers_is_json(story: Story) -> None:
    current, history = (json.loads(story.looks[do].stdout) for do in ("current", "history"))
    assert (current["verdict"], current["to"]) == ("current", NEWEST)
    assert [one["id"] for one in history["revisions"]] == [FIRST, NEWEST]
    refuses(story.looks["dance"], "DO=dance is not known: DO=current or DO=history, or none")


def test_nothing_is_pending_after_a_release(story: Story) -> None:
    assert story.looks["plan"].stdout == "Nothing is pending.\n"


def test_a_downgrade_asks(story: Story) -> None:
    refuses(story.asked, "nobody is there to ask; say so with YES=yes")
    told = f"This takes back every revision after {FIRST} in {STACK}, with what only they hold. "
    assert story.typed.stderr == f"{told}Type yes to go on: slipway: nothing was changed\n"


def test_a_downgrade_takes_a_step_back(story: Story) -> None:
    well(story.back.done)
    assert story.back.revisions == {"app": FIRST}
    assert story.back.said == [f"took back {NEWEST}", f"The database is at revision {FIRST}: behind."]


def test_the_plan_has_titles_sql_and_hazards(story: Story) -> None:
    well(story.pending)
    assert re.match(rf"-- {NEWEST} \S.+ \(expand\)\n", story.pending.stdout)
    assert "CREATE TABLE" in story.pending.stdout or "ALTER TABLE" in story.pending.stdout


def test_the_plan_is_of_this_checkout(story: Story) -> None:
    """And of what is not released yet, as who approves a deployment reads it."""
    assert story.ahead.stdout.startswith(f"-- {ADDED} Add nickname. (expand)\nALTER TABLE users"), story.ahead
    assert re.findall("^-- [0-9a-f]{12}", story.ahead.stdout, re.MULTILINE) == [f"-- {ADDED}"]
    for where in ("staging", "prod"):
        first = story.nowhere[where, "plan"]
        well(first)
        assert re.findall("^-- ([0-9a-f]{12})", first.stdout, re.MULTILINE) == [FIRST, NEWEST]


def test_what_is_not_there_or_never_was_whole_is_said(story: Story) -> None:
    for (where, what), done in story.nowhere.items():
        state = "in ROLLBACK_COMPLETE" if where == "prod" else "not there"
        if what != "plan":
            refuses(done, f"slipway-{where} is {state}: make deploy ENV={where}")


def test_migrate_brings_it_to_the_newest(story: Story) -> None:
    assert story.migrated.said == [f"applied {NEWEST}", f"The database is at revision {NEWEST}: current."]
    assert story.migrated.revisions == {"app": NEWEST}


def test_after_a_rollback_another_version_takes_the_revision_back(story: Story) -> None:
    """Neither the one that is live, nor the newest: that is the old code again."""
    well(story.rolled.done)
    assert story.rolled.revisions == {"app": ADDED}
    well(story.after.done)
    assert story.after.revisions == {"app": NEWEST}
    said = f"The live code does not know revision {ADDED}; version 2 does."
    assert story.after.said[0] == said


def test_without_its_name_nothing_is_destroyed(story: Story) -> None:
    told = f"This deletes {STACK}"
    refuses(story.refused[0].done, f'{told}; nothing was deleted, and AGREE="{STACK}" agrees to it')
    asked = f"{told}. Type {STACK} to go on: slipway: "
    assert story.refused[1].done.stderr == f"{asked}nothing was changed\n"
    assert story.refused[2].done.stderr.startswith(f"{asked}stopped here; what AWS has begun goes on there")
    for seen in story.refused:
        assert seen.stacks == story.released.stacks


def test_a_stack_that_stays_ends_it_with_its_reason(story: Story) -> None:
    line = f"{STACK}-preview-y was not deleted: Server: Cannot delete protected DB Instance"
    refuses(story.failed.done, line)
    assert STACK in story.failed.stacks


def test_destroyed_the_release_and_previews_are_gone_and_no_row_is(story: Story) -> None:
    well(story.destroyed.done)
    parts = {f"{STACK}-{part}" for part in ("pipeline", "network", "database")}
    assert story.destroyed.stacks == parts
    assert story.destroyed.users == story.released.users
    assert story.destroyed.said[-2:] == [
        f"{STACK}-database and {STACK}-network stay, with every row, a preview's too; DATA=yes deletes them",
        f"{STACK}-pipeline stays: images, artifacts, and who may deploy",
    ]
    refuses(story.empty, f"{STACK} is not there: make deploy ENV=dev")


def test_the_data_is_asked_for_by_its_own_name(story: Story) -> None:
    refuses(story.half.done, f"This deletes {STACK}-database and {STACK}-network, with every row; nothing")
    assert f'AGREE="{STACK} {STACK}-database"' in story.half.done.stderr
    assert story.half.stacks == story.released.stacks


def test_with_the_data_a_snapshot_is_left(story: Story) -> None:
    """Though it was protected."""
    well(story.gone)
    assert story.left == {f"{STACK}-pipeline"}
    assert "no longer protected from deletion" in story.gone.stdout
    assert story.kept_releases == []
    [snapshot] = story.snapshots
    assert re.search(rf"^  snapshots of \S+: {snapshot}$", story.gone.stdout, re.MULTILINE)


def test_destroyed_again_it_is_no_error(story: Story) -> None:
    well(story.nothing)
    assert f"{STACK}-database: not there" in story.nothing.stdout
    assert "deleted" not in story.nothing.stdout

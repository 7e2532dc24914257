"""`make doctor` on what is sound, and on ten faults: each is found, with what mends it."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from ops.cloud.account import Account
from ops.doctor import examination
from tests.cloud.emulated import ACCOUNT, REGION
from tests.cloud.place import Place

pytestmark = pytest.mark.cloud

NAME = "slipway-staging"
AREAS = ["settings", "tools", "credentials", "connections", "name", "drift", "schema", "leftovers", "limits"]
AREAS += ["alarms"]
NEWEST = "94fb9396801f"
NOTHING = '{"Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}}}'
BROKEN = '{"Resources": {"Stream": {"Type": "AWS::Logs::LogStream", "Properties": {}}}}'


@dataclass
class Story:
    before: subprocess.CompletedProcess[str]  # a first deployment
    sound: subprocess.CompletedProcess[str]
    strangers: subprocess.CompletedProcess[str]  # without credentials
    faulty: subprocess.CompletedProcess[str]
    small: subprocess.CompletedProcess[str]  # where few functions may run
    after: subprocess.CompletedProcess[str]  # all is taken back


@pytest.fixture(scope="module")
def story(place: Place, tell: Callable[[str], None]) -> Story:
    def doctor(step: str, **variables: str) -> subprocess.CompletedProcess[str]:
        tell(step)
        done = place.run("make", "-s", "doctor", **variables)
        print(f"{step}\n{done.stdout}{done.stderr}")  # noqa: T201  # where the story breaks off
        return done

    place.commit("a release")
    before = doctor("before anything is there")
    deployed = place.run("make", "-s", "deploy")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    sound = doctor("what is sound")
    strangers = doctor("without credentials", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    plant(place)
    faulty = doctor("with faults", PATH=without(place, "git"))
    take_back(place)
    reserved = {"FunctionName": place.resource("GateFunction")}
    most = place.cloud.call("lambda", "get_account_settings")["AccountLimit"]["ConcurrentExecutions"]
    place.cloud.call("lambda", "put_function_concurrency", **reserved, ReservedConcurrentExecutions=most - 10)
    small = doctor("where ten functions may run")
    place.cloud.call("lambda", "delete_function_concurrency", **reserved)
    return Story(before, sound, strangers, faulty, small, doctor("all is taken back"))


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """A line for each area that is sound, and for each finding."""
    return [line for line in done.stdout.splitlines() if line.startswith(("ok  ", "!!  "))]


def found(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in told(done) if line.startswith("!!  ")]


def plant(place: Place) -> None:
    change(place, ".env.example", "# LOG_LEVEL=INFO\n", "")
    change(place, "compose.yaml", "      SIGNUP:\n", "")
    change(place, "template.yaml", "            - {Name: ORIGIN_CORS, Value: !Ref CorsOrigins}\n", "")
    change(place, "template.yaml", "        ALGORITHM: HS256\n", "")
    change(place, "template.yaml", "ThrottlingBurstLimit: 40", "ThrottlingBurstLimit: 250")
    cloud = place.cloud
    cloud.call("logs", "put_retention_policy", logGroupName=place.resource("ApiLogs"), retentionInDays=3)
    place.query(f"UPDATE alembic_version SET version_num = '{parent(place)}' RETURNING version_num")
    assert cloud.apply(BROKEN, f"{NAME}-preview-broken") == "ROLLBACK_COMPLETE"
    alarm = {"AlarmName": place.resource("ServerErrors"), "StateReason": "test"}
    cloud.call("cloudwatch", "set_alarm_state", **alarm, StateValue="ALARM")


def take_back(place: Place) -> None:
    place.run("git", "checkout", "--quiet", ".")
    cloud = place.cloud
    cloud.call("logs", "put_retention_policy", logGroupName=place.resource("ApiLogs"), retentionInDays=30)
    place.query(f"UPDATE alembic_version SET version_num = '{NEWEST}' RETURNING version_num")
    cloud.delete(f"{NAME}-preview-broken")
    alarm = {"AlarmName": place.resource("ServerErrors"), "StateReason": "test"}
    cloud.call("cloudwatch", "set_alarm_state", **alarm, StateValue="OK")


def change(place: Place, name: str, old: str, new: str) -> None:
    file = place.folder / name
    text = file.read_text()
    assert text.count(old) == 1, (name, old)
    file.write_text(text.replace(old, new))


def parent(place: Place) -> str:
    known = json.loads((place.folder / "src/app/revisions.json").read_text())
    return str(next(one["parent"] for one in known if one["id"] == NEWEST))


def without(place: Place, program: str) -> str:
    """A PATH that leads to all the same programs, but not to that one."""
    folder = place.folder.parent / f"without-{program}"
    folder.mkdir()
    for part in reversed(place.path().split(os.pathsep)):
        for found in Path(part).iterdir() if Path(part).is_dir() else ():
            if found.name != program:
                (folder / found.name).unlink(missing_ok=True)
                (folder / found.name).symlink_to(found)
    return str(folder)


def test_nothing_is_found_on_what_is_sound(story: Story) -> None:
    for done in (story.sound, story.after):
        assert [line.partition(":")[0] for line in told(done)] == [f"ok  {area}" for area in AREAS]
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Nothing found.")


def test_nor_before_anything_is_there(story: Story) -> None:
    assert (story.before.returncode, story.before.stderr) == (0, ""), story.before.stdout
    assert "ok  schema: no release to ask" in story.before.stdout
    assert story.before.stdout.endswith("\nNothing found.\n")


def test_without_credentials_it_says_so_and_what_it_can(story: Story) -> None:
    assert [line.partition(":")[0] for line in told(story.strangers)] == ["ok  settings", "ok  tools"]
    assert story.strangers.stderr.startswith("slipway: AWS does not know you: ")
    assert "(sign in, such as by `aws sso login`, and set AWS_PROFILE)" in story.strangers.stderr


@pytest.mark.parametrize(
    ("finding", "fix"),
    [
        ("tools: git is missing", "install git, or put it on PATH"),
        ("settings: LOG_LEVEL is not in .env.example, the file", "name it there, or in "),
        ("settings: SIGNUP is not in compose.yaml, its app", "name it there, or in "),
        ("settings: ORIGIN_CORS is not in template.yaml, the Task", "name it there, or in "),
        ("settings: ALGORITHM is not in template.yaml, the functions", "name it there, or in "),
        ("connections: 250 of functions ", "a lower ThrottlingBurstLimit in template.yaml or"),
        (f"drift: {NAME}: ApiLogs /RetentionInDays is 3, not 30", "take that back, or write it"),
        ("schema: behind for what is deployed, at ", "make deploy ENV=staging, whose gate"),
        (
            f"leftovers: {NAME}-preview-broken is in ROLLBACK_COMPLETE",
            "make preview ENV=staging NAME=broken DOWN=yes",
        ),
        (f"alarms: {NAME}-ServerErrors", "make deploy ENV=staging ALARMS=ignore"),
    ],
)
def test_a_fault_is_found_with_what_mends_it(story: Story, finding: str, fix: str) -> None:
    [line] = [line for line in found(story.faulty) if line.startswith(f"!!  {finding}")]
    assert fix in line.removeprefix(f"!!  {finding}")


def test_nothing_else_is_found(story: Story) -> None:
    assert len(found(story.faulty)) == 10, story.faulty.stdout
    assert story.faulty.returncode != 0
    assert story.faulty.stderr.startswith("slipway: 10 found, each with what mends it, above")


def test_an_account_where_few_functions_may_run(story: Story) -> None:
    [line] = found(story.small)
    fault, fix = (
        "no more than 10 functions can run at once in this account",
        'ask for more of "Concurrent exec',
    )
    assert line.startswith(f"!!  limits: {fault}: {fix}")


def test_a_preview_that_nobody_deletes(story: Story, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by its date: nothing of the emulator's is old."""
    for name, value in place.cloud.environment.items():
        monkeypatch.setenv(name, value)
    account = Account("staging", REGION, ACCOUNT)
    for name in ("preview-x", "prev"):
        assert place.cloud.apply(NOTHING, f"{NAME}-{name}") == "CREATE_COMPLETE"
    assert list(examination.leftovers(account, {})) == ["none"]
    monkeypatch.setattr(examination, "OLD", timedelta(0))
    old = [one for one in examination.leftovers(account, {}) if isinstance(one, tuple)]
    assert [fix for _, fix in old] == ["make preview ENV=staging NAME=x DOWN=yes"]


def test_which_environment_has_to_be_said(place: Place) -> None:
    done = place.run("make", "-s", "doctor", ENV="")
    assert done.stderr.startswith("slipway: which environment?")
    assert not done.stdout

"""GitHub's `deploy` workflow, its job staging, run by act on an emulated account, with the real make and sam.

Stand-ins are AWS and three actions: the one that signs in (it exports keys, as AWS's does), and those for
Python and its cache. The job's need of `check` is struck from the copy, as act would run all of that first:
tests/pipelines/test_runs.py has the order. One visitor at a time, as the emulator is slow with more.
"""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from ops.tools import environment_of
from tests.cloud.emulated import CREDENTIALS, REGION
from tests.cloud.place import Place
from tests.pipelines.acting import Run, act, lines_of, stubs

pytestmark = pytest.mark.cloud

NAME = "slipway-staging"
PASSWORD = "a-password-of-the-environment"
SIGN_IN = (
    '[ "$2" != aws-actions/configure-aws-credentials ] || { echo "$GIVEN"; cat {file} >>"$GITHUB_ENV"; }'
)
LOAD = {"USERS": "1", "SECONDS": "3", "MOST_MS": "60000"}


@dataclass
class Seen:
    """After one push."""

    run: Run
    commit: str
    called: list[str]  # make, by which steps
    answered: str  # the commit, by /version
    ready: int
    status: str  # the stack's


def prepare(place: Place, folder: Path) -> str:
    """The pipeline's role, which docs/github.md has a person make; and the branch main of a copy for act."""
    environment_of("load")  # or its scripts would name the copy that act makes
    file = place.folder / ".github/workflows/deploy.yml"
    for struck in (", queue: max", "    needs: check\n"):
        assert struck in file.read_text()
        file.write_text(file.read_text().replace(struck, ""))
    place.commit("what act reads")
    place.run("git", "remote", "add", "origin", "https://github.com/you/slipway")
    (folder / "keys").write_text("".join(f"{name}={value}\n" for name, value in CREDENTIALS.items()))
    (folder / "action").write_text(SIGN_IN.replace("{file}", str(folder / "keys")))
    named = ("--stack-name", f"{NAME}-pipeline", "--capabilities", "CAPABILITY_IAM")
    given = ("--parameter-overrides", "Environment=staging", "Subject=repo:you/slipway")
    place.run("sam", "deploy", "--template-file", "infra/pipeline.yaml", *named, *given)
    return place.cloud.outputs(f"{NAME}-pipeline")["DeployRole"]


def push(place: Place, folder: Path, role: str, options: list[str]) -> Seen:
    commit = place.commit("a release")
    given = ["--var", f"DEPLOY_ROLE={role}", "--var", f"AWS_REGION={REGION}"]
    secret = ["-s", f"ADMINISTRATOR_PASSWORD={PASSWORD}", "-s", "GITHUB_TOKEN=a token"]
    command = [*act(folder, "deploy", "push"), "-j", "staging", *given, *secret, *options]
    nobody = {name: value for name, value in place.variables().items() if name not in {"ENV", *CREDENTIALS}}
    caches = {"XDG_CACHE_HOME": str(folder), "UV_CACHE_DIR": str(Path.home() / ".cache/uv")}
    done = subprocess.run(
        command, cwd=place.folder, env=nobody | caches | LOAD, capture_output=True, text=True
    )
    run = Run(done.returncode, [], lines_of(done.stdout))
    print(run.said, done.stderr)  # noqa: T201  # where the story breaks off
    steps = [line["step"] for line in run.lines if line["msg"].startswith("⭐ Run Main ")]
    called = [step.splitlines()[0].partition(" | ")[0] for step in steps if "make" in step]
    with httpx2.Client(base_url=place.cloud.outputs(NAME)["ApiUrl"], timeout=60) as client:
        answered, ready = client.get("/version").json()["commit"], client.get("/ready").status_code
    return Seen(run, commit, called, answered, ready, str(place.cloud.stack(NAME)["StackStatus"]))


@dataclass
class Story:
    role: str
    first: Seen
    silent: Seen  # does not answer at /ready


@pytest.fixture(scope="module")
def story(place: Place, tmp_path_factory: pytest.TempPathFactory, tell: Callable[[str], None]) -> Story:
    folder = tmp_path_factory.mktemp("act")
    options = stubs(folder, f"sh {folder}/action")
    tell("who may deploy, and a first release by the workflow")
    role = prepare(place, folder)
    first = push(place, folder, role, options)
    tell("one that does not answer")
    router = place.folder / "src/app/resources/system/router.py"
    router.write_text(router.read_text().replace('"/ready"', '"/steady"'))
    return Story(role, first, push(place, folder, role, options))


STEPS = ["make plan ENV=staging", "make deploy ENV=staging"]
WHERE, LOADED = "urls=$(make -s url ENV=staging)", 'make load URL="$URL"'


def test_a_push_deploys(story: Story) -> None:
    assert story.first.run.code == 0, story.first.run.said
    assert story.first.called == [*STEPS, WHERE, LOADED]
    assert f'"role-to-assume": "{story.role}"' in story.first.run.said
    assert story.first.run.said.count(f"{NAME}: building") == 1
    assert (story.first.answered, story.first.ready) == (story.first.commit, 200)
    assert story.first.status == "CREATE_COMPLETE"


def test_its_summary_says_what_came_of_it(story: Story, place: Place) -> None:
    url = re.escape(place.cloud.outputs(NAME)["ApiUrl"])
    for wanted in (
        r"### Plan of staging\n\n~~~\n(install: .*\n)?-- 7fda5bc873b8 Create users",
        rf"\| Release \| \d+-{story.first.commit} \|\n\| Artifact \| [\d.]+ MB unzipped \|",
        r"\| Schema \| current, at 94fb9396801f \|",
        rf"\| ApiUrl \| {url} \|",
        rf"- Load: {url}, 1 visitors for 3 s: \d+ requests, 0 failed, .*; sound",
    ):
        assert re.search(wanted, story.first.run.summary), wanted


def test_the_administrators_password_is_the_secret(story: Story, place: Place) -> None:
    assert "Password       as given" in story.first.run.said
    form = {"username": "admin@example.com", "password": PASSWORD}
    url = place.cloud.outputs(NAME)["ApiUrl"]
    assert httpx2.post(f"{url}/v1/auth/token", data=form, timeout=60).status_code == 200


def test_what_does_not_answer_is_taken_back_and_fails_the_job(story: Story) -> None:
    """By the program, once: nothing is left for the workflow to take back."""
    assert story.silent.run.code != 0
    assert story.silent.called == STEPS
    assert "what answers is not as it should be; going back" in story.silent.run.said
    assert story.silent.run.said.count(f"{NAME}: back from ") == 1
    assert (story.silent.answered, story.silent.ready) == (story.first.commit, 200)
    assert story.silent.status == "UPDATE_COMPLETE"

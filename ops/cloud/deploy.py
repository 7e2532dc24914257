"""`make deploy ENV=..`: what a release stands on where it is missing, then a release, then a look at it."""

import os
import secrets
import subprocess
import tomllib
from collections.abc import Sequence
from typing import Any

import boto3
import httpx2
from botocore.exceptions import BotoCoreError, ClientError

from app import NAME
from app.foundation.invoke import NoAnswer, invoke
from ops import demo
from ops.cloud import budget, image
from ops.cloud.account import Account, chosen
from ops.cloud.doors import Door, doors
from ops.cloud.stack import Stack
from ops.dev import ADMINISTRATOR
from ops.environment import ROOT
from ops.terminal import fail, say
from ops.tools import environment_of

# of which the small environment is made; samconfig.toml and the parameters of infra/ have the rest
SMALL = {"dev": ["Class=db.t4g.micro", "DeletionProtection=false", "BackupDays=1"]}


def deploy() -> None:
    account = chosen()
    say(f"{NAME}-{account.environment}: account {account.number}, {account.region}")
    try:
        make(account, "pipeline", [f"Environment={account.environment}"])
        network = make(account, "network", [])
        make(account, "database", [f"Network={network}", *SMALL.get(account.environment, [])])
        release(account)
    except (BotoCoreError, ClientError) as error:
        fail(f"AWS refused: {error}")
    except KeyboardInterrupt:
        fail("stopped here; what CloudFormation has begun goes on there")


def make(account: Account, part: str, parameters: Sequence[str]) -> str:
    """Where it is missing; the stack's name."""
    stack = account.stack(part)
    if stack.settled():
        say(f"{stack.name}: there")
        return stack.name
    say(f"{stack.name}: making it{' (about ten minutes)' if part == 'database' else ''}")
    run(account, stack, ["--template-file", f"infra/{part}.yaml", "--stack-name", stack.name], parameters)
    return stack.name


def release(account: Account) -> None:
    stack = account.stack()
    first = not stack.settled()
    given, parameters = parameters_of(account)
    budget.check(account, parameters)
    if sam(account, "build", "--parameter-overrides", f"Architecture={parameters['Architecture']}"):
        fail("it could not be built: see the lines above")
    if parameters["Runs"] != "lambda":
        repository = account.stack("pipeline").outputs()["Repository"]
        image.push(account, repository, built(), parameters["Architecture"])
    ignoring = os.environ.get("ALARMS") == "ignore" and not first
    if ignoring:
        watch(account, stack, on=False)
    try:
        run(account, stack, ["--stack-name", stack.name], given)
    finally:
        if ignoring:
            watch(account, stack, on=True)
    outputs = stack.outputs()
    function = f"{outputs['MigrationFunctionName']}:live"
    try:
        if first:
            prepare(account, function)
        password = administrator(account, function)
    except NoAnswer as error:
        fail(f"the schema could not be made: {error}")
    for door in doors(account):
        look(door, password)
    for name, value in outputs.items():
        say(f"  {name:22} {value}")


def parameters_of(account: Account) -> tuple[list[str], dict[str, str]]:
    """samconfig.toml's, with ARCH; as they are handed to SAM, and by their names."""
    known = tomllib.loads((ROOT / "samconfig.toml").read_text())[account.environment]["deploy"]["parameters"]
    own = [f"Architecture={os.environ['ARCH']}"] if os.environ.get("ARCH") else []
    given = [*known["parameter_overrides"], *own]
    pairs = (pair.partition("=") for pair in given if not pair.startswith("file:"))
    return given, {name: value.strip('"') for name, _, value in pairs}


def built() -> str:
    """The ReleaseId of the last build."""
    return (ROOT / "dist" / "release.yaml").read_text().removeprefix("ReleaseId:").strip()


def watch(account: Account, stack: Stack, *, on: bool) -> None:
    """Whether alarms may stop what CodeDeploy does: one that rings already would stop what mends it, too.

    ECS does not watch what rings as a deployment begins (AWS Copilot CLI, "Backend Service", deployment).
    """
    if not (name := stack.resource("ApiFunctionDeploymentGroup")):
        return
    codedeploy = boto3.client("codedeploy", region_name=account.region)
    application = stack.resource("ServerlessDeploymentApplication")
    group = codedeploy.get_deployment_group(applicationName=application, deploymentGroupName=name)
    alarms = group["deploymentGroupInfo"]["alarmConfiguration"]
    if alarms["enabled"] != on:
        say(f"Alarms: {'watched again' if on else 'ignored, this time'}")
        codedeploy.update_deployment_group(
            applicationName=application,
            currentDeploymentGroupName=name,
            alarmConfiguration=alarms | {"enabled": on},
        )


def run(account: Account, stack: Stack, options: Sequence[str], parameters: Sequence[str]) -> None:
    """`sam deploy` makes a change set; a failure ends the program with the first resource's reason."""
    overrides = ["--parameter-overrides", *parameters] if parameters else []
    usual = ["--no-fail-on-empty-changeset", "--no-execute-changeset", "--capabilities", "CAPABILITY_IAM"]
    if sam(account, "deploy", *options, *usual, *way(account, stack), *overrides):
        fail(f"{stack.name} was not deployed: see the lines above")
    if not (planned := stack.planned()):
        return
    change_set, changes = planned
    if any(map(moves_traffic, changes)):
        fail(
            "this would change ListenerRule, which ECS moves: traffic could go to where no task is "
            "(template.yaml, ListenerRule); take back what touches it, its listener or its target groups"
        )
    before = stack.newest()
    if not stack.execute(change_set):
        fail(f"{stack.name} was not deployed: {stack.reason(before)}")


def moves_traffic(change: dict[str, Any]) -> bool:
    """Whether it edits the rule, or replaces what that refers to; what may only come to that is Dynamic.

    AWS CloudFormation API Reference, "ResourceChangeDetail", Evaluation.
    """
    certain = [one for one in change.get("Details", []) if one.get("Evaluation") == "Static"]
    edits = [one for one in certain if one["Target"]["Attribute"] != "Tags"]
    return (change["LogicalResourceId"], change["Action"]) == ("ListenerRule", "Modify") and bool(edits)


def way(account: Account, stack: Stack) -> list[str]:
    """By the pipeline's bucket, and in a pipeline with its role, which may no more than it must."""
    pipeline = account.stack("pipeline")
    if stack.name == pipeline.name:
        return []
    outputs = pipeline.outputs()
    role = ["--role-arn", outputs["ExecutionRole"]] if os.environ.get("CI") else []
    return ["--s3-bucket", outputs["Bucket"], "--s3-prefix", stack.name, *role]


def sam(account: Account, command: str, *options: str) -> int:
    program = str(environment_of("sam") / "bin" / "sam")
    quiet = os.environ | {"SAM_CLI_TELEMETRY": "0"}
    words = [program, command, *options, "--region", account.region]
    return subprocess.run(words, cwd=ROOT, env=quiet, check=False).returncode


def prepare(account: Account, function: str) -> None:
    """What the gate does for every other release: a first creation has none on Lambda."""
    answer = invoke(function, {"action": "prepare"}, account.region)
    say(f"Schema: {answer['verdict']}, {len(answer['applied'])} revisions applied")
    invoke(function, {"action": "released"}, account.region)


def administrator(account: Account, function: str) -> str | None:
    """Makes the first one where there is none; the password, where it is known. Raises NoAnswer."""
    given = os.environ.get("ADMINISTRATOR_PASSWORD")
    if not given and os.environ.get("CI"):
        return None  # others read along, so none is made up
    password = given or secrets.token_urlsafe(18)
    email = os.environ.get("ADMINISTRATOR_EMAIL") or ADMINISTRATOR
    seed = {"action": "seed", "email": email, "password": password}
    if invoke(function, seed, account.region)["seeded"]:
        say(f"  Administrator  {email}")
        say(f"  Password       {'as given' if given else f'{password}   (shown once)'}")
        return password
    return given


def look(door: Door, password: str | None) -> None:
    """That it is this commit which answers; then the demo, without a password as far as anybody may go."""
    email = os.environ.get("ADMINISTRATOR_EMAIL") or ADMINISTRATOR
    wanted = built().rpartition("-")[2]
    try:
        with door.client() as client:
            if (commit := client.get("/version").json()["commit"]) != wanted:
                fail(f"{door.url} answers with commit {commit}, and {wanted} was deployed")
            demo.Demo(client).run(email, password)
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        fail(f"{door.url} does not answer: {error!r}")

"""`make deploy ENV=..`: network and database where they are missing, then a release, then a look at it."""

import os
import secrets
import subprocess
import tomllib
from collections.abc import Sequence

import boto3
import httpx2
from botocore.exceptions import BotoCoreError, ClientError

from app import NAME
from app.foundation.invoke import NoAnswer, invoke
from ops import demo
from ops.cloud.account import Account, Stack, chosen
from ops.dev import ADMINISTRATOR
from ops.environment import ROOT
from ops.terminal import fail, say
from ops.tools import environment_of

# what a stack may be in for another deployment to begin
SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
# what ends the other states
FIXES = {
    "ROLLBACK_COMPLETE": "it was never there; delete it (sam delete), and deploy again",
    "CREATE_FAILED": "it was never there; delete it (sam delete), and deploy again",
    "UPDATE_ROLLBACK_FAILED": "aws cloudformation continue-update-rollback, once what hinders it is mended",
}
# of which the small environment is made; samconfig.toml and the parameters of infra/ have the rest
SMALL = {"dev": ["Class=db.t4g.micro", "DeletionProtection=false", "BackupDays=1"]}


def deploy() -> None:
    account = chosen()
    say(f"{NAME}-{account.environment}: account {account.number}, {account.region}")
    try:
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
    if settled(stack):
        say(f"{stack.name}: there")
        return stack.name
    say(f"{stack.name}: making it{' (about ten minutes)' if part == 'database' else ''}")
    run(account, stack, ["--template-file", f"infra/{part}.yaml", "--stack-name", stack.name], parameters)
    return stack.name


def release(account: Account) -> None:
    stack = account.stack()
    first = not settled(stack)
    known = tomllib.loads((ROOT / "samconfig.toml").read_text())[account.environment]["deploy"]["parameters"]
    own = [f"Architecture={os.environ['ARCH']}"] if os.environ.get("ARCH") else []
    if sam(account, "build", *(["--parameter-overrides", *own] if own else [])):
        fail("it could not be built: see the lines above")
    ignoring = os.environ.get("ALARMS") == "ignore"
    if not first:
        watch(account, stack, on=not ignoring)
    try:
        run(account, stack, ["--config-env", account.environment], [*known["parameter_overrides"], *own])
    finally:
        if ignoring and not first:
            watch(account, stack, on=True)
    outputs = stack.outputs()
    function = f"{outputs['MigrationFunctionName']}:live"
    try:
        if first:
            prepare(account, function)
        password = administrator(account, function)
    except NoAnswer as error:
        fail(f"the schema could not be made: {error}")
    look(outputs["ApiUrl"], password)
    for name, value in outputs.items():
        say(f"  {name:22} {value}")


def settled(stack: Stack) -> bool:
    """Whether it is there; a fault in it ends the program."""
    status = stack.status()
    if status and status.endswith("IN_PROGRESS"):
        fail(f"{stack.name} is in {status}: somebody deploys; wait until it is done")
    if status and status not in SETTLED:
        fail(f"{stack.name} is in {status}: {FIXES.get(status, 'see its events in the console')}")
    return status is not None


def watch(account: Account, stack: Stack, *, on: bool) -> None:
    """Whether alarms may stop what follows. One that rings already would stop what mends it, too."""
    codedeploy = boto3.client("codedeploy", region_name=account.region)
    group = {
        "applicationName": stack.resource("ServerlessDeploymentApplication"),
        "deploymentGroupName": stack.resource("ApiFunctionDeploymentGroup"),
    }
    alarms = codedeploy.get_deployment_group(**group)["deploymentGroupInfo"]["alarmConfiguration"]
    if alarms["enabled"] != on:
        say(f"Alarms: {'watched again' if on else 'ignored, this time'}")
        codedeploy.update_deployment_group(
            applicationName=group["applicationName"],
            currentDeploymentGroupName=group["deploymentGroupName"],
            alarmConfiguration=alarms | {"enabled": on},
        )


def run(account: Account, stack: Stack, options: Sequence[str], parameters: Sequence[str]) -> None:
    """`sam deploy`, which tells of each resource; a failure ends the program with the first one's reason."""
    before = stack.events()[:1]
    overrides = ["--parameter-overrides", *parameters] if parameters else []
    usual = ["--no-fail-on-empty-changeset", "--capabilities", "CAPABILITY_IAM", "--resolve-s3"]
    if sam(account, "deploy", *options, *usual, *overrides):
        fail(f"{stack.name} was not deployed: {stack.reason(before[0]['EventId'] if before else '')}")


def sam(account: Account, command: str, *options: str) -> int:
    program = str(environment_of("sam") / "bin" / "sam")
    quiet = os.environ | {"SAM_CLI_TELEMETRY": "0"}
    words = [program, command, *options, "--region", account.region]
    return subprocess.run(words, cwd=ROOT, env=quiet, check=False).returncode


def prepare(account: Account, function: str) -> None:
    """What the gate does for every other release: a first creation has none."""
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


def look(url: str, password: str | None) -> None:
    """That it is this commit which answers; then the demo, without a password as far as anybody may go."""
    email = os.environ.get("ADMINISTRATOR_EMAIL") or ADMINISTRATOR
    built = (ROOT / "dist" / "release.yaml").read_text().strip().rpartition("-")[2]
    try:
        with httpx2.Client(base_url=url, timeout=30) as client:
            if (commit := client.get("/version").json()["commit"]) != built:
                fail(f"{url} answers with commit {commit}, and {built} was deployed")
            demo.Demo(client).run(email, password)
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        fail(f"{url} does not answer: {error!r}")

"""`make deploy ENV=..`: network and database where they are missing, then a release, then a look at it."""

import os
import secrets
import subprocess
import tomllib
from collections.abc import Sequence

import httpx2
from botocore.exceptions import BotoCoreError, ClientError

from app import NAME
from app.foundation.invoke import NoAnswer, invoke
from ops import demo
from ops.cloud.account import Account, Stack, chosen, now
from ops.dev import ADMINISTRATOR
from ops.environment import ROOT
from ops.terminal import fail, say
from ops.tools import environment_of

# what a stack may be in for another deployment to begin
SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
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
    architecture = [f"Architecture={os.environ['ARCH']}"] if os.environ.get("ARCH") else []
    overrides = ["--parameter-overrides", *architecture] if architecture else []
    if sam(account, "build", *overrides):
        fail("it could not be built: see the lines above")
    given = tomllib.loads((ROOT / "samconfig.toml").read_text())[account.environment]["deploy"]["parameters"]
    parameters = [*given["parameter_overrides"], *architecture] if architecture else []
    run(account, stack, ["--config-env", account.environment], parameters)
    outputs = stack.outputs()
    # the gate has no part in a first creation
    password = prepare(account, outputs["MigrationFunctionName"]) if first else None
    look(outputs["ApiUrl"], password)
    for name, value in outputs.items():
        say(f"  {name:22} {value}")


def settled(stack: Stack) -> bool:
    """Whether it is there; a fault in it ends the program."""
    status = stack.status()
    if status and status.endswith("IN_PROGRESS"):
        fail(f"{stack.name} is in {status}: somebody deploys; wait until it is done")
    if status and status not in SETTLED:
        fail(f"{stack.name} is in {status}: nothing of it works; delete it, and deploy again")
    return status is not None


def run(account: Account, stack: Stack, options: Sequence[str], parameters: Sequence[str]) -> None:
    """`sam deploy`, which tells of each resource; a failure ends the program with the first one's reason."""
    began = now()
    overrides = ["--parameter-overrides", *parameters] if parameters else []
    usual = ["--no-fail-on-empty-changeset", "--capabilities", "CAPABILITY_IAM", "--resolve-s3"]
    if sam(account, "deploy", *options, *usual, *overrides):
        fail(f"{stack.name} was not deployed: {stack.reason(began)}")


def sam(account: Account, command: str, *options: str) -> int:
    program = str(environment_of("sam") / "bin" / "sam")
    region = [] if command == "build" else ["--region", account.region]
    quiet = os.environ | {"SAM_CLI_TELEMETRY": "0"}
    return subprocess.run([program, command, *options, *region], cwd=ROOT, env=quiet, check=False).returncode


def prepare(account: Account, function: str) -> str | None:
    """The schema and the first administrator, whose new password is shown and given."""
    email = os.environ.get("ADMINISTRATOR_EMAIL") or ADMINISTRATOR
    password = os.environ.get("ADMINISTRATOR_PASSWORD") or secrets.token_urlsafe(18)
    who = {"email": email, "password": password}
    try:
        answer = invoke(f"{function}:live", {"action": "prepare"}, account.region)
        say(f"Schema: {answer['verdict']}, {len(answer['applied'])} revisions applied")
        made = invoke(f"{function}:live", {"action": "seed"} | who, account.region)
        invoke(f"{function}:live", {"action": "released"}, account.region)
    except NoAnswer as error:
        fail(f"the schema could not be made: {error}")
    if not made["seeded"]:
        return None
    say(f"  Administrator  {email}\n  Password       {password}   (shown once)")
    return password


def look(url: str, password: str | None) -> None:
    """The demo, as the administrator whose password is known; else what anybody may call."""
    email = os.environ.get("ADMINISTRATOR_EMAIL") or ADMINISTRATOR
    known = password or os.environ.get("ADMINISTRATOR_PASSWORD")
    try:
        with httpx2.Client(base_url=url, timeout=30) as client:
            demo.Demo(client).run(email, known)
    except httpx2.HTTPError as error:
        fail(f"{url} does not answer: {error}")

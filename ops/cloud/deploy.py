"""`make deploy ENV=..`: what a release stands on where it is missing, then a release, then a look at it."""

import os
import secrets
import tomllib
from collections.abc import Sequence
from contextlib import nullcontext

from app import NAME
from app.foundation.invoke import NoAnswer, invoke
from ops.cloud import budget, image
from ops.cloud.account import Account, signed_in
from ops.cloud.alarms import ignored
from ops.cloud.change import agree
from ops.cloud.releases import back, shelf
from ops.cloud.sam import run, sam
from ops.cloud.smoke import look, use
from ops.cloud.stack import NEVER, Stack
from ops.environment import ADMINISTRATOR, ROOT
from ops.size import megabytes
from ops.terminal import fail, say, tell

# what this program itself reads of samconfig.toml
NAMED = {"Architecture", "Runs", "Tasks", "LoadBalancer", "DomainName", "HostedZoneId", "CertificateArn"}
# of which the small environment is made; samconfig.toml and the parameters of infra/ have the rest
SMALL = {"dev": ["Class=db.t4g.micro", "DeletionProtection=false", "BackupDays=1"]}


def deploy() -> None:
    with signed_in() as account:
        say(f"{NAME}-{account.environment}: account {account.number}, {account.region}")
        make(account, "pipeline", [f"Environment={account.environment}"])
        network = make(account, "network", [])
        make(account, "database", [f"Network={network}", *SMALL.get(account.environment, [])])
        release(account)


def make(account: Account, part: str, parameters: Sequence[str]) -> str:
    """Where it is missing; the stack's name."""
    stack = account.stack(part)
    if present(account, stack):
        say(f"{stack.name}: there")
        return stack.name
    say(f"{stack.name}: making it{' (about ten minutes)' if part == 'database' else ''}")
    run(account, stack, ["--template-file", f"infra/{part}.yaml"], parameters)
    return stack.name


def present(account: Account, stack: Stack) -> bool:
    """Whether it is there; what is left of one that never was goes first, where that is agreed to."""
    if (status := stack.rested()) in NEVER:
        agree(f"{stack.name} is in {status}: it never was there, and has to be deleted first")
        stack.delete({} if stack.name.endswith("-pipeline") else account.role())
    return stack.settled()


def release(account: Account) -> None:
    stack = account.stack()
    before = shelf(account).current() if present(account, stack) else ""
    ungated = not stack.resource("ApiFunctionAliaslive")
    made, given, parameters = building(account, stack)
    if parameters["Runs"] != "lambda":
        repository = account.stack("pipeline").outputs()["Repository"]
        image.push(account, repository, made, parameters["Architecture"])
    ignoring = os.environ.get("ALARMS") == "ignore" and before
    try:
        with ignored(account, stack) if ignoring else nullcontext():
            run(account, stack, [], given)
    except SystemExit:
        if before:
            took_over(account, stack)
        raise
    password = begin(account, stack, ungated=ungated)
    try:
        look(account, "", made.rpartition("-")[2])
    except SystemExit as fault:
        if before:
            say(f"{fault}\n{stack.name}: what answers is not as it should be; going back")
            back(account, to=before)
        raise
    shelf(account).keep(before)
    if password:
        use(account, "", password)
    tell(told(account, stack, made, parameters["Architecture"]))


def building(account: Account, stack: Stack) -> tuple[str, list[str], dict[str, str]]:
    """The ReleaseId of what it built, and the release's parameters: as SAM takes them, and by their names."""
    given, parameters = parameters_of(account.environment)
    say(budget.check(account, parameters))
    say(f"{stack.name}: building")
    sam(account, "build", "--parameter-overrides", f"Architecture={parameters['Architecture']}")
    made = (ROOT / "dist" / "release.yaml").read_text().removeprefix("ReleaseId:").strip()
    say(f"{stack.name}: release {made}")
    return made, given, parameters


def told(account: Account, stack: Stack, made: str, architecture: str) -> dict[str, str]:
    outputs, built = stack.outputs(), ROOT / "dist" / f"lambda-{architecture}"
    found = invoke(f"{outputs['MigrationFunctionName']}:live", {"action": "current"}, account.region)
    schema = f"{found['verdict']}, at {found['to']}"
    return {"Release": made, "Artifact": f"{megabytes(built):.1f} MB unzipped", "Schema": schema} | outputs


def took_over(account: Account, stack: Stack) -> None:
    """The old code has the traffic again; ECS said that the new one had it, before its alarms were heard."""
    try:
        invoke(f"{stack.outputs()['MigrationFunctionName']}:live", {"action": "released"}, account.region)
    except NoAnswer as error:
        say(f"the database was not told which release has the traffic: {error}")


def begin(account: Account, stack: Stack, *, ungated: bool) -> str | None:
    """The schema, where the alias is new and so had no gate, and an administrator; the password."""
    function = f"{stack.outputs()['MigrationFunctionName']}:live"
    if ungated:
        answer = invoke(function, {"action": "prepare"}, account.region)
        say(f"Schema: {answer['verdict']}, {len(answer['applied'])} revisions applied")
        invoke(function, {"action": "released"}, account.region)
    return administrator(account, function)


def parameters_of(environment: str) -> tuple[list[str], dict[str, str]]:
    """samconfig.toml's, with ARCH; as they are handed to SAM, and by their names."""
    try:
        known = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]["deploy"]["parameters"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        fail(f"samconfig.toml cannot be read for {environment}: {error!r}")
    own = [f"Architecture={os.environ['ARCH']}"] if os.environ.get("ARCH") else []
    given = [*known["parameter_overrides"], *own]
    pairs = (pair.partition("=") for pair in given if not pair.startswith("file:"))
    found = {name: value.strip('"') for name, _, value in pairs}
    if lacking := sorted(NAMED - set(found)):
        fail(f"samconfig.toml, {environment}: name {', '.join(lacking)}, or each keeps its last value")
    return given, found


def administrator(account: Account, function: str) -> str | None:
    """Makes the first one where there is none; the password, where it is known. Raises NoAnswer."""
    given = os.environ.get("ADMINISTRATOR_PASSWORD")
    if not given and os.environ.get("CI"):
        return None  # others read along, so none is made up
    password = given or secrets.token_urlsafe(18)
    email = os.environ.get("ADMINISTRATOR_EMAIL") or ADMINISTRATOR
    seed = {"action": "seed", "email": email, "password": password}
    try:
        made = invoke(function, seed, account.region)["seeded"]
    except BaseException:  # the function may go on
        say(f"  {email} may have become the administrator, {'as given' if given else f'with {password}'}")
        raise
    if made:
        say(f"  Administrator  {email}")
        say(f"  Password       {'as given' if given else f'{password}   (shown once)'}")
        return password
    return given

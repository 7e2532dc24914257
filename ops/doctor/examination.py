"""`make doctor ENV=..`: what could keep a deployment from going well, each with what mends it."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from app import NAME
from app.foundation.invoke import NoAnswer, invoke
from app.foundation.settings import Settings
from ops.cloud import budget
from ops.cloud.account import Account, named, signed_in
from ops.cloud.deploy import parameters_of
from ops.cloud.stack import NEVER, SETTLED, fix_of
from ops.doctor import drifting, names
from ops.environment import ROOT
from ops.terminal import fail, say
from ops.tools import PYTHON, uv

Found = Iterator[tuple[str, str] | str]  # what is wrong, and its fix; or what can be said of the rest
Parameters = Mapping[str, str]

FEW = 10  # functions at once, as a new account may have ("Lambda quotas": reduced for new accounts; 1,000)
OLD = timedelta(days=7)  # of a preview
VERDICTS = {
    "behind": "make deploy ENV={}, whose gate moves it",
    "empty": "make deploy ENV={}",
    "diverged": "deploy the branch whose revision it is at, and downgrade there (docs/migrations.md)",
}
# settings that a place does without (tests/ops/test_doctor.py has the reasons)
COMPOSE = "commit admin_database_url migrations_dir type_db db_auth secrets_arn"
ANY = "db_password type_db migrations_dir administrator_email administrator_password smtp_password"
FUNCTIONS = f"{ANY} prepare_at_start database_wait_seconds workers trusted_proxies"
TASK = f"{ANY} prepare_at_start database_wait_seconds workers admin_database_url database_url secret_key"
# where they are named: the file, what of it, how
PLACES = {
    "the file": (".env.example", r".*", r"^(?:# )?([A-Z_]+)=", ""),
    "its app": ("compose.yaml", r"\n  app:.*?\n    ports:", r"^      ([A-Z_]+):", COMPOSE),
    "the functions": ("template.yaml", r"\nGlobals:.*?\n  Cluster:", r"^ {8}(?:  )?([A-Z_]+):", FUNCTIONS),
    "the Task": ("template.yaml", r"\n  Task:.*?\n  TaskLogs:", r"\bName: ([A-Z_]+)", TASK),
}


def examine() -> None:
    _, parameters = parameters_of(named())
    count = look("settings", settings) + look("tools", partial(tools, parameters))
    with signed_in() as account:
        say(f"ok  credentials: account {account.number}, {account.region}")
        for area in (connections, names.name, drifting.drift, schema, leftovers, limits, alarms):
            count += look(area.__name__, partial(area, account, parameters))
    if count:
        fail(f"{count} found, each with what mends it, above")
    say("Nothing found.")


def look(area: str, examined: Callable[[], Found]) -> int:
    """Tells what an area gives, and counts what is wrong; so is what AWS refuses to show."""
    given: list[tuple[str, str] | str] = []
    try:
        given.extend(examined())  # keeps what comes before an error
    except (BotoCoreError, ClientError, NoAnswer) as error:
        given.append((f"AWS does not tell: {error}", "allow it to who is signed in (DeployPolicy), or wait"))
    wrong = [one for one in given if isinstance(one, tuple)]
    for fault, fix in wrong:
        say(f"!!  {area}: {fault}: {fix}")
    if not wrong:
        say(f"ok  {area}: {', '.join(map(str, given))}")
    return len(wrong)


def settings() -> Found:
    for place, (file, part, pattern, without) in PLACES.items():
        found = re.search(part, (ROOT / file).read_text(encoding="utf-8"), re.DOTALL)
        named = re.findall(pattern, found[0] if found else "", re.MULTILINE)
        for name in sorted(set(Settings.model_fields) - {*map(str.lower, named), *without.split()}):
            yield f"{name.upper()} is not in {file}, {place}", "name it there, or in ops/doctor"
    yield f"{len(Settings.model_fields)}, the same in .env.example, compose.yaml and template.yaml"


def tools(parameters: Parameters) -> Found:
    yield from map(version, ("git --version", "make --version"))
    if parameters["Runs"] != "lambda":
        yield version("docker version --format {{.Server.Version}}")  # the engine's, which builds
    try:
        uv("python", "find", PYTHON)
        yield f"Python {PYTHON}"
    except SystemExit:
        yield f"no Python {PYTHON}, which builds what Lambda runs", f".venv/bin/uv python install {PYTHON}"


def version(question: str) -> tuple[str, str] | str:
    program, *words = question.split()
    if not shutil.which(program):
        return f"{program} is missing", f"install {program}, or put it on PATH"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{program} does not answer: {done.stderr.strip()}", f"start {program}, or mend it"
    number = re.search(r"\d+(\.\d+)+", done.stdout)
    return f"{program} {number[0] if number else 'of some version'}"


def connections(account: Account, parameters: Parameters) -> Found:
    if account.stack("database").status() not in SETTLED:
        yield "no database to ask"
        return
    try:
        yield budget.check(account, parameters).removeprefix("Connections: ")
    except SystemExit as ended:
        fault, _, fix = str(ended.code).removeprefix(f"{NAME}: ").partition(": ")
        yield fault, fix


def schema(account: Account, _: Parameters) -> Found:
    if account.stack().status() not in SETTLED:
        yield "no release to ask"
        return
    function = account.stack().outputs()["MigrationFunctionName"]
    told = invoke(f"{function}:live", {"action": "current"}, account.region)
    if fix := VERDICTS.get(told["verdict"]):
        yield (
            f"{told['verdict']} for what is deployed, at {told['to'] or 'nothing'}",
            fix.format(account.environment),
        )
    if told["broken_by"]:
        yield f"{', '.join(told['broken_by'])} took away what the release needs", "deploy one without"
    yield f"{told['verdict']}, at {told['to']}"


def leftovers(account: Account, _: Parameters) -> Found:
    base = account.stack()
    pages = base.client.get_paginator("describe_stacks").paginate()
    listed = [one for page in pages for one in page["Stacks"]]
    for one in (one for one in listed if f"{one['StackName']}-".startswith(f"{base.name}-")):
        stack, status = one["StackName"], one["StackStatus"]
        _, is_preview, called = stack.partition(f"{base.name}-preview-")
        down = f"make preview ENV={account.environment} NAME={called} DOWN=yes"
        if status in NEVER or status.endswith("_FAILED"):
            fix = "deploy again, which offers to delete it" if status in NEVER else fix_of(status)
            yield f"{stack} is in {status}", down if is_preview else fix
        age = datetime.now(UTC) - one.get("LastUpdatedTime", one["CreationTime"])
        if is_preview and age > OLD:
            yield f"{stack} is {age.days} days old", down
    yield "none"


def limits(account: Account, parameters: Parameters) -> Found:
    told = boto3.client("lambda", region_name=account.region).get_account_settings()["AccountLimit"]
    most = int(told["UnreservedConcurrentExecutions"])
    if most <= FEW and parameters["Runs"] != "container":
        fix = 'ask for more of "Concurrent executions" (Service Quotas, AWS Lambda), or reserve less'
        yield f"no more than {most} functions can run at once in this account", fix
    yield f"{most} functions at once"


def alarms(account: Account, _: Parameters) -> Found:
    cloudwatch = boto3.client("cloudwatch", region_name=account.region)
    name = account.stack().name
    found = cloudwatch.describe_alarms(AlarmNamePrefix=f"{name}-", StateValue="ALARM")["MetricAlarms"]
    for one in (one for one in found if not one["AlarmName"].startswith(f"{name}-preview-")):
        fix = f"make deploy ENV={account.environment} ALARMS=ignore, if a release is what mends it"
        yield f"{one['AlarmName']} rings: {one.get('StateReason', '')}", fix
    yield "none rings"

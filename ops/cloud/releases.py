"""Each release as it was deployed, kept in the bucket: what a rollback goes back to, without a build."""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

import boto3

from app.foundation.invoke import NoAnswer, invoke
from ops.cloud.account import Account, signed_in
from ops.cloud.alarms import ignored
from ops.cloud.change import carry_out
from ops.cloud.smoke import look
from ops.cloud.stack import Stack
from ops.terminal import fail, say, tell


@dataclass(frozen=True, slots=True)
class Release:
    id: str
    migration: str  # the version of the migration function
    parameters: dict[str, str]
    template: str  # its address
    before: str  # what it took the place of; empty where there was none


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is kept of a stack's releases."""

    account: Account
    stack: Stack
    bucket: str
    s3: Any

    def key(self, name: str) -> str:
        return f"{self.stack.name}/releases/{name}"

    def keep(self, before: str) -> None:
        """The one that is deployed now, in the place of that one."""
        function = self.stack.outputs()["MigrationFunctionName"]
        functions = boto3.client("lambda", region_name=self.account.region)
        version = functions.get_alias(FunctionName=function, Name="live")["FunctionVersion"]
        parameters, template = self.stack.parameters(), self.key(f"{self.current()}.yaml")
        self.s3.put_object(Bucket=self.bucket, Key=template, Body=self.stack.template().encode())
        address = f"{self.s3.meta.endpoint_url}/{self.bucket}/{template}"
        release = Release(self.current(), version, parameters, address, before)
        body = json.dumps(asdict(release)).encode()
        self.s3.put_object(Bucket=self.bucket, Key=self.key(f"{release.id}.json"), Body=body)

    def current(self) -> str:
        return self.stack.parameters()["ReleaseId"]

    def before(self, release: str) -> Release | None:
        """What it took the place of; of one that is not kept, the newest that is older."""
        names = [key.rpartition("/")[2] for key in self.listed()]
        ids = {name.removesuffix(".json") for name in names if name.endswith(".json")}
        older = max((one for one in ids if one < release), default="")
        found = self.find(release).before if release in ids else older
        return self.find(found) if found else None

    def listed(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.key(""))
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def find(self, release: str) -> Release:
        try:
            found = self.s3.get_object(Bucket=self.bucket, Key=self.key(f"{release}.json"))
        except self.s3.exceptions.NoSuchKey:
            fail(f"no release {release} of {self.stack.name} is kept; TO= is one that was deployed")
        return Release(**json.loads(found["Body"].read()))


def shelf(account: Account) -> Shelf:
    bucket = account.stack("pipeline").outputs()["Bucket"]
    return Shelf(account, account.stack(), bucket, boto3.client("s3", region_name=account.region))


def back(account: Account, to: str = "") -> None:
    """To the release before this one, or the one that is named: the code of both doors, and no schema."""
    account.there().settled()
    kept = shelf(account)
    now = kept.current()
    if not (release := kept.find(to) if to else kept.before(now)):
        fail(f"before {now} no release of {kept.stack.name} is kept")
    refuse_what_cannot_work(account, kept.stack, release)
    say(f"{kept.stack.name}: back from {now} to {release.id}")
    # functions move at once by their group's setting, below: a change of Canary would write the group anew,
    # and with it end the alarms' silence
    at_once = release.parameters["Runs"] == "container"
    canary = "AllAtOnce" if at_once else kept.stack.parameters()["Canary"]
    kept.stack.plan(release.template, release.parameters | {"Canary": canary}, account.role())
    # what rings is why one goes back
    with ignored(account, kept.stack, deploymentConfigName="CodeDeployDefault.LambdaAllAtOnce"):
        carry_out(account, kept.stack)
    look(account, "", release.id.rpartition("-")[2])
    say(f"{kept.stack.name}: release {release.id} has the traffic; the schema is as it was")


def refuse_what_cannot_work(account: Account, stack: Stack, release: Release) -> None:
    """Its own migration function, which is kept as a version, knows: the schema may have contracted since."""
    function = f"{stack.outputs()['MigrationFunctionName']}:{release.migration}"
    try:
        answer = invoke(function, {"action": "current"}, account.region)
    except NoAnswer as error:
        fail(f"whether release {release.id} works on this schema is not known: {error}")
    if answer["broken_by"]:
        steps = ", ".join(answer["broken_by"])
        fail(f"release {release.id} misses what {steps} took away from the schema; mend it in a new release")
    if answer["verdict"] not in {"current", "ahead"}:
        fail(f"release {release.id} does not work on this schema, which is {answer['verdict']} for it")


def rollback() -> None:
    """`make rollback ENV=.. TO=..`."""
    with signed_in() as account:
        back(account, to=os.environ.get("TO") or "")
        tell({"Release": shelf(account).current()} | account.stack().outputs())

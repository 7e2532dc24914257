"""A stack of CloudFormation: where it is, what is about to change, and how that goes."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from ops.terminal import fail, say

# what a stack may be in for another deployment to begin
SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
# it was never whole, and can only be deleted
NEVER = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
GO_ON = "aws cloudformation continue-update-rollback, once what hinders it is mended"


def fix_of(status: str) -> str:
    """What ends a state that is not settled, and not one of NEVER."""
    return GO_ON if status == "UPDATE_ROLLBACK_FAILED" else "see its events in the console"


@dataclass(frozen=True, slots=True)
class Stack:
    name: str
    client: Any

    def status(self) -> str | None:
        """None where there is none."""
        try:
            [found] = self.client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return str(found["StackStatus"])

    def rested(self) -> str:
        """The status once nobody changes it; empty where there is none."""
        status = self.status() or ""
        if status.endswith("IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
            say(f"{self.name} is in {status}: waiting until that is done")
            status = self.follow(self.newest(), list)
        return status

    def settled(self) -> bool:
        """Whether it is there, once nobody else changes it; a fault in it ends the program."""
        status = self.rested()
        if status in {"", "REVIEW_IN_PROGRESS"}:
            return False  # the latter has a change set that was not carried out yet, or never was
        if status not in SETTLED:
            fail(f"{self.name} is in {status}: {fix_of(status)}")
        return True

    def planned(self) -> tuple[str, list[dict[str, Any]]] | None:
        """The newest change set that waits, and what it changes; None where nothing would."""
        sets = self.client.list_change_sets(StackName=self.name)["Summaries"]
        waiting = [one for one in sets if one.get("ExecutionStatus") == "AVAILABLE"]
        if not waiting:
            return None
        name = max(waiting, key=lambda one: one["CreationTime"])["ChangeSetId"]
        paginator = self.client.get_paginator("describe_change_set")
        pages = paginator.paginate(StackName=self.name, ChangeSetName=name)
        return name, [change["ResourceChange"] for page in pages for change in page["Changes"]]

    def plan(self, template: str, parameters: Mapping[str, str], role: Mapping[str, str]) -> None:
        """A change set of a template that is kept somewhere."""
        name = f"back-{int(time.time())}"
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        what = {"TemplateURL": template, "Parameters": given, "Capabilities": ["CAPABILITY_IAM"]}
        self.client.create_change_set(StackName=self.name, ChangeSetName=name, **what, **role)
        waiting = self.client.get_waiter("change_set_create_complete")
        waiting.wait(StackName=self.name, ChangeSetName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300})

    def execute(self, change_set: str, also: Callable[[], list[str]]) -> bool:
        """Tells of each resource as it goes, and what `also` has to tell; whether all went well."""
        seen = self.newest()
        self.client.execute_change_set(StackName=self.name, ChangeSetName=change_set)
        return self.follow(seen, also) in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}

    def follow(self, seen: str, also: Callable[[], list[str]]) -> str:
        """Until nothing is in progress; the status, empty where the stack is gone."""
        while True:
            status = self.status() or ""  # before its last events, so that none is left untold
            for event in reversed(self.events(seen)):
                seen = event["EventId"]
                say(f"  {event['ResourceStatus']:36} {event['LogicalResourceId']}")
            for line in also():
                say(f"  {line}")
            if not status.endswith("IN_PROGRESS"):
                return status
            time.sleep(float(os.environ.get("SAM_CLI_POLL_DELAY") or 3))

    def delete(self, role: Mapping[str, str]) -> None:
        """To its end. One that stays ends the program with the reason."""
        if not self.rested():
            say(f"{self.name}: not there")
            return
        say(f"{self.name}: deleting it")
        before = self.newest()
        self.client.delete_stack(StackName=self.name, **role)
        if self.follow(before, list):
            fail(f"{self.name} was not deleted: {self.reason(before)}")
        say(f"{self.name}: deleted")

    def newest(self) -> str:
        """The id of the last event."""
        try:
            found = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        except ClientError:
            return ""  # there is no such stack yet
        return "".join(event["EventId"] for event in found[:1])

    def outputs(self) -> dict[str, str]:
        [found] = self.client.describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def parameters(self) -> dict[str, str]:
        [found] = self.client.describe_stacks(StackName=self.name)["Stacks"]
        return {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}

    def template(self) -> str:
        """As it was handed over, before SAM's transform."""
        found = self.client.get_template(StackName=self.name, TemplateStage="Original")["TemplateBody"]
        return found if isinstance(found, str) else json.dumps(found)

    def events(self, after: str = "") -> list[dict[str, Any]]:
        """Newest first, down to the one whose id is `after`."""
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=self.name)
        try:
            found = (event for page in pages for event in page["StackEvents"])
            return list(takewhile(lambda event: event["EventId"] != after, found))
        except ClientError:
            return []  # there is no such stack yet

    def reason(self, after: str) -> str:
        """Of the first resource that failed since; the others were only given up with it."""
        for event in reversed(self.events(after)):
            said = event.get("ResourceStatusReason", "")
            if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in said.lower():
                return f"{event['LogicalResourceId']}: {said}"
        return "see the lines above"

    def resource(self, name: str) -> str | None:
        """Its physical id; None where there is none."""
        try:
            found = self.client.describe_stack_resource(StackName=self.name, LogicalResourceId=name)
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

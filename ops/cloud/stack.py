"""A stack of CloudFormation: where it is, what is about to change, and how that goes."""

import os
import time
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from ops.terminal import fail, say

# what a stack may be in for another deployment to begin
SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
# what ends the other states
FIXES = {
    "ROLLBACK_COMPLETE": "it was never there; delete it (sam delete), and deploy again",
    "CREATE_FAILED": "it was never there; delete it (sam delete), and deploy again",
    "UPDATE_ROLLBACK_FAILED": "aws cloudformation continue-update-rollback, once what hinders it is mended",
}


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
        # a change set that was not executed yet, or never was
        return None if found["StackStatus"] == "REVIEW_IN_PROGRESS" else str(found["StackStatus"])

    def settled(self) -> bool:
        """Whether it is there; a fault in it ends the program."""
        status = self.status()
        if status and status.endswith("IN_PROGRESS"):
            fail(f"{self.name} is in {status}: somebody deploys; wait until it is done")
        if status and status not in SETTLED:
            fail(f"{self.name} is in {status}: {FIXES.get(status, 'see its events in the console')}")
        return status is not None

    def planned(self) -> tuple[str, list[dict[str, Any]]] | None:
        """The newest change set that waits, and what it changes; None where nothing would."""
        sets = self.client.list_change_sets(StackName=self.name)["Summaries"]
        waiting = [one for one in sets if one.get("ExecutionStatus") == "AVAILABLE"]
        if not waiting:
            return None
        name = max(waiting, key=lambda one: one["CreationTime"])["ChangeSetId"]
        pages = self.client.get_paginator("describe_change_set").paginate(ChangeSetName=name)
        return name, [change["ResourceChange"] for page in pages for change in page["Changes"]]

    def execute(self, change_set: str) -> bool:
        """Tells of each resource as it goes; whether all went well."""
        seen = self.newest()
        self.client.execute_change_set(ChangeSetName=change_set)
        while True:
            for event in reversed(self.events(seen)):
                seen = event["EventId"]
                say(f"  {event['ResourceStatus']:36} {event['LogicalResourceId']}")
            status = self.status() or ""
            if status and not status.endswith("IN_PROGRESS"):
                return status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
            time.sleep(float(os.environ.get("SAM_CLI_POLL_DELAY") or 3))

    def newest(self) -> str:
        """The id of the last event."""
        return "".join(event["EventId"] for event in self.events()[:1])

    def outputs(self) -> dict[str, str]:
        [found] = self.client.describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

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

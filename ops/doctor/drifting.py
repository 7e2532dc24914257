"""What is otherwise than it was deployed: User Guide, "Detect unmanaged configuration changes"."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ops.cloud.account import Account
from ops.cloud.stack import SETTLED, Stack
from ops.terminal import say

DRIFT_SECONDS = 900  # "can take up to several minutes" (API Reference, "DetectStackDrift")
# what others move by right: ECS the traffic, scaling the tasks, CodeDeploy the alias
MOVED = {
    "AWS::ElasticLoadBalancingV2::ListenerRule": "/Weight$",
    "AWS::ECS::Service": "^/DesiredCount$",
    "AWS::Lambda::Alias": "^/FunctionVersion$",
}


def drift(account: Account, _: Mapping[str, str]) -> Iterator[tuple[str, str] | str]:
    """Each fault with its fix; or what can be said of it."""
    stacks = [account.stack(part) for part in ("pipeline", "network", "database", "")]
    found = [(stack, stack.status()) for stack in stacks]
    there = [stack for stack, status in found if status in SETTLED]
    begun = [one.client.detect_stack_drift(StackName=one.name)["StackDriftDetectionId"] for one in there]
    for stack, detection in zip(there, begun, strict=True):
        say(f"    drift: waiting for {stack.name}")
        told = waited(stack, detection)
        if told["DetectionStatus"] != "DETECTION_COMPLETE":
            reason = told.get("DetectionStatusReason") or "it takes too long"
            yield f"{stack.name} was not looked at as a whole: {reason}", "allow to read what that names"
        for one in drifted(stack):
            if fault := differing(one):
                fix = "take that back, or write it to its template and deploy that"
                yield f"{stack.name}: {one['LogicalResourceId']} {fault}", fix
    moving = [f"{stack.name} is in {status}" for stack, status in found if status not in {None, *SETTLED}]
    yield ", ".join([f"{len(begun)} stacks are as they were deployed", *moving])


def waited(stack: Stack, detection: str) -> dict[str, Any]:
    end = time.monotonic() + DRIFT_SECONDS
    while True:
        told = stack.client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if told["DetectionStatus"] != "DETECTION_IN_PROGRESS" or time.monotonic() > end:
            return dict(told)
        time.sleep(float(os.environ.get("SAM_CLI_POLL_DELAY") or 3))


def drifted(stack: Stack) -> Iterator[dict[str, Any]]:
    asked = {"StackName": stack.name, "StackResourceDriftStatusFilters": ["MODIFIED", "DELETED"]}
    while True:
        told = stack.client.describe_stack_resource_drifts(**asked)
        yield from told["StackResourceDrifts"]
        if not told.get("NextToken"):
            return
        asked["NextToken"] = told["NextToken"]


def differing(one: dict[str, Any]) -> str:
    """In words; nothing, where that is another's to move."""
    if one["StackResourceDriftStatus"] == "DELETED":
        return "is deleted"
    moved = MOVED.get(one["ResourceType"])
    return "; ".join(
        f"{each['PropertyPath']} is {each['ActualValue'][:60]}, not {each['ExpectedValue'][:60]}"
        for each in one.get("PropertyDifferences", [])
        if not (moved and re.search(moved, each["PropertyPath"]))
    )

"""The account, and the stacks in it."""

import os
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from app import NAME
from ops.terminal import fail

ENVIRONMENTS = ("dev", "staging", "prod")


@dataclass(frozen=True, slots=True)
class Account:
    """Where one environment lives."""

    environment: str
    region: str
    number: str

    def stack(self, part: str = "") -> "Stack":
        """`network`, `database`, or the release itself."""
        name = "-".join(filter(None, [NAME, self.environment, part]))
        return Stack(name, boto3.client("cloudformation", region_name=self.region))


def chosen() -> Account:
    """By ENV, and by whoever is signed in. A fault ends the program."""
    environment = os.environ.get("ENV") or ""
    if environment not in ENVIRONMENTS:
        fail(f"which environment? ENV={' or ENV='.join(ENVIRONMENTS)}")
    try:
        region = os.environ.get("AWS_REGION") or boto3.Session().region_name
        if not region:
            fail("which region? set AWS_DEFAULT_REGION, such as AWS_DEFAULT_REGION=eu-central-1")
        number = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        fail(f"AWS does not know you: {error} (sign in, such as by `aws sso login`, and set AWS_PROFILE)")
    return Account(environment, region, number)


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

    def resource(self, name: str) -> str:
        """Its physical id."""
        found = self.client.describe_stack_resource(StackName=self.name, LogicalResourceId=name)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

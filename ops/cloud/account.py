"""The account, and the stacks in it."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
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
    region = os.environ.get("AWS_REGION") or boto3.Session().region_name
    if not region:
        fail("which region? set AWS_REGION, such as AWS_REGION=eu-central-1")
    try:
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

    def reason(self, since: datetime) -> str:
        """Of the first resource that failed; the others were only given up with it."""
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=self.name)
        for event in reversed([event for page in pages for event in page["StackEvents"]]):
            said = event.get("ResourceStatusReason", "")
            failed = event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in said.lower()
            if failed and event["Timestamp"] >= since:
                return f"{event['LogicalResourceId']}: {said}"
        return "see the lines above"


def now() -> datetime:
    """With a second to spare, as CloudFormation's clock is another."""
    return datetime.now(UTC).replace(microsecond=0)

"""The account, and an environment's stacks in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from app import NAME
from app.foundation.invoke import NoAnswer
from ops.cloud.stack import Stack
from ops.terminal import fail

ENVIRONMENTS = ("dev", "staging", "prod")


@dataclass(frozen=True, slots=True)
class Account:
    """Where one environment lives."""

    environment: str
    region: str
    number: str

    def stack(self, part: str = "") -> Stack:
        """`pipeline`, `network`, `database`, or the release itself."""
        name = "-".join(filter(None, [NAME, self.environment, part]))
        return Stack(name, boto3.client("cloudformation", region_name=self.region))

    def there(self) -> Stack:
        """The release; where there is none that ever was whole, the program ends."""
        stack = self.stack()
        status = stack.status()
        if not status or not stack.outputs():
            state = f"in {status}" if status else "not there"
            fail(f"{stack.name} is {state}: make deploy ENV={self.environment}")
        return stack

    def stacks(self) -> set[str]:
        """The names of all that are there."""
        pages = self.stack().client.get_paginator("describe_stacks").paginate()
        return {found["StackName"] for page in pages for found in page["Stacks"]}

    def role(self) -> dict[str, str]:
        """What CloudFormation does it as: in a pipeline as a role that may no more than it must."""
        if not os.environ.get("CI"):
            return {}
        return {"RoleARN": self.stack("pipeline").outputs()["ExecutionRole"]}


def named() -> str:
    if (environment := os.environ.get("ENV") or "") not in ENVIRONMENTS:
        fail(f"which environment? ENV={' or ENV='.join(ENVIRONMENTS)}")
    return environment


def chosen() -> Account:
    """By ENV, and by whoever is signed in. A fault ends the program."""
    environment = named()
    try:
        region = os.environ.get("AWS_REGION") or boto3.Session().region_name
        if not region:
            fail("which region? set AWS_DEFAULT_REGION, such as AWS_DEFAULT_REGION=eu-central-1")
        number = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        fail(f"AWS does not know you: {error} (sign in, such as by `aws sso login`, and set AWS_PROFILE)")
    return Account(environment, region, number)


@contextmanager
def signed_in() -> Iterator[Account]:
    """The account; whatever AWS refuses meanwhile ends the program in one line, and so does Ctrl-C."""
    account = chosen()
    try:
        yield account
    except NoAnswer as error:
        fail(str(error))
    except (BotoCoreError, ClientError) as error:
        fail(f"AWS refused: {error}")
    except (KeyboardInterrupt, EOFError):
        fail("stopped here; what AWS has begun goes on there, and this command from there on")

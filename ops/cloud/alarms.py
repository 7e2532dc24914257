"""Alarms while a release is deployed: one that rings already would stop what mends it, too."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3

from ops.cloud.account import Account
from ops.cloud.stack import Stack
from ops.terminal import say


@contextmanager
def ignored(account: Account, stack: Stack) -> Iterator[None]:
    """By CodeDeploy, until the end of it.

    ECS does not watch what rings as a deployment begins (AWS Copilot CLI, "Backend Service", deployment).
    """
    watch(account, stack, on=False)
    try:
        yield
    finally:
        watch(account, stack, on=True)


def watch(account: Account, stack: Stack, *, on: bool) -> None:
    if not (name := stack.resource("ApiFunctionDeploymentGroup")):
        return
    codedeploy = boto3.client("codedeploy", region_name=account.region)
    application = stack.resource("ServerlessDeploymentApplication")
    group = codedeploy.get_deployment_group(applicationName=application, deploymentGroupName=name)
    alarms = group["deploymentGroupInfo"]["alarmConfiguration"]
    if alarms["enabled"] != on:
        say(f"Alarms: {'watched again' if on else 'ignored, this time'}")
        codedeploy.update_deployment_group(
            applicationName=application,
            currentDeploymentGroupName=name,
            alarmConfiguration=alarms | {"enabled": on},
        )

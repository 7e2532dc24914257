"""Alarms while a release is deployed: one that rings already would stop what mends it, too."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3

from ops.cloud.account import Account
from ops.cloud.stack import Stack
from ops.terminal import say


@contextmanager
def ignored(account: Account, stack: Stack, **also: str) -> Iterator[None]:
    """By CodeDeploy, until the end of it, with `also` of the group's settings otherwise.

    ECS does not watch what rings as a deployment begins (AWS Copilot CLI, "Backend Service", deployment).
    """
    if not (name := stack.resource("ApiFunctionDeploymentGroup")):
        yield
        return
    codedeploy = boto3.client("codedeploy", region_name=account.region)
    application = stack.resource("ServerlessDeploymentApplication")
    found = codedeploy.get_deployment_group(applicationName=application, deploymentGroupName=name)
    group = found["deploymentGroupInfo"]
    kept = {key: group[key] for key in ("alarmConfiguration", *also)}
    named = {"applicationName": application, "currentDeploymentGroupName": name}
    silent = {"alarmConfiguration": kept["alarmConfiguration"] | {"enabled": False}}
    say("Alarms: ignored, this time")
    try:
        codedeploy.update_deployment_group(**named, **silent, **also)
        yield
    finally:
        watched = {"alarmConfiguration": kept["alarmConfiguration"] | {"enabled": True}}
        codedeploy.update_deployment_group(**named, **kept | watched)
        say("Alarms: watched again")

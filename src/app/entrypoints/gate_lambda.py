"""AWS CodeDeploy's door: new code has no traffic before the schema is its own (boto3 is Lambda's)."""

import json
import logging
import os
from typing import Any

import boto3

from app.foundation.invoke import NoAnswer, invoke

# Lambda makes JSON of it (LoggingConfig)
log = logging.getLogger()

# with these the new code works; `ahead` is a rollback, or an older release once more
READY = {"current", "ahead"}


def before_traffic(event: dict[str, str], _: Any) -> None:
    """Moves the schema; what cannot be moved fails the deployment, and CloudFormation rolls back."""
    try:
        answer = invoke(os.environ["MIGRATION_FUNCTION"], {"action": "prepare"})
    except NoAnswer as error:
        log.error("%s", error)  # noqa: TRY400  # its traceback says nothing more
        report(event, "Failed")
        return
    if answer["verdict"] in READY and not answer["broken_by"]:
        log.info("prepared: %s", json.dumps(answer))
        report(event, "Succeeded")
    else:
        log.error("the schema is %s: %s", answer["verdict"], json.dumps(answer))
        report(event, "Failed")


def after_traffic(event: dict[str, str], _: Any) -> None:
    """Says that this version has all the traffic. If that fails, contract steps wait for another release."""
    try:
        answer = invoke(os.environ["MIGRATION_FUNCTION"], {"action": "released"})
        log.info("released: %s", json.dumps(answer))
    except NoAnswer as error:
        log.error("%s", error)  # noqa: TRY400  # likewise
    report(event, "Succeeded")


def report(event: dict[str, str], status: str) -> None:
    """AWS CodeDeploy User Guide, "AppSpec 'hooks' section for an AWS Lambda deployment"."""
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status,
    )

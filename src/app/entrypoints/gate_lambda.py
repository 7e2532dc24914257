"""AWS CodeDeploy's door: new code has no traffic before the schema is its own (boto3 is Lambda's)."""

import json
import logging
import os
from typing import Any

import boto3

from app.foundation.invoke import invoke

# Lambda makes JSON of it (LoggingConfig)
log = logging.getLogger()

# with these the new code works; `ahead` is a rollback, or an older release once more
READY = {"current", "ahead"}


def before_traffic(event: dict[str, str], _: Any) -> None:
    """Moves the schema; what cannot be moved fails the deployment, and CloudFormation rolls back."""
    report(event, "Succeeded" if prepared() else "Failed")


def prepared() -> bool:
    """Whatever happens, there is an answer: without one CodeDeploy waits for an hour."""
    try:
        answer = invoke(os.environ["MIGRATION_FUNCTION"], {"action": "prepare"})
        ready: bool = answer["verdict"] in READY and not answer["broken_by"]
    except Exception:
        log.exception("the schema was not prepared")
        return False
    log.log(
        logging.INFO if ready else logging.ERROR,
        "the schema is %s: %s",
        answer["verdict"],
        json.dumps(answer),
    )
    return ready


def after_traffic(event: dict[str, str], _: Any) -> None:
    """Says that this version has all the traffic. If that fails, contract steps wait for another release."""
    try:
        answer = invoke(os.environ["MIGRATION_FUNCTION"], {"action": "released"})
        log.info("released: %s", json.dumps(answer))
    except Exception:
        log.exception("the database was not told")
    report(event, "Succeeded")


def report(event: dict[str, str], status: str) -> None:
    """AWS CodeDeploy User Guide, "AppSpec 'hooks' section for an AWS Lambda deployment"."""
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status,
    )

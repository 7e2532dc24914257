"""CodeDeploy's and ECS's door: new code has no traffic before the schema is its own (boto3 is Lambda's)."""

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


def before_traffic(event: Any, _: Any) -> dict[str, str] | None:
    """Moves the schema; what cannot be moved fails the deployment, which is rolled back."""
    expect(event, "PRE_SCALE_UP")
    return report(event, prepared())


def prepared() -> str:
    """Whatever happens, there is an answer: without one CodeDeploy waits for an hour."""
    try:
        answer = invoke(os.environ["MIGRATION_FUNCTION"], {"action": "prepare"})
        ready: bool = answer["verdict"] in READY and not answer["broken_by"]
    except Exception:
        log.exception("the schema was not prepared")
        return "FAILED"
    log.log(
        logging.INFO if ready else logging.ERROR,
        "the schema is %s: %s",
        answer["verdict"],
        json.dumps(answer),
    )
    # it stops only after a step that was applied, so asking again comes to an end
    return "SUCCEEDED" if ready else "IN_PROGRESS" if "stopped" in answer else "FAILED"


def after_traffic(event: Any, _: Any) -> dict[str, str] | None:
    """Says that this version has all the traffic. If that fails, contract steps wait for another release."""
    expect(event, "POST_PRODUCTION_TRAFFIC_SHIFT")
    try:
        answer = invoke(os.environ["MIGRATION_FUNCTION"], {"action": "released"})
        log.info("released: %s", json.dumps(answer))
    except Exception:
        log.exception("the database was not told")
    return report(event, "SUCCEEDED")


def expect(event: Any, stage: str) -> None:
    """Nothing is begun for another event, nor for a stage that comes too early. Raises ValueError."""
    match event:
        case {"lifecycleStage": str(given), "executionDetails": _} if given == stage:
            return
        case {"DeploymentId": str(), "LifecycleEventHookExecutionId": str()}:
            return
    raise ValueError(
        f"expected Amazon ECS's event of stage {stage} (lifecycleStage, executionDetails) or "
        "AWS CodeDeploy's (DeploymentId, LifecycleEventHookExecutionId)"
    )


def report(event: dict[str, str], status: str) -> dict[str, str] | None:
    """ECS reads what is returned, and asks again after IN_PROGRESS; CodeDeploy is told, and asks once.

    Amazon ECS Developer Guide, "Lambda hooks for Amazon ECS service deployments"; AWS CodeDeploy User Guide,
    "AppSpec 'hooks' section for an AWS Lambda deployment".
    """
    if "executionDetails" in event:
        return {"hookStatus": status}
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status="Succeeded" if status == "SUCCEEDED" else "Failed",
    )
    return None

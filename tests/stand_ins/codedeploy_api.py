"""As much of CodeDeploy's API as a hook and a test ask for."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.stand_ins.deployment import Deployment, deployments, groups
from tests.stand_ins.recorded import Properties

Response = tuple[int, dict[str, str], bytes]
HEADERS = {"Content-Type": "application/x-amz-json-1.1"}  # copied for each answer: ministack adds its length


class Refused(Exception):
    """AWS's code for it, and a message."""


def put_status(asked: Properties) -> Properties:
    """API reference, "PutLifecycleEventHookExecutionStatus": its errors, too."""
    execution = asked.get("lifecycleEventHookExecutionId")
    event = next((event for event in find(asked).events if event.id == execution), None)
    if event is None:
        raise Refused("InvalidLifecycleEventHookExecutionIdException", f"No execution {execution}")
    if asked.get("status") not in {"Succeeded", "Failed"}:
        raise Refused("InvalidLifecycleEventHookExecutionStatusException", "It is Succeeded or Failed")
    if event.status != "InProgress":
        raise Refused("LifecycleEventAlreadyCompletedException", f"{event.name} is {event.status}")
    event.answer(asked["status"])
    return {"lifecycleEventHookExecutionId": event.id}


def find(asked: Properties) -> Deployment:
    if asked.get("deploymentId") not in deployments:
        raise Refused("DeploymentDoesNotExistException", f"No deployment {asked.get('deploymentId')}")
    return deployments[asked["deploymentId"]]


def get_deployment(asked: Properties) -> Properties:
    found = find(asked)
    information = {
        "applicationName": found.application,
        "deploymentGroupName": found.group,
        "deploymentId": found.id,
        "status": found.status,
        "createTime": found.created,
        "computePlatform": "Lambda",
    }
    if found.reason:
        information["errorInformation"] = {"code": "HEALTH_CONSTRAINTS", "message": found.reason}
    return {"deploymentInfo": information}


def get_target(asked: Properties) -> Properties:
    """Where the lifecycle events are ("GetDeploymentTarget"); here there is one target, FUNCTION:ALIAS."""
    found = find(asked)
    events = [{"lifecycleEventName": event.name, "status": event.status} for event in found.events]
    target = {"deploymentId": found.id, "targetId": found.target, "status": found.status}
    about = {"deploymentTargetType": "LambdaFunction", "lambdaTarget": target | {"lifecycleEvents": events}}
    return {"deploymentTarget": about}


def list_deployments(asked: Properties) -> Properties:
    """In the order they were made."""

    def wanted(found: Deployment) -> bool:
        return (
            asked.get("applicationName", found.application) == found.application
            and asked.get("deploymentGroupName", found.group) == found.group
            and found.status in asked.get("includeOnlyStatuses", [found.status])
        )

    return {"deployments": [found.id for found in deployments.values() if wanted(found)]}


def find_group(asked: Properties, name: str) -> Properties:
    if (found := groups.get((asked.get("applicationName", ""), name))) is None:
        raise Refused("DeploymentGroupDoesNotExistException", f"No deployment group {name}")
    return found


def get_group(asked: Properties) -> Properties:
    """The alarms, and how traffic moves ("GetDeploymentGroup", DeploymentGroupInfo)."""
    found = find_group(asked, asked["deploymentGroupName"])
    alarms = found.get("AlarmConfiguration") or {}
    named = [{"name": alarm["Name"]} for alarm in alarms.get("Alarms", [])]
    watched = {"enabled": alarms["Enabled"], "alarms": named}
    moves = found.get("DeploymentConfigName", "")
    return {"deploymentGroupInfo": {"alarmConfiguration": watched, "deploymentConfigName": moves}}


def update_group(asked: Properties) -> Properties:
    alarms = asked["alarmConfiguration"]
    named = [{"Name": alarm["name"]} for alarm in alarms["alarms"]]
    found = find_group(asked, asked["currentDeploymentGroupName"])
    found["AlarmConfiguration"] = {"Enabled": alarms["enabled"], "Alarms": named}
    if moves := asked.get("deploymentConfigName"):
        found["DeploymentConfigName"] = moves
    return {"hooksNotCleanedUp": []}


def refuse(action: str, asked: Properties) -> Properties:
    raise Refused("UnknownOperationException", f"{action} is not emulated")


ACTIONS: dict[str, Callable[[Properties], Properties]] = {
    "GetDeployment": get_deployment,
    "GetDeploymentGroup": get_group,
    "GetDeploymentTarget": get_target,
    "ListDeploymentTargets": lambda asked: {"targetIds": [find(asked).target]},
    "ListDeployments": list_deployments,
    "PutLifecycleEventHookExecutionStatus": put_status,
    "UpdateDeploymentGroup": update_group,
}


async def answer(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Response:
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    act = ACTIONS.get(action, partial(refuse, action))
    try:
        return 200, dict(HEADERS), json.dumps(act(json.loads(body))).encode()
    except Refused as refused:
        code, message = refused.args
        return 400, dict(HEADERS), json.dumps({"__type": code, "message": message}).encode()

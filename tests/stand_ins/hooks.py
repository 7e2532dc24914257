"""The lifecycle hooks of an ECS deployment.

After "Lambda hooks for Amazon ECS service deployments" (Amazon ECS Developer Guide). Between two calls of one
that is not done are PAUSE s at most, and not its callBackDelay.
"""

import json
import time

from ministack.services import iam

from tests.stand_ins.deployment import HOOK_SECONDS
from tests.stand_ins.invocation import invoke
from tests.stand_ins.recorded import Properties

PAUSE = 0.3
# what the managed policies allow ("AWS Managed Policy Reference"); other policies are not read
MANAGED = {
    "InvokeFunction": {"service-role/AWSLambdaRole", "AWSLambda_FullAccess"},
    "elasticloadbalancing": {"AmazonECSInfrastructureRolePolicyForLoadBalancers"},
}


def run_hook(hook: Properties, event: Properties) -> None:
    """Raises ValueError. The function may ask to be called again, and have what it said handed back to it."""
    function, limit = hook["HookTargetArn"], hook.get("TimeoutConfiguration") or {}
    failed = "hook execution failure(s) detected"
    refuse_without_permission(hook["RoleArn"], "InvokeFunction")
    if asked := hook.get("HookDetails"):
        event["hookDetails"] = json.loads(asked) if isinstance(asked, str) else asked
    end = time.monotonic() + min(HOOK_SECONDS, 60 * int(limit.get("TimeoutInMinutes", 1440)))
    while time.monotonic() < end:
        answer = invoke(function, event)
        status = answer.get("hookStatus") if isinstance(answer, dict) else None
        if status == "SUCCEEDED":
            return
        if status != "IN_PROGRESS":
            raise ValueError(
                f"{failed}: {function} answered {json.dumps(answer)} at {event['lifecycleStage']}"
            )
        if more := answer.get("hookDetails"):
            event["hookDetails"] = event.get("hookDetails", {}) | more
        time.sleep(min(PAUSE, float(answer.get("callBackDelay", 30))))
    if limit.get("Action") != "CONTINUE":
        raise ValueError(f"{failed}: {function} was not done in time at {event['lifecycleStage']}")


def refuse_without_permission(role_arn: str, action: str) -> None:
    """IAM is not enforced here, and this is what a first deployment trips over."""
    role = iam._roles.get(role_arn.rpartition("/")[2]) or {}
    if "ecs.amazonaws.com" not in str(role.get("AssumeRolePolicyDocument")):
        raise ValueError(f"ECS was unable to assume the role {role_arn}")
    attached: set[str] = {arn.partition(":policy/")[2] for arn in role.get("AttachedPolicies", [])}
    if not MANAGED[action] & attached and action not in str(role.get("InlinePolicies")):
        raise ValueError(f"The IAM role {role_arn} does not allow {action}")

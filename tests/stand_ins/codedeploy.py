"""CodeDeploy's part in a stack: its resources, and the update of a Lambda alias by a deployment.

After CloudFormation's "UpdatePolicy attribute" (CodeDeployLambdaAliasUpdate).
"""

import copy
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.core import router
from ministack.services.cloudformation import _stacks, changesets, engine, handlers, provisioners, stacks

from tests.stand_ins import codedeploy_api
from tests.stand_ins.deployment import Deployment, Event, deployments, groups
from tests.stand_ins.recorded import Made, Properties, forget

# the template and parameters of the stack operation that runs; ministack gives a handler its properties alone
operation: ContextVar[tuple[Properties, Properties]] = ContextVar("operation", default=({}, {}))


def update_alias(physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Made:
    """By a deployment where the update policy asks for one and the version changes; never when it is made."""
    own: Callable[..., Made] = provisioners._lambda_alias_update
    policy = update_policy(stack, logical_id)
    kept = all(old.get(name) == new.get(name) for name in ("Name", "FunctionName"))
    if not policy or not kept or old.get("FunctionVersion") == new.get("FunctionVersion"):
        return own(physical_id, old, new, stack, logical_id)
    deployment = Deployment(
        policy["ApplicationName"],
        policy["DeploymentGroupName"],
        f"{new['FunctionName']}:{new['Name']}",
        before=Event("BeforeAllowTraffic", policy.get("BeforeAllowTrafficHook", "")),
        after=Event("AfterAllowTraffic", policy.get("AfterAllowTrafficHook", "")),
    )
    deployments[deployment.id] = deployment
    return deployment.run(
        lambda: own(physical_id, old, new, stack, logical_id),
        lambda: own(physical_id, new, old, stack, logical_id),
    )


def update_policy(stack: str, logical_id: str) -> dict[str, str]:
    """Resolved; empty where there is none, or a condition takes it away."""
    template, parameters = operation.get()
    written = copy.deepcopy(template.get("Resources", {}).get(logical_id, {}).get("UpdatePolicy"))
    conditions, mappings = engine._evaluate_conditions(template, parameters), template.get("Mappings", {})
    made, arn = _stacks[stack]["_resources"], _stacks[stack]["StackId"]
    resolved = engine._resolve_refs(written, made, parameters, conditions, mappings, stack, arn)
    policy = resolved.get("CodeDeployLambdaAliasUpdate") if isinstance(resolved, dict) else None
    # what is no string is ministack's mark for AWS::NoValue
    found = policy.items() if isinstance(policy, dict) else []
    return {name: value for name, value in found if isinstance(value, str)}


def remembering(own: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def deploy(
        stack: str, arn: str, template: Properties, parameters: Properties, *rest: Any, **more: Any
    ) -> None:
        operation.set((template, parameters))
        await own(stack, arn, template, parameters, *rest, **more)

    return deploy


def create_application(logical_id: str, properties: Properties, stack: str) -> Made:
    return properties.get("ApplicationName") or provisioners._physical_name(stack, logical_id), {}


def create_group(logical_id: str, properties: Properties, stack: str) -> Made:
    name = properties.get("DeploymentGroupName") or provisioners._physical_name(stack, logical_id)
    return update_group(name, {}, properties, stack)


def update_group(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
    groups[new["ApplicationName"], physical_id] = new
    return physical_id, {}


def register() -> None:
    provisioners._RESOURCE_HANDLERS["AWS::Lambda::Alias"]["update"] = update_alias
    provisioners._RESOURCE_HANDLERS.update(
        {
            "AWS::CodeDeploy::Application": {"create": create_application, "delete": forget},
            "AWS::CodeDeploy::DeploymentGroup": {
                "create": create_group,
                "update": update_group,
                "delete": forget,
            },
        }
    )
    own = stacks._runs_on_worker_thread
    # it waits for functions, which the event loop answers
    stacks._runs_on_worker_thread = lambda kind: kind == "AWS::Lambda::Alias" or own(kind)
    handlers._deploy_stack_async = changesets._deploy_stack_async = remembering(stacks._deploy_stack_async)
    app.SERVICE_HANDLERS["codedeploy"] = codedeploy_api.answer
    # a service that the router does not know costs the first call three seconds: botocore's whole catalogue
    router.SERVICE_PATTERNS["codedeploy"] = {"target_prefixes": ["CodeDeploy_20141006."]}

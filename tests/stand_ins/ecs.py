"""Amazon ECS's part in a stack: a service on Fargate, whose deployments are blue/green.

After the Amazon ECS Developer Guide: "Amazon ECS blue/green service deployments workflow" and "How CloudWatch
alarms detect Amazon ECS deployment failures". Otherwise than there: one task whatever the desired count, all
traffic at once whatever the strategy, and STAND_IN_BAKE_SECONDS (none) for the bake time. Of what AWS says of
a failure, only a hook's is known (aws/containers-roadmap#2664).
"""

import logging
import os
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import cloudwatch, ec2, ecs
from ministack.services.cloudformation import stacks

from tests.stand_ins import balancer
from tests.stand_ins.fargate import Revision, advanced, groups_of, with_public_address
from tests.stand_ins.hooks import refuse_without_permission, run_hook
from tests.stand_ins.mended import HANDLERS
from tests.stand_ins.recorded import Made, Properties

KIND = "AWS::ECS::Service"
BAKE_SECONDS = float(os.environ.get("STAND_IN_BAKE_SECONDS") or "0")
# Amazon ECS API Reference, "UpdateService": the rest is said not to start a deployment
DEPLOYED = (
    "ForceNewDeployment", "LoadBalancers", "NetworkConfiguration", "PlatformVersion",
    "ServiceConnectConfiguration", "ServiceRegistries", "TaskDefinition", "VolumeConfigurations",
)  # fmt: skip

services: dict[str, "Service"] = {}
own: dict[str, Any] = dict(HANDLERS[KIND])
logger = logging.getLogger("ecs")


@dataclass
class Service:
    arn: str
    blue: Revision | None = None  # the one that has the traffic

    @property
    def balanced(self) -> list[Properties]:
        return list(self.blue.properties.get("LoadBalancers") or []) if self.blue else []

    @property
    def record(self) -> Properties:
        """ministack's."""
        found: Properties = ecs._services[self.arn.partition(":service/")[2]]
        return found

    def deploy(self, properties: Properties) -> None:
        """Raises ValueError, with the traffic where it was."""
        green = Revision(f"{self.named('service-revision')}/{secrets.randbelow(10**19)}", properties)
        groups = groups_of(properties)
        if groups:
            green.group = next((one for one in groups if not self.blue or one != self.blue.group), groups[0])
        arn = f"{self.named('service-deployment')}/{secrets.token_urlsafe(15)}"
        try:
            Deployment(self, green, arn).run()
        except Exception as error:  # whatever it is, it leaves no task behind
            if self.blue:
                self.blue.take_traffic()
            green.stop("Service deployment rolled back")
            self.tell(f"deployment failed: {error}")
            said = f"Error occurred during operation 'ECS deployment failed: {error}'."
            raise ValueError(f'Resource handler returned message: "{said}"') from error
        if self.blue:
            self.blue.stop("Scaling activity initiated by deployment")
        self.blue = green
        self.tell("has reached a steady state.")

    def named(self, kind: str) -> str:
        return self.arn.replace(":service/", f":{kind}/")

    def tell(self, what: str) -> None:
        message = f"(service {self.record['serviceName']}) {what}"
        logger.info(message)
        self.record["events"].insert(0, {"id": str(uuid.uuid4()), "createdAt": now_iso(), "message": message})


@dataclass
class Deployment:
    service: Service
    green: Revision
    arn: str

    @property
    def settings(self) -> Properties:
        return self.green.properties.get("DeploymentConfiguration") or {}

    def run(self) -> None:
        blue = self.service.blue
        after = {self.green.arn: 100} | ({blue.arn: 0} if blue else {})
        watched = self.alarms()
        # what fires already is not watched, so that a deployment can be the cure
        watched = [] if any(map(fires, watched)) else watched
        self.call("PRE_SCALE_UP")
        self.green.start(self.service.record)
        self.call("POST_SCALE_UP")
        self.call("PRE_PRODUCTION_TRAFFIC_SHIFT", {one: 100 - weight for one, weight in after.items()})
        self.green.take_traffic()
        self.call("PRODUCTION_TRAFFIC_SHIFT", after)
        self.call("POST_PRODUCTION_TRAFFIC_SHIFT")
        end = time.monotonic() + BAKE_SECONDS
        while not (fired := list(filter(fires, watched))) and time.monotonic() < end:
            time.sleep(0.05)
        if fired:
            raise ValueError(f"alarm(s) detected: {', '.join(fired)}")

    def alarms(self) -> list[str]:
        asked = self.settings.get("Alarms") or {}
        return list(asked["AlarmNames"]) if str(asked.get("Enable")).lower() == "true" else []

    def call(self, stage: str, weights: dict[str, int] | None = None) -> None:
        details = {
            "serviceArn": self.service.arn,
            "targetServiceRevisionArn": self.green.arn,
            "testTrafficWeights": {},
            "productionTrafficWeights": weights or {},
        }
        for hook in self.settings.get("LifecycleHooks") or []:
            if stage in hook["LifecycleStages"]:
                event = {"lifecycleStage": stage, "resourceArn": self.arn, "executionDetails": details}
                run_hook(hook, {"executionId": str(uuid.uuid4())} | event)


def fires(alarm: str) -> bool:
    return bool((cloudwatch._alarms.get(alarm) or {}).get("StateValue") == "ALARM")


def plain(properties: Properties) -> Properties:
    """In the words that ministack knows."""
    return properties | {"Cluster": ecs._resolve_cluster_name(properties.get("Cluster"))}


def create(logical_id: str, properties: Properties, stack: str) -> Made:
    arn, attributes = own["create"](logical_id, plain(properties), stack)
    services[arn] = Service(arn)
    try:
        if role := advanced(properties).get("RoleArn"):
            refuse_without_permission(role, "elasticloadbalancing")
        services[arn].deploy(properties)
    except ValueError:
        delete(arn, properties)
        raise
    settle(services[arn])
    return arn, attributes


def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
    service = services[physical_id]
    # what is left out of an update stays as it was ("AWS::ECS::Service", LoadBalancers)
    new = {"LoadBalancers": service.balanced} | new
    if any(old.get(name) != new.get(name) for name in DEPLOYED):
        service.deploy(new)
    made: Made = own["update"](physical_id, plain(old), plain(new), stack)
    settle(service)
    return made


def settle(service: Service) -> None:
    """What describe_services says at the end of a deployment."""
    record = service.record
    record |= {"desiredCount": 1, "runningCount": 1, "pendingCount": 0}
    counts = {"desiredCount": 1, "runningCount": 1, "rolloutState": "COMPLETED", "launchType": "FARGATE"}
    record["deployments"] = [record["deployments"][0] | counts]


def delete(physical_id: str, properties: Properties) -> None:
    if (service := services.pop(physical_id, None)) and service.blue:
        service.blue.stop("Service deleted")
    own["delete"](physical_id, plain(properties))


def by_name(answer: Callable[[Properties], Any]) -> Callable[[Properties], Any]:
    """ListTasks takes a service's ARN, too."""
    return lambda asked: answer(asked | {"serviceName": asked.get("serviceName", "").rpartition("/")[2]})


def register() -> None:
    balancer.register()
    HANDLERS[KIND] = own | {"create": create, "update": update, "delete": delete}
    # no containers, and neither tasks nor targets but those of the deployments here
    ecs._get_docker = lambda: None
    ecs._reconcile_service_tasks = ecs._sync_service_targets = lambda *_: None
    ecs._ACTION_MAP["ListTasks"] = by_name(ecs._list_tasks)
    ec2._eni_fields_xml = with_public_address(ec2._eni_fields_xml)
    on_a_thread, sent_back = stacks._runs_on_worker_thread, stacks._sends_back_failed_update
    # it waits for functions, which the event loop answers
    stacks._runs_on_worker_thread = lambda kind: kind == KIND or on_a_thread(kind)
    # CloudFormation updates what failed to update to what it was
    stacks._sends_back_failed_update = lambda kind: kind == KIND or sent_back(kind)

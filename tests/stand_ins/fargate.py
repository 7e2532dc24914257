"""A revision of an ECS service while it runs: one task on Fargate, its targets and its network interface."""

import json
import logging
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from ministack.services import alb, ec2, ecr, ecs

from tests.stand_ins import balancer
from tests.stand_ins.recorded import Properties, identifier
from tests.stand_ins.task import Task

# what a program finds in its container, or an image's certificates
INHERITED = (
    "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
    "AWS_DEFAULT_REGION", "PGSSLROOTCERT",
)  # fmt: skip

addresses: dict[str, str] = {}  # public, of each network interface
logger = logging.getLogger("ecs")


@dataclass
class Revision:
    """A service revision, as far as it runs."""

    arn: str
    properties: Properties
    group: str = ""  # the target group
    task: Task | None = None
    record: Properties = field(default_factory=dict)  # ministack's, of the task

    @property
    def container(self) -> Properties:
        definition = ecs._task_defs[ecs._resolve_td_key(self.properties["TaskDefinition"])]
        [container] = definition["containerDefinitions"]
        found: Properties = container
        return found

    def start(self, service: Properties) -> None:
        """Raises ValueError where its image was not pushed, or it is not healthy in time."""
        container = self.container
        refuse_missing(container["image"])
        [port] = container.get("portMappings") or [{}]
        given = {one["name"]: one["value"] for one in container.get("environment", [])}
        hidden = [
            {"name": one["Name"], "valueFrom": one["ValueFrom"]} for one in container.get("secrets", [])
        ]
        given |= ecs._resolve_container_secrets({"secrets": hidden})
        given = {name: os.environ[name] for name in INHERITED if name in os.environ} | given
        self.record = recorded(service, self.properties)
        logs = ecs._awslogs_config(container, self.record["taskArn"].rpartition("/")[2], "container")
        kept = logs and ecs._ensure_awslogs_stream(logs)

        def say(line: str) -> None:
            logger.info("%s: %s", self.record["taskArn"].rpartition("/")[2][:8], line)
            if kept:
                ecs._emit_awslogs_event(logs, line)

        variables = {name: str(value) for name, value in given.items()}
        command = list(container.get("command") or [])
        self.task = Task(container["image"], int(port.get("containerPort", 8000)), command, variables, say)
        attach(self.record, self.properties, self.task)
        self.task.wait_until_healthy()
        self.record["healthStatus"] = "HEALTHY"

    def take_traffic(self) -> None:
        assert self.task
        if self.group:
            alb.set_targets_for_group(self.group, [(self.task.host, self.task.port)])
            if rule := advanced(self.properties).get("ProductionListenerRule"):
                balancer.shift(rule, self.group)

    def stop(self, reason: str) -> None:
        if not self.record:
            return
        if self.task:
            if self.group:
                alb.set_targets_for_group(self.group, [], [self.task.host])
            self.task.stop(float(self.container.get("stopTimeout", 30)))
        ecs._mark_task_stopped(self.record["taskArn"], self.record, reason, "ServiceSchedulerInitiated")
        for attached in self.record["attachments"]:
            interface = attached["details"][1]["value"]
            ec2._network_interfaces.pop(interface, None)
            addresses.pop(interface, None)


def advanced(properties: Properties) -> Properties:
    balanced = properties.get("LoadBalancers") or [{}]
    found: Properties = balanced[0].get("AdvancedConfiguration") or {}
    return found


def groups_of(properties: Properties) -> list[str]:
    balanced = properties.get("LoadBalancers") or [{}]
    both = balanced[0].get("TargetGroupArn"), advanced(properties).get("AlternateTargetGroupArn")
    return [one for one in both if one]


def refuse_missing(image: str) -> None:
    """Images of the emulator's own registry alone; `put_image` with any manifest counts as a push."""
    repository, _, digest = image.partition("@")
    host, _, name = repository.partition("/")
    if host != ecr._repo_uri("").partition("/")[0]:
        return
    name, _, tag = name.partition(":")
    known = [
        one["imageId"]["imageDigest"] if digest else one["imageTags"] for one in ecr._images.get(name) or []
    ]
    if not any(one == digest if digest else (tag or "latest") in one for one in known):
        raise ValueError(f"CannotPullContainerError: failed to resolve ref {image}: not found")


def recorded(service: Properties, properties: Properties) -> Properties:
    """ministack's record of a new task, which has no container."""
    asked = {
        "cluster": service["clusterArn"],
        "taskDefinition": properties["TaskDefinition"],
        "group": f"service:{service['serviceName']}",
        "startedBy": service["deployments"][0]["id"],
        "launchType": "FARGATE",
    }
    [task] = json.loads(ecs._run_task(asked)[2])["tasks"]
    found: Properties = ecs._tasks[task["taskArn"]]
    return found


def attach(record: Properties, properties: Properties, task: Task) -> None:
    """Its network interface. The port, where it is not the container's, is in the tag stand-in-port."""
    network = (properties.get("NetworkConfiguration") or {}).get("AwsvpcConfiguration") or {}
    subnet, interface = (network.get("Subnets") or [""])[0], identifier("eni")
    ec2._network_interfaces[interface] = {
        "NetworkInterfaceId": interface,
        "SubnetId": subnet,
        "VpcId": (ec2._subnets.get(subnet) or {}).get("VpcId", ""),
        "Description": record["taskArn"],
        "OwnerId": record["taskArn"].split(":")[4],
        "Status": "in-use",
        "PrivateIpAddress": task.host,
        "MacAddress": "02:00:00:00:00:00",
        "Groups": [{"GroupId": one, "GroupName": one} for one in network.get("SecurityGroups") or []],
    }
    if network.get("AssignPublicIp") == "ENABLED":
        addresses[interface] = task.host
    details = {"subnetId": subnet, "networkInterfaceId": interface, "privateIPv4Address": task.host}
    named = [{"name": name, "value": value} for name, value in details.items()]
    attached = {"id": str(uuid.uuid4()), "type": "ElasticNetworkInterface", "status": "ATTACHED"}
    record["attachments"] = [attached | {"details": named}]
    ecs._tags[record["taskArn"]] = [{"key": "stand-in-port", "value": str(task.port)}]


def with_public_address(write: Callable[..., str]) -> Callable[..., str]:
    def interface_xml(interface: Properties, tag: str = "item") -> str:
        written, public = write(interface, tag), addresses.get(interface["NetworkInterfaceId"])
        association = f"<association><publicIp>{public}</publicIp></association>" if public else ""
        return written.removesuffix(f"</{tag}>") + association + f"</{tag}>"

    return interface_xml

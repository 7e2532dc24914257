"""Where a release answers: API Gateway, a load balancer, or a task itself."""

from dataclasses import dataclass

import boto3
import httpx2

from ops.cloud.account import Account, signed_in
from ops.terminal import fail, say


@dataclass(frozen=True, slots=True)
class Door:
    url: str
    name: str = ""  # what its certificate is of, where that is not the URL's own host

    def client(self) -> httpx2.Client:
        """By its own address, so that no record has to be known everywhere yet."""

        def named(request: httpx2.Request) -> None:
            request.extensions["sni_hostname"] = self.name

        headers, hooks = ({"Host": self.name}, [named]) if self.name else ({}, [])
        return httpx2.Client(base_url=self.url, headers=headers, event_hooks={"request": hooks}, timeout=30)


def doors(account: Account, part: str = "") -> list[Door]:
    outputs = account.stack(part).outputs()
    found = [Door(outputs["ApiUrl"])] if "ApiUrl" in outputs else []
    if url := outputs.get("ContainersUrl"):
        name = outputs["DomainUrl"].removeprefix("https://") if "DomainUrl" in outputs else ""
        found.append(Door(url, name))
    elif service := outputs.get("ServiceName"):
        found.append(Door(f"http://{address(account, service)}:8000"))
    return found


def address(account: Account, service: str) -> str:
    """The public one of the newest task (Amazon ECS Developer Guide, "Task networking for Fargate")."""
    ecs, ec2 = (boto3.client(name, region_name=account.region) for name in ("ecs", "ec2"))
    cluster = service.split("/")[1]
    running = ecs.list_tasks(cluster=cluster, serviceName=service, desiredStatus="RUNNING")["taskArns"]
    if not running:
        fail(f"no task of {service} runs; its log says why: the output TaskLogGroup")
    tasks = ecs.describe_tasks(cluster=cluster, tasks=running)["tasks"]
    newest = max(tasks, key=lambda task: str(task.get("startedAt", "")))
    details = {one["name"]: one["value"] for one in newest["attachments"][0]["details"]}
    interfaces = [details["networkInterfaceId"]]
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=interfaces)["NetworkInterfaces"]
    return str(found["Association"]["PublicIp"])


def tell() -> None:
    """`make url ENV=..`: one a line, and the name that leads to the first."""
    with signed_in() as account:
        name = account.there().outputs().get("DomainUrl")
        for url in [*([name] if name else []), *(door.url for door in doors(account))]:
            say(url)

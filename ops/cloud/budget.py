"""Whether the database server has the connections that a release may open at its busiest."""

import re
from collections.abc import Mapping

import boto3
from botocore.exceptions import ClientError

from app.foundation.database import CONNECTIONS
from app.foundation.settings import Settings
from ops.cloud.account import Account
from ops.environment import ROOT
from ops.terminal import fail

TEMPLATE = ROOT / "template.yaml"
PER_ENVIRONMENT = 1  # which serves one request at a time (api_lambda.py)
# one for the migration function, one for a person, and what non-superusers cannot have (AWS re:Post, "FATAL:
# remaining connection slots are reserved ..": superuser_reserved_connections and RDS's own, 3 and 2)
KEPT = 1 + 1 + 3 + 2


def check(account: Account, parameters: Mapping[str, str]) -> str:
    """In words, of the release's Runs, Tasks, LoadBalancer. What does not fit ends the program.

    One version of the function is counted; idle environments of the one before keep theirs for a while.
    """
    stack, rds = account.stack("database"), boto3.client("rds", region_name=account.region)
    [server] = rds.describe_db_instances(DBInstanceIdentifier=stack.outputs()["Server"])["DBInstances"]
    name = str(server["DBInstanceClass"])
    memory = memory_of(account, name)
    if memory is None:
        return f"Connections: not checked, as EC2 does not know the memory of {name}"
    functions, tasks, most = of_functions(account, parameters), of_tasks(parameters), most_of(memory)
    figures = f"{functions} of functions + {tasks} of tasks + {KEPT} kept free"
    if functions + tasks + KEPT > most:
        fixes = ["fewer Tasks"] if tasks else []
        fixes += ["a lower ThrottlingBurstLimit in template.yaml"] if functions else []
        needed = " or ".join([*fixes, f"a larger Class of {stack.name}"])
        fail(f"{figures} are more connections than the {most} of {name}: it takes {needed}")
    return f"Connections: {figures}, of {most}"


def most_of(memory: int) -> int:
    """RDS's own max_connections on a machine of so many MiB, or a little less.

    LEAST({DBInstanceClassMemory/9531392}, 5000), of less than the machine's memory: 5 % less at 16 GiB, as
    AWS tells of 1,300, not 1,365 (Amazon RDS User Guide, "Quotas and constraints for Amazon RDS"). With 2, 4
    and 8 GiB, 198, 413 and 856 were seen (gist.github.com/guizmaii): 200 MiB less again. No figure for 1 GiB.
    """
    return min(int((memory * 0.95 - 200) * 2**20) // 9531392, 5000)


def of_functions(account: Account, parameters: Mapping[str, str]) -> int:
    """For as many at once as the account allows, or as the HTTP API lets through.

    To AWS the latter is a target and no ceiling, and slow requests add up beyond it (API Gateway Developer
    Guide, "Throttle requests to your HTTP APIs for better throughput in API Gateway").
    """
    if parameters["Runs"] == "container":
        return 0
    limit = boto3.client("lambda", region_name=account.region).get_account_settings()["AccountLimit"]
    return PER_ENVIRONMENT * min(int(limit["UnreservedConcurrentExecutions"]), burst())


def of_tasks(parameters: Mapping[str, str]) -> int:
    """Of blue and green, which run side by side ("Amazon ECS blue/green deployments", Bake time)."""
    if parameters["Runs"] == "lambda":
        return 0
    fewest, _, most = parameters["Tasks"].partition("-")
    if int(fewest) > int(most):
        fail(f"Tasks={fewest}-{most}: the fewest are more than the most; write Tasks={most}-{fewest}")
    tasks = int(most) if parameters["LoadBalancer"] == "yes" else 1
    return 2 * tasks * workers() * CONNECTIONS


def burst() -> int:
    [found] = re.findall(r"\bThrottlingBurstLimit: (\d+)\b", TEMPLATE.read_text())
    return int(found)


def workers() -> int:
    """As the task definition says, or else the application."""
    found = re.search(r"\bWORKERS\W+(?:Value\W+)?(\d+)", TEMPLATE.read_text())
    return int(found[1] if found else Settings.model_fields["workers"].default)


def memory_of(account: Account, name: str) -> int | None:
    """MiB of the machine that the class is named for; None where EC2 has no such type."""
    ec2 = boto3.client("ec2", region_name=account.region)
    try:
        [found] = ec2.describe_instance_types(InstanceTypes=[name.removeprefix("db.")])["InstanceTypes"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidInstanceType":
            raise
        return None
    return int(found["MemoryInfo"]["SizeInMiB"])

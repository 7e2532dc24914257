"""How the traffic moves while a release is deployed, and which alarms ring."""

from collections.abc import Iterator

import boto3
from botocore.exceptions import ClientError

from ops.cloud.account import Account
from ops.cloud.stack import Stack


class Traffic:
    """Called again and again, it gives a line for each thing that is otherwise than before."""

    def __init__(self, account: Account, stack: Stack) -> None:
        self.stack = stack
        names = ("lambda", "elbv2", "cloudwatch")
        self.functions, self.balancers, self.alarms = (
            boto3.client(name, region_name=account.region) for name in names
        )
        self.function, self.rule = (stack.resource(name) for name in ("ApiFunction", "ListenerRule"))
        self.told = set(self.now())

    def __call__(self) -> list[str]:
        now = list(self.now())
        new = [line for line in now if line not in self.told]
        self.told = set(now)
        return new

    def now(self) -> Iterator[str]:
        try:
            yield from self.shares()
            ringing = self.alarms.describe_alarms(AlarmNamePrefix=f"{self.stack.name}-", StateValue="ALARM")
            for alarm in ringing["MetricAlarms"]:
                if alarm["AlarmName"].startswith(f"{self.stack.name}-preview-"):
                    continue  # another stack's
                yield f"Alarm: {alarm['AlarmName']}: {alarm.get('StateReason', '')}"
        except ClientError:
            return  # what is told here is a help, and stops nothing

    def shares(self) -> Iterator[str]:
        if self.function:
            alias = self.functions.get_alias(FunctionName=self.function, Name="live")
            others = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            shares = {version: round(100 * weight) for version, weight in others.items()}
            shares[alias["FunctionVersion"]] = 100 - sum(shares.values())
            yield "Functions: " + ", ".join(f"{share} % to version {name}" for name, share in shares.items())
        if self.rule:
            for rule in self.balancers.describe_rules(RuleArns=[self.rule])["Rules"]:  # until it is removed
                groups = rule["Actions"][0].get("ForwardConfig", {}).get("TargetGroups", [])
                yield "Containers: " + ", ".join(f"{group.get('Weight')} %" for group in groups)

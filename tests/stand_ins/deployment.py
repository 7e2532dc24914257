"""A CodeDeploy deployment of a Lambda alias: hook, traffic, hook.

After CodeDeploy's "AppSpec 'hooks' section" (for an AWS Lambda deployment). All traffic moves at once,
whatever the deployment configuration says.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.services import cloudwatch, iam

from tests.stand_ins.invocation import invoke
from tests.stand_ins.recorded import Made, Properties

HOOK_SECONDS = float(os.environ.get("STAND_IN_HOOK_SECONDS", "60"))  # an hour on AWS
# the managed policies, which let CodeDeploy invoke no other function than CodeDeployHook_*
MANAGED = {"AWSCodeDeployRoleForLambda", "AWSCodeDeployRoleForLambdaLimited"}

deployments: dict[str, "Deployment"] = {}
groups: dict[tuple[str, str], Properties] = {}
logger = logging.getLogger("codedeploy")


@dataclass
class Event:
    """A lifecycle event, with a hook or without."""

    name: str
    hook: str = ""
    status: str = "Pending"
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    answered: threading.Event = field(default_factory=threading.Event)

    def answer(self, status: str) -> None:
        self.status = status
        self.answered.set()


@dataclass
class Deployment:
    application: str
    group: str
    target: str
    before: Event
    after: Event
    traffic: Event = field(default_factory=lambda: Event("AllowTraffic"))
    id: str = field(default_factory=lambda: f"d-{secrets.token_hex(5)[:9].upper()}")
    status: str = "Created"
    reason: str = ""
    created: float = field(default_factory=time.time)

    @property
    def events(self) -> list[Event]:
        return [self.before, self.traffic, self.after]

    @property
    def settings(self) -> Properties:
        """Of its group."""
        return groups.get((self.application, self.group), {})

    def run(self, move: Callable[[], Made], back: Callable[[], Made]) -> Made:
        """What `move` answers. Raises ValueError, with the alias where it was."""
        self.status = "InProgress"
        try:
            self.refuse_while_alarmed()
            self.call(self.before)
            made = move()
            self.traffic.status = "Succeeded"
            self.call(self.after)
        except ValueError as error:
            self.status, self.reason = "Failed", str(error)
            if self.traffic.status == "Succeeded":
                back()
            raise ValueError(f"Deployment {self.id} failed: {error}") from error
        self.status = "Succeeded"
        return made

    def refuse_while_alarmed(self) -> None:
        """Serverless Application Model, "safe_lambda_deployments": one that fires already is enough."""
        watched = self.settings.get("AlarmConfiguration") or {}
        for alarm in watched.get("Alarms", []) if watched.get("Enabled") else []:
            if (cloudwatch._alarms.get(alarm["Name"]) or {}).get("StateValue") == "ALARM":
                raise ValueError(f"One or more alarms have been activated: {alarm['Name']}")

    def call(self, event: Event) -> None:
        """API reference, "PutLifecycleEventHookExecutionStatus": what it returns does not matter."""
        if not event.hook:
            event.status = "Skipped"
            return
        refuse_without_permission(self.settings.get("ServiceRoleArn", ""), event.hook)
        event.status = "InProgress"
        threading.Thread(target=call, args=(self.id, event), daemon=True).start()
        if not event.answered.wait(HOOK_SECONDS):
            event.status = "Failed"
            raise ValueError(f"{event.hook} gave no status for {event.name} within {HOOK_SECONDS:g} s")
        if event.status != "Succeeded":
            raise ValueError(f"{event.hook} answered {event.status} for {event.name}")


def call(deployment: str, event: Event) -> None:
    """Not seen on AWS: a hook that raises; here it has not answered."""
    payload = {"DeploymentId": deployment, "LifecycleEventHookExecutionId": event.id}
    said = invoke(event.hook, payload)
    logger.info("hook %s: %s", event.hook, said)
    if isinstance(said, dict) and str(said.get("error")).startswith("HTTP "):
        event.answer(said["error"])


def refuse_without_permission(role_arn: str, hook: str) -> None:
    """IAM is not enforced here, and this is what a first deployment trips over."""
    role: dict[str, Any] = iam._roles.get(role_arn.rpartition("/")[2]) or {}
    attached = {arn.rpartition("/")[2] for arn in role.get("AttachedPolicies", [])}
    name = hook.partition(":function:")[2].partition(":")[0] or hook
    more = attached - MANAGED or "InvokeFunction" in str(role.get("InlinePolicies"))
    if attached and not more and not name.startswith("CodeDeployHook_"):
        raise ValueError(f"The IAM role {role_arn} does not give you permission to invoke {name}")

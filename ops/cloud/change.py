"""A change set: told in words, agreed to where it replaces something in prod, and carried out."""

import os
from collections.abc import Sequence
from typing import Any

from ops.cloud.account import Account
from ops.cloud.stack import Stack
from ops.cloud.traffic import Traffic
from ops.terminal import confirm, fail, say

Change = dict[str, Any]

WORDS = {"Add": "make", "Modify": "change", "Remove": "remove"}
# what is replaced by each release, and harms nobody
USUAL = ("AWS::ECS::TaskDefinition",)


def carry_out(account: Account, stack: Stack) -> None:
    """The newest change set of the stack; a fault ends the program with the first resource's reason."""
    if not (planned := stack.planned()):
        say(f"{stack.name}: nothing changes")
        return
    change_set, changes = planned
    for change in changes:
        say(f"  {in_words(change)}")
    try:
        refuse(account, changes)
    except BaseException:  # or it would wait in the console, to be carried out after all
        stack.client.delete_change_set(StackName=stack.name, ChangeSetName=change_set)
        raise
    before = stack.newest()
    if not stack.execute(change_set, Traffic(account, stack)):
        fail(f"{stack.name} was not deployed: {stack.reason(before)}")


def refuse(account: Account, changes: Sequence[Change]) -> None:
    """What must not be, or is not agreed to, ends the program."""
    if any(map(moves_traffic, changes)):
        fail(
            "this would change ListenerRule, which ECS moves: traffic could go to where no task is "
            "(template.yaml, ListenerRule); take back what touches it, its listener or its target groups"
        )
    lost = [one["LogicalResourceId"] for one in changes if replaced(one)]
    if lost and account.environment == "prod":
        agree(f"{', '.join(lost)} would be replaced in prod")


def in_words(change: Change) -> str:
    kind = change["ResourceType"].removeprefix("AWS::").replace("::", " ")
    what = f"{kind}, by another" if replaced(change) else kind
    return f"{WORDS.get(change['Action'], change['Action']):8} {change['LogicalResourceId']:32} {what}"


def replaced(change: Change) -> bool:
    return change.get("Replacement") == "True" and change["ResourceType"] not in USUAL


def agree(what: str) -> None:
    """By AGREE=yes, or at the terminal; otherwise the program ends."""
    if os.environ.get("AGREE") == "yes":
        return
    confirm(what, "yes", f"{what}; AGREE=yes agrees to it")


def moves_traffic(change: Change) -> bool:
    """Whether it edits the rule, or what that refers to, for certain (API's "ResourceChangeDetail")."""
    certain = any(one.get("Evaluation") == "Static" for one in change.get("Details", []))
    return certain and (change["LogicalResourceId"], change["Action"]) == ("ListenerRule", "Modify")

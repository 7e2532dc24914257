"""The schema of ENV's release: its migration function, asked in the place of a database of one's own."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from app.foundation.invoke import NoAnswer, invoke
from ops.cloud.account import signed_in
from ops.terminal import fail, say

Ask = Callable[..., dict[str, Any]]  # the answer to an action and its fields


@contextmanager
def of_release(*, back: bool) -> Iterator[Ask]:
    """The live version; for the way back the one that knows where the database is. None is no failure."""
    with signed_in() as account:
        stack = account.stack()
        function = stack.outputs().get("MigrationFunctionName") if stack.status() else None
        if not function:
            say(f"{stack.name} is not there yet: its first release runs every revision")
            sys.exit(0)

        def call(version: str, action: str, **fields: Any) -> dict[str, Any]:
            return invoke(f"{function}:{version}", {"action": action} | fields, account.region)

        version = knowing(call) if back else "live"

        def ask(action: str, **fields: Any) -> dict[str, Any]:
            """Again where its time ran short; a line for each revision."""
            while True:
                answer = call(version, action, **fields)
                for revision in answer["applied"]:
                    say(f"{'took back' if action == 'downgrade' else 'applied'} {revision}")
                if not answer.get("stopped"):
                    return answer

        yield ask


def knowing(call: Ask) -> str:
    """After a rollback neither the live version nor the newest; the ledger has the one that moved it."""
    live = call("live", "history")
    ran = (run["function_version"] for run in live["runs"] if run["function_version"])
    for version in dict.fromkeys(["live", *map(str, ran)]):
        try:
            known = call(version, "history")["revisions"]
        except NoAnswer:
            continue  # it is not kept any more
        if live["to"] in {None, *(revision["id"] for revision in known)}:
            if version != "live":
                say(f"The live code does not know revision {live['to']}; version {version} does.")
            return version
    return fail(f"no version of the function that is kept knows revision {live['to']}: deploy its code again")

"""The schema of ENV's release: its migration function, asked in the place of a database of one's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from app.foundation.invoke import NoAnswer, invoke
from ops.cloud.account import signed_in
from ops.terminal import fail, say

Ask = Callable[..., dict[str, Any]]  # the answer to an action and its fields


@contextmanager
def of_release(*, back: bool = False, first: bool = False) -> Iterator[Ask]:
    """The live version; for the way back the one that knows where the database is; `first`: or of none."""
    with signed_in() as account:
        if first and not (account.stack().status() and account.stack().outputs()):
            yield lambda _: {"to": None, "pending": [], "verdict": "empty"}
            return
        function = account.there().outputs()["MigrationFunctionName"]

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
    version, found = "live", call("live", "history")
    to, left = found["to"], [run["function_version"] for run in found["runs"] if run["function_version"]]
    while to not in {None, *(revision["id"] for revision in found["revisions"])}:
        if not left:
            fail(f"no version of the function that is kept knows revision {to}: deploy its code again")
        version = left.pop(0)
        try:
            found = call(version, "history")
        except NoAnswer as error:
            if "ResourceNotFoundException" not in str(error):  # it is not kept any more
                raise
    if version != "live":
        say(f"The live code does not know revision {to}; version {version} does.")
    return version

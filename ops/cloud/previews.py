"""`make preview ENV=.. NAME=..`: one more release on ENV's network and server, with a database of its own."""

import os
import re

from app.foundation.invoke import NoAnswer, invoke
from ops.cloud.account import Account, signed_in
from ops.cloud.deploy import begin, building
from ops.cloud.sam import run
from ops.cloud.smoke import look, use
from ops.cloud.stack import NEVER
from ops.terminal import fail, say

NAMES = re.compile(r"[a-z][a-z0-9]{0,15}")
# what it has otherwise than ENV's release
OWN = ["Runs=lambda", "Canary=AllAtOnce", 'DomainName=""', 'HostedZoneId=""', 'CertificateArn=""']


def preview() -> None:
    """With DOWN=yes it is deleted; without a name, all but those that KEEP names."""
    name, down, keep = (os.environ.get(given) for given in ("NAME", "DOWN", "KEEP"))
    if down not in {None, "", "no", "yes"}:
        fail(f"DOWN={down} is not known: DOWN=yes deletes the preview")
    sweeping = down == "yes" and not name and keep is not None
    if not sweeping and not NAMES.fullmatch(name or ""):
        fail("which preview? NAME=x, of a-z and 0-9, a letter first, 16 at most")
    if os.environ.get("ENV") == "prod":
        fail("prod has no previews: ENV=dev or ENV=staging")
    with signed_in() as account:
        function = f"{account.there().outputs()['MigrationFunctionName']}:live"
        if down != "yes":
            bring_up(account, function, name or "")
            return
        doomed = sorted(found(account) - set((keep or "").split())) if sweeping else [name or ""]
        gone = [take_down(account, function, each) for each in doomed]
        if not all(gone):
            fail("not all are deleted: see the lines above")


def found(account: Account) -> set[str]:
    """The names of ENV's previews."""
    prefix = f"{account.stack().name}-preview-"
    return {name.removeprefix(prefix) for name in account.stacks() if name.startswith(prefix)}


def bring_up(account: Account, function: str, name: str) -> None:
    part, database = f"preview-{name}", f"preview_{name}"
    stack = account.stack(part)
    if stack.rested() in NEVER:
        stack.delete(account.role())  # it holds nothing
    stack.settled()
    new = unless(account, function, "is there already", action="create_database", name=database)
    say(f"Database {database}: {'made' if new else 'there'}")
    ungated = not stack.resource("ApiFunctionAliaslive")
    made, given, _ = building(account, stack)
    run(account, stack, [], [*given, f"DatabaseName={database}", *OWN])
    password = begin(account, stack, ungated=ungated)
    look(account, part, made.rpartition("-")[2])
    if password:
        use(account, part, password)
    say(stack.outputs()["ApiUrl"])


def take_down(account: Account, function: str, name: str) -> bool:
    """Whether it is gone. The stack last, as it is by its stack that a preview is found."""
    database = f"preview_{name}"
    asked = {"action": "drop_database", "name": database, "confirm": database}
    dropped = unless(account, function, f"there is no database {database}", **asked)
    say(f"Database {database}: {'dropped' if dropped else 'not there'}")
    try:
        account.stack(f"preview-{name}").delete(account.role())
    except SystemExit as fault:
        say(str(fault))
        return False
    return True


def unless(account: Account, function: str, said: str, **event: str) -> bool:
    """Whether it did that; not where there was nothing to do. Raises NoAnswer."""
    try:
        invoke(function, event, account.region)
    except NoAnswer as error:
        if said not in str(error):
            raise
        return False
    return True

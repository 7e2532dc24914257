"""`make destroy ENV=..`: the release and its previews; with DATA=yes what they stood on, too."""

import os
from typing import Any

import boto3

from ops.cloud.account import Account, signed_in
from ops.cloud.previews import found
from ops.cloud.releases import shelf
from ops.terminal import confirm, fail, say


def destroy() -> None:
    """All is asked before anything is deleted."""
    if (data := os.environ.get("DATA") or "no") not in {"yes", "no"}:
        fail(f"DATA={data} is not known: DATA=yes deletes the database and the network, too")
    with signed_in() as account:
        there, base = account.stacks(), account.stack().name
        previews = [f"preview-{name}" for name in sorted(found(account))]
        doomed = [name for name in (*(f"{base}-{part}" for part in previews), base) if name in there]
        under = [name for name in (f"{base}-database", f"{base}-network") if name in there]
        asked = {base: f"This deletes {', '.join(doomed)}"} if doomed else {}
        if data == "yes" and under:
            rows = ", with every row" if f"{base}-database" in under else ""
            asked[under[0]] = f"This deletes {' and '.join(under)}{rows}"
        agree(asked)
        for part in [*previews, ""]:
            account.stack(part).delete(account.role())
        if f"{base}-pipeline" in there:
            kept = shelf(account)
            for key in kept.listed():  # the versions that they name will be other code's
                kept.s3.delete_object(Bucket=kept.bucket, Key=key)
        if data == "yes":
            delete_database(account)
            account.stack("network").delete(account.role())
        elif under:
            say(f"{' and '.join(under)} stay, with every row, a preview's too; DATA=yes deletes them")
        say(f"{base}-pipeline stays: images, artifacts, and who may deploy")


def agree(asked: dict[str, str]) -> None:
    """By AGREE, which holds each name, or at the terminal; otherwise the program ends."""
    for name, what in asked.items():
        if name not in (os.environ.get("AGREE") or "").split():
            confirm(what, name, f'{what}; nothing was deleted, and AGREE="{" ".join(asked)}" agrees to it')


def delete_database(account: Account) -> None:
    """And names the snapshots that are left, of which its stack makes the last (DeletionPolicy)."""
    rds, stack = boto3.client("rds", region_name=account.region), account.stack("database")
    server = stack.resource("Server") if stack.status() else None
    unprotect(rds, server)
    stack.delete(account.role())
    if server:
        asked = {"DBInstanceIdentifier": server, "SnapshotType": "manual"}
        pages = rds.get_paginator("describe_db_snapshots").paginate(**asked)
        left = sorted(told["DBSnapshotIdentifier"] for page in pages for told in page["DBSnapshots"])
        say(f"  snapshots of {server}: {', '.join(left) or 'none was found'}")


def unprotect(rds: Any, server: str | None) -> None:
    """At once, and not with the next change ("Settings for DB instances", Deletion protection)."""
    try:
        told = rds.describe_db_instances(DBInstanceIdentifier=server)["DBInstances"] if server else []
    except rds.exceptions.DBInstanceNotFoundFault:
        return  # an earlier run deleted it
    if told and told[0]["DeletionProtection"]:
        say(f"  {server}: no longer protected from deletion")
        rds.modify_db_instance(DBInstanceIdentifier=server, DeletionProtection=False)
        rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=server)

"""`make logs ENV=.. OF=.. FOLLOW=yes`: what a release wrote in the last ten minutes, and goes on to write."""

import os

from ops.cloud.account import signed_in
from ops.cloud.sam import program
from ops.terminal import fail

GROUPS = {"api": "ApiLogGroup", "task": "TaskLogGroup", "migrate": "MigrationLogGroup"}


def logs() -> None:
    """By `sam logs`, which takes this program's place."""
    with signed_in() as account:
        outputs = account.there().outputs()
        groups = {of: outputs[output] for of, output in GROUPS.items() if output in outputs}
        of = os.environ.get("OF") or next(iter(groups))
        if of not in groups:
            fail(f"{account.stack().name} has no logs of {of}: OF={' or OF='.join(groups)}")
        words = [program(), "logs", "--cw-log-group", groups[of], "--region", account.region]
        words += ["--tail"] if os.environ.get("FOLLOW") else []
        os.execve(words[0], words, os.environ | {"SAM_CLI_TELEMETRY": "0"})  # noqa: S606

"""Whether a release answers, and as the commit that it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from ops.cloud.account import Account
from ops.cloud.doors import Door, doors
from ops.demo import Demo
from ops.environment import ADMINISTRATOR
from ops.terminal import fail


def look(account: Account, part: str, commit: str) -> None:
    """Through each of its doors, as far as anybody may go. A fault ends the program."""
    for door in doors(account, part):
        with answering(door) as client:
            if (answered := client.get("/version").json()["commit"]) != commit:
                fail(f"{door.url} answers with commit {answered}, and {commit} was deployed")
            Demo(client).anybody()


def use(account: Account, part: str, password: str) -> None:
    """As the administrator."""
    email = os.environ.get("ADMINISTRATOR_EMAIL") or ADMINISTRATOR
    for door in doors(account, part):
        with answering(door) as client:
            Demo(client, count=4).administrator(email, password)


@contextmanager
def answering(door: Door) -> Iterator[httpx2.Client]:
    try:
        with door.client() as client:
            yield client
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        fail(f"{door.url} does not answer: {error!r}")


def smoke(url: str) -> None:
    """Whether it answers, whatever it is: `python -m ops smoke URL`."""
    with answering(Door(url)) as client:
        Demo(client).anybody()

"""Which release a rollback goes back to."""

import json
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from ops.cloud.account import Account
from ops.cloud.releases import Shelf
from ops.cloud.stack import Stack


class Bucket:
    """What S3 keeps of each release: as much as Shelf reads."""

    def __init__(self, **before: str) -> None:
        self.before = before

    def get_paginator(self, _: str) -> Any:
        keys = [
            {"Key": f"slipway-dev/releases/{name}{end}"} for name in self.before for end in (".json", ".yaml")
        ]
        return SimpleNamespace(paginate=lambda **_: [{"Contents": keys[:2]}, {"Contents": keys[2:]}])

    def get_object(self, *, Key: str, **_: str) -> Any:  # noqa: N803  # boto3's
        name = Key.rpartition("/")[2].removesuffix(".json")
        kept = {"id": name, "migration": "1", "parameters": {}, "template": "", "before": self.before[name]}
        return {"Body": BytesIO(json.dumps(kept).encode())}


@pytest.mark.parametrize(
    ("kept", "now", "found"),
    [
        # r2 was taken back, and r3 deployed in the place of r1
        ({"r1": "", "r2": "r1", "r3": "r1"}, "r3", "r1"),
        ({"r1": "", "r2": "r1", "r3": "r2"}, "r3", "r2"),
        ({"r1": "", "r2": "r1"}, "r1", None),
        # r3 never answered, so that it is not kept
        ({"r1": "", "r2": "r1"}, "r3", "r2"),
        ({}, "r1", None),
    ],
)
def test_back_is_to_what_was_there_before(kept: dict[str, str], now: str, found: str | None) -> None:
    shelf = Shelf(Account("dev", "us-east-1", "1"), Stack("slipway-dev", None), "bucket", Bucket(**kept))
    release = shelf.before(now)
    assert (release.id if release else None) == found

"""`make bench` measures, and what was measured last is kept."""

import json
import os

import pytest

from ops.environment import ROOT
from tests.checkout import Checkout

FIELDS = {"name", "ours", "peer", "ratio", "goal", "higher_is_better", "pairs", "spread"}


def test_the_kept_figures_have_pairs_enough() -> None:
    kept = json.loads((ROOT / "bench/latest.json").read_text())
    assert set(kept) == {"date", "commit", "command", "measures"}
    assert len(kept["measures"]) == 12
    assert all(set(row) == FIELDS and row["pairs"] >= 9 for row in kept["measures"])


@pytest.mark.artifact
@pytest.mark.skipif(os.uname().sysname != "Linux", reason="AWS's runtime emulator is for Linux only")
def test_two_pairs(checkout: Checkout) -> None:
    done = checkout.make("bench", "PAIRS=2")
    assert done.returncode == 0, done.stderr
    made = json.loads((checkout.folder / "bench/latest.json").read_text())
    assert {row["pairs"] for row in made["measures"]} == {2}
    assert all(row["ours"] > 0 < row["peer"] for row in made["measures"])
    assert checkout.left_behind() == []


def test_the_careful_way_is_measured_beside_the_careless_one(checkout: Checkout) -> None:
    """A read of six seconds stalls a careless migration's bystanders until it ends, and no other's."""
    done = checkout.make("bench", "OF=locks", "ROWS=1000", "READ=6")
    assert done.returncode == 0, done.stderr
    measures = json.loads((checkout.folder / "bench/locks.json").read_text())["measures"]
    assert all(row["name"] in done.stdout and row["careful"] > 0 for row in measures)
    assert measures[0]["careful"] < 3500
    assert measures[0]["careless"] > 5000
    assert checkout.left_behind() == []

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

"""Where a database stands, as a table."""

import pytest

from app.foundation.schema import Revision, Standing, stand

A, B = Revision("a", None), Revision("b", "a")
C = Revision("c", "b", "contract")
D = Revision("d", "c")
ALL = {revision.id: revision for revision in (A, B, C, D)}


@pytest.mark.parametrize(
    ("known", "found", "expected"),
    [
        ([A, B], [], Standing("empty", None, ("a", "b"))),
        ([A, B], ["a"], Standing("behind", "a", ("b",))),
        ([A, B], ["b"], Standing("current", "b")),
        # a contract step that waits: this code works as it is
        ([A, B, C], ["b"], Standing("current", "b", ("c",))),
        ([A, B, C], ["a"], Standing("behind", "a", ("b", "c"))),
        # an expand step is missing, wherever it stands
        ([A, B, C, D], ["b"], Standing("behind", "b", ("c", "d"))),
        ([A], ["b"], Standing("ahead", "b")),
        ([A, B], ["c"], Standing("ahead", "c", broken_by=("c",))),
        ([A], ["d"], Standing("ahead", "d", broken_by=("c",))),
        ([A, B], ["other"], Standing("diverged", "other")),
        ([Revision("x", None)], ["b"], Standing("diverged", "b")),
        ([A, Revision("x", "a")], ["b"], Standing("diverged", "b")),
        ([A, B], ["a", "b"], Standing("diverged", "a, b")),
        ([], ["a"], Standing("diverged", "a")),
    ],
)
def test_the_verdict(known: list[Revision], found: list[str], expected: Standing) -> None:
    assert stand(known, ALL, found) == expected


def test_what_works() -> None:
    assert stand([A, B], ALL, ["b"]).works
    assert stand([A], ALL, ["b"]).works
    assert not stand([A, B], ALL, ["c"]).works
    assert not stand([A, B], ALL, ["a"]).works
    assert not stand([A, B], ALL, []).works

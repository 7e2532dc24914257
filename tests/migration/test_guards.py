"""What a migration may not do to those who use the database, whatever a revision says."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, text

from app.migration.errors import Refused
from app.migration.steps import Limits
from ops.environment import ROOT
from ops.postgres import libpq
from tests.migration.workshop import QUICK, Workshop

Rows = Callable[[str], list[tuple[Any, ...]]]
Work = Callable[[str], None]
PROD = {"environment": "prod"}


def test_a_contract_step_alone_waits_for_the_code_that_it_came_with(shop: Workshop, work: Work) -> None:
    """The code before it may use what it drops, though no expand step is in between."""
    shop.add("CREATE TABLE a (n int, m int)")
    shop.ask("upgrade", PROD)
    shop.ask("released", PROD)
    work("UPDATE schema_ledger SET at = at - interval '1 week'")
    shop.add("ALTER TABLE a DROP COLUMN m", phase="contract")
    assert shop.ask("upgrade", PROD)["held"] == ["r2"]
    shop.ask("released", PROD)
    assert shop.ask("upgrade", PROD)["held"] == ["r2"]
    work("UPDATE schema_ledger SET at = at - interval '61 minutes'")
    assert shop.ask("upgrade", PROD)["applied"] == ["r2"]


def test_a_first_run_that_stopped_goes_on_through_contract_steps(shop: Workshop, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.add("DROP TABLE a", phase="contract")
    shop.add("CREATE TABLE c (n int)")
    made = "SELECT to_regclass('a') IS NOT NULL"
    stopped = shop.ask("upgrade", PROD | {"left": lambda: 59.0 if rows(made) == [(True,)] else 900.0})
    assert (stopped["applied"], stopped["verdict"]) == (["r1"], "behind")
    assert shop.ask("upgrade", PROD)["applied"] == ["r2", "r3"]


def test_an_index_that_is_invalid_by_design_is_left_alone(shop: Workshop, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int) PARTITION BY RANGE (n)")
    shop.add("CREATE INDEX of_a ON ONLY a (n)")
    shop.add(
        "with op.get_context().autocommit_block():\n    op.execute('CREATE INDEX CONCURRENTLY i ON b (n)')"
    )
    (shop.folder / "versions/r2.py").write_text(
        (shop.folder / "versions/r2.py").read_text().replace(
            "def upgrade():", "def upgrade():\n    op.execute('CREATE TABLE b (n int)')\n"
            "    op.execute('CREATE TABLE part PARTITION OF a FOR VALUES FROM (1) TO (2)')"
        )
    )  # fmt: skip
    assert shop.ask("upgrade")["verdict"] == "current"
    assert rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'of_a'::regclass") == [(False,)]


@pytest.mark.parametrize(
    "statement",
    ["ALTER TABLE a ADD COLUMN concurrently_seen int", "ALTER TABLE a ADD COLUMN m int /* CONCURRENTLY */"],
)
def test_only_what_is_concurrent_may_wait_for_readers(
    shop: Workshop, reader: Connection, statement: str
) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.ask("upgrade")
    shop.add(statement)
    reader.execute(text("SELECT * FROM a"))
    with pytest.raises(Refused, match="gave way 1 times"):
        shop.ask("upgrade", {"left": lambda: 60.1})


def test_the_waits_of_one_step_share_the_limit(shop: Workshop, owner: Engine) -> None:
    """It holds `a` while it waits for `b`."""
    shop.add("op.execute('CREATE TABLE a (n int)')\nop.execute('CREATE TABLE b (n int)')")
    shop.ask("upgrade")
    shop.add("op.execute('ALTER TABLE a ADD m int')\nop.execute('ALTER TABLE b ADD m int')")
    with owner.connect() as first, owner.connect() as second, ThreadPoolExecutor(1) as pool:
        first.execute(text("SELECT * FROM a"))
        second.execute(text("SELECT * FROM b"))
        moving = pool.submit(shop.ask, "upgrade", {"limits": Limits(lock=1.0, pause=0.3)})
        Timer(0.8, first.rollback).start()
        with psycopg.connect(libpq(shop.url), autocommit=True) as bystander:
            while not bystander.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
                pass
            began = time.monotonic()
            bystander.execute("SELECT * FROM a")
            assert time.monotonic() - began < 1.0 + 0.5
        second.rollback()
        assert moving.result(timeout=20)["applied"] == ["r2"]


def test_validating_may_take_its_time(shop: Workshop) -> None:
    shop.add("op.execute('CREATE TABLE a (n int)')\nop.execute('INSERT INTO a SELECT generate_series(1, 5)')")
    shop.add("ALTER TABLE a ADD CONSTRAINT c CHECK (pg_sleep(0.1) IS NOT NULL) NOT VALID")
    shop.add("ALTER TABLE a VALIDATE CONSTRAINT c")
    assert shop.ask("upgrade", {"limits": Limits(statement=0.3)})["applied"] == ["r1", "r2", "r3"]


@pytest.mark.parametrize(
    "down",
    [
        "ALTER TABLE a DROP m", "ALTER TABLE a ALTER m TYPE smallint", "UPDATE a SET m = NULL",
        "DELETE FROM a",
        "DROP SCHEMA s CASCADE", "DO $$ BEGIN DELETE FROM a; END $$", "ALTER TABLE a ADD x int, DROP m",
        "ALTER TABLE a ADD x int; DROP TABLE a", "op.get_bind().execute(sa.text('SELECT 1')).one()",
    ],
)  # fmt: skip
def test_what_may_lose_data_on_the_way_back_must_be_agreed_to(shop: Workshop, down: str) -> None:
    shop.add("CREATE TABLE a (n int, m int)")
    shop.add("SELECT 1", down)
    shop.ask("upgrade", PROD)
    with pytest.raises(Refused, match='taking back r2 may lose data; agree to it: "lose_data": true'):
        shop.ask("downgrade", PROD, to="-1", confirm="r1")
    assert shop.ask("current", PROD)["to"] == "r2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("phase = 'Contract'", 'r1: phase = "Contract" is none; it is "expand" or "contract"'),
        ("down_revision = 'gone'", "the revisions cannot be read: KeyError: 'gone'"),
        ("depends_on = 'r0'", "the revisions cannot be read: "),
        ("down_revision = ", "the revisions cannot be read: SyntaxError: invalid syntax"),
        ("import no_such_module", "the revisions cannot be read: ModuleNotFoundError: No module named"),
    ],
)
def test_a_revision_that_cannot_be_read(shop: Workshop, text: str, words: str) -> None:
    shop.add("CREATE TABLE a (n int)")
    with (shop.folder / "versions/r1.py").open("a") as file:
        file.write(f"{text}\n")
    with pytest.raises(Refused) as refused:
        shop.ask("upgrade")
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)


def test_lines_of_revisions_are_not_joined(shop: Workshop) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.add("CREATE TABLE b (n int)")
    shop.add("CREATE TABLE c (n int)", parent="r1")
    shop.add("SELECT 1")
    file = shop.folder / "versions/r4.py"
    file.write_text(file.read_text().replace("down_revision = 'r3'", "down_revision = ('r2', 'r3')"))
    with pytest.raises(Refused, match="r4 joins several lines of revisions; make one follow the other"):
        shop.ask("upgrade")


def test_a_wish_for_what_is_unknown_is_refused_wherever_the_database_is(shop: Workshop, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)")
    with pytest.raises(Refused, match="unknown revision x; there are: r1"):
        shop.ask("upgrade", to="x")
    assert rows("SELECT to_regclass('schema_ledger')") == [(None,)]
    shop.ask("upgrade")
    with pytest.raises(Refused, match="unknown revision x; there are: r1"):
        shop.ask("upgrade", to="x")
    with pytest.raises(Refused, match="no contract step: x; there are: none"):
        shop.ask("upgrade", allow=["x"], reason="in a hurry")
    shop.add("CREATE TABLE b (n int)")
    assert shop.ask("upgrade", to="r1")["applied"] == []


def test_a_diverged_database_shows(shop: Workshop, tmp_path: Path) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.ask("upgrade")
    other = Workshop(tmp_path / "other", shop.url)
    other.add("CREATE TABLE b (n int)", id="x1")
    answer = shop.ask("history", {"folder": other.folder})
    assert (answer["verdict"], answer["revisions"][0]["applied"]) == ("diverged", False)


def test_a_function_without_time_enough_says_so(shop: Workshop) -> None:
    shop.add("CREATE TABLE a (n int)")
    with pytest.raises(Refused, match="50 s are left, and a step needs 60: raise the function's time-out"):
        shop.ask("upgrade", {"left": lambda: 50.0})


def test_batches_need_a_count(shop: Workshop) -> None:
    shop.add("in_batches('DO $$ BEGIN END $$')")
    with pytest.raises(Refused, match="in_batches needs a statement that tells how many rows it changed"):
        shop.ask("upgrade")


def test_of_several_seeds_at_once_one_makes_an_administrator(shop: Workshop, rows: Rows) -> None:
    ours = {"folder": ROOT / "migrations", "limits": QUICK}
    shop.ask("upgrade", ours)
    with ThreadPoolExecutor(6) as pool:
        emails = [f"{number}@example.com" for number in range(6)]
        made = list(
            pool.map(lambda email: shop.ask("seed", ours, email=email, password="long-enough-one"), emails)
        )
    assert sorted(answer["seeded"] for answer in made) == [False] * 5 + [True]
    assert rows("SELECT count(*) FROM users") == [(1,)]

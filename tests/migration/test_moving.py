"""Upgrades and downgrades, and what may go wrong beside them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text

from app.foundation.database_url import postgresql_url
from app.migration.actions import act
from app.migration.errors import Refused
from app.migration.steps import Limits
from ops.environment import ROOT
from ops.postgres import Postgres, libpq
from tests.migration.workshop import Workshop

Rows = Callable[[str], list[tuple[Any, ...]]]
Work = Callable[[str], None]
RUNNING = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE"
LEDGER = "SELECT action, from_revision, to_revision, applied, result FROM schema_ledger ORDER BY id"


def test_an_upgrade_and_its_record(shop: Workshop, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.add("CREATE TABLE b (n int)", phase="contract")
    answer = shop.ask("upgrade")
    assert answer.pop("seconds") >= 0
    assert answer == {
        "action": "upgrade",
        "verdict": "current",
        "from": None,
        "to": "r2",
        "applied": ["r1", "r2"],
        "held": [],
        "pending": [],
        "broken_by": [],
        "hazards": [],
    }
    assert rows(LEDGER) == [("upgrade", None, "r2", ["r1", "r2"], "ok")]
    assert rows("SELECT revision, parent, phase FROM schema_revisions ORDER BY 1") == [
        ("r1", None, "expand"),
        ("r2", "r1", "contract"),
    ]
    assert shop.ask("upgrade")["applied"] == []
    assert rows(LEDGER)[1:] == [("upgrade", "r2", "r2", [], "ok")]
    [row] = rows("SELECT version, commit, invoker, seconds >= 0 FROM schema_ledger WHERE id = 1")
    assert row[2:] == ("a test", True)


def test_a_database_from_before_the_ledger(shop: Workshop, rows: Rows, work: Work) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.ask("upgrade")
    work("DROP TABLE schema_ledger, schema_revisions")
    assert shop.ask("current")["verdict"] == "current"
    assert shop.ask("upgrade")["applied"] == []
    shop.add("CREATE TABLE b (n int)")
    assert shop.ask("upgrade")["applied"] == ["r2"]
    assert rows("SELECT revision FROM schema_revisions ORDER BY 1") == [("r1",), ("r2",)]


def test_of_eight_upgrades_at_once_one_moves(shop: Workshop, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.add("SELECT pg_sleep(0.3)")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shop.ask("upgrade"), range(8)))
    assert {answer["verdict"] for answer in answers} == {"current"}
    assert sorted(len(answer["applied"]) for answer in answers) == [0] * 7 + [2]
    assert len([row for row in rows(LEDGER) if row[3]]) == 1


def test_a_step_that_fails_leaves_those_before_it(shop: Workshop, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.add("op.execute('CREATE TABLE b (n int)')\nop.execute('SELECT 1/0')")
    shop.add("CREATE TABLE c (n int)")
    with pytest.raises(Refused, match="r2: division by zero; after 1 of 3 steps the database is at r1"):
        shop.ask("upgrade")
    assert rows("SELECT to_regclass('a') IS NOT NULL, to_regclass('b') IS NOT NULL") == [(True, False)]
    assert rows(LEDGER) == [("upgrade", None, "r1", ["r1"], "failed")]
    assert shop.ask("current")["verdict"] == "behind"


def test_a_revision_whose_python_fails_is_a_failed_run(shop: Workshop, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.add("op.execute('CREATE TABLE b (n int)')\nundefined_name")
    with pytest.raises(Refused, match="r2: name 'undefined_name' is not defined; after 1 of 2 steps"):
        shop.ask("upgrade")
    assert rows(LEDGER) == [("upgrade", None, "r1", ["r1"], "failed")]
    assert rows("SELECT to_regclass('b')") == [(None,)]


def test_a_statement_ends_before_lambda_does(shop: Workshop, rows: Rows) -> None:
    shop.add("SELECT pg_sleep(30)")
    left = chain([61.0], repeat(31.0))  # enough to begin, and half the reserve more than none
    with pytest.raises(Refused, match="canceling statement due to statement timeout"):
        shop.ask("upgrade", {"left": lambda: next(left), "limits": Limits(statement=3000)})
    assert rows(LEDGER)[-1][-1] == "failed"


def test_it_gives_way_to_a_long_read(shop: Workshop, reader: Connection, rows: Rows, url: Any) -> None:
    """A bystander who comes after it waits no longer than the lock time-out."""
    shop.add("CREATE TABLE a (n int)")
    shop.ask("upgrade")
    shop.add("ALTER TABLE a ADD COLUMN m int")
    reader.execute(text("SELECT * FROM a"))
    waits: list[float] = []
    with ThreadPoolExecutor(1) as pool, psycopg.connect(libpq(url), autocommit=True) as bystander:
        moving = pool.submit(shop.ask, "upgrade")
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            began = time.monotonic()
            bystander.execute("SELECT * FROM a")
            waits.append(time.monotonic() - began)
        assert not moving.done()
        reader.rollback()
        assert moving.result(timeout=10)["applied"] == ["r2"]
    assert 0.1 < max(waits) < 0.2 + 0.5
    assert rows(LEDGER)[-1] == ("upgrade", "r1", "r2", ["r2"], "ok")


def test_it_gives_up_in_the_end(shop: Workshop, reader: Connection, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.ask("upgrade")
    shop.add("ALTER TABLE a ADD COLUMN m int")
    reader.execute(text("SELECT * FROM a"))
    with pytest.raises(Refused, match="gave way 1 times to users of its tables; invoke it again"):
        shop.ask("upgrade", {"left": lambda: 60.1})
    reader.rollback()
    assert rows(LEDGER)[-1] == ("upgrade", "r1", "r1", [], "failed")


def test_it_stops_between_steps_when_time_runs_out_and_goes_on(shop: Workshop, rows: Rows) -> None:
    for name in "abc":
        shop.add(f"CREATE TABLE {name} (n int)")
    made = "SELECT to_regclass('a') IS NOT NULL"
    answer = shop.ask("upgrade", {"left": lambda: 59.0 if rows(made) == [(True,)] else 900.0})
    assert answer["applied"] == ["r1"]
    assert answer["stopped"] == "59 s are left; invoke it again to go on"
    assert (answer["verdict"], answer["pending"]) == ("behind", ["r2", "r3"])
    assert rows(LEDGER)[-1][-1] == "stopped"
    assert shop.ask("upgrade")["applied"] == ["r2", "r3"]


def test_killed_in_the_middle_the_next_run_ends_at_head(shop: Workshop, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.add(
        "import os\nop.execute('CREATE TABLE b (n int)')\n"
        "if os.environ.get('HANG'):\n    op.execute('SELECT pg_sleep(60)')"
    )
    shop.add("CREATE TABLE c (n int)")
    program = (
        "from app.migration.actions import Call, act; from app.foundation.settings import load_settings; "
        "act(Call(load_settings()), {'action': 'upgrade'})"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ
        | {
            "PYTHONPATH": f"{ROOT / 'src'}",
            "ENVIRONMENT": "test",
            "DATABASE_URL": shop.url.render_as_string(hide_password=False),
            "MIGRATIONS_DIR": str(shop.folder),
            "HANG": "yes",
        },
    )
    while not rows(f"SELECT 1 {RUNNING} 'SELECT pg_sleep(60)%'"):
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    answer = shop.ask("upgrade")
    assert answer["applied"] == ["r2", "r3"]
    assert rows(LEDGER) == [
        ("upgrade", None, "r1", ["r1"], "interrupted"),
        ("upgrade", "r1", "r3", ["r2", "r3"], "ok"),
    ]
    assert rows("SELECT revision FROM schema_revisions ORDER BY 1") == [("r1",), ("r2",), ("r3",)]


def test_an_index_built_concurrently_is_rebuilt_after_a_failure(
    shop: Workshop, rows: Rows, work: Work
) -> None:
    shop.add("op.execute('CREATE TABLE a (n int)')\nop.execute('INSERT INTO a VALUES (1), (1)')")
    shop.add(
        "with op.get_context().autocommit_block():\n"
        "    op.execute('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS unique_n ON a (n)')"
    )
    with pytest.raises(Refused, match="could not create unique index"):
        shop.ask("upgrade")
    invalid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'unique_n'::regclass"
    assert rows(invalid) == [(False,)]
    work("DELETE FROM a")
    assert shop.ask("upgrade")["applied"] == ["r2"]
    assert rows(invalid) == [(True,)]


def test_a_concurrent_build_waits_for_readers_longer_than_a_lock(
    shop: Workshop, reader: Connection, rows: Rows
) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.ask("upgrade")
    shop.add(
        "with op.get_context().autocommit_block():\n    op.execute('CREATE INDEX CONCURRENTLY i ON a (n)')"
    )
    reader.execute(text("INSERT INTO a VALUES (1)"))
    with ThreadPoolExecutor(1) as pool:
        moving = pool.submit(shop.ask, "upgrade")
        building = f"SELECT now() - query_start > '0.5 s' {RUNNING} 'CREATE INDEX%'"
        while rows(building) != [(True,)]:
            assert not moving.done()
        reader.rollback()
        assert moving.result(timeout=10)["applied"] == ["r2"]


def test_down_and_up_again(shop: Workshop, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)", "DROP TABLE a")
    shop.add("ALTER TABLE a ADD COLUMN m int", "ALTER TABLE a DROP COLUMN m")
    shop.add("CREATE TABLE c (n int)", "DROP TABLE c")
    shop.ask("upgrade")
    with pytest.raises(Refused, match='this takes back r3; say so: "confirm": "r2"'):
        shop.ask("downgrade", to="-1")
    with pytest.raises(Refused, match='this takes back r3, r2, r1; say so: "confirm": "base"'):
        shop.ask("downgrade", to="base", confirm="r2")
    with pytest.raises(Refused, match="revision r3 is not behind the database; these are: r2, r1, base, -1"):
        shop.ask("downgrade", to="r3", confirm="r3")
    answer = shop.ask("downgrade", to="r1", confirm="r1")
    assert (answer["from"], answer["to"], answer["applied"]) == ("r3", "r1", ["r3", "r2"])
    assert answer["verdict"] == "behind"
    assert rows("SELECT revision FROM schema_revisions") == [("r1",)]
    assert rows(LEDGER)[-1] == ("downgrade", "r3", "r1", ["r3", "r2"], "ok")
    assert shop.ask("upgrade")["verdict"] == "current"


def test_in_production_a_downgrade_that_drops_data_must_be_told_to(shop: Workshop) -> None:
    shop.add("CREATE TABLE a (n int)", "DROP TABLE a")
    shop.add("ALTER TABLE a ALTER n SET DEFAULT 1", "ALTER TABLE a ALTER n DROP DEFAULT")
    prod = {"environment": "prod"}
    shop.ask("upgrade", prod)
    assert shop.ask("downgrade", prod, to="-1", confirm="r1")["to"] == "r1"
    with pytest.raises(Refused, match='taking back r1 may lose data; agree to it: "lose_data": true'):
        shop.ask("downgrade", prod, to="-1", confirm="base")
    answer = shop.ask("downgrade", prod, to="-1", confirm="base", lose_data=True)
    assert answer["verdict"] == "empty"
    with pytest.raises(Refused, match="no revision to take back"):
        shop.ask("downgrade", prod, to="-1", confirm="base")


def older(shop: Workshop, tmp_path: Path, keep: int) -> dict[str, Any]:
    """The first `keep` revisions, as older code has them."""
    old = Workshop(tmp_path / "old", shop.url)
    for number in range(1, keep + 1):
        name = f"versions/r{number}.py"
        (old.folder / name).write_text((shop.folder / name).read_text())
    return {"folder": old.folder}


def test_older_code_on_a_newer_database(shop: Workshop, tmp_path: Path, rows: Rows) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.add("CREATE TABLE b (n int)")
    shop.ask("upgrade")
    old = older(shop, tmp_path, 1)
    answer = shop.ask("upgrade", old)
    assert (answer["verdict"], answer["applied"], answer["broken_by"]) == ("ahead", [], [])
    with pytest.raises(Refused, match="the database is at r2, which newer code made"):
        shop.ask("downgrade", old, to="-1", confirm="base")
    shop.add("DROP TABLE a", phase="contract")
    shop.ask("upgrade")
    answer = shop.ask("current", old)
    assert (answer["verdict"], answer["broken_by"]) == ("ahead", ["r3"])
    assert rows("SELECT version_num FROM alembic_version") == [("r3",)]


def test_a_contract_step_waits_until_older_code_is_out_of_service(
    shop: Workshop, rows: Rows, work: Work, tmp_path: Path
) -> None:
    prod = {"environment": "prod"}
    shop.add("CREATE TABLE a (n int)")
    shop.ask("upgrade", prod)
    shop.ask("released", prod)
    work("UPDATE schema_ledger SET at = at - interval '1 week'")

    shop.add("CREATE TABLE b (n int)")
    shop.add("DROP TABLE a", phase="contract")
    answer = shop.ask("upgrade", prod)
    assert (answer["applied"], answer["held"], answer["verdict"]) == (["r2"], ["r3"], "current")
    # the release that knows r2 has taken over, but only just
    shop.ask("released", prod)
    assert shop.ask("upgrade", prod)["held"] == ["r3"]
    work("UPDATE schema_ledger SET at = at - interval '61 minutes'")
    # unless there was a rollback meanwhile
    shop.ask("released", prod | older(shop, tmp_path, 1))
    assert shop.ask("upgrade", prod)["held"] == ["r3"]
    shop.ask("released", prod)
    work("UPDATE schema_ledger SET at = at - interval '61 minutes'")
    answer = shop.ask("upgrade", prod)
    assert (answer["applied"], answer["held"]) == (["r3"], [])


def test_an_expand_step_on_a_held_one_is_refused_and_an_override_is_kept(shop: Workshop, rows: Rows) -> None:
    prod = {"environment": "prod"}
    shop.add("CREATE TABLE a (n int)")
    shop.ask("upgrade", prod)
    shop.add("DROP TABLE a", phase="contract")
    shop.add("CREATE TABLE b (n int)")
    with pytest.raises(Refused, match="r3 cannot run before the contract step r2, which is held"):
        shop.ask("upgrade", prod)
    assert shop.ask("current", prod)["to"] == "r1"
    with pytest.raises(Refused, match="needs a reason"):
        shop.ask("upgrade", prod, allow=["r2"])
    with pytest.raises(Refused, match="no contract step: r3; there are: r2"):
        shop.ask("upgrade", prod, allow=["r3"], reason="in a hurry")
    assert shop.ask("upgrade", prod, allow=["r2"], reason="nobody uses a")["applied"] == ["r2", "r3"]
    assert rows("SELECT note FROM schema_ledger ORDER BY id DESC LIMIT 1") == [("nobody uses a",)]


def test_upgrade_to_a_revision(shop: Workshop) -> None:
    for name in "ab":
        shop.add(f"CREATE TABLE {name} (n int)")
    with pytest.raises(Refused, match="unknown revision x; there are: r1, r2"):
        shop.ask("upgrade", to="x")
    assert shop.ask("upgrade", to="r1")["applied"] == ["r1"]


def test_what_cannot_be_moved_is_one_line_and_changes_nothing(
    shop: Workshop, rows: Rows, work: Work, tmp_path: Path
) -> None:
    shop.add("CREATE TABLE a (n int)")
    shop.ask("upgrade")
    before = rows(LEDGER)
    # another line of history
    other = Workshop(tmp_path / "other", shop.url)
    other.add("CREATE TABLE b (n int)", id="x1")
    with pytest.raises(Refused, match="the database is at r1, which is not on this code's line"):
        shop.ask("upgrade", {"folder": other.folder})
    assert shop.ask("current", {"folder": other.folder})["verdict"] == "diverged"
    # two newest revisions
    shop.add("CREATE TABLE b (n int)")
    shop.add("CREATE TABLE c (n int)", parent="r1")
    with pytest.raises(Refused, match="several newest revisions: r2, r3; make one follow the other"):
        shop.ask("upgrade")
    with pytest.raises(Refused, match="no migrations in /nowhere; set MIGRATIONS_DIR"):
        shop.ask("upgrade", {"folder": Path("/nowhere")})
    assert rows(LEDGER) == before
    assert rows("SELECT to_regclass('b')") == [(None,)]


def test_no_database_and_no_such_user(shop: Workshop) -> None:
    shop.add("CREATE TABLE a (n int)")
    nowhere = shop.url.set(host="127.0.0.1", port=1, query={}, password="a-secret")
    with pytest.raises(Refused, match="no connection to postgresql") as refused:
        shop.ask("upgrade", {"url": nowhere})
    assert "a-secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(Refused, match=r"no connection to .*nobody_known"):
        shop.ask("upgrade", {"url": shop.url.set(username="nobody_known")})


def test_a_wrong_password(shop: Workshop, tmp_path: Path) -> None:
    """On a server that asks for one (SCRAM-SHA-256)."""
    shop.add("CREATE TABLE a (n int)")
    with Postgres(tmp_path / "asking").running() as server:
        rules = server.data / "pg_hba.conf"
        rules.write_text(f"local all guarded scram-sha-256\n{rules.read_text()}")
        with psycopg.connect(server.url("app"), autocommit=True) as connection:
            connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
            connection.execute("GRANT CREATE ON SCHEMA public TO guarded")
            connection.execute("SELECT pg_reload_conf()")
        url = postgresql_url(server.url("app")).set(username="guarded")
        with pytest.raises(Refused, match="password authentication failed for user") as refused:
            shop.ask("upgrade", {"url": url.set(password="wr0ng")})
        assert "\n" not in str(refused.value)
        assert "wr0ng" not in str(refused.value)
        with pytest.raises(Refused, match="no password supplied"):
            shop.ask("upgrade", {"url": url})
        assert shop.ask("upgrade", {"url": url.set(password="right")})["applied"] == ["r1"]


BATCHES = "in_batches('UPDATE a SET n = 0 WHERE id IN (SELECT id FROM a WHERE n IS NULL LIMIT 2)')"


def test_in_batches_many_rows_change_a_part_at_a_time(shop: Workshop, rows: Rows) -> None:
    """Each part stays done, and is seen at once."""
    rule, why = "missing-downgrade", "older code does not read it"
    shop.add("CREATE TABLE a (id int PRIMARY KEY, n int)")
    shop.add("INSERT INTO a SELECT generate_series(1, 5)")
    shop.add(BATCHES, hazards={rule: why})

    def left() -> float:
        made = rows("SELECT to_regclass('a')") != [(None,)]
        return 20.0 if made and len(rows("SELECT FROM a WHERE n = 0")) == 2 else 900.0

    with pytest.raises(Refused, match="r3: time runs out; what is done stays done: invoke it again to go on"):
        shop.ask("upgrade", {"left": left})
    assert rows("SELECT count(*) FROM a WHERE n = 0") == [(2,)]
    assert shop.ask("plan")["plan"][0]["sql"].startswith("UPDATE a SET n = 0 WHERE")
    answer = shop.ask("upgrade")
    assert answer["applied"] == ["r3"]
    assert answer["hazards"] == [{"revision": "r3", "rule": rule, "reason": why}]
    assert rows("SELECT DISTINCT n FROM a") == [(0,)]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({}, "unknown action None; actions are: prepare, upgrade, downgrade, current"),
        ({"action": "drop"}, "unknown action 'drop'"),
        ({"action": "upgrade", "force": True}, "force: Unexpected keyword argument; its fields are: to"),
        ({"action": "upgrade", "allow": "r1"}, "upgrade: allow: Input should be a valid list"),
        ({"action": "upgrade", "to": 1}, "upgrade: to: Input should be a valid string"),
        ({"action": "downgrade"}, "downgrade: to: Missing required argument; its fields are: to, confirm"),
        ({"action": "downgrade", "to": "r1", "lose_data": "false"}, "lose_data: Input should be a valid b"),
        ({"action": "current", "to": "r1"}, "its fields are: none"),
        ({"action": "seed"}, "who\\? give email and password, or set ADMINISTRATOR_EMAIL"),
    ],
)  # fmt: skip
def test_a_call_that_means_nothing(shop: Workshop, event: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        shop.ask(event.get("action"), **{name: event[name] for name in event if name != "action"})


def test_an_event_that_is_no_object(shop: Workshop) -> None:
    with pytest.raises(Refused, match="unknown action None; actions are: prepare"):
        act(shop.call(), ["upgrade"])  # type: ignore[arg-type]

"""What there is, and what would be done; and the administrator."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from app.migration.errors import Refused
from ops.environment import ROOT
from tests.migration.workshop import Workshop

Rows = Callable[[str], list[tuple[Any, ...]]]
OURS = {"folder": ROOT / "migrations"}


def test_the_guides_example(shop: Workshop) -> None:
    """Add a column `age`, migrate, see it described, take it back."""
    shop.add("CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL)", "DROP TABLE people")
    shop.ask("upgrade")
    shop.add("ALTER TABLE people ADD COLUMN age int", "ALTER TABLE people DROP COLUMN age")
    answer = shop.ask("plan")
    assert answer["plan"] == [
        {"id": "r2", "phase": "expand", "sql": "ALTER TABLE people ADD COLUMN age int;"},
    ]
    assert (answer["verdict"], answer["pending"]) == ("behind", ["r2"])
    shop.ask("upgrade")
    columns = {"id": "INTEGER not null", "name": "TEXT not null", "age": "INTEGER"}
    assert shop.ask("describe")["tables"] == {"people": {"columns": columns, "indexes": []}}
    shop.ask("downgrade", to="-1", confirm="r1")
    assert "age" not in shop.ask("describe")["tables"]["people"]["columns"]


def test_history_tells_the_revisions_and_the_runs(shop: Workshop) -> None:
    shop.add("CREATE TABLE a (n int)")
    assert shop.ask("history")["runs"] == []
    shop.ask("upgrade")
    shop.add("DROP TABLE a", phase="contract")
    answer = shop.ask("history")
    assert answer["revisions"] == [
        {"id": "r1", "parent": None, "phase": "expand", "title": "Step r1.", "applied": True},
        {"id": "r2", "parent": "r1", "phase": "contract", "title": "Step r2.", "applied": False},
    ]
    [run] = answer["runs"]
    assert (run["action"], run["applied"], run["result"], run["invoker"]) == (
        "upgrade",
        ["r1"],
        "ok",
        "a test",
    )


def test_a_plan_whose_sql_depends_on_the_rows_says_so(shop: Workshop) -> None:
    shop.add(
        "if op.get_bind().exec_driver_sql('SELECT 1').scalar():\n    op.execute('CREATE TABLE a (n int)')"
    )
    shop.add("CREATE TABLE b (n int)")
    first, second = shop.ask("plan")["plan"]
    assert first["sql"].startswith("-- the SQL of r1 depends on the rows")
    assert second["sql"] == "CREATE TABLE b (n int);"
    assert shop.ask("upgrade")["applied"] == ["r1", "r2"]


def test_check_finds_what_the_models_do_not_say(shop: Workshop, work: Callable[[str], None]) -> None:
    shop.ask("upgrade", OURS)
    assert shop.ask("check", OURS)["drift"] == []
    work("ALTER TABLE users ADD COLUMN shoe_size int")
    [difference] = shop.ask("check", OURS)["drift"]
    assert "remove_column" in difference
    assert "shoe_size" in difference


def test_the_administrator_is_made_once(shop: Workshop, rows: Rows) -> None:
    shop.ask("upgrade", OURS)
    given = {
        "administrator_email": "root@example.com",
        "administrator_password": SecretStr("long-enough-one"),
    }
    assert shop.ask("seed", OURS | {"settings": given})["seeded"] is True
    answer = shop.ask("seed", OURS, email="other@example.com", password="long-enough-one")
    assert answer["seeded"] is False
    assert rows("SELECT email, role FROM users") == [("root@example.com", "admin")]


@pytest.mark.parametrize(
    ("email", "password"), [("no address", "long-enough-one"), ("a@example.com", "short")]
)
def test_an_administrator_that_cannot_be(shop: Workshop, rows: Rows, email: str, password: str) -> None:
    shop.ask("upgrade", OURS)
    with pytest.raises(Refused) as refused:
        shop.ask("seed", OURS, email=email, password=password)
    assert password not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert rows("SELECT * FROM users") == []

"""Dangerous revisions, and the safe way to do the same."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from app.migration.scripts import Scripts
from ops import hazards
from tests.migration.workshop import Workshop

# what Workshop.add takes
Step = dict[str, Any]


def step(up: str, down: str = "ALTER TABLE t DROP COLUMN x", **options: Any) -> Step:
    return {"up": up, "down": down, **options}


def apart(code: str) -> str:
    return f"with op.get_context().autocommit_block():\n    {code}"


def index(more: str) -> str:
    return f"op.create_index('ix', 't', ['a'], {more}postgresql_concurrently=True, if_not_exists=True)"


NOTHING_TO_TAKE_BACK = {"missing-downgrade": "older code does not mind"}
NOBODY_READS_IT = {"lossy-downgrade": "nobody has read it since r1"}
DROPPED = apart("op.drop_index('ix', postgresql_concurrently=True, if_exists=True)")
VALIDATED = step("ALTER TABLE t VALIDATE CONSTRAINT c", "pass", hazards=NOTHING_TO_TAKE_BACK)
BATCHES = "in_batches('UPDATE t SET b = a WHERE id IN (SELECT id FROM t WHERE b IS NULL LIMIT 9)')"
FILLED = step(BATCHES, "pass", hazards=NOTHING_TO_TAKE_BACK)
NEW_VALUE = "op.execute(\"ALTER TYPE e ADD VALUE 'x'\")"
COUNTED = "[n] = op.get_bind().execute(sa.text('SELECT count(*) FROM t')).one()"
COLUMN = step("op.add_column('t', sa.Column('x', sa.Integer()))")

# what is found in the careless way, that, and the safe way
PAIRS: dict[str, tuple[str, Step, list[Step]]] = {
    "an index": (
        "require-concurrent-index-creation",
        step("op.create_index('ix', 't', ['a'])"),
        [step(apart(index("")))],
    ),
    "not null": (
        "adding-not-nullable-field",
        step("op.alter_column('t', 'a', nullable=False)"),
        [step("op.create_check_constraint('c', 't', 'a IS NOT NULL', postgresql_not_valid=True)"), VALIDATED],
    ),
    "a check": (
        "constraint-missing-not-valid",
        step("op.create_check_constraint('c', 't', 'a > 0')"),
        [step("op.create_check_constraint('c', 't', 'a > 0', postgresql_not_valid=True)"), VALIDATED],
    ),
    "a foreign key": (
        "adding-foreign-key-constraint",
        step("op.create_foreign_key('c', 't', 'u', ['a'], ['id'])"),
        [step("op.create_foreign_key('c', 't', 'u', ['a'], ['id'], postgresql_not_valid=True)"), VALIDATED],
    ),
    "another type": (
        "changing-column-type",
        step("op.alter_column('t', 'a', type_=sa.BigInteger())"),
        [step("op.add_column('t', sa.Column('b', sa.BigInteger()))"), FILLED],
    ),
    "a volatile default": (
        "adding-field-with-default",
        step("op.add_column('t', sa.Column('x', sa.Uuid(), server_default=sa.text('gen_random_uuid()')))"),
        [step("op.add_column('t', sa.Column('x', sa.DateTime(), server_default=sa.func.now()))")],
    ),
    "a required column": (
        "adding-required-field",
        step("op.add_column('t', sa.Column('x', sa.Integer(), nullable=False))"),
        [step("op.add_column('t', sa.Column('x', sa.Integer(), nullable=False, server_default='0'))")],
    ),
    "a new name": (
        "renaming-column",
        step("op.alter_column('t', 'a', new_column_name='x')"),
        [COLUMN, FILLED],
    ),
    "what running code uses": (
        "ban-drop-column",
        step("op.drop_column('t', 'a')"),
        [step("op.drop_column('t', 'a')", phase="contract", hazards=NOBODY_READS_IT)],
    ),
    "a unique constraint": (
        "disallowed-unique-constraint",
        step("op.create_unique_constraint('ix', 't', ['a'])"),
        [step(apart(index("unique=True, "))), step("ALTER TABLE t ADD CONSTRAINT ix UNIQUE USING INDEX ix")],
    ),
    "a change of many rows": ("change-in-transaction", step("UPDATE t SET b = a"), [FILLED]),
    "a value of an enum": (
        "enum-value-in-transaction",
        step(f"{NEW_VALUE}\nop.execute(\"ALTER TABLE t ALTER c SET DEFAULT 'x'\")"),
        [
            step(NEW_VALUE, "pass", hazards=NOTHING_TO_TAKE_BACK),
            step("ALTER TABLE t ALTER c SET DEFAULT 'x'"),
        ],
    ),
    "no way back": ("missing-downgrade", COLUMN | {"down": "pass"}, [COLUMN]),
    "a way back that fails": ("missing-downgrade", COLUMN | {"down": "raise NotImplementedError"}, [COLUMN]),
    "no way back to the rows": (
        "lossy-downgrade",
        step("DROP TABLE t", phase="contract"),
        [step("DROP TABLE t", phase="contract", hazards=NOBODY_READS_IT)],
    ),
    "beside an autocommit block": (
        "autocommit-not-alone",
        step(f"op.execute('ALTER TABLE t ADD x int')\n{DROPPED}"),
        [step("ALTER TABLE t ADD x int"), step(DROPPED)],
    ),
    "what may run twice": (
        "prefer-robust-stmts",
        step(apart("op.create_index('ix', 't', ['a'], postgresql_concurrently=True)")),
        [step(apart(index("")))],
    ),
    "what depends on the rows": (
        "unreadable",
        step(f"{COUNTED}\nop.execute(f'SELECT {{n}}')"),
        [FILLED],
    ),
}


# what else is found, by the rule that finds it
FOUND = {
    "taken-away-too-soon": [
        "TRUNCATE t", "DROP SCHEMA s", "DROP VIEW v", "DROP TYPE e", "ALTER TABLE t DROP x",
    ],
    "renamed-too-soon": ["ALTER TYPE e RENAME VALUE 'a' TO 'b'", "ALTER VIEW v RENAME TO w"],
    "strong-lock": [
        "CLUSTER t", "LOCK TABLE t", "REINDEX TABLE t", "REFRESH MATERIALIZED VIEW v",
        "ALTER TABLE t SET UNLOGGED", "ALTER TABLE t SET SCHEMA s", "ALTER TABLE t ADD COLUMN x bigserial",
        "ALTER TABLE t ADD COLUMN x int CHECK (x > 0)",
    ],
    "change-in-transaction": [
        "DO $$ BEGIN UPDATE t SET b = a; END $$", "/* all of it */ UPDATE t SET b = a",
        "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET b = a",
        "ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = 0",
    ],
    "syntax-error": ["INSERT INTO t VALUES ('a)"],
}  # fmt: skip


@pytest.mark.parametrize(("rule", "sql"), [(rule, sql) for rule in FOUND for sql in FOUND[rule]])
def test_it_is_found(rule: str, sql: str, tmp_path: Path) -> None:
    bad = scripts(tmp_path / "migrations", [step(f"op.execute({sql!r})")])
    assert rule in {found.rule for found in hazards.find(bad, bad.known[0])}


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u ON DELETE CASCADE ON UPDATE CASCADE NOT VALID",
        "ALTER TABLE t DROP CONSTRAINT c",
        "ALTER TABLE t ALTER x DROP DEFAULT",
        "SELECT 1 FROM t FOR UPDATE",
        "INSERT INTO t VALUES ('a\n-- no comment')",
        "COMMENT ON TABLE t IS 'alembic_version'",
    ],
)
def test_it_is_not_dangerous(sql: str, tmp_path: Path) -> None:
    hazards.check(scripts(tmp_path / "migrations", [step(f"op.execute({sql!r})")]))


def test_a_contract_step_that_drops_without_the_word_column_is_lossy(tmp_path: Path) -> None:
    bad = scripts(tmp_path / "migrations", [step("ALTER TABLE t DROP x", phase="contract")])
    assert [found.rule for found in hazards.find(bad, bad.known[0])] == ["lossy-downgrade"]


def scripts(folder: Path, steps: list[Step]) -> Scripts:
    shop = Workshop(folder, make_url("postgresql+psycopg://"))
    for each in steps:
        shop.add(**each)
    return Scripts(folder)


@pytest.mark.parametrize("name", PAIRS)
def test_the_careless_way_is_refused_and_the_safe_way_passes(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule, careless, safe = PAIRS[name]
    hazards.check(scripts(tmp_path / "safe", safe))
    bad = scripts(tmp_path / "careless", [careless])
    [found] = hazards.unexplained(bad, bad.known[0])
    assert found.startswith(f"{rule}: ")
    with pytest.raises(SystemExit, match=r'take the safe way, or write the reason .* hazards = \{"<rule>"'):
        hazards.check(bad)
    told = capsys.readouterr().out
    assert f"r1 Step r1.\n    {found}\n" in told
    assert "Safe way: " in told
    # the reason is what makes it pass, and a reason for nothing does not
    hazards.check(scripts(tmp_path / "explained", [careless | {"hazards": {rule: "the table is empty"}}]))
    idle = scripts(tmp_path / "idle", [COLUMN | {"hazards": {rule: "the table is empty"}}])
    assert hazards.unexplained(idle, idle.known[0]) == [f"{rule}: is not in it; delete the reason"]


def test_a_table_that_the_revision_makes_is_nobodys_yet(tmp_path: Path) -> None:
    code = (
        "op.create_table('t', sa.Column('a', sa.Integer(), nullable=False))\n"
        "op.create_index('ix', 't', ['a'])\nop.create_unique_constraint('uq', 't', ['a'])"
    )
    hazards.check(scripts(tmp_path / "migrations", [step(code, "DROP TABLE t")]))


def test_sql_that_is_none_is_told(tmp_path: Path) -> None:
    bad = scripts(tmp_path / "migrations", [step("ALTR TABLE t ADD x int")])
    found, *_ = hazards.unexplained(bad, bad.known[0])
    assert found.startswith("syntax-error: ALTR TABLE t ADD x int;")

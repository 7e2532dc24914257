"""What is dangerous in a revision, why, and the safe way: for `make plan`, `make check` and `make build`.

squawk finds locks and rewrites, in the SQL that Alembic would run; what it cannot see is found here.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.foundation.schema import Revision
from app.migration.errors import Refused
from app.migration.scripts import Scripts
from ops.terminal import fail, say

CONCURRENTLY = "with op.get_context().autocommit_block(): .. postgresql_concurrently=True, if_not_exists=True"
VALIDATE = (
    "postgresql_not_valid=True, and in a later revision op.execute('ALTER TABLE .. VALIDATE CONSTRAINT ..')"
)
REWRITE = "add a nullable column, fill it by app.migration.batches.in_batches, and let the code change over"
RENAME = "add the new one, write both, fill it, read the new one, and drop the old one in a contract step"
DROP = 'phase = "contract": it then waits until no release in service uses it'

# the safe way for each of squawk's rules that concern a table in use (https://squawkhq.com/docs/rules)
SQUAWK = {
    "require-concurrent-index-creation": CONCURRENTLY,
    "require-concurrent-index-deletion": CONCURRENTLY.replace("if_not_exists", "if_exists"),
    "ban-concurrent-index-creation-in-transaction": CONCURRENTLY,
    "prefer-robust-stmts": "outside a transaction a step may run twice: if_not_exists=True, or IF EXISTS",
    "adding-not-nullable-field": "a CHECK NOT VALID, later validated; after that SET NOT NULL scans nothing",
    "adding-required-field": "nullable, or with a server_default: running code does not know the column",
    "constraint-missing-not-valid": VALIDATE,
    "adding-foreign-key-constraint": VALIDATE,
    "disallowed-unique-constraint": f"a unique index ({CONCURRENTLY}), then UNIQUE USING INDEX",
    "adding-serial-primary-key-field": f"a unique index ({CONCURRENTLY}), then PRIMARY KEY USING INDEX",
    "changing-column-type": REWRITE,
    "adding-field-with-default": REWRITE,
    "renaming-column": RENAME,
    "renaming-table": RENAME,
    "ban-drop-column": DROP,
    "ban-drop-table": DROP,
    "syntax-error": "SQL that PostgreSQL understands",
}
OURS = {
    "change-in-transaction": (
        "It keeps every row that it changes locked until the revision ends.",
        "from app.migration.batches import in_batches",
    ),
    "autocommit-not-alone": (
        "What stands beside an autocommit block is committed before the revision is, so it may run twice.",
        "a revision of its own for the autocommit block",
    ),
    "enum-value-in-transaction": (
        "PostgreSQL refuses a new value of an enum in the transaction that adds it.",
        "use the value in a later revision",
    ),
    "lossy-downgrade": (
        "The downgrade cannot bring back what this takes away.",
        "a reason why nobody needs it any more",
    ),
    "missing-downgrade": (
        "The downgrade does nothing, so a rollback past it is not possible.",
        "write downgrade(), or why there is nothing to take back",
    ),
    "taken-away-too-soon": (
        "Code that is in service may still use it.",
        DROP,
    ),
    "renamed-too-soon": (
        "Code that is in service knows the old name.",
        RENAME,
    ),
    "strong-lock": (
        "Nobody can use the table until it ends, and it reads or writes every row.",
        "CONCURRENTLY where there is such a form; a nullable column, NOT VALID and later VALIDATE",
    ),
    "unreadable": (
        "What it runs depends on the rows, so nobody can look at it before.",
        "SQL by op.execute or in_batches, or a reason",
    ),
}
DROPS = r"DROP\s+(?!INDEX|CONSTRAINT|DEFAULT|NOT\s+NULL|EXPRESSION|IDENTITY|TRIGGER|POLICY)\w"
TAKES_AWAY = re.compile(rf"\b(DELETE\s+FROM|TRUNCATE|{DROPS})", re.IGNORECASE)
# what squawk tells of by itself, outside a contract step
SQUAWKS_OWN = re.compile(r"\s*(DROP\s+TABLE|ALTER\s+TABLE\s.*\bDROP\s+COLUMN)\b", re.IGNORECASE | re.DOTALL)
CHANGES = re.compile(
    r"(?<!\bON )(?<!\bFOR )\b(UPDATE\s+\S|DELETE\s+FROM|MERGE\s+INTO)|\bINSERT\s+INTO\b.*\bSELECT\b",
    re.IGNORECASE | re.DOTALL,
)
LOCKS = re.compile(
    r"\s*(CLUSTER|LOCK|VACUUM\s+FULL|REINDEX(?!.*CONCURRENTLY)|REFRESH\s+MATERIALIZED\s+VIEW(?!\s+CONCURRENTLY))\b"
    r"|\bSET\s+(UNLOGGED|LOGGED|SCHEMA|TABLESPACE)\b|\bADD\s+(COLUMN\s+)?\S+\s+\w*SERIAL\b"
    r"|\bADD\s+COLUMN\b.*\b(CHECK\s*\(|STORED\b)",
    re.IGNORECASE | re.DOTALL,
)
RENAMES = re.compile(
    r"\bRENAME\s+VALUE\b|\s*ALTER\s+(VIEW|TYPE|SEQUENCE)\b.*\bRENAME\b", re.IGNORECASE | re.DOTALL
)
NEW_VALUE = re.compile(r"ALTER TYPE .* ADD VALUE (?:IF NOT EXISTS )?('[^']*')", re.IGNORECASE)
COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Hazard:
    rule: str
    statement: str
    why: str
    safe: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.statement}\n      {self.why}\n      Safe way: {self.safe}"


def find(scripts: Scripts, revision: Revision) -> list[Hazard]:
    """Those that the revision gives no reason for, and reasons for none, first come first."""
    try:
        sql = scripts.written(revision)
    except Refused as error:
        return [ours("unreadable", str(error))]
    statements = [(COMMENTS.sub("", each).strip(), inside) for each, inside in in_transactions(sql)]
    statements = [(each, inside) for each, inside in statements if each]
    together = [statement for statement, inside in statements if inside]
    found = list(squawk(sql))
    if revision.phase == "contract":
        found = [each for each in found if not each.rule.startswith("ban-drop")]
        found += [ours("lossy-downgrade", each) for each, _ in statements if TAKES_AWAY.search(each)]
    else:
        gone = [each for each, _ in statements if TAKES_AWAY.search(each) and not SQUAWKS_OWN.match(each)]
        found += [ours("taken-away-too-soon", each) for each in gone]
    found += [ours("renamed-too-soon", each) for each, _ in statements if RENAMES.search(each)]
    found += [ours("strong-lock", each) for each, _ in statements if LOCKS.search(each)]
    found += [ours("change-in-transaction", each) for each in together if CHANGES.search(each)]
    found += [ours("enum-value-in-transaction", each) for each in used_at_once(together)]
    if 0 < len(together) < len(statements):
        found.append(ours("autocommit-not-alone", statements[0][0]))
    if statements and not goes_back(scripts, revision):
        found.append(ours("missing-downgrade", "def downgrade()"))
    return found


def squawk(sql: str) -> Iterator[Hazard]:
    program = Path(sys.executable).parent / "squawk"
    command = [str(program), "--pg-version", "17", "--reporter", "json"]
    done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False)
    if not done.stdout:
        fail(f"squawk did not work: {done.stderr}")
    lines = sql.splitlines()
    told = [each for each in json.loads(done.stdout) if each["rule_name"] in SQUAWK]
    general = "constraint-missing-not-valid"
    plainer = {each["line"] for each in told if each["rule_name"] != general}
    for each in told:
        rule, line = each["rule_name"], each["line"]
        if rule != general or line not in plainer:
            where = lines[min(line, len(lines) - 1)].strip()  # an unclosed quote ends after the last
            yield Hazard(rule, where, each["message"], SQUAWK[rule])


def ours(rule: str, statement: str) -> Hazard:
    return Hazard(rule, statement.strip().splitlines()[0], *OURS[rule])


def in_transactions(sql: str) -> Iterator[tuple[str, bool]]:
    """Each statement, and whether a transaction is around it."""
    inside = False
    for statement in sql.split(";\n"):
        words = statement.strip()
        if words in {"BEGIN", "COMMIT"}:
            inside = words == "BEGIN"
        elif words:
            yield words, inside


def used_at_once(together: list[str]) -> Iterator[str]:
    values: list[str] = []
    for statement in together:
        if any(value in statement for value in values):
            yield statement
        if added := NEW_VALUE.search(statement):
            values.append(added[1])


def goes_back(scripts: Scripts, revision: Revision) -> bool:
    try:
        return bool(scripts.sql(revision, up=False))
    except Refused:
        return False


def unexplained(scripts: Scripts, revision: Revision) -> list[str]:
    """Hazards for which the revision gives no reason, and reasons for what is not there."""
    found, reasons = find(scripts, revision), scripts.reasons(revision.id)
    idle = set(reasons) - {each.rule for each in found}
    lines = [str(each) for each in found if not reasons.get(each.rule, "").strip()]
    return lines + [f"{rule}: is not in it; delete the reason" for rule in sorted(idle)]


def check(scripts: Scripts | None = None) -> None:
    """Ends the program where a revision is dangerous and does not say why that is well."""
    scripts = scripts or Scripts()
    bad = [
        f"  {revision.id} {scripts.titles()[revision.id]}\n    {line}"
        for revision in scripts.known
        for line in unexplained(scripts, revision)
    ]
    if bad:
        for line in bad:
            say(line)
        fail('take the safe way, or write the reason into the revision: hazards = {"<rule>": "<reason>"}')


def show(scripts: Scripts, revision: Revision) -> None:
    reasons = scripts.reasons(revision.id)
    for each in find(scripts, revision):
        reason = reasons.get(each.rule)
        say(f"--  ! {each}" if not reason else f"--  {each.rule}: {each.statement}\n      Accepted: {reason}")

"""`make bench OF=locks`: what users of a table notice of a migration, the careful way and the careless one.

The careful way is the migration function's; the careless is the same change by one plain statement.
Writes bench/locks.json: the longest query in milliseconds.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL

from app.foundation.database_url import postgresql_url
from app.migration.steps import Limits
from ops.environment import DATA, ROOT, commit
from ops.postgres import Postgres, libpq
from ops.terminal import say
from tests.migration.workshop import Workshop

ROWS = int(os.environ.get("ROWS") or 1_000_000)
READ_SECONDS = float(os.environ.get("READ") or 10)
USERS = 4
TABLE = f"""
CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE things (
    id int PRIMARY KEY, owner int NOT NULL, seen int NOT NULL DEFAULT 0, label text NOT NULL
);
INSERT INTO owners SELECT generate_series(0, 999);
INSERT INTO things SELECT n, n % 1000, 0, repeat('x', 100) FROM generate_series(1, {ROWS}) n;
"""
INDEX = """with op.get_context().autocommit_block():
    op.execute('CREATE INDEX CONCURRENTLY IF NOT EXISTS by_label ON things (label, id)')"""
BATCHES = """in_batches('UPDATE things SET big = owner WHERE id IN '
    '(SELECT id FROM things WHERE big IS NULL LIMIT 1000)')"""
OWNED = "ALTER TABLE things ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES owners"


@dataclass(frozen=True, slots=True)
class Change:
    """Its revisions, the careful way; its one statement, the careless way."""

    name: str
    careful: tuple[str, ...]
    careless: str
    while_reading: bool = False


CHANGES = (
    Change(
        f"a column, while a read takes {READ_SECONDS:g} s",
        ("ALTER TABLE things ADD COLUMN age int",),
        "ALTER TABLE things ADD COLUMN age int",
        while_reading=True,
    ),
    Change("an index", (INDEX,), "CREATE INDEX by_label ON things (label, id)"),
    Change(
        "a foreign key",
        (f"{OWNED} NOT VALID", "ALTER TABLE things VALIDATE CONSTRAINT owned"),
        OWNED,
    ),
    Change(
        "another type",
        ("ALTER TABLE things ADD COLUMN big bigint", BATCHES),
        "ALTER TABLE things ALTER COLUMN owner TYPE bigint",
    ),
)


def main() -> None:
    say(f"{USERS} users read and write a table of {ROWS:,} rows; the longest query, in ms.")
    measures = []
    with Postgres(DATA / "bench-postgres").running() as server:
        say(f"\n{'':34} {'careful':>9} {'careless':>9} {'ratio':>7}")
        for change in CHANGES:
            print(f"{change.name:34}", end="", flush=True)
            careful = drill(server, change, carefully)
            print(f" {careful:9.0f}", end="", flush=True)
            careless = drill(server, change, carelessly)
            say(f" {careless:9.0f} {careful / careless:7.3f}")
            row = {"name": change.name, "careful": careful, "careless": careless}
            measures.append(row | {"ratio": round(careful / careless, 3)})
    say(f"\nThe careful way waits {Limits().lock:g} s for a lock, then lets others through and tries again.")
    made = {"date": datetime.now(UTC).date().isoformat(), "commit": commit()}
    written = made | {
        "command": f"make bench OF=locks ROWS={ROWS} READ={READ_SECONDS:g}",
        "measures": measures,
    }
    (ROOT / "bench/locks.json").write_text(json.dumps(written, indent=2) + "\n")


def drill(server: Postgres, change: Change, way: Callable[[URL, Change], None]) -> float:
    """On a table made anew; gives the longest query of its users, in milliseconds."""
    run(postgresql_url(server.url("postgres")), "DROP DATABASE IF EXISTS locks WITH (FORCE)")
    server.ensure_database("locks")
    url = postgresql_url(server.url("locks"))
    run(url, TABLE)
    run(url, "VACUUM ANALYZE things")
    with users(url) as longest, long_read(url) if change.while_reading else nullcontext():
        way(url, change)
    return round(max(longest) * 1000, 1)


def carefully(url: URL, change: Change) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = Workshop(Path(folder) / "migrations", url)
        for step in change.careful:
            shop.add(step)
        shop.ask("upgrade", {"limits": Limits()})


def carelessly(url: URL, change: Change) -> None:
    run(url, change.careless)


def run(url: URL, statement: str) -> None:
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(statement.encode())


@contextmanager
def long_read(url: URL) -> Iterator[None]:
    """Somebody's transaction that has read the table, and ends by itself."""
    reader = psycopg.connect(libpq(url))
    reader.execute("SELECT FROM things WHERE id = 1")
    end = threading.Timer(READ_SECONDS, reader.close)
    end.start()
    yield
    end.join()


@contextmanager
def users(url: URL) -> Iterator[list[float]]:
    """At work until the end; then the list has the longest query of each, in seconds."""
    command = [sys.executable, str(ROOT / "bench/user.py"), libpq(url), str(ROWS)]
    pipe = subprocess.PIPE
    working = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(USERS)]
    for user in working:
        assert user.stdout
        user.stdout.readline()
    longest: list[float] = []
    yield longest
    longest += [float(user.communicate()[0]) for user in working]


if __name__ == "__main__":
    main()

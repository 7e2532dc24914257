"""`make bench`: cold starts in AWS's runtime emulator and warm calls in process, ours and two peers in turns.

The peers run on the artifact's own packages, so that only the code differs. Writes bench/latest.json, where
`ratio` is the median of ours / peer over the pairs, and `spread` its lower and upper quartile.
"""

import json
import os
import re
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
from sqlalchemy.orm import Session

from app.foundation.database import make_engine
from app.foundation.settings import load_settings
from app.resources.sessions.service import sign_in
from app.resources.users.model import User
from app.resources.users.service import seed_administrator
from ops import emulator, migrations
from ops.build import filled
from ops.environment import DATA, ROOT, commit
from ops.postgres import Postgres
from ops.terminal import fail, say
from ops.tools import environment_of

HERE = ROOT / "bench"
PEERS = {"FastAPI + Mangum": "fastapi_mangum.handler", "bare handler": "psycopg_handler.handler"}
ADMIN = "admin@example.com", "a password for the bench"
Results = dict[str, float]


def main() -> None:
    pairs = int(os.environ.get("PAIRS") or 9)
    if not emulator.EMULATED:
        fail("cold starts are measured in AWS's runtime emulator, which is for Linux only")
    artifact = filled(emulator.ARCHITECTURE)
    found: dict[str, list[Results]] = {handler: [] for handler in (emulator.HANDLER, *PEERS.values())}
    with tempfile.TemporaryDirectory() as folder, database() as calls:
        code = with_peers(artifact, Path(folder))
        for turn in range(pairs):
            say(f"Pair {turn + 1} of {pairs}")
            order = [*found][turn % 3 :] + [*found][: turn % 3]
            for handler in order:
                found[handler].append(cold(code, handler, calls) | warm(code, handler, calls))
    report([row for peer in PEERS for row in compare(peer, found)], pairs)


@contextmanager
def database() -> Iterator[dict[str, Any]]:
    """Of the bench's own, with 200 users, named by DATABASE_URL; gives the calls that it can answer."""
    with Postgres(DATA / "bench-postgres").running() as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)")
        server.ensure_database("bench")
        os.environ |= {
            "ENVIRONMENT": "test",
            "DATABASE_URL": server.url("bench"),
            "SECRET_KEY": secrets.token_urlsafe(64),
            "ACCESS_TOKEN_EXPIRE_MINUTES": "1440",
        }
        settings = load_settings()
        engine = make_engine(settings.url)
        migrations.upgrade(migrations.ask_directly())
        with Session(engine) as session, session.begin():
            seed_administrator(session, *ADMIN)
            session.add_all(User(email=f"{n}@example.com", name="Ada", password_hash="") for n in range(200))
            token = sign_in(session, settings, *ADMIN).access_token
            user = session.query(User.id).where(User.email == "100@example.com").scalar()
        engine.dispose()
        yield {
            "hello": call("GET", "/health", 300),
            "signed-in read by key": call("GET", f"/v1/users/{user}", 200, token),
            "list of 50": call("GET", "/v1/users", 100, token),
            "create": call("POST", "/v1/users", 10, status=201),
        }


def call(method: str, path: str, count: int, token: str = "", status: int = 200) -> dict[str, Any]:
    """An event, how often it is sent, and the status it must have."""
    event = json.loads((ROOT / "events" / "http-api-version.json").read_text())
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["requestContext"]["http"]["method"] = method
    if token:
        event["headers"]["authorization"] = f"Bearer {token}"
    if method == "POST":
        event["headers"]["content-type"] = "application/json"
        event["body"] = json.dumps({"email": "{n}@example.com", "name": "Ada", "password": "long enough {n}"})
    return {"event": event, "count": count, "status": status}


def with_peers(artifact: Path, folder: Path) -> Path:
    """The artifact and the peers side by side, both compiled as the artifact is."""
    for part in artifact.iterdir():
        if part.name != "__pycache__":
            (folder / part.name).symlink_to(part)
    for peer in (HERE / "peers").glob("*.py"):
        (folder / peer.name).write_text(peer.read_text())
    options = ["-q", "-l", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([python(), "-m", "compileall", *options, str(folder)], check=True)
    return folder


def python() -> str:
    return str(environment_of("runtime") / "bin" / "python")


def cold(code: Path, handler: str, calls: dict[str, Any]) -> Results:
    """The emulator's figure for the import, and the time to the first answer, which needs the database."""
    first = calls["signed-in read by key"]
    with tempfile.TemporaryFile() as log:
        with emulator.function(code, handler, log=log, level="info") as url:
            start = time.perf_counter()
            with urlopen(url, json.dumps(first["event"]).encode()) as response:
                answer = json.load(response)
            taken = time.perf_counter() - start
        if answer.get("statusCode") != first["status"]:
            fail(f"{handler}: {answer}")
        log.seek(0)
        [init] = re.findall(rb"INIT REPORT\(durationMs: ([\d.]+)", log.read())
    return {"cold start, import": float(init) * 1e3, "cold start, first answer": taken * 1e6}


def warm(code: Path, handler: str, calls: dict[str, Any]) -> Results:
    done = subprocess.run(
        [python(), str(HERE / "subject.py"), handler],
        env=emulator.lambda_variables(code, emulator.SECONDS),
        input=json.dumps(calls),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    medians: Results = json.loads(done.stdout.splitlines()[-1])
    return medians


def compare(peer: str, found: dict[str, list[Results]]) -> list[dict[str, Any]]:
    """Microseconds."""
    rows = []
    ours, theirs = found[emulator.HANDLER], found[PEERS[peer]]
    for measure in ours[0]:
        ratios = [mine[measure] / other[measure] for mine, other in zip(ours, theirs, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4)
        rows.append(
            {
                "name": f"{measure}: us, beside {peer}",
                "ours": round(statistics.median(result[measure] for result in ours), 1),
                "peer": round(statistics.median(result[measure] for result in theirs), 1),
                "ratio": round(statistics.median(ratios), 2),
                "goal": None,
                "higher_is_better": False,
                "pairs": len(ratios),
                "spread": [round(low, 2), round(high, 2)],
            }
        )
    return rows


def report(rows: list[dict[str, Any]], pairs: int) -> None:
    say(f"\n{'microseconds':58} {'ours':>10} {'peer':>10} {'ratio':>6}   quartiles")
    for row in rows:
        low, high = row["spread"]
        say(f"{row['name']:58} {row['ours']:10} {row['peer']:10} {row['ratio']:6}   {low} .. {high}")
    made = {"date": datetime.now(UTC).date().isoformat(), "commit": commit()}
    written = made | {"command": f"make bench PAIRS={pairs}", "measures": rows}
    (HERE / "latest.json").write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()

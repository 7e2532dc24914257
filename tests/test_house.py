"""Rules of the house that no linter knows."""

import subprocess
import sys

from app.foundation.database import new_id
from app.foundation.passwords import NOBODY, _hasher
from ops.environment import ROOT


def test_importing_a_module_does_nothing() -> None:
    """No setting read, no engine or log made, no connection: entrypoints alone do that."""
    modules = [
        ".".join(file.relative_to(ROOT / "src").with_suffix("").parts)
        for file in (ROOT / "src").rglob("*.py")
        if "entrypoints" not in file.parts
    ]
    program = f"""
import os, socket, sys, logging, sqlalchemy
before = logging.root.handlers[:]
os.environ.clear()
def forbidden(*_, **__): raise SystemExit("an import reached out")
socket.socket.connect = sqlalchemy.create_engine = forbidden
import importlib, pydantic_settings
pydantic_settings.BaseSettings.__init__ = forbidden
for name in {modules!r}: importlib.import_module(name.removesuffix(".__init__"))
assert logging.root.handlers == before
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": "src"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nobodys_hash_costs_what_anybodys_does() -> None:
    assert not _hasher.check_needs_rehash(NOBODY)


def test_ids_are_version_7_and_in_order_of_time() -> None:
    ids = [new_id() for _ in range(3)]
    assert {id_.version for id_ in ids} == {7}
    assert {id_.variant for id_ in ids} == {"specified in RFC 4122"}
    assert len(set(ids)) == 3
    first, last = ids[0].int >> 80, new_id().int >> 80
    assert first <= last

"""What `make build` makes: the same bytes each time, for its machine, and nothing too much."""

import hashlib
import json
import os
import re
import subprocess
import zipfile
from functools import cache
from pathlib import Path

import pytest

from ops.environment import ROOT
from tests.checkout import copy_checkout

pytestmark = pytest.mark.artifact

# ELF header, e_machine (elf.h: EM_AARCH64, EM_X86_64)
MACHINES = {"arm64": 183, "x86_64": 62}


@cache
def build(architecture: str) -> Path:
    done = subprocess.run(
        ["make", "-s", "build", f"ARCH={architecture}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split("of which")[1].strip().splitlines()) == 10
    return ROOT / "dist" / f"lambda-{architecture}.zip"


@pytest.fixture(scope="module", params=MACHINES)
def artifact(request: pytest.FixtureRequest) -> tuple[str, Path]:
    return request.param, build(request.param)


def test_every_library_is_for_its_machine(artifact: tuple[str, Path]) -> None:
    architecture, archive = artifact
    with zipfile.ZipFile(archive) as content:
        libraries = [name for name in content.namelist() if content.read(name)[:4] == b"\x7fELF"]
        machines = {int.from_bytes(content.read(name)[18:20], "little") for name in libraries}
    assert len(libraries) > 10
    assert machines == {MACHINES[architecture]}


def test_it_is_small_and_holds_nothing_too_much(artifact: tuple[str, Path]) -> None:
    archive = artifact[1]
    assert archive.stat().st_size <= 25_000_000
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
    assert "app/entrypoints/api_lambda.py" in names
    assert "app/revisions.json" in names
    assert any(name.startswith("migrations/versions/") for name in names)
    unwanted = ("boto3/", "botocore/", "uvicorn/", "pip/", "ops/", "bin/", "docs/")
    assert not [name for name in names if name.startswith(unwanted) or "/tests/" in name]


def test_its_bill_of_materials_has_every_requirement(artifact: tuple[str, Path]) -> None:
    """So does the image's."""
    image = ROOT / "dist/container.cdx.json"
    for file, requirements in (
        (artifact[1].with_suffix(".cdx.json"), "requirements.txt"),
        (image, "requirements/container.txt"),
    ):
        pinned = re.findall(r"^([^ #]+)==([^ ]+)", (ROOT / requirements).read_text(), re.MULTILINE)
        listed = json.loads(file.read_text())["components"]
        assert {part["purl"] for part in listed} == {f"pkg:pypi/{n}@{v}" for n, v in pinned}
        assert len(listed) > 20


def test_every_module_is_compiled_for_good(artifact: tuple[str, Path]) -> None:
    with zipfile.ZipFile(artifact[1]) as content:
        names = set(content.namelist())
        modules = [Path(name) for name in names if name.endswith(".py")]
        compiled = [
            str(module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc") for module in modules
        ]
        assert not set(compiled) - names
        # PEP 552: flags 1, a hash that is not checked
        assert {content.read(name)[4:8] for name in compiled} == {b"\x01\x00\x00\x00"}


def test_the_same_bytes_from_another_folder_and_time(artifact: tuple[str, Path], tmp_path: Path) -> None:
    architecture, archive = artifact
    before = hashlib.sha256(archive.read_bytes()).hexdigest()
    copy = copy_checkout(tmp_path / "elsewhere")
    for file in [*copy.rglob("*.py"), copy / "requirements.txt"]:
        os.utime(file, (0, 0))
    again = subprocess.run(
        [ROOT / ".venv/bin/python", "-m", "ops", "build"],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy / "src"), "ARCH": architecture},
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr
    made = copy / "dist" / archive.name
    assert hashlib.sha256(made.read_bytes()).hexdigest() == before
    assert made.with_suffix(".cdx.json").read_bytes() == archive.with_suffix(".cdx.json").read_bytes()

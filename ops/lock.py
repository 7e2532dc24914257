"""`make lock`: requirements files with hashes, compiled from pyproject.toml."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ops.environment import ROOT
from ops.terminal import fail, say

# in this order: each file keeps to the versions of the one before
FILES = {
    "requirements.txt": ["pyproject.toml", "--python-version=3.11"],
    "requirements/container.txt": ["pyproject.toml", "--python-version=3.11", "--extra=container",
                                   "-c=requirements.txt"],
    "requirements/dev.txt": ["pyproject.toml", "--python-version=3.11", "--extra=container", "--group=dev",
                             "-c=requirements/container.txt"],
    # on Lambda's Python, each in an environment of its own (ops/tools.py)
    "requirements/checkov.txt": ["--python-version=3.13", "--group=checkov"],
    "requirements/sbom.txt": ["--python-version=3.13", "--group=sbom"],
    "requirements/cloud.txt": ["--python-version=3.13", "--group=cloud"],
    "requirements/sam.txt": ["--python-version=3.13", "--group=sam"],
    "requirements/pipelines.txt": ["--python-version=3.13", "--group=pipelines"],
    "requirements/load.txt": ["--python-version=3.13", "--group=load"],
    "requirements/runtime.txt": ["--python-version=3.13", "--group=runtime"],
    # only programs are taken from this one, so nothing that its Python code would need
    "requirements/postgres-17.txt": ["--python-version=3.13", "--group=postgres-17", "--no-deps"],
}  # fmt: skip


def compile_requirements(*, check: bool) -> None:
    """Rewrites the files, or with `check` fails where they are not what pyproject.toml asks for."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "requirements", copy / "requirements")
        shutil.copy(ROOT / "pyproject.toml", copy)
        shutil.copy(ROOT / "requirements.txt", copy)
        stale = [name for name in FILES if compile_one(copy, name, check=check)]
    if check and stale:
        fail(f"not what pyproject.toml asks for: {', '.join(stale)}; run `make lock`")
    say(f"requirements: {'fresh' if check else 'written'}")


def compile_one(copy: Path, name: str, *, check: bool) -> bool:
    """Whether the file changed."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes",
               "--custom-compile-command", "make lock", *FILES[name], "-o", name]  # fmt: skip
    if os.environ.get("UPGRADE"):
        command.append("--upgrade")
    subprocess.run(command, cwd=copy, check=True)
    text, ours = (copy / name).read_text(), ROOT / name
    if ours.exists() and text == ours.read_text():
        return False
    if not check:
        ours.write_text(text)
    return True

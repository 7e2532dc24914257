"""Programs that have an environment of their own, and uv, which makes them."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from ops.environment import ROOT
from ops.terminal import fail, say

PYTHON = "3.13"  # Lambda's


def environment_of(name: str) -> Path:
    """`.venv/NAME`, made from requirements/NAME.txt on Lambda's Python: for what excludes other tools."""
    # or would be hidden by them: `runtime` is Lambda's side alone, so that what the artifact lacks is missed
    folder, requirements = Path(sys.prefix) / name, ROOT / "requirements" / f"{name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / ".ready"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests side by side want the same
        # a patch of Python may take its place
        whole = stamp.exists() and (folder / "bin" / "python").exists()
        if not whole or stamp.read_text() != wanted:
            say(f"Installing requirements/{name}.txt into .venv/{name}")
            uv("venv", "--quiet", "--clear", "--python", PYTHON, str(folder))
            options = ["--quiet", "--compile-bytecode", "--require-hashes", "--python", str(folder)]
            uv("pip", "sync", *options, str(requirements))
            stamp.write_text(wanted)
    return folder


def uv(*arguments: str) -> str:
    command = [sys.executable, "-m", "uv", *arguments]
    # without a version, pyenv's python3.13 only says which there are
    environment = {"PYENV_VERSION": PYTHON} | os.environ
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        fail(f"see the lines above; where Python {PYTHON} is missing: .venv/bin/uv python install {PYTHON}")
    return done.stdout

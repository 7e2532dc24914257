"""A copy of the checkout, for what must not touch this one."""

import shutil
import subprocess
from pathlib import Path

from ops.environment import ROOT


def copy_checkout(folder: Path) -> Path:
    """What git tracks or would, with this checkout's .venv."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for name in listed.stdout.splitlines():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder

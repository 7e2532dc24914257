"""How large what is built is; and `make size`, lines against the budgets, as small is what stays readable."""

import re
import subprocess
from pathlib import Path

from ops.environment import ROOT
from ops.terminal import fail, say


def megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def lines(*patterns: str) -> int:
    files = {file for pattern in patterns for file in ROOT.glob(pattern)}
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def measures() -> list[tuple[str, int, int]]:
    """(what, now, budget)"""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = ("make ", "git clone")
    first = next((number for number, line in enumerate(readme, 1) if line.startswith(commands)), 999)
    moving, deploying, examining = map(lines, ("src/app/migration/*.py", "ops/cloud/*.py", "ops/doctor/*.py"))
    return [
        ("src/app but migration, lines", lines("src/app/**/*.py") - moving, 2600),
        ("src/app/migration, lines", moving, 1200),
        ("ops/cloud, lines", deploying, 1220),
        ("ops/doctor, lines", examining, 310),
        ("ops but those, lines", lines("ops/**/*.py", "ops/**/*.sh") - deploying - examining, 1820),
        ("templates together, lines", lines("template.yaml", "infra/*.yaml"), 1112),
        ("template.yaml, lines", lines("template.yaml"), 710),
        ("Makefile, targets", len(re.findall(r"^[a-z-]+:.*## ", makefile, re.MULTILINE)), 32),
        ("entries at the top", len({Path(name).parts[0] for name in listed.splitlines()}), 25),
        ("README, lines", len(readme), 120),
        ("README, line of the first command", first, 12),
    ]


def show() -> None:
    over = []
    for what, now, budget in measures():
        say(f"{now:5} of {budget:5}  {what}")
        if now > budget:
            over.append(what)
    if over:
        fail(f"over budget: {'; '.join(over)}. Delete something, or write an ADR.")

"""How the program speaks: short lines, and one line when it cannot go on."""

import sys
from typing import NoReturn

from app import NAME


def say(text: str) -> None:
    print(text, flush=True)


def fail(text: str) -> NoReturn:
    """One line on standard error, and a non-zero exit."""
    sys.exit(f"{NAME}: {text}")

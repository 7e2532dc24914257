"""The environment of every command: .env under the real variables, checked before anything starts."""

import os
import subprocess
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from app.foundation.settings import Settings, SettingsError, load_settings
from ops.terminal import fail

ROOT = Path(__file__).parents[1]
DATA = ROOT / ".data"
ADMINISTRATOR = "admin@example.com"  # where no other is named


def load() -> Settings:
    """Reads .env, fills what development needs, and gives the settings. A fault ends the program."""
    read_file()
    os.environ["ENVIRONMENT"] = os.environ.get("ENVIRONMENT") or "dev"
    os.environ.setdefault("COMMIT", commit())
    try:
        return load_settings()
    except SettingsError as error:
        fail(str(error))


def read_file() -> None:
    """.env, under what the environment has already."""
    file = ROOT / ".env"
    if file.exists():
        try:
            refuse_unreadable_lines(file)
            for name, value in dotenv_values(file).items():
                os.environ.setdefault(name, value or "")
        except (OSError, ValueError) as error:
            fail(f".env cannot be read: {error}; save it as UTF-8 text")


def refuse_unreadable_lines(file: Path) -> None:
    with file.open(encoding="utf-8") as lines:
        for part in parse_stream(lines):
            if part.error or (part.key and part.value is None):
                fail(f".env, line {part.original.line}: cannot be read; write NAME=value, or NAME='a value'")


def has_database() -> bool:
    """Whether the environment names a server; otherwise the embedded one serves."""
    parts = ("DATABASE_URL", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD")
    return any(os.environ.get(name) for name in parts)


def commit() -> str:
    git = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"

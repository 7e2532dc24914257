"""Revisions of a test's own, and a database that they move."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy.engine import URL

from app.foundation.settings import Settings
from app.migration.actions import Answer, Call, act
from app.migration.steps import Limits
from ops.environment import ROOT

# soon, so that no test waits long
QUICK = Limits(lock=0.2, pause=0.3, statement=20)


class Workshop:
    """Revisions r1, r2, .. in a folder of their own, and an empty database to run them on."""

    def __init__(self, folder: Path, url: URL) -> None:
        self.folder, self.url = folder, url
        self.last: str | None = None
        (folder / "versions").mkdir(parents=True)
        shutil.copy(ROOT / "migrations" / "env.py", folder)

    def add(
        self,
        up: str,
        down: str = "pass",
        *,
        phase: str = "",
        id: str = "",  # noqa: A002
        parent: str = "",
        hazards: Mapping[str, str] = {},
    ) -> str:
        """A revision after the last one; `up` and `down` are Python, or SQL that starts with a capital."""
        number = len(list((self.folder / "versions").glob("*.py"))) + 1
        name = id or f"r{number}"
        follows = parent or self.last
        lines = [
            f'"""Step {name}."""',
            "import sqlalchemy as sa",
            "from alembic import op",
            "from app.migration.batches import in_batches",
            f"revision = {name!r}",
            f"down_revision = {follows!r}",
            *([f"phase = {phase!r}"] if phase else []),
            f"hazards = {dict(hazards)!r}",
            "def upgrade():",
            *(f"    {line}" for line in as_python(up).splitlines()),
            "def downgrade():",
            *(f"    {line}" for line in as_python(down).splitlines()),
        ]
        (self.folder / "versions" / f"{name}.py").write_text("\n".join(lines) + "\n")
        self.last = name
        return name

    def call(self, **options: Any) -> Call:
        environment = options.pop("environment", "test")
        given = options.pop("url", self.url).render_as_string(hide_password=False)
        settings = Settings(
            environment=environment,
            database_url=SecretStr(given),
            migrations_dir=options.pop("folder", self.folder),
            secret_key=SecretStr("0123456789abcdefghijklmnopqrstuvwxyz"),
            sender_email="no-reply@example.com",
            **options.pop("settings", {}),
        )
        return replace(Call(settings, invoker="a test", limits=QUICK), **options)

    def ask(self, action: str | None, options: dict[str, Any] | None = None, **fields: Any) -> Answer:
        return act(self.call(**options or {}), {"action": action} | fields)


def as_python(code: str) -> str:
    return f"op.execute({code!r})" if code[0].isupper() else code

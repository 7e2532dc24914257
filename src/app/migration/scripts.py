"""The revisions' scripts, as Alembic runs them."""

import inspect
import io
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.foundation.schema import Revision
from app.migration.errors import Refused

PACKAGE = Path(__file__).parents[1]
# beside the package in the artifact, one folder higher in a checkout
FOLDERS = (PACKAGE.parent / "migrations", PACKAGE.parents[1] / "migrations")
BASE = "base"
ALEMBICS = re.compile(r"(CREATE TABLE|DROP TABLE|INSERT INTO|UPDATE|DELETE FROM) alembic_version\b")

# (revision, whether it was applied rather than taken back); called in the revision's own transaction
OnApply = Callable[[Revision, bool], None]


class Scripts:
    """Those in `folder`. Raises Refused unless they follow one another in one line."""

    def __init__(self, folder: Path | None = None) -> None:
        found = [each for each in ([folder] if folder else FOLDERS) if (each / "env.py").exists()]
        if not found:
            raise Refused(f"no migrations in {folder or FOLDERS[0]}; set MIGRATIONS_DIR")
        self.config = Config(stdout=sys.stderr)
        self.config.set_main_option("script_location", str(found[0]).replace("%", "%%"))
        try:
            with warnings.catch_warnings(action="ignore"):  # of a missing parent, which is an error then
                directory = ScriptDirectory.from_config(self.config)
                heads = directory.get_heads()
                scripts = list(directory.walk_revisions())[::-1] if len(heads) < 2 else []
        except Exception as error:  # a revision is anybody's code
            raise Refused(
                f"the revisions cannot be read: {type(error).__name__}: {one_line(error)}"
            ) from error
        if len(heads) > 1:
            raise Refused(f"several newest revisions: {', '.join(heads)}; make one follow the other")
        self.modules = [script.module for script in scripts]
        for module in self.modules:
            check(module)

    @property
    def known(self) -> tuple[Revision, ...]:
        """Oldest first. `phase` is a name in the revision's file, "expand" where there is none."""
        return tuple(
            Revision(module.revision, module.down_revision, getattr(module, "phase", "expand"))
            for module in self.modules
        )

    def speaks_of_concurrently(self, revision: Revision) -> bool:
        """In its file, which is quicker to read than its SQL is to write."""
        [module] = [module for module in self.modules if module.revision == revision.id]
        return "concurrently" in inspect.getsource(module).lower()

    def titles(self) -> dict[str, str]:
        return {module.revision: (module.__doc__ or "").strip() for module in self.modules}

    def reasons(self, id: str) -> dict[str, str]:  # noqa: A002
        """Why each of its hazards is accepted; a name in the revision's file."""
        [module] = [module for module in self.modules if module.revision == id]
        return dict(getattr(module, "hazards", {}))

    def move(
        self,
        connection: Connection,
        revision: Revision,
        *,
        up: bool,
        on_apply: OnApply,
        left: Callable[[], float],
    ) -> None:
        """One revision up, or back to before it, in a transaction of its own unless it says otherwise."""
        self.config.attributes |= {
            "connection": connection,
            "on_apply": lambda **_: on_apply(revision, up),
            "left": left,
        }
        if up:
            command.upgrade(self.config, revision.id)
        else:
            command.downgrade(self.config, revision.parent or BASE)

    def sql(self, revision: Revision, *, up: bool = True) -> str:
        """What it would run. Raises Refused where that depends on the rows."""
        written = self.written(revision, up=up).splitlines()
        return "\n".join(line for line in written if line not in {"BEGIN;", "COMMIT;"})

    def written(self, revision: Revision, *, up: bool = True) -> str:
        """Likewise, with where its transactions begin and end."""
        written = io.StringIO()
        config = Config(output_buffer=written)
        config.set_main_option("script_location", self.config.get_main_option("script_location", ""))
        before = revision.parent or BASE
        try:
            if up:
                command.upgrade(config, f"{before}:{revision.id}", sql=True)
            else:
                command.downgrade(config, f"{revision.id}:{before}", sql=True)
        except Exception as error:  # a revision is anybody's code
            raise Refused(f"the SQL of {revision.id} depends on the rows: {one_line(error)}") from error
        return clean(written.getvalue())


def check(module: ModuleType) -> None:
    """Raises Refused."""
    phase, parent = getattr(module, "phase", "expand"), module.down_revision
    if phase not in {"expand", "contract"}:
        raise Refused(f'{module.revision}: phase = "{phase}" is none; it is "expand" or "contract"')
    if not isinstance(parent, str | None) or getattr(module, "depends_on", None):
        raise Refused(f"{module.revision} joins several lines of revisions; make one follow the other")


def clean(sql: str) -> str:
    """Without what Alembic adds to it."""
    kept = []
    for statement in sql.split(";\n"):
        lines = [line for line in statement.splitlines() if not line.startswith("-- Running ")]
        text = "\n".join(lines).strip()
        if text and not ALEMBICS.match(text):
            kept.append(f"{text};\n")
    return "".join(kept)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())

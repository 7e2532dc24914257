"""For revisions: changing many rows without holding them all."""

from alembic import op
from sqlalchemy import text

from app.migration.errors import Refused
from app.migration.steps import RESERVE


def in_batches(sql: str) -> None:
    """Runs `sql`, each time in a transaction of its own, until it changes no row; let it change a part:

    UPDATE users SET age = 0 WHERE id IN (SELECT id FROM users WHERE age IS NULL LIMIT 1000)
    """
    context = op.get_context()
    with context.autocommit_block():
        if context.as_sql:
            op.execute(sql)
            return
        assert context.config
        while rows := op.get_bind().execute(text(sql)).rowcount:
            if rows < 0:
                raise Refused("in_batches needs a statement that tells how many rows it changed")
            if context.config.attributes["left"]() < RESERVE / 2:
                raise Refused("time runs out; what is done stays done: invoke it again to go on")

"""Alembic's way in. Whoever calls it gives the connection: config.attributes["connection"]."""

from typing import Any

from alembic import context

import app.resources  # noqa: F401  # fills Base.metadata
from app.foundation.database import Base
from app.migration.ledger import TABLES


def include_name(name: str | None, kind: str, _: Any) -> bool:
    return not (kind == "table" and name in TABLES.tables)


attributes = context.config.attributes
if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
else:
    context.configure(
        connection=attributes["connection"],
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        include_name=include_name,
        on_version_apply=attributes.get("on_apply"),
    )
with context.begin_transaction():
    context.run_migrations()

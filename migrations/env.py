"""Alembic's way in. Whoever calls it gives the connection: config.attributes["connection"]."""

from alembic import context

import app.resources  # noqa: F401  # fills Base.metadata
from app.foundation.database import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()

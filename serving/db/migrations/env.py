"""Alembic environment: uses the connection that `serving.db.migrate` hands in. Run by Alembic only."""

from __future__ import annotations

from alembic import context

from serving.db.migrate import VERSION_TABLE
from serving.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_schemas=True,
)
with context.begin_transaction():
    context.run_migrations()

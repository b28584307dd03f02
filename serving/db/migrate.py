"""Run the Alembic migrations from code, without an ini file; they lie in `serving.db.migrations`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext

from serving.db import locks
from serving.db.urls import first_line, sqlalchemy_url, without_password
from serving.errors import DatabaseUnavailableError

VERSION_TABLE = "muyun_migration"


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema of a database to a revision.

    Args:
        url: SQLAlchemy or libpq address of the database.
        revision: Alembic revision; `head` is the newest.

    Raises:
        DatabaseUnavailableError: The server does not answer.
    """
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str = "base") -> None:
    """Take the schema of a database back to a revision; `base` removes every table of serving."""
    _run(url, lambda config: command.downgrade(config, revision))


def current_revision(url: str) -> str | None:
    """The revision that a database is at, or None before the first migration."""
    with _engine(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()


def _run(url: str, action: Callable[[Config], None]) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        with _engine(url).begin() as connection:
            # Two processes that start together must not both create the tables.
            connection.execute(sa.text(locks.TAKE_MIGRATIONS))
            config.attributes["connection"] = connection
            action(config)
    except sa.exc.OperationalError as error:
        raise DatabaseUnavailableError(
            f"PostgreSQL at {without_password(url)} does not answer: {first_line(error.orig or error)}"
        ) from error


def _engine(url: str) -> sa.Engine:
    return sa.create_engine(sqlalchemy_url(url), poolclass=sa.pool.NullPool)

"""Database addresses: forms, databases and safe printing. Nothing connects except `ensure_database`."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import errors, sql

from serving.errors import DatabaseUnavailableError, EmbeddedPostgresError

_DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def libpq_url(url: str) -> str:
    """The address as libpq and psycopg read it, without SQLAlchemy's driver suffix.

    >>> libpq_url("postgresql+psycopg://u:p@h:1/muyun")
    'postgresql://u:p@h:1/muyun'
    """
    scheme, rest = _split_scheme(url)
    return f"{scheme}://{rest}"


def sqlalchemy_url(url: str) -> str:
    """The address with SQLAlchemy's psycopg 3 driver suffix."""
    _, rest = _split_scheme(url)
    return f"postgresql+psycopg://{rest}"


def with_database(url: str, database: str) -> str:
    """The same server, another database."""
    scheme, separator, rest = url.partition("://")
    parts = urlsplit(f"postgresql{separator}{rest}")
    moved = urlunsplit(parts._replace(path=f"/{database}"))
    return scheme + moved.removeprefix("postgresql")


def without_password(url: str) -> str:
    """The address for logs and messages: the password is starred out."""
    parts = urlsplit(libpq_url(url))
    if parts.password is None:
        return urlunsplit(parts)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}"))


def ensure_database(url: str, database: str) -> None:
    """Create a database on the server of `url` unless it is there.

    Args:
        url: An address on that server whose user may create databases.
        database: Lower-case name of letters, digits and underscores.

    Raises:
        EmbeddedPostgresError: The name is not a plain identifier.
        DatabaseUnavailableError: The server does not answer.
    """
    if not _DATABASE_NAME.fullmatch(database):
        raise EmbeddedPostgresError(
            f"{database!r} is not a database name: use lower-case letters, digits and underscores"
        )
    try:
        connection = psycopg.connect(libpq_url(url), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(
            f"PostgreSQL at {without_password(url)} does not answer: {first_line(error)}"
        ) from error
    with connection:
        query = "select 1 from pg_database where datname = %s"
        if connection.execute(query, (database,)).fetchone() is None:
            try:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
            except (errors.DuplicateDatabase, errors.UniqueViolation):
                return  # another process made it in between: what was asked for is there


def first_line(error: BaseException) -> str:
    """The first line of an error's text, for one-line messages."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _split_scheme(url: str) -> tuple[str, str]:
    scheme, separator, rest = url.partition("://")
    base = scheme.partition("+")[0]
    if not separator or base not in {"postgresql", "postgres"}:
        raise DatabaseUnavailableError(
            "the database address must look like postgresql://user:password@host:port/database; "
            f"its scheme is {scheme[:20]!r}. Correct MUYUN_DATABASE_URL"
        )
    return "postgresql", rest

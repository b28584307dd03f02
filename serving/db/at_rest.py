"""What a stopped embedded server's files say, so that nobody must start it to learn that nothing came in.

PostgreSQL writes `global/pg_control` whenever it starts, checkpoints and stops, and every transaction that
writes takes a number. Equal files mean an equal database; an equal next number means that nobody wrote.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import psycopg

from serving.db.embedded import EmbeddedPostgres
from serving.db.programs import run_program
from serving.db.system_user import server_user
from serving.db.urls import libpq_url

_HELD = ("base", "global", "pg_xact", "pg_wal")
"""Folders of the cluster that hold what it knows."""
_STOPPED = "shut down"


def rest_of(cluster: EmbeddedPostgres) -> str | None:
    """What tells one state of a stopped server from every other.

    Args:
        cluster: The embedded server; never started here.

    Returns:
        A hash of the control file, of the password, and of the names and sizes of the files that hold data;
        None while the server runs, was killed, or is not there.
    """
    if (cluster.data / "postmaster.pid").exists():
        return None
    try:
        digest = hashlib.sha256((cluster.data / "global" / "pg_control").read_bytes())
        digest.update((cluster.folder / "password").read_bytes())
        for folder in _HELD:
            for file in sorted((cluster.data / folder).rglob("*")):
                digest.update(f"{file.relative_to(cluster.data)}:{_size(file)};".encode())
    except OSError:
        return None
    return digest.hexdigest()


def next_transaction(url: str) -> int:
    """Number that a running server gives the next transaction that writes; more while one is at work.

    Args:
        url: Address of any of its databases.
    """
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        row = connection.execute("select pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
    return int(row[0]) if row else 0


def next_transaction_at_rest(cluster: EmbeddedPostgres) -> int | None:
    """The same of a stopped server; None when it did not stop in order.

    Raises:
        EmbeddedPostgresError: The wheel does not fit this machine.
    """
    told = run_program("pg_controldata", (str(cluster.data),), server_user(), cluster.folder).output
    state = re.search(r"^Database cluster state: +(.+)$", told, re.MULTILINE)
    number = re.search(r"NextXID: +(\d+):(\d+)$", told, re.MULTILINE)
    if state is None or number is None or state[1] != _STOPPED:
        return None
    epoch, low = map(int, number.groups())
    return epoch << 32 | low


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else -1

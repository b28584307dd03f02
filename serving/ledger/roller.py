"""Rolls the sums of platform accounts forward, so that reading them costs the same after years.

Platform accounts take part in every order: a balance row each would make all postings wait in one line.
"""

from __future__ import annotations

import psycopg

from serving.ledger.errors import typed_refusals


def roll(conn: psycopg.Connection) -> int:
    """Add what is settled since the last roll, as the owner of the tables.

    Args:
        conn: In a transaction; not acting as the application.

    Returns:
        Accounts whose sum moved.

    Raises:
        RestoredDatabaseError: The database came from a dump; see `restore`.
    """
    with typed_refusals():
        row = conn.execute("select ledger.roll_balances()").fetchone()
    return int(row[0]) if row else 0

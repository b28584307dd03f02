"""Work in a transaction of its own that is run again when it lost a deadlock to somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import psycopg

ConnectionFactory = Callable[[], AbstractContextManager[psycopg.Connection]]
"""Opens a transaction of the tenant that commits when it ends well, such as `Operations.transaction`."""

ResultT = TypeVar("ResultT")
_ATTEMPTS = 5


def in_transaction(transactions: ConnectionFactory, work: Callable[[psycopg.Connection], ResultT]) -> ResultT:
    """Run one batch, and run it again when it lost a deadlock to somebody else's transaction.

    Raises:
        psycopg.errors.DeadlockDetected: It lost every time.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with transactions() as conn:
                return work(conn)
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")

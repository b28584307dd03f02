"""Work in a transaction of its own that is run again when PostgreSQL ended it for the sake of another one.

`locks` keeps transactions from waiting in a circle; what still ends one is a first opening of an account, a
serialization failure, or a lock that the database takes by itself. The work is then run again after a moment
of chance, so that two that met do not meet again, and each such loss is a line in the log.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import psycopg
import structlog

ConnectionFactory = Callable[[], AbstractContextManager[psycopg.Connection]]
"""Opens a transaction of the tenant that commits when it ends well, such as `Operations.transaction`."""

LOST = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
"""Nothing was changed, and the same work may be done again."""
ATTEMPTS = 5
_LONGEST_FIRST_WAIT_S = 0.02

ResultT = TypeVar("ResultT")


def in_transaction(
    transactions: ConnectionFactory,
    work: Callable[[psycopg.Connection], ResultT],
) -> ResultT:
    """Run work in a transaction, and run it again when PostgreSQL ended it.

    Args:
        transactions: Opens the transaction.
        work: What to do in it; everything it does must be undone by a rollback.

    Raises:
        psycopg.errors.DeadlockDetected: It was ended every time; or `SerializationFailure`.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transactions() as conn:
                return work(conn)
        except LOST as error:
            structlog.get_logger().warning("transaction_lost", reason=reason_of(error), attempt=attempt)
            if attempt == ATTEMPTS:
                raise
            time.sleep(pause_s(attempt))
    raise AssertionError("the last attempt returns or raises")


def reason_of(error: BaseException) -> str:
    """`deadlock` or `serialization`."""
    return "deadlock" if isinstance(error, psycopg.errors.DeadlockDetected) else "serialization"


def pause_s(attempt: int) -> float:
    """Seconds to wait after the attempt of this number, from 1: by chance, at most twice the last."""
    return random.uniform(0.0, _LONGEST_FIRST_WAIT_S * 2 ** (attempt - 1))

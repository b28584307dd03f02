"""Work in a transaction of its own whose failure is told and stops nothing else.

What is told: the subject (an order, a plan, a party) and the error. A database that does not answer is no
failure of one subject: it ends the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import psycopg

from serving.db.retries import ConnectionFactory, in_transaction
from serving.errors import DatabaseUnavailableError, ServingError

Alarm = Callable[[str, Exception], None]
"""Takes what stopped and why."""

ResultT = TypeVar("ResultT")
_LOG = logging.getLogger(__name__)
_LOST = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


def log_alarm(subject: str, error: Exception) -> None:
    """Write an alarm to the log."""
    _LOG.error("%s is stopped: %s", subject, error)


def no_alarm(subject: str, error: Exception) -> None:
    """Tell nobody: for a batch that is done again one by one, which tells what is wrong."""


def isolated(
    transactions: ConnectionFactory,
    subject: str,
    work: Callable[[psycopg.Connection], ResultT],
    alarm: Alarm,
) -> ResultT | None:
    """Run work in a transaction; None when it failed, after the alarm was told.

    Raises:
        DatabaseUnavailableError: The database does not answer.
    """
    try:
        return in_transaction(transactions, work)
    except DatabaseUnavailableError:
        raise
    except (ServingError, psycopg.Error) as error:
        if isinstance(error, psycopg.OperationalError) and not isinstance(error, _LOST):
            raise
        alarm(subject, error)
        return None

"""The typed errors of the ledger, and how the database's refusals become them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from serving.errors import ServingError


class LedgerError(ServingError):
    """The ledger refuses; nothing was booked."""


class IdempotencyConflictError(LedgerError):
    """An idempotency key was used before with another body (L6)."""


class InsufficientBalanceError(LedgerError):
    """A guarded account would go below zero (L5)."""


class PeriodClosedError(LedgerError):
    """The booking time lies in a closed period (L13)."""


class PostingRefusedError(LedgerError):
    """The entries do not make a transaction: they do not sum to zero, mix tenants, or name no account."""


class AppendOnlyError(LedgerError):
    """Something tried to change what was booked (L3)."""


class RestoredDatabaseError(LedgerError):
    """The marks of the background jobs belong to the server that the dump was taken from."""


_BY_STATE: dict[str, type[LedgerError]] = {
    "MY403": AppendOnlyError,
    "MY409": IdempotencyConflictError,
    "MY422": PostingRefusedError,
    "MY423": PeriodClosedError,
    "MY500": RestoredDatabaseError,
}


@contextmanager
def typed_refusals() -> Iterator[None]:
    """Turn the database's refusals into `LedgerError`s; the transaction around is lost either way.

    Raises:
        LedgerError: As the classes above say.
    """
    try:
        yield
    except psycopg.errors.CheckViolation as error:
        if error.diag.constraint_name == "balance_guard":
            raise InsufficientBalanceError(
                f"an account would pass zero: {error.diag.message_detail or error}"
            ) from error
        raise
    except psycopg.Error as error:
        kind = _BY_STATE.get(error.sqlstate or "")
        if kind is None:
            raise
        raise kind(error.diag.message_primary or str(error)) from error

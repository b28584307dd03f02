"""A day of settlement work in one call: all that is due by a moment, then the ledger's own housekeeping.

The jobs themselves live in `serving.settlement`; each is done once, however often the day is run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger import chain, invariants, roller
from serving.settlement.books.deadline import unfreeze_due
from serving.settlement.books.referral_unlock import unlock_due
from serving.settlement.books.release import confirm_receipts_due, release_due
from serving.settlement.control.holds import expire_holds

TENANT = "default"
_SHOWN = 20


@dataclass(frozen=True)
class SettlementDay:
    """What a day of settlement work did.

    Attributes:
        receipts: Sub-orders whose receipt was confirmed by time.
        expired_holds: Holds that ended by time.
        released_legs: Legs that were released.
        released_cents: What parties got by it, fen.
        unlocked_batches: Three-for-one batches that were full.
        deadline_waiting: Shares that the channel set free although they cannot be released yet.
        rolled_accounts: Platform accounts whose sum moved.
        sealed_block: Newest block of the hash chain.
        violations: Invariants that do not hold, the first few; empty in sound books.
    """

    receipts: int
    expired_holds: int
    released_legs: int
    released_cents: int
    unlocked_batches: int
    deadline_waiting: int
    rolled_accounts: int
    sealed_block: int
    violations: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures, with lists instead of tuples."""
        return {**asdict(self), "violations": list(self.violations)}


def settle_day(url: str, now: datetime, *, anchors: Path) -> SettlementDay:
    """Do what is due.

    Args:
        url: Address of the migrated operational database.
        now: Business time (UTC).
        anchors: The run folder, below which the head of the hash chain is anchored.
    """
    with Operations(url, size=2) as operations:

        def transactions() -> AbstractContextManager[psycopg.Connection]:
            return operations.transaction(TENANT)

        receipts = confirm_receipts_due(transactions, TENANT, now)
        with transactions() as connection:
            expired = expire_holds(connection, TENANT, now)
        released = release_due(transactions, TENANT, now)
        unlocked = unlock_due(transactions, TENANT, now)
        waiting = unfreeze_due(transactions, TENANT, now)
        with transactions() as connection:
            found = invariants.check(connection, TENANT)
    rolled = _as_owner(url, roller.roll)
    head = _as_owner(url, chain.seal)
    if head.block_no:
        chain.anchor(head, chain.anchors_of(anchors))
    return SettlementDay(
        receipts=receipts,
        expired_holds=expired,
        released_legs=released.legs,
        released_cents=released.paid_cents,
        unlocked_batches=unlocked.batches,
        deadline_waiting=len(waiting),
        rolled_accounts=rolled,
        sealed_block=head.block_no,
        violations=tuple(f"{one.invariant} {one.rule}: {one.subject}" for one in found[:_SHOWN]),
    )


def _as_owner(url: str, work: Callable[[psycopg.Connection], Any]) -> Any:
    """Run a job of the tables' owner, whom row-level security does not bind, in a transaction of its own."""
    with psycopg.connect(libpq_url(url)) as connection:
        return work(connection)

"""A day of settlement work in one call: all that is due for every tenant, then the ledger's own housekeeping.

The jobs themselves live in `serving.jobs.day`; each is done once, however often the day is run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from serving.db import calendar, idempotency
from serving.db.operations import Operations
from serving.db.tenants import tenants_of
from serving.db.urls import libpq_url
from serving.errors import DatabaseUnavailableError, ServingError
from serving.jobs.day import DayDone, work_day
from serving.ledger import chain, roller
from serving.orders.placing.cancelling import PATIENCE
from serving.privacy.data_keys import Vault
from serving.settings import DEFAULT_TENANT, Settings
from serving.settlement.channel.requests import send_due
from serving.settlement.plans.assignments import is_settled, put_into_force

_SHOWN = 20


@dataclass(frozen=True)
class SettlementDay:
    """What a day of settlement work did, over all tenants.

    Attributes:
        tenants: Tenants that had their turn.
        expired_orders: Orders that nobody paid in time.
        receipts: Sub-orders whose receipt was confirmed by time.
        expired_holds: Holds that ended by time.
        held_orders: Orders that a review of diversion holds.
        released_legs: Legs that were released.
        released_cents: What parties got by it, fen.
        unlocked_batches: Three-for-one batches that were full.
        released_fees: Shares of fees and compensations that were released.
        points_back: Points that came back to buyers whose lines were cancelled or refunded.
        deposit_cents: What went from releases into deposits, fen.
        deadline_waiting: Shares that the channel set free although they cannot be released yet.
        closed_agents: Agents whose tier was closed for the month before.
        reviewed_agents: Agents whose income of the month before was reviewed.
        held_agents: Those of them whose payment is held.
        expired_approvals: Requests for approval that nobody decided in time.
        effects: Approved requests that took effect, since their time came.
        rolled_accounts: Platform accounts whose sum moved.
        sealed_block: Newest block of the hash chain.
        forgotten_keys: Idempotency keys that were old enough.
        violations: Invariants that do not hold, the first few; empty in sound books.
        stopped: What could not be done although it was due, the first few; everything else was done.
    """

    tenants: int
    expired_orders: int
    receipts: int
    expired_holds: int
    held_orders: int
    released_legs: int
    released_cents: int
    unlocked_batches: int
    released_fees: int
    points_back: int
    deposit_cents: int
    deadline_waiting: int
    closed_agents: int
    reviewed_agents: int
    held_agents: int
    expired_approvals: int
    effects: int
    rolled_accounts: int
    sealed_block: int
    forgotten_keys: int
    violations: tuple[str, ...]
    stopped: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures, with lists instead of tuples."""
        return {**asdict(self), "violations": list(self.violations), "stopped": list(self.stopped)}


def settle_day(
    url: str,
    now: datetime,
    *,
    anchors: Path,
    tenant: str = DEFAULT_TENANT,
    idempotency_days: int = 30,
    unpaid: timedelta = PATIENCE,
    time_zone: str | None = None,
) -> SettlementDay:
    """Do what is due; a home without a plan gets the one that ships, so that it can take orders.

    A tenant whose day fails keeps no other from its own.

    Args:
        url: Address of the migrated operational database.
        now: Business time (UTC).
        anchors: The run folder, below which the head of the hash chain is anchored.
        tenant: Whose home it is.
        idempotency_days: Days for which an idempotency key stands for its first answer.
        unpaid: How long orders wait for their payment.
        time_zone: Whose months and days count for the home's tenant, unless that is settled; None leaves it.
    """
    done: dict[str, DayDone] = {}
    stopped: list[str] = []
    vault = Vault.of(Settings(home=anchors))
    with Operations(url, size=2) as operations:
        with operations.transaction(tenant) as connection:
            if time_zone is not None and not calendar.is_settled(connection, tenant):
                calendar.set_zone(connection, tenant, time_zone)
            if not is_settled(connection, tenant):
                put_into_force(connection, tenant, now)
        for tenant_id in tenants_of(url):
            transactions = partial(operations.transaction, tenant_id)
            try:
                done[tenant_id] = work_day(transactions, tenant_id, now, unpaid)
                # What the day prepared is asked of the channels at once; the wire runs by the wall clock.
                send_due(operations, vault, tenant_id, now, datetime.now(UTC))
            except DatabaseUnavailableError:
                raise
            except ServingError as error:
                stopped.append(f"{tenant_id}: the day is stopped: {error}")
    rolled = _as_owner(url, roller.roll)
    head = _as_owner(url, chain.seal)
    forgotten = _as_owner(url, lambda connection: idempotency.purge(connection, idempotency_days))
    if head.block_no:
        chain.anchor(head, chain.anchors_of(anchors))
    sums = {
        name: sum(getattr(day, name) for day in done.values())
        for name in DayDone.__dataclass_fields__
        if name not in ("violations", "stopped")
    }
    violations = [f"{tenant_id}: {found}" for tenant_id, day in done.items() for found in day.violations]
    stopped += [f"{tenant_id}: {told}" for tenant_id, day in done.items() for told in day.stopped]
    return SettlementDay(
        tenants=len(done),
        rolled_accounts=rolled,
        sealed_block=head.block_no,
        forgotten_keys=forgotten,
        violations=tuple(violations[:_SHOWN]),
        stopped=tuple(stopped[:_SHOWN]),
        **sums,
    )


def _as_owner(url: str, work: Callable[[psycopg.Connection], Any]) -> Any:
    """Run a job of the tables' owner, whom row-level security does not bind, in a transaction of its own."""
    with psycopg.connect(libpq_url(url)) as connection:
        return work(connection)

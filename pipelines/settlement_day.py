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
class SettlementDay(DayDone):
    """What a day of settlement work did: the sums over all tenants, and the ledger's housekeeping.

    Attributes:
        tenants: Tenants that had their turn.
        rolled_accounts: Platform accounts whose sum moved.
        sealed_block: Newest block of the hash chain.
        forgotten_keys: Idempotency keys that were old enough.
        violations: The first few of all tenants; empty in sound books.
        stopped: The first few of all tenants; everything else was done.
    """

    tenants: int
    rolled_accounts: int
    sealed_block: int
    forgotten_keys: int

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
    bill_days: int = 7,
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
        bill_days: For so many days a channel's bill is asked for.
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
                done[tenant_id] = work_day(
                    transactions, tenant_id, now, vault, unpaid=unpaid, bill_days=bill_days
                )
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

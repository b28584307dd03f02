"""A day of settlement work of one tenant: everything that is due by a moment, in the order of the books.

Each part is done once, however often the day is run. Shared by the command line and by the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from serving.agents.composition_review import review_month
from serving.agents.deposit_postings import top_up_due
from serving.agents.errors import MonthCloseError
from serving.agents.region_records import review_diversions
from serving.agents.tier_close import close_month_by_plans
from serving.approvals.expiry import run_clock
from serving.db.calendar import month_before, zone_of
from serving.db.isolation import log_alarm
from serving.db.retries import ConnectionFactory, in_transaction
from serving.jobs.effects import EFFECTS
from serving.ledger import invariants
from serving.orders.fulfilment.receipts import confirm_receipts_due
from serving.orders.paying.misfits import sort_misfits
from serving.orders.placing.cancelling import PATIENCE, expire_unpaid
from serving.orders.placing.points_payment import give_back_due
from serving.orders.promotions.ending import end_groups_due
from serving.orders.settling import release_due, unfreeze_due
from serving.privacy.data_keys import Vault
from serving.quality.overrides import end_due
from serving.settlement.beside.fees import release_fees_due
from serving.settlement.books.referral_unlock import unlock_due
from serving.settlement.channel.daily_bills import take_bills
from serving.settlement.control.holds import expire_holds


@dataclass(frozen=True)
class DayDone:
    """What a day of work did for one tenant.

    Attributes:
        expired_orders: Orders that nobody paid in time.
        ended_groups: Groups of buyers that did not fill in time.
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
        bills: Bills of channels that were taken and compared.
        bills_waiting: Bills that were due and not to be had; the next day asks again.
        bill_differences: Differences of these bills that are held in suspense.
        closed_agents: Agents whose tier was closed for the month before.
        reviewed_agents: Agents whose income of the month before was reviewed.
        held_agents: Those of them whose payment is held.
        expired_approvals: Requests for approval that nobody decided in time.
        effects: Approved requests that took effect, since their time came.
        ended_overrides: Overrides of the quality brake that ended.
        violations: Invariants that do not hold, and approved requests that could not take effect.
        stopped: What could not be done although it was due, and why; everything else was done.
    """

    expired_orders: int
    ended_groups: int
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
    bills: int
    bills_waiting: int
    bill_differences: int
    closed_agents: int
    reviewed_agents: int
    held_agents: int
    expired_approvals: int
    effects: int
    ended_overrides: int
    violations: tuple[str, ...]
    stopped: tuple[str, ...]


class Alarms:
    """Gathers what is stopped, each once."""

    def __init__(self) -> None:
        self._told: dict[str, None] = {}

    def take(self, subject: str, error: Exception) -> None:
        """Note an alarm, and write it to the log."""
        log_alarm(subject, error)
        self._told[f"{subject} is stopped: {error}"] = None

    def told(self) -> tuple[str, ...]:
        """Every alarm, in order."""
        return tuple(self._told)


def work_day(
    transactions: ConnectionFactory,
    tenant_id: str,
    now: datetime,
    vault: Vault,
    *,
    unpaid: timedelta = PATIENCE,
    bill_days: int = 7,
) -> DayDone:
    """Do what is due.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time (UTC).
        vault: Opens the secrets of channel accounts.
        unpaid: How long orders wait for their payment.
        bill_days: For so many days a bill is asked for.
    """
    alarms = Alarms()
    expired_orders = expire_unpaid(transactions, tenant_id, now, unpaid)
    ended = end_groups_due(transactions, tenant_id, now, alarms.take)
    receipts = confirm_receipts_due(transactions, tenant_id, now, alarm=alarms.take)
    expired = in_transaction(transactions, lambda conn: expire_holds(conn, tenant_id, now))
    # Before the release, or what a review would hold is gone.
    held_orders = review_diversions(transactions, tenant_id, now)
    reviewed = review_month(transactions, tenant_id, last_month(transactions, tenant_id, now), now)
    released = release_due(transactions, tenant_id, now, alarm=alarms.take)
    unlocked = unlock_due(transactions, tenant_id, now, alarms.take)
    fees = release_fees_due(transactions, tenant_id, now)
    points = give_back_due(transactions, tenant_id, now)
    deposits = top_up_due(transactions, tenant_id, now)
    waiting = unfreeze_due(transactions, tenant_id, now, alarm=alarms.take)
    bills = take_bills(transactions, vault, tenant_id, now, bill_days, alarms.take)
    sort_misfits(transactions, tenant_id, now)
    closed = close_tiers(transactions, tenant_id, now)
    clock = run_clock(transactions, EFFECTS, tenant_id, now)
    overrides = in_transaction(transactions, lambda conn: end_due(conn, tenant_id, now))
    found = in_transaction(transactions, lambda conn: invariants.check(conn, tenant_id))
    return DayDone(
        expired_orders=expired_orders,
        ended_groups=ended.groups,
        receipts=receipts,
        expired_holds=expired,
        held_orders=held_orders,
        released_legs=released.legs,
        released_cents=released.paid_cents,
        unlocked_batches=unlocked.batches,
        released_fees=fees,
        points_back=points,
        deposit_cents=deposits,
        deadline_waiting=len(waiting),
        bills=bills.taken,
        bills_waiting=bills.waiting,
        bill_differences=bills.held,
        closed_agents=closed,
        reviewed_agents=reviewed.agents,
        held_agents=reviewed.held,
        expired_approvals=clock.expired,
        effects=clock.in_effect,
        ended_overrides=overrides,
        violations=(*(f"{one.invariant} {one.rule}: {one.subject}" for one in found), *clock.refused),
        stopped=alarms.told(),
    )


def close_tiers(transactions: ConnectionFactory, tenant_id: str, now: datetime) -> int:
    """Close the tiers of the month before; agents that it was closed for by this call."""
    month = last_month(transactions, tenant_id, now)
    try:
        return len(
            in_transaction(transactions, lambda conn: close_month_by_plans(conn, tenant_id, month, now))
        )
    except MonthCloseError:
        # A later month was closed by hand: nothing is due.
        return 0


def last_month(transactions: ConnectionFactory, tenant_id: str, now: datetime) -> date:
    """First day of the tenant's last month that is over."""
    return in_transaction(transactions, lambda conn: month_before(now, zone_of(conn, tenant_id)))

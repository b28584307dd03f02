"""Lines that bring less than they cost: what the platform would add, and the budget that allows it.

A line whose supply price and channel fee exceed what the buyer pays for it routes only inside the budget that
an operator set for its merchant and local day. Without a row the budget is 0. The row is locked by the update
that takes from it, and its own check keeps what is spent below the limit. Shares of sellers are cut to the
margin, so they never add to a loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg

from serving.channels.accounts import dearest_fee_bps
from serving.orders.errors import InvalidRequestError, LossRefusedError
from serving.settings import Settings
from serving.settlement.sharing.freeze import CartLine, OrderCoupon, freeze
from serving.settlement.sharing.snapshot import FreightSnapshot, Parties, Party
from serving.settlement.sharing.waterfall import shortfall_of

Connection = psycopg.Connection[Any]

_MOST_DAYS = 366


@dataclass(frozen=True)
class LossRules:
    """How a loss is reckoned before the channel has told its fee.

    Attributes:
        channel_fee_bps: What a channel keeps of a payment by contract, at least, basis points.
    """

    channel_fee_bps: int = 60

    @classmethod
    def of(cls, settings: Settings) -> LossRules:
        """The rules that the operator set."""
        return cls(settings.channel_fee_bps)

    def under_contracts(self, conn: Connection, tenant_id: str) -> LossRules:
        """The rules with the dearest contract of the tenant: by which channel the buyer pays is not known."""
        return LossRules(max(self.channel_fee_bps, dearest_fee_bps(conn, tenant_id)))


DEFAULT_RULES = LossRules()


@dataclass(frozen=True)
class LossBudget:
    """What a merchant's lines may lose on a local day, and what orders reserved of it, fen."""

    merchant_id: str
    day: date
    limit_cents: int
    spent_cents: int


def expected_losses(
    cart: Sequence[CartLine],
    coupons: Sequence[OrderCoupon],
    freights: Mapping[str, int],
    rules: LossRules,
    now: datetime,
) -> dict[int, int]:
    """What the platform would add to each line, reckoned as payment reckons it.

    Args:
        cart: The lines with their suppliers.
        coupons: Coupons on the whole order.
        freights: Supplier to what the buyer pays for sending, fen.
        rules: The fee that is expected.
        now: Business time.

    Returns:
        Line number to fen; 0 for a line that carries itself.

    Raises:
        SnapshotError: The amounts contradict each other.
    """
    order = freeze(
        order_id="expected",
        merchant_id="",
        consumer_id="",
        paid_at=now,
        cart=cart,
        parties=Parties(seller=Party("merchant", "")),
        coupons=coupons,
        freights=[FreightSnapshot(supplier, cents) for supplier, cents in sorted(freights.items())],
        fee_rate_bps=rules.channel_fee_bps,
    )
    return {line.line_no: shortfall_of(line) for line in order.lines}


def take(conn: Connection, tenant_id: str, merchant_id: str, day: date, cents: int) -> None:
    """Reserve a loss.

    Raises:
        LossRefusedError: The budget of the day has less left.
    """
    if not cents:
        return
    ids = {"tenant": tenant_id, "merchant": merchant_id, "day": day, "cents": cents}
    where = " where tenant_id = %(tenant)s and merchant_id = %(merchant)s and day = %(day)s"
    taken = conn.execute(
        "update orders.loss_budget set spent_cents = spent_cents + %(cents)s"
        + where
        + " and spent_cents + %(cents)s <= limit_cents",
        ids,
    ).rowcount
    if not taken:
        row = conn.execute("select limit_cents, spent_cents from orders.loss_budget" + where, ids).fetchone()
        limit, spent = row if row is not None else (0, 0)
        raise LossRefusedError(merchant_id, day, cents, limit, spent)


def give_back(conn: Connection, tenant_id: str, merchant_id: str, reserved: Mapping[date, int]) -> None:
    """Return reserved losses that do not come about, to the days that they were taken from."""
    for day, cents in sorted(reserved.items()):
        conn.execute(
            "update orders.loss_budget set spent_cents = spent_cents - %(cents)s"
            " where tenant_id = %(tenant)s and merchant_id = %(merchant)s and day = %(day)s",
            {"tenant": tenant_id, "merchant": merchant_id, "day": day, "cents": cents},
        )


def give_back_order(conn: Connection, tenant_id: str, order_id: str, merchant_id: str) -> None:
    """Return what an order reserved and will not lose any more: it was cancelled unpaid."""
    rows = conn.execute(
        "select loss_day, sum(loss_cents)::bigint from orders.order_line where tenant_id = %(tenant)s"
        " and order_id = %(order)s and loss_cents > 0 group by loss_day",
        {"tenant": tenant_id, "order": order_id},
    ).fetchall()
    give_back(conn, tenant_id, merchant_id, dict(rows))
    conn.execute(
        "update orders.order_line set loss_cents = 0, loss_day = null where tenant_id = %(tenant)s"
        " and order_id = %(order)s and loss_cents > 0",
        {"tenant": tenant_id, "order": order_id},
    )


def retake(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    merchant_id: str,
    losses: Mapping[int, int],
    day: date,
) -> None:
    """Replace what some lines of an order reserved by what they lose now.

    Args:
        conn: Inside a transaction of the tenant; the order is locked.
        tenant_id: The tenant.
        order_id: The order.
        merchant_id: Its shop.
        losses: Line number to fen; the whole new loss of that line.
        day: Local day that the new losses are taken from.

    Raises:
        LossRefusedError: The budget of the day has less left; the transaction must be rolled back.
    """
    ids = {"tenant": tenant_id, "order": order_id, "lines": list(losses), "cents": list(losses.values())}
    before = conn.execute(
        "select loss_day, sum(loss_cents)::bigint from orders.order_line where tenant_id = %(tenant)s"
        " and order_id = %(order)s and line_no = any(%(lines)s) and loss_cents > 0 group by loss_day",
        ids,
    ).fetchall()
    give_back(conn, tenant_id, merchant_id, dict(before))
    take(conn, tenant_id, merchant_id, day, sum(losses.values()))
    conn.execute(
        "update orders.order_line l set loss_cents = n.cents,"
        " loss_day = case when n.cents > 0 then %(day)s::date end"
        " from unnest(%(lines)s::integer[], %(cents)s::bigint[]) as n (line_no, cents)"
        " where l.tenant_id = %(tenant)s and l.order_id = %(order)s and l.line_no = n.line_no",
        {**ids, "day": day},
    )


def set_budget(
    conn: Connection, tenant_id: str, merchant_id: str, first: date, last: date, limit_cents: int
) -> list[LossBudget]:
    """Set what a merchant's lines may lose on each of some local days.

    Raises:
        InvalidRequestError: The days are in the wrong order or too many, or more is spent already.
    """
    if not first <= last <= first + timedelta(days=_MOST_DAYS - 1):
        raise InvalidRequestError("last_on", f"must be {first} or later, within {_MOST_DAYS} days")
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    values = {"tenant": tenant_id, "merchant": merchant_id, "days": days, "limit": limit_cents}
    rows = conn.execute(
        "insert into orders.loss_budget as b (tenant_id, merchant_id, day, limit_cents)"
        " select %(tenant)s, %(merchant)s, day, %(limit)s from unnest(%(days)s::date[]) as d (day)"
        " order by day"
        " on conflict (tenant_id, merchant_id, day) do update set limit_cents = excluded.limit_cents"
        " where b.spent_cents <= excluded.limit_cents returning merchant_id, day, limit_cents, spent_cents",
        values,
    ).fetchall()
    done = [LossBudget(*row) for row in rows]
    short = sorted(set(days) - {budget.day for budget in done})
    if short:
        raise InvalidRequestError(
            "limit_cents", f"more than {limit_cents} fen is spent already on {short[0]}"
        )
    return sorted(done, key=lambda budget: budget.day)


def budgets(
    conn: Connection, tenant_id: str, merchant_id: str, first: date, *, limit: int
) -> list[LossBudget]:
    """Budgets of a merchant by day, from a day on; days without one have none."""
    rows = conn.execute(
        "select merchant_id, day, limit_cents, spent_cents from orders.loss_budget"
        " where tenant_id = %(tenant)s and merchant_id = %(merchant)s and day >= %(first)s"
        " order by day limit %(limit)s",
        {"tenant": tenant_id, "merchant": merchant_id, "first": first, "limit": limit},
    ).fetchall()
    return [LossBudget(*row) for row in rows]

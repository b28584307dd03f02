"""Placing purchase orders: what is suggested by each category's policy, what was approved, what is stated.

A suggestion is ordered once: what is on order counts against the next one.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg

from serving.approvals.asking import Ask, request
from serving.approvals.effects import Done
from serving.approvals.errors import ApprovalError
from serving.approvals.kinds import Kind, Rail
from serving.approvals.records import Approval
from serving.approvals.suggestions import Suggestion
from serving.db import locks
from serving.db.calendar import local_day, zone_of
from serving.orders.assortment.brake import require_sold
from serving.orders.assortment.orderable import IN_FORCE
from serving.orders.errors import InvalidRequestError
from serving.orders.webhooks import webhooks
from serving.purchasing.policies import Mode, Policy, policies_of, policy_for
from serving.purchasing.suggested import Suggested, suggested
from serving.security import Role, Scope
from serving.settlement.sharing.rounding import largest_remainder

Connection = psycopg.Connection[Any]

AHEAD = timedelta(days=1)
"""What must be ordered by tomorrow is ordered today: the next run comes a day later."""


def _worth(suggestion: Suggestion) -> int:
    return int(suggestion["qty"]) * int(suggestion["supply_price_cents"])


PURCHASE = Kind(
    name="purchase",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.PURCHASES_WRITE,
    reasons=frozenset({"too_many", "too_dear", "not_needed", "other"}),
    validity=timedelta(days=3),
    rails={"qty": Rail(1, "qty")},
    second_above_cents=1_000_000,
    worth=_worth,
)
"""Units of a sku are ordered at a supplier; the subject is the offer. A decider may lower the units.

Above 10,000 yuan a second person is needed. Limit and validity are assumptions of ours."""


class PurchaseMovedError(ApprovalError):
    """What was suggested is not needed any more, or its offer is another one now."""


@dataclass(frozen=True, slots=True)
class NewLine:
    """Units of a sku at the offer's price, fen; `shares`: units by merchant they are expected to sell at."""

    sku_id: str
    qty: int
    supply_price_cents: int
    shares: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ordered:
    """What a run ordered.

    Attributes:
        orders: Purchase orders that were placed.
        lines: Their lines.
        cents: What they cost at supply prices, fen.
        asked: Suggestions that wait for an approval.
        left: Suggestions that no policy speaks for.
    """

    orders: int = 0
    lines: int = 0
    cents: int = 0
    asked: int = 0
    left: int = 0


def order_suggested(conn: Connection, tenant_id: str, now: datetime) -> Ordered:
    """Order what the current publication suggests, as the policies of its categories say.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
    """
    today = local_day(now, zone_of(conn, tenant_id))
    policies = policies_of(conn, tenant_id)
    asked = left = 0
    for one in suggested(conn, tenant_id, today + AHEAD):
        road = _road(policies, one)
        left += road == "off"
        if road == "approve":
            asked += request(conn, tenant_id, _ask(one), "replenishment", now).is_new
    # Whoever decides holds a request and then waits here: asking comes before, and what is read is read anew.
    locks.purchases(conn, tenant_id)
    locks.brake_stays(conn, tenant_id)
    at_once: dict[str, list[Suggested]] = defaultdict(list)
    for one in suggested(conn, tenant_id, today + AHEAD):
        if _road(policies, one) == "auto":
            at_once[one.supplier_id].append(one)
    cents = lines = 0
    for supplier_id, wanted in at_once.items():
        shares = _shares(conn, tenant_id, supplier_id, wanted)
        place(
            conn,
            tenant_id,
            supplier_id,
            [NewLine(one.sku_id, one.qty, one.supply_price_cents, shares[one.sku_id]) for one in wanted],
            now,
            expected_on=today + timedelta(days=max(one.lead_time_days for one in wanted)),
            cause="auto",
            source=wanted[0].source,
        )
        lines += len(wanted)
        cents += sum(one.value_cents for one in wanted)
    return Ordered(len(at_once), lines, cents, asked, left)


def place_approved(conn: Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    """Order what was approved.

    Raises:
        PurchaseMovedError: It is on order meanwhile or not suggested any more, or its offer is dearer now.
    """
    locks.purchases(conn, tenant_id)
    locks.brake_stays(conn, tenant_id)
    wanted = approval.wanted
    supplier_id, sku_id, qty = wanted["supplier_id"], wanted["sku_id"], wanted["qty"]
    today = local_day(now, zone_of(conn, tenant_id))
    due = suggested(conn, tenant_id, date.max, (supplier_id, sku_id))
    found = due[0] if due else None
    if found is None or found.qty < qty:
        raise PurchaseMovedError(
            f"{0 if found is None else found.qty} units of sku {sku_id} are suggested by now, not {qty}"
        )
    if found.supply_price_cents > wanted["supply_price_cents"]:
        raise PurchaseMovedError(f"sku {sku_id} costs {found.supply_price_cents} by now; ask again")
    shares = _shares(conn, tenant_id, supplier_id, [found])
    line = NewLine(sku_id, qty, found.supply_price_cents, _fitted(shares[sku_id], qty))
    purchase_order_id = place(
        conn,
        tenant_id,
        supplier_id,
        [line],
        now,
        expected_on=today + timedelta(days=found.lead_time_days),
        cause="approved",
        source=f"approval:{approval.approval_id}",
    )
    return {"purchase_order_id": purchase_order_id, "qty": qty}


def place_stated(
    conn: Connection, tenant_id: str, supplier_id: str, units: Mapping[str, int], now: datetime, source: str
) -> str:
    """Order units of skus that a supplier offers; the id of the purchase order.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: Whose offers.
        units: By sku, above 0.
        now: Business time.
        source: Who stated it.

    Raises:
        InvalidRequestError: The supplier has no offer in force of a sku, or takes no order so small.
        SaleStoppedError: The quality brake stopped a sku.
    """
    locks.purchases(conn, tenant_id)
    locks.brake_stays(conn, tenant_id)
    rows = conn.execute(
        "select o.sku_id, o.supply_price_cents, o.lead_time_days, o.min_order_qty from orders.offer o"
        f" where o.tenant_id = %s and o.supplier_id = %s and o.sku_id = any(%s) and {IN_FORCE}",
        (tenant_id, supplier_id, sorted(units)),
    ).fetchall()
    offers = {sku_id: terms for sku_id, *terms in rows}
    require_sold(conn, tenant_id, units, now)
    missing = sorted(units.keys() - offers.keys())
    if missing:
        raise InvalidRequestError(
            "lines", f"supplier {supplier_id!r} has no offer in force of sku {', '.join(map(repr, missing))}"
        )
    for sku_id, qty in sorted(units.items()):
        if qty < offers[sku_id][2]:
            raise InvalidRequestError(
                "lines", f"the smallest order of sku {sku_id!r} is {offers[sku_id][2]} units"
            )
    today = local_day(now, zone_of(conn, tenant_id))
    return place(
        conn,
        tenant_id,
        supplier_id,
        [NewLine(sku_id, qty, offers[sku_id][0], {}) for sku_id, qty in sorted(units.items())],
        now,
        expected_on=today + timedelta(days=max(terms[1] for terms in offers.values())),
        cause="stated",
        source=source,
    )


def place(
    conn: Connection,
    tenant_id: str,
    supplier_id: str,
    lines: Sequence[NewLine],
    now: datetime,
    *,
    expected_on: date,
    cause: str,
    source: str,
) -> str:
    """Write a purchase order and tell its supplier; its id."""
    purchase_order_id = f"po-{now:%Y%m%d}-{secrets.token_hex(6)}"
    conn.execute(
        "insert into purchasing.purchase_order (tenant_id, purchase_order_id, supplier_id, status, cause,"
        " placed_at, expected_on, source) values (%s, %s, %s, 'placed', %s, %s, %s, %s)",
        (tenant_id, purchase_order_id, supplier_id, cause, now, expected_on, source),
    )
    conn.execute(
        "insert into purchasing.purchase_line (tenant_id, purchase_order_id, sku_id, ordered_qty,"
        " supply_price_cents) select %s, %s, n.sku_id, n.qty, n.cents"
        " from unnest(%s::text[], %s::bigint[], %s::bigint[]) as n (sku_id, qty, cents)",
        (
            tenant_id,
            purchase_order_id,
            [line.sku_id for line in lines],
            [line.qty for line in lines],
            [line.supply_price_cents for line in lines],
        ),
    )
    shares = [(line.sku_id, merchant, qty) for line in lines for merchant, qty in line.shares.items() if qty]
    conn.execute(
        "insert into purchasing.purchase_share (tenant_id, purchase_order_id, sku_id, merchant_id, qty)"
        " select %s, %s, n.sku_id, n.merchant_id, n.qty"
        " from unnest(%s::text[], %s::text[], %s::bigint[]) as n (sku_id, merchant_id, qty)",
        (
            tenant_id,
            purchase_order_id,
            [sku for sku, _, _ in shares],
            [merchant for _, merchant, _ in shares],
            [qty for _, _, qty in shares],
        ),
    )
    webhooks.tell_supplier_of_purchase(conn, tenant_id, purchase_order_id, supplier_id, "placed")
    return purchase_order_id


def _road(policies: Sequence[Policy], one: Suggested) -> Mode:
    policy = policy_for(policies, one.categories)
    if policy is None:
        return "off"
    return "approve" if policy.mode == "auto" and one.value_cents > policy.max_cents else policy.mode


def _ask(one: Suggested) -> Ask:
    return Ask(
        kind=PURCHASE,
        # With the length, since ids may hold a slash.
        subject=("offer", f"{len(one.supplier_id)}:{one.supplier_id}/{one.sku_id}"),
        suggestion={
            "supplier_id": one.supplier_id,
            "sku_id": one.sku_id,
            "qty": one.qty,
            "supply_price_cents": one.supply_price_cents,
            "lead_time_days": one.lead_time_days,
            "order_by_on": one.order_by_on.isoformat(),
            "reason_code": one.reason_code,
        },
        value_cents=one.value_cents,
        bucket=one.categories[0] if one.categories else "all",
        source=one.source,
    )


def _shares(
    conn: Connection, tenant_id: str, supplier_id: str, wanted: Sequence[Suggested]
) -> dict[str, dict[str, int]]:
    """Units by sku and merchant, as published, fitted to what is ordered."""
    rows = conn.execute(
        "select m.sku_id, m.merchant_id, m.reorder_qty from scores.current_publication c"
        " join scores.publication_table t on t.tenant_id = c.tenant_id and t.version = c.version"
        " and t.table_name = 'reorder_merchant_shares'"
        " join scores.reorder_merchant_shares m on m.snapshot_id = t.snapshot_id"
        " where c.tenant_id = %s and m.supplier_id = %s and m.sku_id = any(%s) and m.reorder_qty > 0"
        " order by 1, 2",
        (tenant_id, supplier_id, [one.sku_id for one in wanted]),
    ).fetchall()
    found: dict[str, dict[str, int]] = {one.sku_id: {} for one in wanted}
    for sku_id, merchant_id, qty in rows:
        found[sku_id][merchant_id] = qty
    return {one.sku_id: _fitted(found[one.sku_id], one.qty) for one in wanted}


def _fitted(shares: Mapping[str, int], qty: int) -> dict[str, int]:
    """Shares that add up to no more than what is ordered."""
    if sum(shares.values()) <= qty:
        return dict(shares)
    return dict(zip(shares, largest_remainder(qty, list(shares.values())), strict=True))

"""What a supplier states about its terms: taken over inside the price corridor of the sku, else it waits.

A price is measured against the supplier's own reference (the price that was in force before the corridor's
days began, or that somebody accepted) and against the median of the other suppliers' prices in force; price
and freight together are measured the same way, because the buyer pays both. What lies outside waits for a
decision; meanwhile the terms in force stay, and a sku without any is not routed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg

from serving.approvals.effects import Done
from serving.approvals.records import Approval
from serving.db import locks
from serving.orders.assortment.catalogue import Offer, Reference, put_offers
from serving.orders.assortment.offer_requests import ask, close, done, lock_requests, stated_at
from serving.orders.errors import (
    FreeOfferError,
    ImpossibleMoveError,
    NotFoundError,
    SkuNotApprovedError,
)
from serving.security import Principal
from serving.settings import Settings
from serving.settlement.sharing.rounding import FULL_BPS

Connection = psycopg.Connection[Any]
Reason = Literal["no_reference", "own_price", "other_suppliers", "delivered_price"]


@dataclass(frozen=True)
class Corridor:
    """How far a price may move without a decision.

    Attributes:
        own_bps: Away from the supplier's own reference, basis points.
        others_bps: Away from the median of the other suppliers, basis points.
        days: How long a reference stands while the price moves inside the corridor: many small steps within
            these days lead no further than one.
    """

    own_bps: int
    others_bps: int
    days: int

    @classmethod
    def of(cls, settings: Settings) -> Corridor:
        """The corridor that the operator set."""
        return cls(settings.offer_own_bps, settings.offer_others_bps, settings.offer_reference_days)


@dataclass(frozen=True)
class Judgement:
    """Why a price waits, and between which prices it would not have; without bounds there is no reference."""

    reason: Reason
    low_cents: int | None = None
    high_cents: int | None = None


@dataclass(frozen=True)
class Waiting:
    """A statement that waits for a decision."""

    sku_id: str
    judgement: Judgement


@dataclass(frozen=True)
class Stated:
    """What became of a batch of statements: skus by outcome, each in one of the three."""

    accepted: tuple[str, ...]
    outdated: tuple[str, ...]
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True)
class Terms:
    """Terms of a supplier and sku as they stand.

    `state` is `in_force`, `ended`, or of terms that are not taken over: `waiting`, `rejected`, `expired` or
    `withdrawn`.
    """

    sku_id: str
    state: str
    supply_price_cents: int
    freight_cents: int
    lead_time_days: int
    min_order_qty: int
    ship_from_region: str | None
    source_at: datetime


@dataclass(frozen=True)
class _Known:
    """What is known of a supplier and sku before a statement."""

    may_be_free: bool
    in_force: tuple[int, int] | None
    latest_at: datetime | None
    reference: Reference | None
    others: tuple[int, int] | None


def judge(
    price_cents: int,
    freight_cents: int,
    own: Reference | None,
    others: tuple[int, int] | None,
    corridor: Corridor,
) -> Judgement | None:
    """Whether a price may be taken over without a decision.

    Args:
        price_cents: Supply price of a unit.
        freight_cents: Freight of a unit.
        own: What the supplier's own price is measured against; None for a first price.
        others: Median price and median of price and freight of the other suppliers; None without any.
        corridor: How far it may be away.

    Returns:
        None inside the corridor, else why it waits. A reference of 0 measures nothing.
    """
    measures: list[tuple[Reason, int, int, int]] = []
    if own is not None and own.price_cents:
        measures.append(("own_price", price_cents, own.price_cents, corridor.own_bps))
        delivered = own.price_cents + own.freight_cents
        measures.append(("delivered_price", price_cents + freight_cents, delivered, corridor.own_bps))
    if others is not None and others[0]:
        measures.append(("other_suppliers", price_cents, others[0], corridor.others_bps))
        measures.append(("delivered_price", price_cents + freight_cents, others[1], corridor.others_bps))
    for reason, stated, reference, bps in measures:
        low = -(-reference * max(0, FULL_BPS - bps) // FULL_BPS)
        high = reference * (FULL_BPS + bps) // FULL_BPS
        if not low <= stated <= high:
            return Judgement(reason, low, high)
    return None if measures else Judgement("no_reference")


def state_offers(
    conn: Connection,
    tenant_id: str,
    supplier_id: str,
    offers: Sequence[Offer],
    corridor: Corridor,
    stated_by: Principal | str,
    now: datetime,
) -> Stated:
    """Take over what a supplier states, or let it wait.

    An older statement than the known one changes nothing. A statement with `is_active` false ends the offer
    in force, whatever price it names; that price is not taken over.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: Who states.
        offers: Of this supplier, at most one a sku.
        corridor: What needs no decision.
        stated_by: Who states it; a job says its name.
        now: Business time.

    Raises:
        SkuNotApprovedError: The supplier may not offer one of the skus.
        FreeOfferError: A price of 0 that the operator did not allow.
    """
    skus = [offer.sku_id for offer in offers]
    lock_requests(conn, tenant_id, supplier_id, skus)
    known = _known(conn, tenant_id, supplier_id, skus)
    unapproved = sorted(offer.sku_id for offer in offers if offer.sku_id not in known)
    if unapproved:
        raise SkuNotApprovedError(supplier_id, unapproved)
    free = sorted(
        offer.sku_id
        for offer in offers
        if offer.is_active and not offer.supply_price_cents and not known[offer.sku_id].may_be_free
    )
    if free:
        raise FreeOfferError(supplier_id, free)
    outdated, ended, inside = [], [], []
    outside: list[tuple[Offer, Judgement]] = []
    for offer in sorted(offers, key=lambda one: one.sku_id):
        before = known[offer.sku_id]
        if before.latest_at is not None and offer.source_at <= before.latest_at:
            outdated.append(offer.sku_id)
        elif not offer.is_active:
            ended.append(offer)
        else:
            judgement = _judged(offer, before, corridor)
            if judgement is None:
                inside.append(offer)
            else:
                outside.append((offer, judgement))
    newer = [offer.sku_id for offer in [*ended, *inside, *(offer for offer, _ in outside)]]
    key = stated_by.key_id if isinstance(stated_by, Principal) else f"job:{stated_by}"
    _supersede(conn, tenant_id, supplier_id, newer, key, now)
    close(conn, tenant_id, supplier_id, [offer.sku_id for offer in [*ended, *inside]], stated_by, now)
    references = {
        (supplier_id, offer.sku_id): _next_reference(offer, known[offer.sku_id], corridor, now)
        for offer in inside
    }
    put_offers(conn, tenant_id, inside, references, now)
    _end(conn, tenant_id, ended, now)
    _propose(conn, tenant_id, outside, key, now)
    for offer, judgement in outside:
        terms = _terms_for_decision(offer, judgement, known[offer.sku_id])
        ask(conn, tenant_id, supplier_id, offer.sku_id, terms, stated_by, now)
    return Stated(
        accepted=tuple(sorted(offer.sku_id for offer in [*ended, *inside])),
        outdated=tuple(outdated),
        waiting=tuple(Waiting(offer.sku_id, judgement) for offer, judgement in outside),
    )


def terms_of(
    conn: Connection, tenant_id: str, supplier_id: str, *, after: tuple[str, str], limit: int
) -> list[Terms]:
    """Terms of a supplier that are in force, ended or not taken over, by sku and state, after a pair."""
    rows = conn.execute(
        "select * from (select sku_id, case when is_active then 'in_force' else 'ended' end as state,"
        " supply_price_cents, freight_cents, lead_time_days, min_order_qty, ship_from_region, source_at"
        " from orders.offer where tenant_id = %(tenant)s and supplier_id = %(supplier)s"
        " union all select p.sku_id, coalesce((select case r.state when 'rejected' then 'rejected'"
        "  when 'expired' then 'expired' when 'withdrawn' then 'withdrawn' end from approvals.request r"
        "  where r.tenant_id = p.tenant_id and r.kind = 'offer' and r.subject_type = 'offer'"
        "  and r.subject_id = length(p.supplier_id) || ':' || p.supplier_id || '/' || p.sku_id"
        "  order by r.approval_id desc limit 1), p.state),"
        " p.supply_price_cents, p.freight_cents, p.lead_time_days, p.min_order_qty, p.ship_from_region,"
        " p.source_at from orders.offer_proposal p where p.tenant_id = %(tenant)s"
        " and p.supplier_id = %(supplier)s and p.state = 'waiting') t"
        " where (sku_id, state) > (%(sku)s, %(state)s) order by sku_id, state limit %(limit)s",
        {
            "tenant": tenant_id,
            "supplier": supplier_id,
            "sku": after[0],
            "state": after[1],
            "limit": limit,
        },
    ).fetchall()
    return [Terms(*row) for row in rows]


def accept_proposal(conn: Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    """Take over terms that were approved; the next statements are measured against them.

    Args:
        conn: Inside the transaction of the approval.
        tenant_id: The tenant.
        approval: The request of the kind `offer`.
        now: Business time.

    Raises:
        NotFoundError: Nothing was stated for the sku at that moment.
        ImpossibleMoveError: It does not wait any more.
        SkuNotApprovedError: The supplier may not offer the sku any more.
    """
    wanted = approval.wanted
    supplier_id, sku_id, source_at = wanted["supplier_id"], wanted["sku_id"], stated_at(approval)
    price, freight, days, smallest, region = _accepted(
        conn, tenant_id, supplier_id, sku_id, source_at, f"approval:{approval.approval_id}", now
    )
    offer = Offer(supplier_id, sku_id, price, freight, days, source_at, smallest, region)
    put_offers(conn, tenant_id, [offer], {(supplier_id, sku_id): Reference(price, freight, now)}, now)
    return done(approval)


def _terms_for_decision(offer: Offer, judgement: Judgement, before: _Known) -> dict[str, Any]:
    in_force = before.in_force or (None, None)
    return {
        "source_at": offer.source_at.isoformat(),
        "supply_price_cents": offer.supply_price_cents,
        "freight_cents": offer.freight_cents,
        "reason_code": judgement.reason,
        "low_cents": judgement.low_cents,
        "high_cents": judgement.high_cents,
        "in_force_cents": in_force[0],
        "in_force_freight_cents": in_force[1],
        "others_cents": None if before.others is None else before.others[0],
    }


def _judged(offer: Offer, before: _Known, corridor: Corridor) -> Judgement | None:
    if not offer.supply_price_cents:
        # The operator allowed this very price; what the buyer pays for sending is measured all the same.
        own = before.reference
        own_freight = own.freight_cents if own is not None else 0
        high = own_freight * (FULL_BPS + corridor.own_bps) // FULL_BPS
        return Judgement("delivered_price", 0, high) if offer.freight_cents > high else None
    return judge(offer.supply_price_cents, offer.freight_cents, before.reference, before.others, corridor)


def _next_reference(offer: Offer, before: _Known, corridor: Corridor, now: datetime) -> Reference:
    """The reference stays for the days of the corridor; then the price that was in force becomes it."""
    known = before.reference
    if known is None:
        return Reference(offer.supply_price_cents, offer.freight_cents, now)
    if now - known.at < timedelta(days=corridor.days) or before.in_force is None:
        return known
    return Reference(*before.in_force, now)


def _known(
    conn: Connection, tenant_id: str, supplier_id: str, sku_ids: Sequence[str]
) -> Mapping[str, _Known]:
    """By sku, only those that the supplier may offer; they stay locked."""
    locks.supplier_skus(conn, tenant_id, supplier_id, sku_ids)
    rows = conn.execute(
        "select sku_id, may_be_free from orders.supplier_sku where tenant_id = %(tenant)s"
        " and supplier_id = %(supplier)s and sku_id = any(%(skus)s) and is_approved",
        {"tenant": tenant_id, "supplier": supplier_id, "skus": list(sku_ids)},
    ).fetchall()
    allowed: dict[str, bool] = dict(rows)
    # Read after the lock, so that a statement that was just made is seen.
    found = conn.execute(
        "select s.sku_id, o.supply_price_cents, o.freight_cents,"
        " coalesce(o.reference_price_cents, o.supply_price_cents),"
        " coalesce(o.reference_freight_cents, o.freight_cents), coalesce(o.reference_at, o.source_at),"
        " greatest(o.source_at, (select max(p.source_at) from orders.offer_proposal p"
        "  where p.tenant_id = %(tenant)s and p.supplier_id = %(supplier)s and p.sku_id = s.sku_id)),"
        " x.price, x.delivered"
        " from unnest(%(skus)s::text[]) as s (sku_id) left join orders.offer o on o.tenant_id = %(tenant)s"
        " and o.supplier_id = %(supplier)s and o.sku_id = s.sku_id"
        " left join lateral (select"
        "  percentile_disc(0.5) within group (order by n.supply_price_cents) as price,"
        "  percentile_disc(0.5) within group (order by n.supply_price_cents + n.freight_cents) as delivered"
        "  from orders.offer n join orders.supplier_sku m using (tenant_id, supplier_id, sku_id)"
        "  where n.tenant_id = %(tenant)s and n.sku_id = s.sku_id and n.supplier_id <> %(supplier)s"
        "  and n.is_active and n.supply_price_cents > 0 and m.is_approved) x on true",
        {"tenant": tenant_id, "supplier": supplier_id, "skus": sorted(allowed)},
    ).fetchall()
    known = {}
    for sku, price, freight, reference, reference_freight, reference_at, latest, median, delivered in found:
        known[sku] = _Known(
            may_be_free=allowed[sku],
            in_force=None if price is None else (price, freight),
            latest_at=latest,
            reference=None if price is None else Reference(reference, reference_freight, reference_at),
            others=None if median is None else (median, delivered),
        )
    return known


def _supersede(
    conn: Connection,
    tenant_id: str,
    supplier_id: str,
    sku_ids: Sequence[str],
    stated_by: str,
    now: datetime,
) -> None:
    conn.execute(
        "update orders.offer_proposal set state = 'superseded', decided_at = %(now)s, decided_by = %(by)s"
        " where tenant_id = %(tenant)s and supplier_id = %(supplier)s and sku_id = any(%(skus)s)"
        " and state = 'waiting'",
        {
            "tenant": tenant_id,
            "supplier": supplier_id,
            "skus": list(sku_ids),
            "by": stated_by,
            "now": now,
        },
    )


def _end(conn: Connection, tenant_id: str, offers: Sequence[Offer], now: datetime) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            "update orders.offer set is_active = false, source_at = %(at)s, in_force_at = %(now)s,"
            " xact_id = pg_current_xact_id() where tenant_id = %(tenant)s"
            " and supplier_id = %(supplier)s and sku_id = %(sku)s",
            [
                {
                    "tenant": tenant_id,
                    "supplier": offer.supplier_id,
                    "sku": offer.sku_id,
                    "at": offer.source_at,
                    "now": now,
                }
                for offer in offers
            ],
        )


def _propose(
    conn: Connection,
    tenant_id: str,
    outside: Sequence[tuple[Offer, Judgement]],
    stated_by: str,
    now: datetime,
) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into orders.offer_proposal (tenant_id, supplier_id, sku_id, source_at,"
            " supply_price_cents, freight_cents, lead_time_days, min_order_qty, ship_from_region, reason,"
            " low_cents, high_cents, stated_at, stated_by) values (%(tenant)s, %(supplier)s, %(sku)s, %(at)s,"
            " %(price)s, %(freight)s, %(days)s, %(smallest)s, %(region)s, %(reason)s, %(low)s, %(high)s,"
            " %(now)s, %(by)s)",
            [
                {
                    "tenant": tenant_id,
                    "supplier": offer.supplier_id,
                    "sku": offer.sku_id,
                    "at": offer.source_at,
                    "price": offer.supply_price_cents,
                    "freight": offer.freight_cents,
                    "days": offer.lead_time_days,
                    "smallest": offer.min_order_qty,
                    "region": offer.ship_from_region,
                    "reason": judgement.reason,
                    "low": judgement.low_cents,
                    "high": judgement.high_cents,
                    "now": now,
                    "by": stated_by,
                }
                for offer, judgement in outside
            ],
        )


def _accepted(
    conn: Connection,
    tenant_id: str,
    supplier_id: str,
    sku_id: str,
    source_at: datetime,
    decided_by: str,
    now: datetime,
) -> tuple[int, int, int, int, str | None]:
    if sku_id not in _known(conn, tenant_id, supplier_id, [sku_id]):
        raise SkuNotApprovedError(supplier_id, [sku_id])
    ids = {"tenant": tenant_id, "supplier": supplier_id, "sku": sku_id, "at": source_at}
    locks.offer_proposal(conn, tenant_id, supplier_id, sku_id, source_at)
    row = conn.execute(
        "select state, supply_price_cents, freight_cents, lead_time_days, min_order_qty, ship_from_region"
        " from orders.offer_proposal where tenant_id = %(tenant)s and supplier_id = %(supplier)s"
        " and sku_id = %(sku)s and source_at = %(at)s",
        ids,
    ).fetchone()
    name = f"{supplier_id}/{sku_id}"
    if row is None:
        raise NotFoundError("offer", name)
    if row[0] != "waiting":
        raise ImpossibleMoveError("offer", name, row[0], "accept", [])
    conn.execute(
        "update orders.offer_proposal set state = 'accepted', decided_at = %(now)s, decided_by = %(by)s"
        " where tenant_id = %(tenant)s and supplier_id = %(supplier)s and sku_id = %(sku)s"
        " and source_at = %(at)s",
        {**ids, "now": now, "by": decided_by},
    )
    return row[1], row[2], row[3], row[4], row[5]

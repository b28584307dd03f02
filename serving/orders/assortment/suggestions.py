"""Suggestions of assortment that a merchant takes or refuses; what was decided is read by the next night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from serving.orders.assortment.catalogue import Listing, state_listings
from serving.orders.assortment.orderable import AVAILABLE, IN_FORCE
from serving.orders.errors import NotFoundError, SuggestionDecidedError, SuggestionMovedError

Connection = psycopg.Connection[Any]

REFUSED_FOR = timedelta(days=90)
"""So long a refused suggestion is not made again."""
REASONS = ("wrong_category", "unwanted_supplier", "too_expensive", "enough_of_kind", "other")
"""Why a merchant refuses. The first two keep away more than the sku: the category, or the supplier."""
_SHOWN = "version, rank, basis, propensity, category_id, supplier_id, expected_qty, list_price_cents"


@dataclass(frozen=True, slots=True)
class Shown:
    """A suggestion as the current publication shows it.

    Attributes:
        version: The publication.
        rank: Its place in the merchant's list.
        basis: The ranking or the rule that made it.
        propensity: Chance with which it was shown; 1 where nothing was drawn.
        category_id: Category of the sku.
        supplier_id: Who would supply it.
        expected_qty: Units that were expected of it.
        list_price_cents: Price that was expected for a unit, fen.
    """

    version: str
    rank: int
    basis: str
    propensity: float
    category_id: str
    supplier_id: str
    expected_qty: float
    list_price_cents: int


def take(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    sku_id: str,
    list_price_cents: int | None,
    now: datetime,
) -> int:
    """Put a suggested sku on sale at the merchant, as if the merchant had stated the listing.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: The merchant.
        sku_id: The sku.
        list_price_cents: What the merchant asks for a unit, fen; None for the suggested price.
        now: Business time.

    Returns:
        The price at which it is on sale, fen.

    Raises:
        NotFoundError: The current publication does not suggest it to this merchant.
        SuggestionDecidedError: It is on sale there already, or this suggestion was decided.
        SuggestionMovedError: No offer of it can be ordered now.
        SaleStoppedError: The quality brake stopped it.
        ListingHeldError: Supervision took it off at this merchant.
    """
    shown = _undecided(conn, tenant_id, merchant_id, sku_id)
    price = shown.list_price_cents if list_price_cents is None else list_price_cents
    orderable = conn.execute(
        "select exists (select from orders.offer o join orders.stock s using (tenant_id, supplier_id, sku_id)"
        f" where o.tenant_id = %(tenant)s and o.sku_id = %(sku)s and {IN_FORCE}"
        f" and {AVAILABLE} >= o.min_order_qty)",
        {"tenant": tenant_id, "sku": sku_id},
    ).fetchone()
    state_listings(conn, tenant_id, [Listing(merchant_id, sku_id, price)], now)
    if orderable != (True,):
        raise SuggestionMovedError(sku_id)
    _decide(conn, tenant_id, merchant_id, sku_id, shown, now, list_price_cents=price)
    return price


def refuse(
    conn: Connection, tenant_id: str, merchant_id: str, sku_id: str, reason_code: str, now: datetime
) -> datetime:
    """Keep a suggestion away from the merchant for `REFUSED_FOR`.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: The merchant.
        sku_id: The sku.
        reason_code: One of `REASONS`.
        now: Business time.

    Returns:
        When it may be made again.

    Raises:
        NotFoundError: The current publication does not suggest it to this merchant.
        SuggestionDecidedError: It is on sale there already, or this suggestion was decided.
    """
    shown = _undecided(conn, tenant_id, merchant_id, sku_id)
    until = now + REFUSED_FOR
    _decide(conn, tenant_id, merchant_id, sku_id, shown, now, reason_code=reason_code, until_at=until)
    return until


def _undecided(conn: Connection, tenant_id: str, merchant_id: str, sku_id: str) -> Shown:
    """The suggestion of the current publication, which nobody has decided."""
    values = {"tenant": tenant_id, "merchant": merchant_id, "sku": sku_id}
    row = conn.execute(
        f"select {_SHOWN} from scores.current_publication c"
        " join scores.publication_table t using (tenant_id, version)"
        " join scores.assortment_suggestions s using (snapshot_id)"
        " where c.tenant_id = %(tenant)s and t.table_name = 'assortment_suggestions'"
        " and s.merchant_id = %(merchant)s and s.sku_id = %(sku)s",
        values,
    ).fetchone()
    if row is None:
        raise NotFoundError("suggestion", sku_id)
    shown = Shown(*row)
    known = conn.execute(
        "select exists (select from orders.listing l where l.tenant_id = %(tenant)s"
        " and l.merchant_id = %(merchant)s and l.sku_id = %(sku)s and l.is_listed)"
        " or exists (select from assortment.decision d where d.tenant_id = %(tenant)s"
        " and d.merchant_id = %(merchant)s and d.sku_id = %(sku)s and d.version = %(version)s)",
        {**values, "version": shown.version},
    ).fetchone()
    if known == (True,):
        raise SuggestionDecidedError(sku_id)
    return shown


def _decide(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    sku_id: str,
    shown: Shown,
    now: datetime,
    *,
    list_price_cents: int | None = None,
    reason_code: str | None = None,
    until_at: datetime | None = None,
) -> None:
    done = conn.execute(
        "insert into assortment.decision (tenant_id, merchant_id, sku_id, is_taken, reason_code, decided_at,"
        " until_at, version, rank, basis, propensity, category_id, supplier_id, expected_qty,"
        " list_price_cents) values (%(tenant)s, %(merchant)s, %(sku)s, %(taken)s, %(reason)s, %(now)s,"
        " %(until)s, %(version)s, %(rank)s, %(basis)s, %(propensity)s, %(category)s, %(supplier)s, %(qty)s,"
        " %(price)s) on conflict (tenant_id, merchant_id, sku_id, version) do nothing",
        {
            "tenant": tenant_id,
            "merchant": merchant_id,
            "sku": sku_id,
            "taken": list_price_cents is not None,
            "reason": reason_code,
            "now": now,
            "until": until_at,
            "version": shown.version,
            "rank": shown.rank,
            "basis": shown.basis,
            "propensity": shown.propensity,
            "category": shown.category_id,
            "supplier": shown.supplier_id,
            "qty": shown.expected_qty,
            "price": list_price_cents,
        },
    )
    if done.rowcount == 0:
        raise SuggestionDecidedError(sku_id)


Decision = tuple[str, str, str, str, bool, str | None, datetime | None]
"""merchant_id, sku_id, category_id, supplier_id, is_taken, reason_code, until_at."""


def newest_decisions(conn: Connection, tenant_id: str) -> Sequence[Decision]:
    """The newest decision on each sku by each merchant, by merchant and sku."""
    return conn.execute(
        "select distinct on (merchant_id, sku_id) merchant_id, sku_id, category_id, supplier_id, is_taken,"
        " reason_code, until_at from assortment.decision where tenant_id = %s"
        " order by merchant_id, sku_id, decision_no desc",
        (tenant_id,),
    ).fetchall()


def decision_count(conn: Connection, tenant_id: str) -> int:
    """How many decisions there are; whoever has seen so many has seen all."""
    row = conn.execute(
        "select count(*) from assortment.decision where tenant_id = %s", (tenant_id,)
    ).fetchone()
    return int(row[0]) if row else 0

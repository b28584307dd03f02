"""Purchase orders in the demonstration: how the panel's deliveries came to be, and suppliers who answer.

The embedded panel has no purchasing department and no suppliers who read webhooks. So that the tables have
life, the deliveries of its last weeks are told as purchase orders that were received, and its suppliers
answer those of today in ways that are drawn from the order's supplier and skus. A user's own data get none
of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import psycopg

from pipelines.lake.tables import Lake
from pipelines.replay.bulk import insert, tenant_of
from pipelines.sources.recorded.streams import MOVEMENT_PREFIX
from serving.purchasing.answering import Promise, agree_purchase, answer_purchase, decline_purchase
from serving.purchasing.arrivals import receive_purchase, ship_purchase
from serving.purchasing.policies import ALL_OTHERS, Policy, policies_of, put_policy
from serving.purchasing.records import PurchaseOrder, purchases_page

_WEEKS = 8
_AT_ONCE_CENTS = 20_000
_DECLINES, _CHANGES = 10, 30
_MOST = 100
"""Purchase orders of each state that a run moves: an example, not a year of work."""


@dataclass(frozen=True)
class Played:
    """What the demonstration added.

    Attributes:
        past: Deliveries of the last weeks that are told as purchase orders by now, new ones only.
        answered: Purchase orders that suppliers answered.
        shipped: Those that they shipped.
        received: Those that arrived.
    """

    past: int = 0
    answered: int = 0
    shipped: int = 0
    received: int = 0

    def to_json(self) -> dict[str, int]:
        """The figures by name."""
        return asdict(self)


def state_policy(connection: psycopg.Connection, now: datetime) -> None:
    """Order by itself what costs little, and ask for the rest, unless somebody stated a policy."""
    tenant_id = tenant_of(connection)
    if not policies_of(connection, tenant_id):
        put_policy(connection, tenant_id, Policy(ALL_OTHERS, "auto", _AT_ONCE_CENTS), now)


def play(transactions: Callable[[], Any], lake: Lake, now: datetime) -> Played:
    """Tell past deliveries, and let suppliers answer, ship and deliver what is due.

    Args:
        transactions: Opens a transaction of the tenant.
        lake: The accepted tables.
        now: Business time (UTC).
    """
    with transactions() as connection:
        past = _tell_deliveries(connection, lake, now)
    answered = shipped = received = 0
    for order in _of_status(transactions, "placed"):
        with transactions() as connection:
            _answer(connection, order, now)
        answered += 1
    for order in _of_status(transactions, "confirmed"):
        with transactions() as connection:
            due = {line.sku_id: line.due_qty for line in order.lines if line.due_qty}
            ship_purchase(
                connection, tenant_of(connection), order.supplier_id, order.purchase_order_id, due, now
            )
        shipped += 1
    for order in _of_status(transactions, "shipped"):
        here = {
            line.sku_id: line.shipped_qty - line.received_qty
            for line in order.lines
            if line.shipped_qty > line.received_qty
            and line.promised_on is not None
            and line.promised_on <= now.date()
        }
        if here:
            with transactions() as connection:
                receive_purchase(connection, tenant_of(connection), order.purchase_order_id, here, now)
            received += 1
    return Played(past, answered, shipped, received)


def _of_status(transactions: Callable[[], Any], status: str) -> list[PurchaseOrder]:
    with transactions() as connection:
        return purchases_page(
            connection, tenant_of(connection), supplier_id=None, status=status, after="", limit=_MOST
        )


def _answer(connection: psycopg.Connection, order: PurchaseOrder, now: datetime) -> None:
    tenant_id = tenant_of(connection)
    draw = _draw(order.supplier_id, *(line.sku_id for line in order.lines))
    if draw < _DECLINES:
        decline_purchase(
            connection, tenant_id, order.supplier_id, order.purchase_order_id, "out_of_stock", now
        )
        return
    promises = {}
    if draw < _DECLINES + _CHANGES:
        late = order.expected_on + timedelta(days=2)
        promises = {line.sku_id: Promise(line.ordered_qty, late) for line in order.lines}
    answer_purchase(connection, tenant_id, order.supplier_id, order.purchase_order_id, promises, now)
    if promises:
        agree_purchase(connection, tenant_id, order.purchase_order_id)


def _tell_deliveries(connection: psycopg.Connection, lake: Lake, now: datetime) -> int:
    """The feed's inbound movements of the last weeks as received purchase orders, one a supplier and day.

    What was recorded here came by a purchase order already, or by a supplier's count.
    """
    offers = (
        lake.scan("offers")
        .filter(pl.col("valid_from") <= now)
        .sort("valid_from")
        .group_by("supplier_id", "sku_id")
        .agg(pl.col("supply_price_cents").last(), pl.col("lead_time_days").last())
    )
    lines = (
        lake.scan("inventory_movements")
        .filter(
            (pl.col("reason") == "inbound")
            & ~pl.col("movement_id").str.starts_with(MOVEMENT_PREFIX)
            & (pl.col("qty_delta") > 0)
            & (pl.col("occurred_at") > now - timedelta(weeks=_WEEKS))
            & (pl.col("occurred_at") <= now)
        )
        .join(offers, on=["supplier_id", "sku_id"])
        .group_by("supplier_id", pl.col("occurred_at").dt.date().alias("day"), "sku_id")
        .agg(
            pl.col("qty_delta").sum().alias("qty"),
            pl.col("occurred_at").max(),
            pl.col("supply_price_cents").last(),
            pl.col("lead_time_days").last().fill_null(0),
        )
        .with_columns(
            pl.format("po-{}-feed-{}", pl.col("day").dt.strftime("%Y%m%d"), pl.col("supplier_id")).alias(
                "purchase_order_id"
            )
        )
        .collect()
    )
    if not lines.height:
        return 0
    orders = (
        lines.group_by("purchase_order_id", "supplier_id")
        .agg(pl.col("occurred_at").max(), pl.col("lead_time_days").max())
        .select(
            "purchase_order_id",
            "supplier_id",
            pl.lit("received").alias("status"),
            pl.lit("stated").alias("cause"),
            (pl.col("occurred_at") - pl.duration(days="lead_time_days")).alias("placed_at"),
            pl.col("occurred_at").dt.date().alias("expected_on"),
            (pl.col("occurred_at") - pl.duration(days="lead_time_days")).alias("answered_at"),
            pl.col("occurred_at").alias("shipped_at"),
            pl.col("occurred_at").alias("closed_at"),
            pl.lit("feed").alias("source"),
        )
    )
    made = insert(connection, "purchasing.purchase_order", orders)
    insert(
        connection,
        "purchasing.purchase_line",
        lines.select(
            "purchase_order_id",
            "sku_id",
            pl.col("qty").alias("ordered_qty"),
            pl.col("qty").alias("confirmed_qty"),
            pl.col("qty").alias("shipped_qty"),
            pl.col("qty").alias("received_qty"),
            "supply_price_cents",
            pl.col("day").alias("promised_on"),
        ),
    )
    return made


def _draw(*names: str) -> int:
    """A number below 100 that is the same for the same names."""
    return int.from_bytes(hashlib.sha256("\x1f".join(names).encode()).digest()[:4], "big") % 100

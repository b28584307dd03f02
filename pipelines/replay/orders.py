"""Past orders into the operational database: placed, paid, accrued, shipped and received as they were.

A chunk of orders and its accrual are one transaction: an order is either there with its money or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import psycopg

from pipelines.replay.bulk import insert, tenant_of
from pipelines.replay.parties import Agents
from pipelines.replay.selection import Selection
from serving.db.retries import ConnectionFactory, in_transaction
from serving.settlement.books.accrual import accrue_orders
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.sharing.freeze import CartLine, freeze
from serving.settlement.sharing.snapshot import Discount, OrderSnapshot

FEE_RATE_BPS = 60
"""What the simulated payment channel keeps."""
ADAPTER = "simulated"

AT_ONCE = 2
"""Chunks that are written side by side."""

_CHUNK = 500


def unknown_orders(connection: psycopg.Connection, selection: Selection) -> Selection:
    """The selection without the orders that an earlier replay wrote, and what hangs on them."""
    ids = selection.orders["order_id"].to_list()
    rows = connection.execute("select order_id from orders.customer_order where order_id = any(%s)", (ids,))
    known = pl.Series("order_id", [order_id for (order_id,) in rows], dtype=pl.String).implode()
    return Selection(
        *(
            frame.filter(~pl.col("order_id").is_in(known))
            for frame in (
                selection.orders,
                selection.lines,
                selection.sub_orders,
                selection.shipments,
                selection.cases,
            )
        )
    )


def write_orders(
    transactions: ConnectionFactory,
    selection: Selection,
    agents: Agents,
    plan: PlanVersion,
    wait: timedelta,
    as_of: datetime,
) -> int:
    """Write the orders of a selection, pay and accrue them.

    Args:
        transactions: Opens a transaction of the tenant.
        selection: Orders that the database does not have.
        agents: Who may be paid.
        plan: The plan that settles them.
        wait: From receipt to release.
        as_of: Business time: where an order stands is as of then, and money of a closed month is booked then.

    Returns:
        Legs that were accrued.
    """
    categories = _categories(transactions, selection)

    def write(orders: pl.DataFrame) -> int:
        part = _part(selection, orders)
        snapshots = _snapshots(part, agents, categories, plan)
        return in_transaction(
            transactions,
            lambda connection: _write_and_accrue(connection, part, snapshots, plan, wait, as_of),
        )

    # While one chunk waits for the database, another is prepared.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(write, _chunks(selection.orders)))


def _write_and_accrue(
    connection: psycopg.Connection,
    part: Selection,
    snapshots: list[OrderSnapshot],
    plan: PlanVersion,
    wait: timedelta,
    as_of: datetime,
) -> int:
    _write(connection, part, snapshots, plan, wait)
    closed = closed_until(connection)
    late = [order for order in snapshots if closed is not None and order.paid_at < closed]
    timely = [order for order in snapshots if closed is None or order.paid_at >= closed]
    legs = 0
    for group, now in ((timely, None), (late, as_of)):
        if group:
            made = accrue_orders(connection, tenant_of(connection), group, plan, now)
            legs += sum(len(one.legs) for one in made)
    return legs


def _chunks(orders: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for start in range(0, orders.height, _CHUNK):
        yield orders.slice(start, _CHUNK)


def _part(selection: Selection, orders: pl.DataFrame) -> Selection:
    ids = orders["order_id"].implode()
    rest = (selection.lines, selection.sub_orders, selection.shipments, selection.cases)
    return Selection(orders, *(frame.filter(pl.col("order_id").is_in(ids)) for frame in rest))


def _snapshots(
    part: Selection,
    agents: Agents,
    categories: dict[str, tuple[str, ...]],
    plan: PlanVersion,
) -> list[OrderSnapshot]:
    lines: dict[str, list[CartLine]] = {}
    for line in part.lines.iter_rows(named=True):
        lines.setdefault(line["order_id"], []).append(_cart_line(line, categories))
    return [
        freeze(
            order_id=order["order_id"],
            merchant_id=order["merchant_id"],
            consumer_id=order["consumer_id"],
            paid_at=order["paid_at"],
            cart=lines[order["order_id"]],
            parties=agents.parties(order),
            fee_rate_bps=FEE_RATE_BPS,
            plan_id=plan.plan_id,
            plan_version=plan.version,
        )
        for order in part.orders.iter_rows(named=True)
    ]


def _cart_line(line: dict[str, Any], categories: dict[str, tuple[str, ...]]) -> CartLine:
    """Promotions on a line are the merchant's own, coupons the platform's."""
    cuts = (
        Discount("merchant", line["promo_discount_cents"]),
        Discount("platform", line["coupon_discount_cents"]),
    )
    return CartLine(
        line_no=line["line_no"],
        sku_id=line["sku_id"],
        category_ids=categories.get(line["sku_id"], ()),
        supplier_id=line["supplier_id"],
        qty=line["qty"],
        list_price_cents=line["list_price_cents"],
        supply_price_cents=line["supply_price_cents"],
        discounts=tuple(cut for cut in cuts if cut.cents),
    )


def _write(
    connection: psycopg.Connection,
    part: Selection,
    snapshots: list[OrderSnapshot],
    plan: PlanVersion,
    wait: timedelta,
) -> None:
    states = part.sub_orders.select("order_id", "supplier_id", "shipped_at", "received_at", _state())
    money = pl.DataFrame(
        {
            "order_id": [order.order_id for order in snapshots],
            "payable_cents": [order.captured_cents for order in snapshots],
            "fee_cents": [sum(line.channel_fee_cents for line in order.lines) for order in snapshots],
            "snapshot": [json.dumps(order.to_json(), ensure_ascii=False) for order in snapshots],
        }
    )
    coupons = part.lines.group_by("order_id").agg(pl.col("coupon_discount_cents").sum())
    orders = (
        part.orders.join(money, on="order_id")
        .join(states.group_by("order_id").agg(_order_status()), on="order_id")
        .join(coupons, on="order_id")
    )
    insert(
        connection,
        "orders.customer_order",
        orders.select(
            "order_id", "merchant_id", "consumer_id", "agent_id", "channel", "region_code",
            pl.lit("replay").alias("source"), "status", "placed_at", "paid_at", "coupon_discount_cents",
            "payable_cents", pl.col("payable_cents").alias("captured_cents"),
            pl.lit(plan.plan_id).alias("plan_id"), pl.lit(plan.version).alias("plan_version"), "snapshot",
        ),
    )  # fmt: skip
    unshipped = states.filter(pl.col("shipped_at").is_null()).select("order_id", "supplier_id", waits=True)
    insert(
        connection,
        "orders.order_line",
        part.lines.join(unshipped, on=["order_id", "supplier_id"], how="left").select(
            *part.lines.columns,
            pl.when("waits").then("qty").otherwise(0).alias("reserved_qty"),
            pl.when("waits").then(0).otherwise("qty").alias("sent_qty"),
        ),
    )
    insert(
        connection,
        "orders.sub_order",
        states.join(part.orders.select("order_id", "paid_at"), on="order_id").select(
            "order_id", "supplier_id", "status", pl.col("paid_at").alias("accepted_at"), "shipped_at",
            "received_at", (pl.col("received_at") + wait).alias("release_due_at"),
        ),
    )  # fmt: skip
    insert(
        connection,
        "orders.payment",
        orders.select(
            pl.format("replay-{}", "order_id").alias("payment_id"), "order_id",
            pl.lit(ADAPTER).alias("adapter"), pl.col("payable_cents").alias("captured_cents"), "fee_cents",
            "paid_at",
        ),
    )  # fmt: skip
    _write_parcels(connection, part)
    insert(connection, "orders.after_sale", _cases(part))


def _write_parcels(connection: psycopg.Connection, part: Selection) -> None:
    insert(
        connection,
        "orders.shipment",
        part.shipments.filter(pl.col("shipped_at").is_not_null()).select(
            "shipment_id", "order_id", "supplier_id", "from_region", "to_region", "promised_at", "shipped_at",
            "delivered_at",
        ),
    )  # fmt: skip
    shipped = part.lines.join(
        part.sub_orders.filter(pl.col("shipped_at").is_not_null()),
        on=["order_id", "supplier_id"],
    )
    insert(
        connection,
        "orders.stock_movement",
        shipped.group_by("order_id", "supplier_id", "sku_id", "shipped_at")
        .agg((-pl.col("qty").sum()).alias("qty_delta"))
        .sort("shipped_at", "order_id", "sku_id")
        .select(
            "supplier_id", "sku_id", "qty_delta", pl.lit("sale").alias("reason"), "order_id",
            pl.col("shipped_at").alias("occurred_at"),
        ),
    )  # fmt: skip


def _cases(part: Selection) -> pl.DataFrame:
    """Cases as they stand before any refund: what is to be refunded stays open until `days` gives it back."""
    is_refund = pl.col("refund_cents").fill_null(0) > 0
    status = (
        pl.when(pl.col("resolved_at").is_null() | is_refund).then(pl.lit("open")).otherwise(pl.lit("closed"))
    )
    return part.cases.select(
        "case_id",
        "order_id",
        "line_no",
        "supplier_id",
        "kind",
        "reason_code",
        status.alias("status"),
        pl.min_horizontal(pl.col("refund_cents").fill_null(0), "net_paid_cents").alias("requested_cents"),
        "opened_at",
        pl.when(status == "closed").then("resolved_at").alias("resolved_at"),
    )


def _state() -> pl.Expr:
    """Where a supplier's part of an order stands."""
    return (
        pl.when(pl.col("received_at").is_not_null())
        .then(pl.lit("received"))
        .when(pl.col("shipped_at").is_not_null())
        .then(pl.lit("shipped"))
        .otherwise(pl.lit("accepted"))
        .alias("status")
    )


def _order_status() -> pl.Expr:
    """Where an order stands: as far as its slowest part."""
    return (
        pl.when((pl.col("status") == "received").all())
        .then(pl.lit("received"))
        .when((pl.col("status") != "accepted").all())
        .then(pl.lit("shipped"))
        .otherwise(pl.lit("paid"))
        .alias("status")
    )


def _categories(transactions: ConnectionFactory, selection: Selection) -> dict[str, tuple[str, ...]]:
    skus = selection.lines["sku_id"].unique().to_list()
    with transactions() as connection:
        rows = connection.execute(
            "select sku_id, category_ids from orders.product where sku_id = any(%s)",
            (skus,),
        ).fetchall()
    return {sku: tuple(categories) for sku, categories in rows}


def closed_until(connection: psycopg.Connection) -> datetime | None:
    """End of the tenant's last closed month; nothing may be booked before it."""
    row = connection.execute("select closed_until from ledger.closed_until").fetchone()
    return row[0] if row else None

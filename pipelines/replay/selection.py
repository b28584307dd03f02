"""What is replayed: the orders of the last days, priced and shipped as they were, with who sold them. Pure.

A line costs what the offer in force asked when it was placed; a line without an offer passes what was paid on
to its supplier, so that nothing of it is shared. A supplier's part of an order without a parcel was handed
over at the till. Everything is decided by the rows, never by chance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from pipelines.lake.tables import Lake
from pipelines.sources.schemas.columns import MILLI

UTC_US = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Selection:
    """What is replayed.

    Attributes:
        orders: One row per order: order_id, merchant_id, consumer_id, agent_id, channel, placed_at, paid_at,
            is_first_purchase, region_code (where its first parcel went, null without one that says so).
        lines: One row per line: order_id, line_no, sku_id, supplier_id, qty, list_price_cents,
            promo_discount_cents, coupon_discount_cents, net_paid_cents, supply_price_cents.
        sub_orders: One row per order and supplier: order_id, supplier_id, shipped_at, received_at.
        shipments: Parcels as the lake has them.
        cases: After-sale cases of the lines, with supplier_id.
        skipped: Sold orders of the window that the platform could not have taken, by why.
    """

    orders: pl.DataFrame
    lines: pl.DataFrame
    sub_orders: pl.DataFrame
    shipments: pl.DataFrame
    cases: pl.DataFrame
    skipped: Mapping[str, int] = field(default_factory=dict, kw_only=True)


def select(lake: Lake, *, as_of: datetime, days: int, assigns_agents: bool) -> Selection:
    """Choose what is replayed.

    Args:
        lake: The accepted tables.
        as_of: Business time (UTC).
        days: Length of the window that ends then.
        assigns_agents: Whether orders without an agent get one of their merchant, by consumer; only where the
            agents are generated.
    """
    since = as_of - timedelta(days=days)
    sold = _window(lake, "orders", "placed_at", since, as_of).filter(pl.col("state") == "paid")
    in_window = lake.scan_days("order_lines", since.date(), as_of.date()).collect()
    chosen, skipped = _replayable(sold, in_window)
    lines = _lines(lake, chosen, in_window)
    chosen = chosen.join(
        lines.select("order_id").unique(),
        on="order_id",
        how="semi",
        maintain_order="left",
    )
    agents = lake.read("agents").filter("is_active")
    orders = chosen.select(
        "order_id",
        "merchant_id",
        "consumer_id",
        _seller(chosen, agents, assigns_agents),
        "channel",
        "placed_at",
        pl.coalesce("paid_at", "placed_at").alias("paid_at"),
        pl.col("order_id").is_in(_first_orders(lake).implode()).alias("is_first_purchase"),
    ).sort("paid_at", "order_id")
    shipments = (
        lake.scan_days("shipments", since.date(), as_of.date())
        .join(orders.lazy().select("order_id"), on="order_id", how="semi")
        .collect()
        .sort("shipment_id")
    )
    return Selection(
        orders.join(_regions(shipments), on="order_id", how="left", maintain_order="left"),
        lines,
        _sub_orders(orders, lines, shipments),
        shipments,
        _cases(lake, lines, since, as_of),
        skipped=skipped,
    )


def share(name: str, salt: str) -> int:
    """A number from 0 to 99 that depends on a name alone: the same in every run.

    >>> share("agt-1", "verified") == share("agt-1", "verified")
    True
    """
    return int.from_bytes(hashlib.blake2b(f"{salt}:{name}".encode(), digest_size=4).digest(), "big") % 100


def _window(lake: Lake, table: str, time: str, since: datetime, as_of: datetime) -> pl.DataFrame:
    frame = lake.scan_days(table, since.date(), as_of.date())
    return frame.filter((pl.col(time) > since) & (pl.col(time) <= as_of)).collect()


def _replayable(orders: pl.DataFrame, lines: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """The orders that the platform could have taken: of a consumer, in whole units, without returns."""
    returns = lines.filter(pl.col("qty_milli") < 0)["order_id"].implode()
    fractions = lines.filter(pl.col("qty_milli") % MILLI != 0)["order_id"].implode()
    reasons = {
        "of a guest": pl.col("consumer_id").is_null(),
        "with a return": pl.col("order_id").is_in(returns),
        "in fractions of a unit": pl.col("order_id").is_in(fractions),
    }
    skipped = {}
    for reason, condition in reasons.items():
        kept = orders.filter(~condition)
        if kept.height < orders.height:
            skipped[reason] = orders.height - kept.height
        orders = kept
    return orders, skipped


def _lines(lake: Lake, orders: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    lines = lines.join(orders.select("order_id", "placed_at"), on="order_id")
    makers = lake.read("products", ("sku_id", "manufacturer_id"))
    offers = lake.read("offers", ("supplier_id", "sku_id", "valid_from", "supply_price_cents"))
    offers = offers.rename({"supply_price_cents": "unit_cents"}).sort("valid_from")
    listed = pl.col("list_price_cents") - pl.col("promo_discount_cents")
    return (
        lines.join(makers, on="sku_id", how="left")
        .with_columns(pl.coalesce("supplier_id", "manufacturer_id").alias("supplier_id"))
        .filter(pl.col("supplier_id").is_not_null())
        .sort("placed_at")
        .join_asof(
            offers,
            left_on="placed_at",
            right_on="valid_from",
            by=["supplier_id", "sku_id"],
            check_sortedness=False,
        )
        .with_columns(pl.col("qty_milli").floordiv(MILLI).alias("qty"))
        .with_columns(
            pl.coalesce(
                "supply_price_cents", pl.col("unit_cents") * pl.col("qty"), pl.col("net_paid_cents")
            ).alias("supply_price_cents"),
            (listed - pl.col("net_paid_cents")).alias("coupon_discount_cents"),
        )
        .select(
            "order_id", "line_no", "sku_id", "supplier_id", "qty", "list_price_cents", "promo_discount_cents",
            "coupon_discount_cents", "net_paid_cents", "supply_price_cents",
        )
        .sort("order_id", "line_no")
    )  # fmt: skip


def _seller(orders: pl.DataFrame, agents: pl.DataFrame, assigns_agents: bool) -> pl.Series:
    """The agent of each order: the one it names, else, if agents are assigned, one of its merchant's."""
    known = set(agents["agent_id"])
    of_merchant: dict[str, list[str]] = {}
    for merchant, agent in agents.sort("agent_id").select("merchant_id", "agent_id").iter_rows():
        of_merchant.setdefault(merchant, []).append(agent)
    found: list[str | None] = []
    for merchant, consumer, own in orders.select("merchant_id", "consumer_id", "agent_id").iter_rows():
        candidates = of_merchant.get(merchant, [])
        if own in known or not assigns_agents or not candidates:
            found.append(own if own in known else None)
        else:
            # One consumer in four buys without an agent.
            lot = share(consumer, "agent")
            found.append(None if lot < 25 else candidates[lot % len(candidates)])
    return pl.Series("agent_id", found, dtype=pl.String)


def _first_orders(lake: Lake) -> pl.Series:
    orders = lake.read("orders", ("consumer_id", "order_id", "placed_at")).drop_nulls("consumer_id")
    first = orders.sort("placed_at", "order_id").group_by("consumer_id").agg(pl.col("order_id").first())
    return first["order_id"]


def _regions(shipments: pl.DataFrame) -> pl.DataFrame:
    named = shipments.filter(pl.col("to_region") != "unknown")
    return named.group_by("order_id").agg(pl.col("to_region").first().alias("region_code"))


def _sub_orders(orders: pl.DataFrame, lines: pl.DataFrame, shipments: pl.DataFrame) -> pl.DataFrame:
    parcels = shipments.group_by("order_id", "supplier_id").agg(
        pl.len().alias("parcels"),
        pl.col("shipped_at").max(),
        # Received once the last parcel arrived.
        pl.when(pl.col("delivered_at").null_count() == 0)
        .then(pl.col("delivered_at").max())
        .alias("received_at"),
    )
    handed_over = pl.col("parcels").is_null()
    return (
        lines.select("order_id", "supplier_id")
        .unique()
        .join(orders.select("order_id", "paid_at"), on="order_id")
        .join(parcels, on=["order_id", "supplier_id"], how="left")
        .select(
            "order_id",
            "supplier_id",
            pl.when(handed_over).then("paid_at").otherwise("shipped_at").alias("shipped_at"),
            pl.when(handed_over).then("paid_at").otherwise("received_at").alias("received_at"),
        )
        .sort("order_id", "supplier_id")
    )


def _cases(lake: Lake, lines: pl.DataFrame, since: datetime, as_of: datetime) -> pl.DataFrame:
    cases = lake.scan_days("after_sales", since.date(), as_of.date()).collect()
    keys = lines.select("order_id", "line_no", "supplier_id", "net_paid_cents")
    return cases.join(keys, on=["order_id", "line_no"]).sort("opened_at", "case_id")

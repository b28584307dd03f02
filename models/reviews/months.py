"""The reviews of a publication: each party's month beside its peers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from models.contracts import PUBLISHED_TABLES
from models.reviews.config import ReviewConfig
from models.reviews.ranking import places
from models.reviews.silence import with_silence

WIDTHS: tuple[tuple[str, ...], ...] = (("level", "region_code", "tenure"), ("level", "tenure"), ("level",))
"""What peers share: the first of these in which there are enough of them."""
RATES: Mapping[str, tuple[str, str]] = {
    "margin_rate": ("margin_cents", "costed_cents"),
    "repeat_rate": ("repeat_buyer_count", "buyer_count"),
    "refund_rate": ("refunded_cents", "paid_cents"),
    "orders_per_buyer": ("known_order_count", "buyer_count"),
    "visit_rate": ("visitor_count", "customer_count"),
}
"""Rates that peers are compared by, as quotients of counts."""
_STIRS = ("order_count", "net_sales_cents", "refunded_cents", "settled_cents")
"""Where all of these are 0 nothing happened in a month."""
_SKU = ("sku_id", "units", "net_sales_cents", "refunded_cents", "margin_cents")
_KEY = ["party_type", "party_id", "month_start_on"]


def party_reviews(
    months: pl.DataFrame, skus: pl.DataFrame, as_of: datetime, config: ReviewConfig
) -> pl.DataFrame:
    """Reviews of the newest months.

    A month is ranked by what was settled in it, where settlement released anything of its kind of party, else
    by net sales of its orders.

    Args:
        months: Rows of `mart_party_month`.
        skus: Rows of `mart_party_month_skus`.
        as_of: Business time, UTC.
        config: Settings.

    Returns:
        The columns of the published table `party_reviews`; parties that are not active any more have rows
        until their last month with an order, a return or a settlement: then they were peers.
    """
    names = [column.name for column in PUBLISHED_TABLES["party_reviews"].columns]
    this_month = as_of.date().replace(day=1)
    settles = pl.col("settled_cents").sum().over("party_type", "month_start_on") > 0
    has_any = pl.any_horizontal(pl.col(name) != 0 for name in _STIRS)
    last = pl.col("month_start_on").filter(has_any).max().over("party_type", "party_id")
    shown = (
        with_silence(months, pl.col("month_start_on") < this_month, config)
        .filter(pl.col("is_active") | (pl.col("month_start_on") <= last))
        .filter(pl.col("month_start_on").rank("dense", descending=True) <= config.months)
        .with_columns(
            is_whole=pl.col("month_start_on") < this_month,
            basis=pl.when(settles).then(pl.lit("settled")).otherwise(pl.lit("orders")),
        )
        .with_columns(
            ranked_cents=pl.when(settles).then("settled_cents").otherwise("net_sales_cents"),
            error_cents=pl.when(settles).then("settled_square").otherwise("net_sales_square").sqrt(),
            **{
                name: pl.when(pl.col(below) > 0).then(pl.col(above) / pl.col(below))
                for name, (above, below) in RATES.items()
            },
        )
        .sort(_KEY)
        .with_row_index("_row")
    )
    ranked = shown.join(_ranked(shown, config), on="_row", how="left")
    for side in ("best", "worst"):
        of_side = skus.filter(pl.col("side") == side).sort(*_KEY, "place")
        told = {key: _sku_list(rows) for key, rows in of_side.rows_by_key(_KEY, named=True).items()}
        lists = [json.dumps(told.get(key, [])) for key in ranked.select(_KEY).iter_rows()]
        ranked = ranked.with_columns(pl.Series(f"{side}_skus", lists, dtype=pl.String))
    return ranked.select(names)


def _sku_list(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in _SKU} for row in rows]


def _ranked(shown: pl.DataFrame, config: ReviewConfig) -> pl.DataFrame:
    found: dict[int, dict[str, Any]] = {}
    for width in WIDTHS:
        for _, group in shown.group_by("party_type", "month_start_on", *width, maintain_order=True):
            if group.height < config.fewest_peers:
                continue
            missing = [row not in found for row in group["_row"]]
            if not any(missing):
                continue
            at = places(
                group["ranked_cents"].cast(pl.Float64).to_numpy(),
                group["error_cents"].to_numpy(),
                config.confidence,
            )
            peers = json.dumps(_what_peers_do(group, config))
            for place, row in enumerate(group["_row"]):
                if missing[place]:
                    found[row] = {
                        "_row": row,
                        "rank": int(at.rank[place]),
                        "rank_low": int(at.low[place]),
                        "rank_high": int(at.high[place]),
                        "peers": group.height,
                        "peers_share": json.dumps(list(width)),
                        "peers_do": peers,
                    }
    alone = {"rank": None, "rank_low": None, "rank_high": None, "peers_share": "[]", "peers_do": "{}"}
    by_level = shown.select("_row", peers=pl.len().over("party_type", "month_start_on", "level"))
    rest = [alone | {"_row": row, "peers": peers} for row, peers in by_level.iter_rows() if row not in found]
    schema: dict[str, pl.DataType] = {
        "_row": shown.schema["_row"],
        "rank": pl.Int64(),
        "rank_low": pl.Int64(),
        "rank_high": pl.Int64(),
        "peers": pl.Int64(),
        "peers_share": pl.String(),
        "peers_do": pl.String(),
    }
    return pl.DataFrame([*found.values(), *rest], schema=schema)


def _what_peers_do(group: pl.DataFrame, config: ReviewConfig) -> dict[str, dict[str, float | None]]:
    """A figure is told of those who have one; of fewer than are asked for nothing is said of anybody."""
    told = {}
    for name in ("ranked_cents", *RATES):
        has_one = pl.col(name) > 0 if name == "ranked_cents" else pl.col(name).is_not_null()
        those = group.filter(has_one).sort("ranked_cents", descending=True)
        leaders = those.head(max(config.fewest_leaders, those.height // 4))
        is_told = those.height >= config.fewest_peers
        told[name] = {
            "median": _rounded(those[name].median()) if is_told else None,
            "leaders": _rounded(leaders[name].mean()) if is_told else None,
        }
    return told


def _rounded(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)

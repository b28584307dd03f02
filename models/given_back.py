"""Sale lines less what came back of them, from the moment on at which that was known.

A return lowers the line that it gives back, not the day on which it came: models learn what was kept. What is
given back wholly is no sale any more. A return that names no line lowers the newest earlier sale of that sku
to that consumer; without a consumer it lowers nothing. A closed `return` case of after-sales without a return
line gives the whole line back, a closed `refund` case its money alone; generated cases tell nothing.
"""

from __future__ import annotations

import polars as pl

_NOTHING = 1e-9
_LINE = ["order_id", "line_no"]
_SCALED = ("list_price_cents", "promo_discount_cents", "coupon_discount_cents")
"""Amounts of a line that shrink with its quantity; what was paid shrinks by what was refunded."""


def kept(lines: pl.DataFrame, returned: pl.DataFrame, closed: pl.DataFrame) -> pl.DataFrame:
    """Sale lines less what came back.

    Args:
        lines: `order_id`, `line_no`, `consumer_id`, `sku_id`, `placed_at`, `qty`, `net_paid_cents`; with
            `received_at` and `superseded_at` in every state that was known, without them as they stand.
        returned: Return lines: `order_id`, `line_no`, `consumer_id` (each null where it is not named),
            `sku_id`, `placed_at`, `qty` (units that came back), `cents` and `known_at` (UTC).
        closed: Closed cases: `order_id`, `line_no`, `is_whole` (a return, else money alone), `cents` and
            `known_at` (UTC).

    Returns:
        The lines in the given columns, order kept where nothing came back. A state of an order in which
        something came back becomes two: before and since. All lines of a state share its two moments.
    """
    given = _given_back(lines, returned, closed)
    if given.is_empty():
        return lines
    touched = pl.col("order_id").is_in(given["order_id"].unique().implode())
    has_states = "superseded_at" in lines.columns
    pieces = _pieces(lines.filter(touched), given) if has_states else lines.filter(touched)
    since = pl.col("known_at") <= pl.col("received_at") if has_states else pl.lit(True)
    numbered = pieces.with_row_index("piece")
    lowered = (
        numbered.join(given, on=_LINE)
        .filter(since)
        .group_by("piece")
        .agg(back=pl.col("back").sum(), cents=pl.col("cents").sum())
    )
    left = (pl.col("qty") - pl.col("back")).cast(lines.schema["qty"])
    scale = pl.col("back").is_not_null() & (pl.col("qty") > 0)
    net = (
        numbered.join(lowered, on="piece", how="left", maintain_order="left")
        .with_columns(
            pl.when(scale)
            .then((pl.col(name) * left / pl.col("qty")).round().cast(pl.Int64))
            .otherwise(pl.col(name))
            .alias(name)
            for name in _SCALED
            if name in lines.columns
        )
        .with_columns(
            qty=pl.when(scale).then(left).otherwise(pl.col("qty")),
            net_paid_cents=(pl.col("net_paid_cents") - pl.col("cents").fill_null(0)).clip(0),
        )
        .filter(pl.col("qty") > _NOTHING)
        .select(lines.columns)
    )
    order = ["placed_at", *_LINE, *(["received_at"] if has_states else [])]
    return pl.concat([lines.filter(~touched), net.cast(lines.schema)]).sort(order, maintain_order=True)


def _given_back(lines: pl.DataFrame, returned: pl.DataFrame, closed: pl.DataFrame) -> pl.DataFrame:
    """`order_id`, `line_no`, `back` (units), `cents`, `known_at`, one row a return and line."""
    standing = lines.filter(pl.col("superseded_at").is_null()) if "superseded_at" in lines.columns else lines
    sold = standing.unique(_LINE, keep="last", maintain_order=True).select(
        *_LINE,
        "consumer_id",
        "sku_id",
        "placed_at",
        sold=pl.col("qty").cast(pl.Float64),
        paid="net_paid_cents",
    )
    named = returned.filter(pl.col("order_id").is_not_null())
    # Only the order is named: its first line of that sku.
    by_sku = (
        named.filter(pl.col("line_no").is_null())
        .drop("line_no")
        .join(
            sold.sort(_LINE)
            .unique(["order_id", "sku_id"], keep="first")
            .select("order_id", "sku_id", "line_no"),
            on=["order_id", "sku_id"],
        )
    )
    unnamed = (
        returned.filter(pl.col("order_id").is_null() & pl.col("consumer_id").is_not_null())
        .drop(_LINE)
        .sort("placed_at")
        .join_asof(
            sold.filter(pl.col("consumer_id").is_not_null())
            .sort("placed_at", *_LINE)
            .select("consumer_id", "sku_id", "placed_at", *_LINE),
            on="placed_at",
            by=["consumer_id", "sku_id"],
            check_sortedness=False,
        )
        .filter(pl.col("order_id").is_not_null())
    )
    columns = [*_LINE, pl.col("qty").alias("back"), "cents", "known_at"]
    by_lines = pl.concat(
        part.with_columns(pl.col("line_no").cast(pl.Int32)).select(columns)
        for part in (named.filter(pl.col("line_no").is_not_null()), by_sku, unnamed)
    )
    keys = sold.with_columns(pl.col("line_no").cast(pl.Int32))
    by_cases = (
        closed.with_columns(pl.col("line_no").cast(pl.Int32))
        .join(by_lines.select(_LINE).unique(), on=_LINE, how="anti", maintain_order="left")
        .join(keys.select(*_LINE, "sold", "paid"), on=_LINE, maintain_order="left")
        .select(
            *_LINE,
            back=pl.when(pl.col("is_whole")).then("sold").otherwise(0.0),
            cents=pl.when(pl.col("is_whole"))
            .then(pl.max_horizontal("paid", pl.col("cents").fill_null(0)))
            .otherwise(pl.col("cents").fill_null(0)),
            known_at="known_at",
        )
    )
    return (
        pl.concat([by_lines, by_cases], how="vertical_relaxed")
        .join(keys.select(_LINE), on=_LINE, how="semi", maintain_order="left")
        .with_columns(pl.col("line_no").cast(lines.schema["line_no"]))
    )


def _pieces(lines: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    """The states of orders, cut at the moments at which something of them came back."""
    state = ["order_id", "received_at", "superseded_at"]
    states = lines.select(state).unique()
    moments = given.select("order_id", begins="known_at").unique()
    inside = (pl.col("begins") > pl.col("received_at")) & (
        pl.col("superseded_at").is_null() | (pl.col("begins") < pl.col("superseded_at"))
    )
    begins = pl.concat(
        [
            states.with_columns(begins="received_at"),
            states.join(moments, on="order_id").filter(inside).select(*state, "begins"),
        ],
        how="vertical_relaxed",
    ).unique()
    ends = begins.sort("begins").with_columns(
        ends=pl.col("begins").shift(-1).over("order_id", "received_at").fill_null(pl.col("superseded_at"))
    )
    return (
        lines.join(ends, on=state, nulls_equal=True, maintain_order="left")
        .with_columns(received_at="begins", superseded_at="ends")
        .drop("begins", "ends")
        .select(lines.columns)
    )

"""Sale lines less what came back of them, from the moment on at which that was known.

A return lowers the line that it gives back, not the day on which it came: models learn what was kept. What is
given back wholly is no sale any more. A return that names no line lowers the newest earlier sales of that sku
to that consumer; without a consumer it lowers nothing. A closed `return` case of after-sales without a return
line gives the whole line back, a closed `refund` case its money alone; generated cases tell nothing.
"""

from __future__ import annotations

from datetime import datetime

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


def units_given_back(lines: pl.DataFrame, returned: pl.DataFrame, closed: pl.DataFrame) -> pl.DataFrame:
    """Units that came back of each sale line, for readers that sum lines themselves.

    Args:
        lines: As for `kept`, as they stand; at least the lines of the orders that returns and cases name, and
            those of the consumers and skus of returns that name none.
        returned: As for `kept`.
        closed: As for `kept`.

    Returns:
        order_id, line_no (as in `lines`) and back_qty (float, above 0, at most what was sold); one row a line
        of which something came back, sorted.
    """
    sold = lines.select(*_LINE, sold_qty=pl.col("qty").cast(pl.Float64))
    return (
        _given_back(lines, returned, closed)
        .group_by(_LINE)
        .agg(back_qty=pl.col("back").sort().sum())
        .join(sold, on=_LINE, how="inner")
        .select(*_LINE, back_qty=pl.min_horizontal("back_qty", "sold_qty"))
        .filter(pl.col("back_qty") > _NOTHING)
        .sort(_LINE)
    )


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
    by_lines = _by_lines(returned, sold)
    keys = sold.with_columns(pl.col("line_no").cast(pl.Int32))
    first = by_lines.group_by(_LINE).agg(named_at=pl.col("known_at").min())
    by_cases = (
        closed.with_columns(pl.col("line_no").cast(pl.Int32))
        .join(first, on=_LINE, how="left", maintain_order="left")
        .filter(pl.col("named_at").is_null() | (pl.col("known_at") < pl.col("named_at")))
        .join(keys.select(*_LINE, "sold", "paid"), on=_LINE, maintain_order="left")
        .select(
            *_LINE,
            back=pl.when(pl.col("is_whole")).then("sold").otherwise(0.0),
            cents=pl.when(pl.col("is_whole"))
            .then(pl.max_horizontal("paid", pl.col("cents").fill_null(0)))
            .otherwise(pl.col("cents").fill_null(0)),
            known_at="known_at",
            named_at="named_at",
        )
    )
    # A case tells until a return line does: what it told is taken back then, and not before.
    until = by_cases.filter(pl.col("named_at").is_not_null()).select(
        *_LINE, back=-pl.col("back"), cents=-pl.col("cents"), known_at="named_at"
    )
    by_cases = pl.concat([by_cases.drop("named_at"), until], how="vertical_relaxed")
    return (
        pl.concat([by_lines, by_cases], how="vertical_relaxed")
        .join(keys.select(_LINE), on=_LINE, how="semi", maintain_order="left")
        .with_columns(pl.col("line_no").cast(lines.schema["line_no"]))
    )


def _by_lines(returned: pl.DataFrame, sold: pl.DataFrame) -> pl.DataFrame:
    """Which sold line each return takes from: `order_id`, `line_no` (int32), `back`, `cents`, `known_at`.

    A return that names no line takes what is left of the newest lines of that sku first: of the order that it
    names, or of what that consumer bought before. Returns come in the order in which they were known.
    """
    columns = [*_LINE, pl.col("qty").alias("back"), "cents", "known_at"]
    returned = returned.with_columns(pl.col("line_no").cast(pl.Int32), pl.col("qty").cast(pl.Float64))
    named = returned.filter(pl.col("order_id").is_not_null() & pl.col("line_no").is_not_null())
    if named.height == returned.height:
        return named.select(columns)
    left: dict[tuple[str, int], float] = {}
    of_order: dict[tuple[str, str], list[tuple[str, int]]] = {}
    of_consumer: dict[tuple[str, str], list[tuple[datetime, tuple[str, int]]]] = {}
    for order, line, consumer, sku, at, units in (
        sold.sort("placed_at", *_LINE)
        .select(*_LINE, "consumer_id", "sku_id", "placed_at", "sold")
        .iter_rows()
    ):
        left[order, line] = units
        of_order.setdefault((order, sku), []).append((order, line))
        of_consumer.setdefault((consumer, sku), []).append((at, (order, line)))
    found: list[tuple[str, int, float, int, datetime]] = []
    for order, line, consumer, sku, at, units, cents, known in (
        returned.sort("known_at", "placed_at", maintain_order=True)
        .select(*_LINE, "consumer_id", "sku_id", "placed_at", "qty", "cents", "known_at")
        .iter_rows()
    ):
        if order is not None and line is not None:
            left[order, line] = left.get((order, line), 0.0) - units
            found.append((order, line, units, cents, known))
            continue
        if order is not None:
            lines = of_order.get((order, sku), [])
        else:
            lines = [key for bought, key in of_consumer.get((consumer, sku), []) if bought <= at]
        open_units, open_cents = units, cents
        for key in reversed(lines if consumer is not None or order is not None else []):
            taken = min(open_units, max(left[key], 0.0))
            if taken <= _NOTHING:
                continue
            is_last = taken >= open_units - _NOTHING
            money = open_cents if is_last else round(cents * taken / units)
            found.append((*key, taken, money, known))
            left[key] -= taken
            open_units, open_cents = open_units - taken, open_cents - money
            if is_last:
                break
    return pl.DataFrame(found, schema=named.select(columns).schema, orient="row")


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

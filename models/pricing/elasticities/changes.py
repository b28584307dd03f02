"""Week-to-week changes of quantity and price inside one sku and merchant: the rows elasticities learn from.

A change with no sale in one of its two weeks is kept: a price rise often shows as no sale at all, and leaving
such weeks out makes demand look far less elastic than it is. A week without a sale has no price of its own,
so the price change is that of the OTHER merchants who sold the sku in both weeks; it cannot be moved by this
merchant's own sales. Data of one merchant have no others; then the own price is used, and only changes with
sales in both weeks remain. No estimation happens here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from models.errors import InsufficientDataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PriceSource = Literal["others", "own"]

UNKNOWN_CATEGORY = "unknown"
BULK_UNITS = 10
"""Units a week from which log changes of quantity are treated as normal."""

LINE_COLUMNS = (
    "sku_id",
    "merchant_id",
    "week_start_on",
    "placed_on",
    "qty",
    "list_price_cents",
    "promo_discount_cents",
    "is_on_display",
    "is_on_mailer",
    "is_merchandise",
    "category_l3_id",
    "category_l2_id",
)


@dataclass(frozen=True)
class Changes:
    """One row a sku, merchant and pair of neighbouring weeks with a sale in at least one.

    Attributes:
        sku: int64 (n,), position in `sku_ids`.
        week: int64 (n,), position of the second week, counted from `first_week`.
        before_qty: float64 (n,), units sold in the first week.
        after_qty: float64 (n,), units sold in the second week.
        log_price: float64 (n,), change of the log unit price (shelf price after promotion, before coupons).
        display: float64 (n,), change of the share of merchants with the sku on display.
        mailer: float64 (n,), the same for the mailer.
        own_log_price: float64 (n,), change of the merchant's own log price; NaN unless both weeks sold.
        promoted: float64 (n,), largest share on display or mailer in either week, 0-1.
        category_log_price: float64 (n,), mean change of the log prices of the merchant's other skus of the
            category, weighted with the units that each sold so far; 0 where none sold in both weeks, and
            beside prices of other merchants: there the few that sold twice add noise and explain nothing.
        cluster: int64 (n,), which sku and second week the row belongs to.
        cluster_sku: int64 (n_clusters,), sku of each cluster; clusters are ordered by sku and week.
        cluster_week: int64 (n_clusters,), second week of each cluster.
        price_source: Whether `log_price` is that of other merchants or the own one.
        sku_ids: All skus of the input in order, those without a change included.
        l3_of_sku: int64, position in `l3_ids` of each sku.
        l3_ids: Categories of level 3 in order.
        l2_of_l3: int64, position in `l2_ids` of each level 3 category.
        l2_ids: Categories of level 2 in order.
        first_week: Monday of week 0.
        n_weeks: Complete weeks covered.
        input_rows: Order lines used.
    """

    sku: IntArray
    week: IntArray
    before_qty: FloatArray
    after_qty: FloatArray
    log_price: FloatArray
    display: FloatArray
    mailer: FloatArray
    own_log_price: FloatArray
    promoted: FloatArray
    category_log_price: FloatArray
    cluster: IntArray
    cluster_sku: IntArray
    cluster_week: IntArray
    price_source: PriceSource
    sku_ids: list[str]
    l3_of_sku: IntArray
    l3_ids: list[str]
    l2_of_l3: IntArray
    l2_ids: list[str]
    first_week: date
    n_weeks: int
    input_rows: int

    @property
    def season(self) -> IntArray:
        """Which week effect a row has: that of its week; one for all with own prices of a single category.

        There a week effect would be the category's answer to its own prices.
        """
        is_one_category = self.price_source == "own" and len(self.l3_ids) == 1
        return np.zeros_like(self.week) if is_one_category else self.week

    @property
    def sells_in_bulk(self) -> bool:
        """Whether log changes are nearly normal: both weeks sold, most with `BULK_UNITS` at least."""
        sold = np.minimum(self.before_qty, self.after_qty)
        return self.price_source == "own" and len(sold) > 0 and float(np.median(sold)) >= BULK_UNITS


class _Pairs(NamedTuple):
    """The row-wise part of `Changes`, by the same names."""

    sku: IntArray
    week: IntArray
    before_qty: FloatArray
    after_qty: FloatArray
    log_price: FloatArray
    display: FloatArray
    mailer: FloatArray
    own_log_price: FloatArray
    promoted: FloatArray
    category_log_price: FloatArray
    cluster: IntArray
    cluster_sku: IntArray
    cluster_week: IntArray
    price_source: PriceSource


@dataclass(frozen=True)
class _Cells:
    """Sold cells in order of key = (sku * n_merchants + merchant) * n_weeks + week."""

    key: IntArray
    qty: FloatArray
    log_price: FloatArray
    display: FloatArray
    mailer: FloatArray


def build_changes(
    lines: pl.DataFrame,
    *,
    min_other_merchants: int = 1,
    min_changes: int = 500,
    like: Changes | None = None,
) -> Changes:
    """Turn order lines into week-to-week changes.

    Args:
        lines: Order lines as known at the moment of training; columns as `LINE_COLUMNS`, others are not read.
        min_other_merchants: Other merchants needed in both weeks for their mean price to be used.
        min_changes: Fewest changes with other merchants' prices; below it the own price is used.
        like: Changes whose skus, categories, weeks and source of prices are taken over, so that a model of
            these can be judged by those. Lines of other skus and weeks are left out.

    Returns:
        The changes, sorted by sku, merchant and week.

    Raises:
        InsufficientDataError: No merchandise line, or fewer than two complete weeks.

    Note:
        A week is used once its seven days are covered by the data, so a running week never looks like a
        fall in demand.
    """
    lines = lines.select(LINE_COLUMNS)
    used = lines.filter(
        pl.col("is_merchandise")
        & (pl.col("qty") > 0)
        & (pl.col("list_price_cents") - pl.col("promo_discount_cents") >= pl.col("qty"))
    )
    if used.is_empty():
        raise InsufficientDataError("elasticities: no merchandise order line with a price; load orders first")
    source: PriceSource | None = None
    if like is None:
        first_week, n_weeks = _complete_weeks(lines, used)
        sku_ids, l3_of_sku, l3_ids, l2_of_l3, l2_ids = _categories(lines)
    else:
        first_week, n_weeks, source = like.first_week, like.n_weeks, like.price_source
        sku_ids, l3_of_sku, l3_ids, l2_of_l3, l2_ids = (
            like.sku_ids, like.l3_of_sku, like.l3_ids, like.l2_of_l3, like.l2_ids,
        )  # fmt: skip
    used = used.filter(
        pl.col("week_start_on").is_between(first_week, first_week + timedelta(weeks=n_weeks - 1))
        & pl.col("sku_id").is_in(pl.Series(sku_ids, dtype=pl.String).implode())
    )
    merchant_ids = sorted(used.get_column("merchant_id").unique().to_list())
    cells = _cells(used, sku_ids, merchant_ids, first_week, n_weeks)
    category = _Categories(len(merchant_ids), n_weeks, l3_of_sku)
    pairs = _pair_weeks(cells, category, min_other_merchants, min_changes, source)
    return Changes(
        *pairs,
        sku_ids=sku_ids,
        l3_of_sku=l3_of_sku,
        l3_ids=l3_ids,
        l2_of_l3=l2_of_l3,
        l2_ids=l2_ids,
        first_week=first_week,
        n_weeks=n_weeks,
        input_rows=used.height,
    )


def build_own_changes(weeks: pl.DataFrame) -> Changes:
    """Changes of sellers' own prices, from a table of weeks.

    Args:
        weeks: item_id, seller_id, at (Monday), quantity and price (above 0), promotion (0-1), category_id
            (one level); one row an item, seller and week.

    Returns:
        The changes between neighbouring weeks with sales in both; promotion stands as display.

    Raises:
        InsufficientDataError: No week, or only one.
    """
    first, newest = weeks.get_column("at").min(), weeks.get_column("at").max()
    if not isinstance(first, date) or not isinstance(newest, date) or newest <= first:
        raise InsufficientDataError("elasticities: at least 2 weeks of sales are needed")
    n_weeks = (newest - first).days // 7 + 1
    items = weeks.group_by("item_id").agg(pl.col("category_id").min()).sort("item_id")
    sku_ids = items.get_column("item_id").to_list()
    l3_ids = sorted(items.get_column("category_id").unique().to_list())
    sellers = sorted(weeks.get_column("seller_id").unique().to_list())
    key = _codes(weeks.get_column("item_id"), sku_ids) * len(sellers)
    key = (key + _codes(weeks.get_column("seller_id"), sellers)) * n_weeks
    key = key + (weeks.get_column("at") - first).dt.total_days().to_numpy() // 7
    order = np.argsort(key, kind="stable")
    promotion = weeks.get_column("promotion").to_numpy()[order]
    cells = _Cells(
        key[order],
        weeks.get_column("quantity").to_numpy()[order],
        np.log(weeks.get_column("price").to_numpy()[order]),
        promotion,
        np.zeros(len(order)),
    )
    l3_of_sku = _codes(items.get_column("category_id"), l3_ids)
    place = _Categories(len(sellers), n_weeks, l3_of_sku)
    return Changes(
        *_pair_weeks(cells, place, 1, 0, "own"),
        sku_ids=sku_ids,
        l3_of_sku=l3_of_sku,
        l3_ids=l3_ids,
        l2_of_l3=np.zeros(len(l3_ids), dtype=np.int64),
        l2_ids=["all"],
        first_week=first,
        n_weeks=n_weeks,
        input_rows=weeks.height,
    )


def _complete_weeks(lines: pl.DataFrame, used: pl.DataFrame) -> tuple[date, int]:
    """The first week of the used lines, and how many weeks up to the newest that the data cover."""
    last_day = lines.get_column("placed_on").max()
    assert isinstance(last_day, date)
    weeks = used.get_column("week_start_on")
    weeks = weeks.filter(weeks <= last_day - timedelta(days=6))
    first, newest = weeks.min(), weeks.max()
    count = (newest - first).days // 7 + 1 if isinstance(first, date) and isinstance(newest, date) else 0
    if not isinstance(first, date) or count < 2:
        raise InsufficientDataError(
            f"elasticities: {count} complete week(s) of orders; at least 2 are needed"
        )
    return first, count


def _categories(lines: pl.DataFrame) -> tuple[list[str], IntArray, list[str], IntArray, list[str]]:
    """Skus and their place in the tree; the smallest id wins where the data disagree."""
    skus = (
        lines.filter(pl.col("is_merchandise"))
        .group_by("sku_id")
        .agg(pl.col("category_l3_id", "category_l2_id").min())
        .with_columns(pl.col("category_l3_id", "category_l2_id").fill_null(UNKNOWN_CATEGORY))
        .sort("sku_id")
    )
    l3 = skus.group_by("category_l3_id").agg(pl.col("category_l2_id").min()).sort("category_l3_id")
    l3_ids = l3.get_column("category_l3_id").to_list()
    l2_ids = sorted(l3.get_column("category_l2_id").unique().to_list())
    return (
        skus.get_column("sku_id").to_list(),
        _codes(skus.get_column("category_l3_id"), l3_ids),
        l3_ids,
        _codes(l3.get_column("category_l2_id"), l2_ids),
        l2_ids,
    )


def _codes(values: pl.Series, ids: list[str]) -> IntArray:
    """Positions of the values in a list of distinct ids."""
    return values.cast(pl.Enum(ids)).to_physical().cast(pl.Int64).to_numpy()


def _cells(
    used: pl.DataFrame, sku_ids: list[str], merchant_ids: list[str], first_week: date, n_weeks: int
) -> _Cells:
    """Sum the lines of each sku, merchant and week."""
    week = (used.get_column("week_start_on") - first_week).dt.total_days().to_numpy() // 7
    key = _codes(used.get_column("sku_id"), sku_ids) * len(merchant_ids)
    key = (key + _codes(used.get_column("merchant_id"), merchant_ids)) * n_weeks + week
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))

    def summed(column: pl.Series) -> FloatArray:
        return np.add.reduceat(column.cast(pl.Float64).to_numpy()[order], starts)

    qty = summed(used.get_column("qty"))
    paid = summed(used.get_column("list_price_cents") - used.get_column("promo_discount_cents"))
    on_display = summed(used.get_column("is_on_display").fill_null(False)) > 0
    on_mailer = summed(used.get_column("is_on_mailer").fill_null(False)) > 0
    return _Cells(
        key[starts], qty, np.log(paid / qty), on_display.astype(np.float64), on_mailer.astype(np.float64)
    )


class _Categories(NamedTuple):
    """How the keys of cells are made, and the category of each sku."""

    n_merchants: int
    n_weeks: int
    l3_of_sku: IntArray


def _pair_weeks(
    cells: _Cells,
    place: _Categories,
    min_others: int,
    min_changes: int,
    source: PriceSource | None,
) -> _Pairs:
    """Put neighbouring weeks side by side and give each pair its price change."""
    n_merchants, n_weeks, _ = place
    week = cells.key % n_weeks
    first = _sorted_distinct(np.concatenate([cells.key[week < n_weeks - 1], cells.key[week > 0] - 1]))
    before, sold_before = _find(cells.key, first)
    after, sold_after = _find(cells.key, first + 1)
    sku, week_of_first = first // (n_weeks * n_merchants), first % n_weeks

    # Sums over merchants of a sku and week; taking the own cell away leaves the others. Positions in
    # `cell_week` are already grouped by sku, so only the weeks inside a sku have to be sorted.
    cell_week = cells.key // (n_weeks * n_merchants) * n_weeks + week
    weeks_sold = _sorted_distinct(cell_week)
    group = np.searchsorted(weeks_sold, cell_week)
    merchants = np.bincount(group)
    sides = []
    for at, cell, sold in ((0, before, sold_before), (1, after, sold_after)):
        position, found = _find(weeks_sold, sku * n_weeks + week_of_first + at)
        count = np.where(found, merchants[position] - sold, 0)
        sides.append((position, cell, sold, np.where(count >= max(min_others, 1), count, np.nan)))

    def means(values: FloatArray) -> list[FloatArray]:
        total = np.bincount(group, values)
        return [
            (total[position] - np.where(sold, values[cell], 0.0)) / count
            for position, cell, sold, count in sides
        ]

    def change(values: FloatArray) -> FloatArray:
        mean_before, mean_after = means(values)
        return mean_after - mean_before

    both = sold_before & sold_after
    own = np.where(both, cells.log_price[after] - cells.log_price[before], np.nan)
    keep = np.isfinite(sides[0][3]) & np.isfinite(sides[1][3])
    if source is None:
        source = "others" if int(keep.sum()) >= min_changes else "own"
    shown = np.maximum(cells.display, cells.mailer)
    if source == "others":
        log_price, display, mailer = change(cells.log_price), change(cells.display), change(cells.mailer)
        promoted, category = np.maximum(*means(shown)), np.zeros(len(first))
    else:
        keep, log_price = both, own
        display = cells.display[after] - cells.display[before]
        mailer = cells.mailer[after] - cells.mailer[before]
        promoted = np.maximum(shown[after], shown[before])
        category = _category_moves(cells, place, first, before, own)
    return _Pairs(
        sku=sku[keep],
        week=week_of_first[keep] + 1,
        before_qty=np.where(sold_before, cells.qty[before], 0.0)[keep],
        after_qty=np.where(sold_after, cells.qty[after], 0.0)[keep],
        log_price=log_price[keep],
        display=display[keep],
        mailer=mailer[keep],
        own_log_price=own[keep],
        promoted=promoted[keep],
        category_log_price=category[keep],
        cluster=sides[1][0][keep],
        cluster_sku=weeks_sold // n_weeks,
        cluster_week=weeks_sold % n_weeks,
        price_source=source,
    )


def _category_moves(
    cells: _Cells, place: _Categories, first: IntArray, before: IntArray, own: FloatArray
) -> FloatArray:
    """Mean change of the log prices of the merchant's other skus of the category, float64 like `first`."""
    series = cells.key // place.n_weeks
    so_far = np.cumsum(cells.qty)
    starts = np.flatnonzero(np.diff(series, prepend=-1))
    base = np.repeat(so_far[starts] - cells.qty[starts], np.diff(np.append(starts, len(series))))
    weight = np.where(np.isfinite(own), (so_far - base)[before], 0.0)
    moved = weight * np.nan_to_num(own)
    merchant = first // place.n_weeks % place.n_merchants
    l3 = place.l3_of_sku[first // (place.n_weeks * place.n_merchants)]
    group = (l3 * place.n_merchants + merchant) * place.n_weeks + first % place.n_weeks
    _, group = np.unique(group, return_inverse=True)
    others = np.bincount(group, weight)[group] - weight
    total = np.bincount(group, moved)[group] - moved
    # Sums of floats leave dust where a sku is alone.
    known = others > 1e-9 * np.maximum(weight, 1.0)
    return np.where(known, total / np.where(known, others, 1.0), 0.0)


def _sorted_distinct(values: IntArray) -> IntArray:
    """Distinct values in order; sorting beats hashing on nearly sorted keys."""
    ordered = np.sort(values, kind="stable")
    return ordered[np.diff(ordered, prepend=ordered[:1] - 1) != 0]


def _find(ordered: IntArray, wanted: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Position of each wanted key in the ordered keys, and whether it is there."""
    position = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return position, ordered[position] == wanted

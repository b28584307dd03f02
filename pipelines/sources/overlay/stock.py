"""The weekly stock of the best-selling skus at their primary supplier: one plan that two tables read.

`offers` quotes the balance at the start of a week, `inventory_movements` lists the movements that make it
up, so the two agree by construction. Lives here: the plan. Does not live here: prices, backup suppliers, any
output row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import (
    HOUR,
    WEEK,
    Ints,
    local_week_start,
    micros_of,
)
from pipelines.sources.overlay.truths import head_skus

SUPPLIERS_OF_TWO_WAREHOUSES = 3
"""So many of the largest suppliers keep a part of their goods in a second warehouse."""

_WIND_DOWN_WEEKS = 6
"""Stock-outs stop ordering and slow movers overstock from this many weeks before the last report."""


@dataclass(frozen=True)
class StockPlan:
    """Stock of `skus` (n) over the weeks (w) from `first_week` (UTC microseconds of a local Monday).

    Args:
        skus: sku_id, supplier_id, shelf_price_cents..., one row per planned sku, best sellers first.
        first_week: start of week 0.
        report_week: index of the last week whose start has been reported by `as_of`.
        opening: units in stock before week 0 (n,).
        opening_balance: units at the start of each week, before its deliveries (n, w).
        inbound: units delivered at the start of each week (n, w).
        sold: units sold in each week (n, w), observed.
        written_off: units counted out just before the report week (n,); only stock-outs have any.
        elsewhere: units brought to a second warehouse in the report week (n,); only the largest suppliers
            have one, and nothing is sold from it since.
        last_sale_at: UTC microseconds of the week's last sale (n, w), 0 without one.
    """

    skus: pl.DataFrame
    first_week: int
    report_week: int
    opening: Ints
    opening_balance: Ints
    inbound: Ints
    sold: Ints
    written_off: Ints
    elsewhere: Ints
    last_sale_at: Ints

    @property
    def weeks(self) -> int:
        """Number of weeks."""
        return int(self.sold.shape[1])

    @property
    def report_start(self) -> int:
        """UTC microseconds at which the last reported week begins."""
        return self.first_week + self.report_week * WEEK

    def week_start(self, week: Ints) -> Ints:
        """Return UTC microseconds at which the given weeks begin."""
        return self.first_week + week * WEEK


def calendar(context: Context) -> tuple[int, int, int]:
    """Return first week start (UTC microseconds), number of weeks, index of the last reported week.

    A report of the stock at Monday 00:00 needs two hours to reach us.
    """
    placed = micros_of(context.observed.sorted_orders["placed_at"])
    bounds = np.array([placed[0], placed[-1], context.end - 2 * HOUR], dtype=np.int64)
    first, last, report = local_week_start(bounds, context.utc_offset_hours).tolist()
    return first, (last - first) // WEEK + 1, max(0, (report - first) // WEEK)


def stock_plan(context: Context) -> StockPlan:
    """Simulate weekly review: order up to a cover of the trailing mean demand; observed sales are always met.

    Where the policy would run dry, the delivery covers the week's observed sales, because those units did
    leave the shelf, and half the target: only the planted stock-outs, whose target is 0, end a week empty.
    """
    first, weeks, report = calendar(context)
    weeks = max(weeks, report + 1)
    skus = head_skus(context.observed, weeks).with_row_index("sku_ix")
    sold, last_sale = _weekly_sales(context, skus, first, weeks)
    n = skus.height
    rng = context.rng("stock")
    cover = rng.uniform(1.5, 4.0, n)
    stock_out = _member(skus, context.truths.stock_out_skus)
    slow = _member(skus, context.truths.slow_mover_skus)
    mean = sold.mean(axis=1) if weeks else np.zeros(n)
    wind_down = max(0, report - _WIND_DOWN_WEEKS)

    opening = np.ceil(cover * np.maximum(mean, 0.5)).astype(np.int64)
    balance, inbound = np.zeros((n, weeks), np.int64), np.zeros((n, weeks), np.int64)
    written_off = np.zeros(n, np.int64)
    on_hand = opening.copy()
    for week in range(weeks):  # over weeks, each step vectorised over skus
        if week == report:
            written_off = np.where(stock_out, on_hand, 0)
            on_hand = on_hand - written_off
        balance[:, week] = on_hand
        trailing = sold[:, :week].mean(axis=1) if week >= 4 else mean
        target = np.ceil(cover * np.maximum(trailing, 0.5)).astype(np.int64)
        if week >= wind_down:
            target = np.where(stock_out, 0, target)
            # Two spare weeks and more of cover: the few units sold after the delivery must not undo the
            # truth.
            buried = np.ceil((context.truths.slow_mover_cover_weeks + 4) * mean).astype(np.int64)
            target = np.where(slow & (week <= report), np.maximum(buried + sold[:, week], target), target)
        reorder_at = np.where(slow & (week >= wind_down), target, target // 2)
        delivery = np.where(on_hand < reorder_at, target - on_hand, 0)
        runs_dry = on_hand + delivery <= sold[:, week]
        delivery = np.where(runs_dry, sold[:, week] - on_hand + (target + 1) // 2, delivery)
        inbound[:, week] = delivery
        on_hand = on_hand + delivery - sold[:, week]
    left_over = (balance + inbound - sold)[:, report:].min(axis=1)
    elsewhere = _brought_elsewhere(context, skus, left_over)
    return StockPlan(
        skus.drop("sku_ix"), first, report, opening, balance, inbound, sold, written_off, elsewhere, last_sale
    )


def _brought_elsewhere(context: Context, skus: pl.DataFrame, left_over: Ints) -> Ints:
    """Return units in a second warehouse (n,): of the largest suppliers up to half of what nothing needs."""
    sizes = skus.group_by("supplier_id").len("n").sort(["n", "supplier_id"], descending=[True, False])
    largest = sizes["supplier_id"].head(SUPPLIERS_OF_TWO_WAREHOUSES)
    is_large = skus["supplier_id"].is_in(largest.implode()).to_numpy()
    share = context.rng("second_warehouses").uniform(0.0, 0.5, skus.height)
    units = np.floor(share * np.maximum(left_over, 0)).astype(np.int64)
    return np.where(is_large, units, 0)


def _member(skus: pl.DataFrame, chosen: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    return skus["sku_id"].is_in(pl.Series(chosen, dtype=pl.String).implode()).to_numpy()


def _weekly_sales(context: Context, skus: pl.DataFrame, first: int, weeks: int) -> tuple[Ints, Ints]:
    """Return units sold and time of the last sale, both (n skus, w weeks)."""
    lines = context.observed.lines.join(skus.select("sku_id", "sku_ix"), on="sku_id").with_columns(
        week=(pl.col("placed_at").to_physical() - first) // WEEK
    )
    cells = lines.group_by("sku_ix", "week").agg(
        qty=pl.col("qty").sum(), last=pl.col("placed_at").max().to_physical()
    )
    sold = np.zeros((skus.height, weeks), dtype=np.int64)
    last = np.zeros_like(sold)
    at = (cells["sku_ix"].to_numpy(), cells["week"].to_numpy())
    sold[at] = cells["qty"].to_numpy()
    last[at] = cells["last"].to_numpy()
    return sold, last

"""The weekly panel: category x merchant sales with zeros, promotions, relative prices and calendar.

Which series stand alone and which are pooled is decided here. No model and no forecast lives here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.demand.config import POOLED_MERCHANT, DemandConfig
from models.demand.panel.calendar import calendar_inputs, last_complete_week
from models.demand.panel.missing import KEY, MISSING, filled, weeks_without_stock
from models.errors import InsufficientDataError
from models.states import known_at, with_states

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

LEAST_SEEN = 0.25
"""What a small series sold in the newest weeks is scaled up four times at most for those that are missing."""

NO_PROMOTIONS = pl.Schema(
    {
        "category_l2_id": pl.String,
        "merchant_id": pl.String,
        "week_start_on": pl.Date,
        "display_sku_count": pl.Int64,
        "mailer_sku_count": pl.Int64,
    }
)
"""Columns of weekly promotions, for when none are asked about."""


@dataclass(frozen=True)
class Weekly:
    """Weekly sums of merchandise lines over complete local weeks.

    Attributes:
        frame: category_id, merchant_id, week_start_on, qty, net_paid_cents, lines; one row per key and week
            that sold.
        weeks: Every complete Monday from the first to the last, without gaps.
        missing: As `MISSING`: weeks in which nothing of a key could be bought, so that it has no sum, not 0.
    """

    frame: pl.DataFrame
    weeks: tuple[date, ...]
    missing: pl.DataFrame = field(default_factory=MISSING.to_frame)


@dataclass(frozen=True)
class Panel:
    """Series in rows, weeks in columns; row order is by (category_id, merchant_id).

    Attributes:
        category_id: Category of each series.
        merchant_id: Merchant of each series; `POOLED_MERCHANT` where small series are pooled.
        weeks: The T observed Mondays, then the H Mondays to forecast.
        qty: float32 (n, T), units a week; 0 in a week without sale and before the first sale, NaN in a week
            in which nothing of the series could be bought.
        start: int64 (n,), index of the first week with a sale; a later week without sale is a true 0, unless
            it is missing. T where nothing was sold.
        promo: float32 (n, T + H, 2), log1p of skus on display and of skus in the mailer.
        plan_known: bool (T + H,), False where no promotion of any series is on file for the week.
        log_price: float32 (n, T), log of the unit price over its own mean so far; carried through weeks
            without sale. Weeks to forecast have none: a realised price is not known in advance.
        calendar: float32 (T + H, C).
        category_qty: float32 (n, T), units of the series' category over all merchants, missing weeks filled.
        merchant_qty: float32 (n, T), units of the series' merchant over all its own series; of all pools for
            a pool. Missing weeks are filled.
        members: category_id, merchant_id, row (of the pooled series), share (of the pool's units).
    """

    category_id: tuple[str, ...]
    merchant_id: tuple[str, ...]
    weeks: tuple[date, ...]
    qty: Float32
    start: Int64
    promo: Float32
    plan_known: Bool
    log_price: Float32
    calendar: Float32
    category_qty: Float32
    merchant_qty: Float32
    members: pl.DataFrame

    @property
    def n_series(self) -> int:
        """Number of series, pools included."""
        return int(self.qty.shape[0])

    @property
    def n_weeks(self) -> int:
        """Number of observed weeks (T)."""
        return int(self.qty.shape[1])

    @property
    def filled(self) -> Float32:
        """float32 (n, T), `qty` with the level before it in place of each missing week."""
        return filled(self.qty, self.start)

    @property
    def is_pooled(self) -> Bool:
        """Bool (n,), True for a pool of small series."""
        return np.array([m == POOLED_MERCHANT for m in self.merchant_id], dtype=np.bool_)


def known_lines(lines: pl.DataFrame, as_of: datetime) -> pl.LazyFrame:
    """Merchandise lines that were placed and known at a moment, in the state that stood then."""
    return (
        with_states(lines)
        .lazy()
        .filter(pl.col("is_merchandise") & (pl.col("placed_at") <= as_of) & known_at(as_of))
    )


def weekly_sales(
    lines: pl.DataFrame, as_of: datetime, config: DemandConfig, out_of_stock: pl.DataFrame | None = None
) -> Weekly:
    """Sum merchandise lines to category x merchant x local week; incomplete edge weeks are dropped.

    Args:
        lines: Columns of core.fct_order_lines, in every state that was known where they have the columns of
            `models.states`.
        as_of: Business time, with time zone; what was placed or received later is not seen, and a state that
            was superseded later still stands.
        config: Settings.
        out_of_stock: As `models.out_of_stock.OUT_OF_STOCK`; None where no stock is known.

    Returns:
        The sums. The first week is dropped when the data begin after its Monday; the last when more than
        `week_grace_hours` of it lie after `as_of`. Zero complete weeks give an empty result.
    """
    last = last_complete_week(as_of, config)
    first_day = lines["placed_on"].min()
    known = known_lines(lines, as_of)
    frame = (
        known.group_by(pl.col("category_l2_id").alias("category_id"), "merchant_id", "week_start_on")
        .agg(pl.col("qty").sum(), pl.col("net_paid_cents").sum(), pl.len().alias("lines"))
        .filter(pl.col("week_start_on") <= last)
        .sort("category_id", "merchant_id", "week_start_on")
        .collect()
    )
    if isinstance(first_day, date):
        frame = frame.filter(pl.col("week_start_on") >= first_day)
    first = frame["week_start_on"].min()
    if not isinstance(first, date):
        return Weekly(frame, ())
    count = (last - first).days // 7 + 1
    weeks = tuple(first + timedelta(weeks=k) for k in range(count))
    if out_of_stock is None:
        return Weekly(frame, weeks)
    return Weekly(frame, weeks, weeks_without_stock(known, out_of_stock, weeks, as_of, config))


def _own_series(weekly: Weekly, cut: int, min_weeks_on_sale: int, config: DemandConfig) -> pl.DataFrame:
    """Keys with enough signal before week index `cut`, sorted."""
    end = weekly.weeks[cut - 1]
    before = weekly.frame.filter(pl.col("week_start_on") <= end)
    large = (
        before.group_by("merchant_id")
        .agg(pl.col("lines").sum())
        .filter(pl.col("lines") >= config.min_merchant_lines)
        .select("merchant_id")
    )
    on_sale = (pl.lit(end) - pl.col("week_start_on").min()).dt.total_days() // 7 + 1
    missing = weekly.missing.filter(pl.col("week_start_on") <= end).group_by(KEY).agg(missing=pl.len())
    seen = pl.col("weeks") - pl.col("missing").fill_null(0)
    return (
        before.group_by(KEY)
        .agg(pl.col("qty").sum(), on_sale.alias("weeks"))
        .join(missing, on=KEY, how="left")
        .filter((pl.col("weeks") >= min_weeks_on_sale) & (pl.col("qty") >= config.min_weekly_units * seen))
        .join(large, on="merchant_id", how="semi")
        .select(KEY)
        .sort(KEY)
    )


def build_panel(
    weekly: Weekly,
    promotions_weekly: pl.DataFrame,
    config: DemandConfig,
    *,
    cut: int | None = None,
) -> Panel:
    """Arrange the weekly sums as a panel.

    A series stands alone when, counted before week index `cut`, it has been on sale for `min_weeks_on_sale`
    weeks (three quarters of the history where that is shorter), sells `min_weekly_units` a week that is not
    missing, and its merchant has `min_merchant_lines` lines. All others are pooled by category.

    Args:
        weekly: Sums from `weekly_sales`.
        promotions_weekly: Columns of int_promotions_weekly_category; may be empty.
        config: Settings.
        cut: Week index before which the choice of series looks; all of T when None. A backtest passes its
            first origin, so that survival into the test weeks does not choose the series.

    Returns:
        The panel with `config.horizon` weeks to forecast after the last observed one.

    Raises:
        InsufficientDataError: There is no complete week.
    """
    n_weeks = len(weekly.weeks)
    if n_weeks == 0:
        raise InsufficientDataError("demand: no complete week of merchandise sales; wait for a full week")
    cut = n_weeks if cut is None else cut
    return arrange(weekly, series_rows(weekly.frame, weekly, cut, config), promotions_weekly, config)


def series_rows(keys: pl.DataFrame, seen: Weekly, cut: int, config: DemandConfig) -> pl.DataFrame:
    """Which row of the panel each category of a merchant belongs to.

    Args:
        keys: category_id and merchant_id of everything that is to have a row; may repeat.
        seen: Sums by which the series that stand alone are chosen.
        cut: Week index before which the choice looks.
        config: Settings.

    Returns:
        category_id, merchant_id, series_merchant (`POOLED_MERCHANT` in a pool) and row, one row a key.
    """
    min_weeks = min(config.min_weeks_on_sale, max(1, 3 * cut // 4))
    own = _own_series(seen, cut, min_weeks, config)
    marked = (
        keys.select(KEY)
        .unique()
        .sort(KEY)
        .join(own.with_columns(own=pl.lit(value=True)), on=KEY, how="left")
        .with_columns(
            series_merchant=pl.when(pl.col("own").fill_null(value=False))
            .then(pl.col("merchant_id"))
            .otherwise(pl.lit(POOLED_MERCHANT))
        )
    )
    rows = (
        marked.select("category_id", "series_merchant")
        .unique()
        .sort("category_id", "series_merchant")
        .with_row_index("row")
    )
    return marked.join(rows, on=["category_id", "series_merchant"], how="left").drop("own")


def arrange(
    weekly: Weekly, series: pl.DataFrame, promotions_weekly: pl.DataFrame, config: DemandConfig
) -> Panel:
    """Put weekly sums into given rows.

    Args:
        weekly: The sums; every key has a row in `series`.
        series: From `series_rows`.
        promotions_weekly: Columns of int_promotions_weekly_category; may be empty.
        config: Settings.

    Returns:
        The panel; a row of which nothing was sold has zeros and starts after the last week.
    """
    n_weeks = len(weekly.weeks)
    weeks = weekly.weeks + tuple(weekly.weeks[-1] + timedelta(weeks=k) for k in range(1, config.horizon + 1))
    keys = series.select("category_id", "series_merchant", "row").unique().sort("row")
    marked = weekly.frame.join(series, on=KEY, how="left")
    sums = marked.group_by("row", "week_start_on").agg(pl.col("qty", "net_paid_cents").sum())
    rows = sums["row"].to_numpy().astype(np.int64)
    columns = _week_index(sums["week_start_on"], weeks[0])
    qty = np.zeros((keys.height, n_weeks), dtype=np.float32)
    qty[rows, columns] = sums["qty"].to_numpy()
    paid = np.zeros((keys.height, n_weeks))
    paid[rows, columns] = sums["net_paid_cents"].to_numpy()
    promo, plan_known = _promotions(promotions_weekly, series, weeks, keys.height)
    start = np.where((qty > 0).any(axis=1), np.argmax(qty > 0, axis=1), n_weeks).astype(np.int64)
    log_price = _relative_price(qty, paid)
    qty[_nothing_to_buy(weekly, series, qty.shape)] = np.nan
    units = filled(qty, start)
    return Panel(
        category_id=tuple(keys["category_id"]),
        merchant_id=tuple(keys["series_merchant"]),
        weeks=weeks,
        qty=qty,
        start=start,
        promo=promo,
        plan_known=plan_known,
        log_price=log_price,
        calendar=calendar_inputs(weeks, n_weeks, config).astype(np.float32),
        category_qty=_group_total(units, keys["category_id"]),
        merchant_qty=_group_total(units, keys["series_merchant"]),
        members=_members(marked, weekly.missing, weeks, n_weeks, config),
    )


def _nothing_to_buy(weekly: Weekly, series: pl.DataFrame, shape: tuple[int, int]) -> Bool:
    """Bool (n, T): weeks that are missing of all of a row that had begun; a pool has many."""
    begun, gone = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    if weekly.missing.is_empty():
        return gone > 0
    firsts = weekly.frame.group_by(KEY).agg(first=pl.col("week_start_on").min()).join(series, on=KEY)
    np.add.at(begun, (firsts["row"].to_numpy(), _week_index(firsts["first"], weekly.weeks[0])), 1)
    missing = weekly.missing.join(firsts, on=KEY).filter(pl.col("week_start_on") > pl.col("first"))
    np.add.at(gone, (missing["row"].to_numpy(), _week_index(missing["week_start_on"], weekly.weeks[0])), 1)
    return (gone > 0) & (gone == begun.cumsum(axis=1))


def _week_index(column: pl.Series, first: date) -> Int64:
    """Column index of each Monday."""
    return np.asarray(((column - first).dt.total_days() // 7).to_numpy(), dtype=np.int64)


def _promotions(
    promotions: pl.DataFrame, series: pl.DataFrame, weeks: Sequence[date], n_series: int
) -> tuple[Float32, Bool]:
    """log1p of promoted sku counts, summed over the members of a pool, and the weeks with a plan."""
    promo = np.zeros((n_series, len(weeks), 2), dtype=np.float32)
    plan_known = np.zeros(len(weeks), dtype=np.bool_)
    inside = promotions.filter(pl.col("week_start_on").is_between(weeks[0], weeks[-1]))
    if inside.height == 0:
        return promo, plan_known
    plan_known[np.unique(_week_index(inside["week_start_on"], weeks[0]))] = True
    counts = (
        inside.rename({"category_l2_id": "category_id"})
        .join(series.select(*KEY, "row"), on=KEY, how="inner")
        .group_by("row", "week_start_on")
        .agg(pl.col("display_sku_count", "mailer_sku_count").cast(pl.Float64).sum())
    )
    rows = counts["row"].to_numpy().astype(np.int64)
    columns = _week_index(counts["week_start_on"], weeks[0])
    for axis, name in enumerate(("display_sku_count", "mailer_sku_count")):
        promo[rows, columns, axis] = np.log1p(counts[name].to_numpy())
    return promo, plan_known


def _group_total(qty: Float32, group: pl.Series) -> Float32:
    """Each row's group total, float32 (n, T)."""
    code = group.rank("dense").to_numpy().astype(np.int64) - 1
    total = np.zeros((int(code.max()) + 1, qty.shape[1]), dtype=np.float32)
    np.add.at(total, code, qty)
    return total[code]


def _relative_price(qty: Float32, paid: npt.NDArray[np.float64]) -> Float32:
    """log(unit price / mean unit price so far), carried through weeks without sale, within +-1."""
    cum_qty = np.cumsum(qty, axis=1, dtype=np.float64)
    cum_paid = np.cumsum(paid, axis=1)
    valid = (qty > 0) & (paid > 0)
    ratio = np.zeros(qty.shape)
    np.divide(paid * cum_qty, qty * cum_paid, out=ratio, where=valid)
    logs = np.zeros(qty.shape)
    np.log(ratio, out=logs, where=valid)
    newest = np.maximum.accumulate(np.where(valid, np.arange(qty.shape[1]), -1), axis=1)
    carried = np.where(newest >= 0, np.take_along_axis(logs, np.maximum(newest, 0), axis=1), 0.0)
    return np.clip(carried, -1, 1).astype(np.float32)


def _members(
    marked: pl.DataFrame, missing: pl.DataFrame, weeks: Sequence[date], n_weeks: int, config: DemandConfig
) -> pl.DataFrame:
    """Shares of the small series in their pool over the newest `pool_weeks` weeks; silent ones get none.

    Units count as those of the weeks that are not missing.
    """
    since = weeks[max(0, n_weeks - config.pool_weeks)]
    gone = missing.filter(pl.col("week_start_on") >= since).group_by(KEY).agg(gone=pl.len())
    seen = 1 - pl.col("gone").fill_null(0) / min(n_weeks, config.pool_weeks)
    recent = (
        marked.filter((pl.col("series_merchant") == POOLED_MERCHANT) & (pl.col("week_start_on") >= since))
        .group_by("category_id", "merchant_id", "row")
        .agg(pl.col("qty").sum())
        .filter(pl.col("qty") > 0)
        .join(gone, on=KEY, how="left")
        .with_columns(qty=pl.col("qty") / seen.clip(LEAST_SEEN))
    )
    return (
        recent.with_columns(share=pl.col("qty") / pl.col("qty").sum().over("row"))
        .select("category_id", "merchant_id", "row", "share")
        .sort("category_id", "merchant_id")
    )

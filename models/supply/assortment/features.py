"""What a pair of merchant and sku looks like: numbers that rules read and the ranking learns from."""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp

from models.supply.assortment.candidates import Pairs, Signals, similar
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.history import LEVELS, Floats, History, Ints

_YEAR = 365.0
_CHUNK = 1 << 18

OF_PAIRS = ("similar_merchants", "similar_lines", "affinity", "price_gap")
OF_SKUS = (
    "scene_merchants", "merchants_late", "merchants", "lines", "qty_per_line", "merchants_ever",
    "days_since_first", "days_since_last", "trend", "repeat_share", "log_price", "season",
)  # fmt: skip
OF_MERCHANTS = ("own_lines", "own_skus", "own_skus_ever", "own_starts", "own_repeat_share")
OF_GROUPS = tuple(f"{what}_{level}" for level in LEVELS for what in ("share", "expected", "cover"))
FEATURES = OF_PAIRS + OF_SKUS + OF_MERCHANTS + OF_GROUPS
"""Names of the columns, in order."""

IN_SCENE, AT_SIMILAR = "scene_merchants", "similar_merchants"
"""The columns by which the simple rules rank."""


def pair_features(told: Signals, pairs: Pairs, config: AssortmentConfig) -> Floats:
    """The numbers of each pair: float32 (n, `FEATURES`).

    Args:
        told: What is known.
        pairs: Which.
        config: Settings.

    Returns:
        Counts are of the window but for `merchants_late` (`popular_days`) and `_ever`; `similar_` weigh
        merchants by squared likeness; `affinity` is the product of the vectors; `price_gap` the log of the
        price over what the merchant's consumers pay in the sku's category; `share_` a group's part of the
        merchant's lines, `expected_` its lines of the group times the sku's part of the group, `cover_` the
        part of the group's skus that it has; `season` the category's part of a year that the coming window
        had a year ago, over an even part. NaN where nothing is known.
    """
    past = told.past
    window = past.recent(config.window_days)
    merchant, sku = past.asked[pairs.merchant], pairs.sku
    popular = told.popular[told.scene[merchant], sku]
    columns = {
        **_of_pairs(told, pairs),
        IN_SCENE: popular,
        **{name: values[sku] for name, values in _of_skus(told, window, config).items()},
        **{name: values[merchant] for name, values in _of_merchants(told, window, config).items()},
    }
    price = _prices(window, past.shape[1])
    columns["log_price"] = price[sku]
    columns["price_gap"] = price[sku] - _own_price(past, window, price, pairs)
    for level in LEVELS:
        columns |= _of_group(told, past.world.groups(level), level, merchant, sku)
    return np.column_stack([columns[name] for name in FEATURES]).astype(np.float32)


def _of_pairs(told: Signals, pairs: Pairs) -> dict[str, Floats]:
    count = len(pairs.sku)
    merchants, lines = np.zeros(count, np.float32), np.zeros(count, np.float32)
    ends = np.searchsorted(pairs.merchant, np.arange(len(told.past.asked) + 1))
    for place in range(len(told.past.asked)):
        mine = slice(ends[place], ends[place + 1])
        merchants[mine] = similar(told, place, told.sold)[pairs.sku[mine]]
        lines[mine] = similar(told, place, told.lines)[pairs.sku[mine]]
    affinity = np.zeros(count, np.float32)
    for begin in range(0, count, _CHUNK):
        mine = slice(begin, begin + _CHUNK)
        affinity[mine] = np.einsum(
            "nd,nd->n", told.vectors.demand[pairs.merchant[mine]], told.vectors.goods[pairs.sku[mine]]
        )
    return {AT_SIMILAR: merchants, "similar_lines": lines, "affinity": affinity}


def _of_skus(told: Signals, window: pl.DataFrame, config: AssortmentConfig) -> dict[str, Floats]:
    past = told.past
    count = past.shape[1]
    late = _sum(past.pairs(past.recent(config.popular_days)), 0)
    sold, lines, ever = _sum(told.sold, 0), _sum(told.lines, 0), _sum(past.started, 0)
    units = _spread(window.group_by("sku").agg(value=pl.col("qty").sum()), "sku", count, 0)
    ages = past.rows.group_by("sku").agg(first=pl.col("age_days").max(), last=pl.col("age_days").min())
    return {
        "merchants_late": late,
        "merchants": sold,
        "lines": lines,
        "qty_per_line": _over(units, lines),
        "merchants_ever": ever,
        "days_since_first": _spread(ages.select("sku", value="first"), "sku", count),
        "days_since_last": _spread(ages.select("sku", value="last"), "sku", count),
        "trend": _over(late, sold),
        "repeat_share": _repeats(past.rows, "sku", count),
        "season": _season(past, config.window_days),
    }


def _of_merchants(told: Signals, window: pl.DataFrame, config: AssortmentConfig) -> dict[str, Floats]:
    past = told.past
    first = past.rows.group_by("merchant", "sku").agg(age=pl.col("age_days").max())
    starts = first.filter(pl.col("age") < config.window_days).group_by("merchant").agg(value=pl.len())
    count = past.shape[0]
    return {
        "own_lines": _sum(told.lines, 1),
        "own_skus": _sum(told.sold, 1),
        "own_skus_ever": _sum(past.started, 1),
        "own_starts": _spread(starts, "merchant", count, 0),
        "own_repeat_share": _repeats(window, "merchant", count),
    }


def _of_group(told: Signals, group: Ints, level: str, merchant: Ints, sku: Ints) -> dict[str, Floats]:
    size = np.bincount(group).astype(np.float32)
    members = sp.csr_matrix(
        (np.ones(len(group), np.float32), (np.arange(len(group)), group)), shape=(len(group), len(size))
    )
    own = sp.csr_matrix(told.lines @ members)
    has = sp.csr_matrix(told.past.started @ members)
    of_sku, of_group = _sum(told.lines, 0), _sum(own, 0)
    mine = _at(own, merchant, group[sku])
    return {
        f"share_{level}": _over(mine, _sum(told.lines, 1)[merchant]),
        f"expected_{level}": _over(mine * of_sku[sku], of_group[group[sku]]),
        f"cover_{level}": _over(_at(has, merchant, group[sku]), size[group[sku]]),
    }


def _season(past: History, days: float) -> Floats:
    """Part of the category's last year that the window after this moment had, over an even part."""
    group = past.world.groups(LEVELS[0])
    whole = past.recent(_YEAR)
    if not past.rows.height or past.rows["age_days"].max() < _YEAR:  # type: ignore[operator]
        return np.full(len(group), np.nan, np.float32)
    size = int(group.max(initial=0)) + 1
    then = whole.filter(pl.col("age_days") > _YEAR - days)["sku"].to_numpy()
    year = np.bincount(group[whole["sku"].to_numpy()], minlength=size)
    part = np.bincount(group[then], minlength=size) / np.maximum(year * days / _YEAR, 1e-9)
    return np.where(year > 0, part, np.nan).astype(np.float32)[group]


def _repeats(rows: pl.DataFrame, key: str, count: int) -> Floats:
    """Share of consumers and skus at a merchant that came to a second order."""
    pairs = (
        rows.drop_nulls("consumer")
        .group_by("merchant", "consumer", "sku")
        .agg(again=pl.col("order_id").n_unique() > 1)
    )
    return _spread(pairs.group_by(key).agg(value=pl.col("again").mean()), key, count)


def _prices(window: pl.DataFrame, count: int) -> Floats:
    """Log of the mean price paid for a unit of each sku."""
    paid = window.group_by("sku").agg(value=(pl.col("cents").sum() / pl.col("qty").sum()).clip(0).log1p())
    return _spread(paid, "sku", count)


def _own_price(past: History, window: pl.DataFrame, price: Floats, pairs: Pairs) -> Floats:
    """Mean log price of a merchant's lines in the category of each pair's sku."""
    group = past.world.groups(LEVELS[0])
    rows = window.select(
        "merchant",
        group=pl.Series(group[window["sku"].to_numpy()]),
        price=pl.Series(price[window["sku"].to_numpy()]),
    ).fill_nan(None)
    means = rows.group_by("merchant", "group").agg(value=pl.col("price").mean())
    asked = pl.DataFrame({"merchant": past.asked[pairs.merchant], "group": group[pairs.sku]})
    keys = asked.with_columns(pl.all().cast(pl.Int64))
    found = keys.join(
        means.with_columns(pl.col("merchant", "group").cast(pl.Int64)),
        on=["merchant", "group"],
        how="left",
        maintain_order="left",
    )
    return found["value"].fill_null(float("nan")).cast(pl.Float32).to_numpy()


def _spread(values: pl.DataFrame, key: str, count: int, empty: float = float("nan")) -> Floats:
    out = np.full(count, empty, np.float32)
    out[values[key].to_numpy()] = values["value"].cast(pl.Float32).fill_null(empty).to_numpy()
    return out


def _over(above: Floats, below: Floats) -> Floats:
    """A ratio of counts; 0 where nothing is below."""
    return np.asarray(above / np.maximum(below, 1), np.float32)


def _sum(table: sp.csr_matrix, axis: int) -> Floats:
    return np.asarray(table.sum(axis=axis), np.float32).ravel()


def _at(table: sp.csr_matrix, rows: Ints, columns: Ints) -> Floats:
    if not len(rows):
        return np.zeros(0, np.float32)
    return np.asarray(table[rows, columns], np.float32).ravel()

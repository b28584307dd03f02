"""Dependence of a category on its main supplier, and the least change that would put it right.

A category is too dependent when its main supplier ships more than 60% of its units, or when all others
together could ship less than 30%. The change is a linear programme: within what each supplier could ship a
day and 60% of the category for any supplier, supply as much of the demand as can be, move as few units as
possible, and move them to the cheaper suppliers. What stays unsupplied is the share for which new suppliers
must be tried, and its skus are named.

Source: printed main share 60% and backups 30%; the open 10% is the trial share here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.optimize import linprog
from scipy.sparse import csr_array

from models.supply.resilience.config import ResilienceConfig

RESILIENCE_SCHEMA = pl.Schema(
    {
        "category_id": pl.String,
        "units_per_day": pl.Float64,
        "suppliers": pl.Int64,
        "main_supplier_id": pl.String,
        "main_share": pl.Float64,
        "is_main_too_large": pl.Boolean,
        "backup_share": pl.Float64,
        "is_backup_too_small": pl.Boolean,
        "trial_share": pl.Float64,
        "trial_skus": pl.String,
        "moved_share": pl.Float64,
        "extra_cents_per_day": pl.Int64,
    }
)
PROPOSALS_SCHEMA = pl.Schema(
    {
        "category_id": pl.String,
        "sku_id": pl.String,
        "supplier_id": pl.String,
        "units_per_day": pl.Float64,
        "proposed_per_day": pl.Float64,
    }
)

NOTHING = 1e-6
"""Units a day that count as none."""
_UNSUPPLIED = 1_000.0
"""Weight of a unit that nobody supplies beside one that is moved."""
_DEARER = 0.001
"""Weight of the price beside the move: it only decides between moves of as many units."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Coverage:
    """What is found.

    Attributes:
        categories: As `RESILIENCE_SCHEMA`: one row a category that sells.
        proposals: As `PROPOSALS_SCHEMA`: units a day that would change.
    """

    categories: pl.DataFrame
    proposals: pl.DataFrame


def coverage(supply: pl.DataFrame, config: ResilienceConfig) -> Coverage:
    """Look at every category.

    Args:
        supply: From `daily_supply`.
        config: Settings.

    Returns:
        Shares of each category and the change that is proposed. Exactly at a limit is within it.
    """
    found = [_category(one, config) for one in _categories(supply)]
    rows = [row for row, _ in found]
    proposals = [frame for _, frame in found if frame.height]
    return Coverage(
        pl.DataFrame(rows, schema=RESILIENCE_SCHEMA, orient="row"),
        pl.concat(proposals) if proposals else pl.DataFrame(schema=PROPOSALS_SCHEMA),
    )


def _categories(supply: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows of each category that sells something, in order of category."""
    for _, rows in supply.group_by("category_id", maintain_order=True):
        if rows["per_day"].sum() > NOTHING:
            yield rows


def _category(rows: pl.DataFrame, config: ResilienceConfig) -> tuple[tuple[object, ...], pl.DataFrame]:
    total = float(rows["per_day"].sum())
    by_supplier = (
        rows.group_by("supplier_id")
        .agg(pl.col("per_day").sum())
        .sort("per_day", "supplier_id", descending=[True, False])
    )
    main, main_per_day = by_supplier.row(0)
    others = (
        rows.group_by("sku_id")
        .agg(
            wanted=pl.col("per_day").sum(),
            able=pl.col("able_per_day").filter(pl.col("supplier_id") != main).sum(),
        )
        .select(pl.min_horizontal("wanted", "able").sum())
        .item()
    )
    # Sums of the same numbers in another order may differ in the last bit.
    main_share, backup_share = min(main_per_day / total, 1.0), min(others / total, 1.0)
    proposed, unsupplied = _least_change(rows, config.most_main * total)
    changes = rows.select(
        "category_id",
        "sku_id",
        "supplier_id",
        units_per_day="per_day",
        proposed_per_day=pl.Series(proposed, dtype=pl.Float64),
    )
    change = proposed - rows["per_day"].to_numpy()
    prices = rows["unit_cents"].fill_null(0).to_numpy()
    trials = unsupplied.filter(pl.col("unsupplied") > NOTHING).sort(
        "unsupplied", "sku_id", descending=[True, False]
    )
    row = (
        rows["category_id"][0],
        total,
        by_supplier.filter(pl.col("per_day") > 0).height,
        main,
        main_share,
        main_share > config.most_main + NOTHING,
        backup_share,
        backup_share < config.least_backup - NOTHING,
        min(float(trials["unsupplied"].sum()) / total, 1.0),
        json.dumps(trials["sku_id"].head(config.most_trials).to_list()),
        min(float(np.clip(change, 0, None).sum()) / total, 1.0),
        round(float(change @ prices)),
    )
    moved = pl.Series(np.abs(change) > NOTHING)
    return row, changes.filter(moved)


def _least_change(rows: pl.DataFrame, most: float) -> tuple[Floats, pl.DataFrame]:
    """The proposed units a day of each row, and what stays unsupplied of each sku (sku_id, unsupplied).

    Args:
        rows: Supply of one category.
        most: Largest units a day of any supplier.
    """
    now = rows["per_day"].to_numpy()
    able = rows["able_per_day"].to_numpy()
    suppliers, supplier = np.unique(rows["supplier_id"].to_numpy(), return_inverse=True)
    skus, sku = np.unique(rows["sku_id"].to_numpy(), return_inverse=True)
    wanted = np.bincount(sku, weights=now)
    loads = np.bincount(supplier, weights=np.minimum(now, able))
    if (loads <= most + NOTHING).all() and (now <= able + NOTHING).all():
        return now, pl.DataFrame({"sku_id": skus, "unsupplied": np.zeros(len(skus))})
    cents = rows["unit_cents"].fill_null(0).to_numpy().astype(np.float64)
    pairs, count = np.arange(len(now)), len(skus)
    # Columns: what is added to each row, what is taken from it, what stays unsupplied of each sku.
    weights = np.concatenate(
        [
            1 + _DEARER * cents / (cents.max() + 1),
            np.zeros(len(now)),
            np.full(count, _UNSUPPLIED),
        ]
    )
    ones, width = np.ones(len(now)), 2 * len(now) + count
    whole = csr_array(
        (
            np.concatenate([ones, -ones, np.ones(count)]),
            (
                np.concatenate([sku, sku, np.arange(count)]),
                np.concatenate([pairs, len(now) + pairs, 2 * len(now) + np.arange(count)]),
            ),
        ),
        shape=(count, width),
    )
    load = csr_array(
        (
            np.concatenate([ones, -ones]),
            (np.concatenate([supplier, supplier]), np.concatenate([pairs, len(now) + pairs])),
        ),
        shape=(len(suppliers), width),
    )
    # A row that ships more than it could must give the rest up.
    taken_least = np.clip(now - able, 0, None)
    answer = linprog(
        weights,
        A_eq=whole,
        b_eq=np.zeros(count),
        A_ub=load,
        b_ub=most - np.bincount(supplier, weights=now),
        bounds=np.concatenate(
            [
                np.column_stack([np.zeros(len(now)), np.clip(able - now, 0, None)]),
                np.column_stack([taken_least, now]),
                np.column_stack([np.zeros(count), wanted]),
            ]
        ),
        method="highs",
    )
    if not answer.success:
        raise ValueError(f"category {rows['category_id'][0]!r}: {answer.message}")
    added, taken, unsupplied = np.split(answer.x, [len(now), 2 * len(now)])
    return now + added - taken, pl.DataFrame({"sku_id": skus, "unsupplied": unsupplied})

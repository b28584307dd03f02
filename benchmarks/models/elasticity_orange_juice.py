"""Price moves of orange juice: how much of the change in sales do elasticities of the past explain?

Dominick's stores: fitted on the weeks up to 135, judged on the price moves over 5% of weeks 137 to 160 in
which the feature did not change. The estimator is the product's, settings are the default ones.
"""

from __future__ import annotations

import os
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models.public_data import public_file
from models.pricing.elasticities.sales import Elasticities, Sales

HOME = Path(os.environ.get("MUYUN_HOME", "var"))
_WEEK_0 = date(1989, 9, 11)
LAST_TRAINED, FIRST_TESTED, LAST_TESTED = 135, 137, 160
MOVE = 0.05


def main() -> None:
    """Runs the benchmark."""
    started = time.monotonic()
    sales = orange_juice(public_file("orange_juice", "orangeJuice_yx.csv.gz"))
    fitted = Elasticities().fit(sales, _monday(LAST_TRAINED + 1))
    moves = _moves(fitted.log_changes(sales), FIRST_TESTED, LAST_TESTED)
    own = fitted.items.get_column("elasticity")
    wrong = float((own.to_numpy() >= 0).mean())
    learnt = fitted.log_changes(sales.until(_monday(LAST_TRAINED + 1)))
    rows = [
        Row(OURS, "r2", _r2(moves, moves.get_column("expected_log_quantity")), "of log quantity changes"),
        Row(OURS, "wrong_sign_share", wrong, "of elasticities"),
        Row("no_response", "r2", _r2(moves, pl.zeros(moves.height, eager=True)), "of log quantity changes"),
    ]
    for name, by in (("least_squares", None), ("least_squares_each_brand", "item_id")):
        expected, signs = _least_squares(learnt, moves, by)
        rows += [
            Row(name, "r2", _r2(moves, expected), "of log quantity changes"),
            Row(name, "wrong_sign_share", signs, "of elasticities"),
        ]
    report(
        HOME,
        name="elasticity_orange_juice",
        protocol=f"{moves.height:,} price moves over {MOVE:.0%} of a store and brand with sales in the week "
        f"before, feature unchanged, weeks {FIRST_TESTED} to {LAST_TESTED}; fitted on the weeks up to "
        f"{LAST_TRAINED}, default settings. Least squares: log quantity on log price and feature.",
        rows=rows,
        wall_s=time.monotonic() - started,
    )


def orange_juice(file: Path) -> Sales:
    """The sales in our shape: the price of a brand is in one of eleven columns."""
    frame = pl.read_csv(file)
    prices = np.column_stack([frame.get_column(f"price{brand}").to_numpy() for brand in range(1, 12)])
    own = prices[np.arange(frame.height), frame.get_column("brand").to_numpy() - 1]
    frame = frame.with_columns(
        pl.col("logmove").exp().alias("units"),
        pl.Series("price", own),
        (pl.lit(_WEEK_0) + pl.duration(weeks=pl.col("week"))).alias("monday"),
    )
    columns = {
        "item_id": "brand",
        "seller_id": "store",
        "at": "monday",
        "quantity": "units",
        "promotion": "feat",
    }
    return Sales.from_frame(frame, columns)


def _monday(week: int) -> date:
    return _WEEK_0 + timedelta(weeks=week)


def _moves(changes: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """Price moves over the limit, with the feature as it was."""
    return changes.filter(
        pl.col("at").is_between(_monday(first), _monday(last))
        & (pl.col("log_price").abs() > np.log1p(MOVE))
        & (pl.col("promotion").abs() < 1e-9)
    )


def _r2(moves: pl.DataFrame, expected: pl.Series) -> float:
    """Share of the variance of log quantity changes that is explained."""
    actual = moves.get_column("log_quantity").to_numpy()
    left = actual - expected.to_numpy()
    return 1.0 - float((left**2).sum()) / float(((actual - actual.mean()) ** 2).sum())


def _least_squares(learnt: pl.DataFrame, moves: pl.DataFrame, by: str | None) -> tuple[pl.Series, float]:
    """Expected changes from plain regressions, and the share of slopes of the wrong sign."""

    def slope(rows: pl.DataFrame) -> float:
        design = rows.select("log_price", "promotion").to_numpy()
        return float(np.linalg.lstsq(design, rows.get_column("log_quantity").to_numpy(), rcond=None)[0][0])

    if by is None:
        found = slope(learnt)
        return moves.get_column("log_price") * found, float(found >= 0)
    slopes = {str(key[0]): slope(rows) for key, rows in learnt.partition_by(by, as_dict=True).items()}
    each = moves.get_column(by).replace_strict(slopes, return_dtype=pl.Float64)
    return moves.get_column("log_price") * each, float(np.mean([value >= 0 for value in slopes.values()]))


if __name__ == "__main__":
    main()

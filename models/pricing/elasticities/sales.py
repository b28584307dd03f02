"""Elasticities from anybody's sales: a frame of items, sellers and weeks in, a fitted family out.

The estimator is the one that the product trains with (`elasticity.fit`); what is here brings a frame into its
shape. Posted prices are taken as they are: a change of the seller's own price in two neighbouring weeks with
sales in both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.errors import BundleError, InsufficientDataError, ModelError
from models.pricing.config import ElasticityConfig
from models.pricing.elasticities.changes import Changes, FloatArray, build_own_changes
from models.pricing.elasticities.elasticity import fit

_COLUMNS: dict[str, pl.DataType] = {
    "item_id": pl.String(),
    "seller_id": pl.String(),
    "at": pl.Date(),
    "quantity": pl.Float64(),
    "price": pl.Float64(),
}
_OPTIONS: dict[str, tuple[pl.DataType, Any]] = {
    "promotion": (pl.Float64(), 0.0),
    "category_id": (pl.String(), "all"),
}
_ITEMS, _META = "items.parquet", "elasticities.json"


@dataclass(frozen=True)
class Sales:
    """What was sold at which price, summed by item, seller and week.

    Attributes:
        frame: item_id, seller_id, at (Monday), quantity, price (mean per unit), promotion (0-1), category_id;
            sorted by item_id, seller_id and at.
    """

    frame: pl.DataFrame

    @classmethod
    def from_frame(cls, frame: Any, columns: Mapping[str, str] | None = None) -> Sales:
        """Bring a frame into shape.

        Args:
            frame: pandas or polars; one row a sale, or an item, seller and week.
            columns: Our names to the frame's: item_id, seller_id, at (date or time), quantity, price (of a
                unit, in any currency); where given, promotion (how much of the week the item was promoted,
                0-1) and category_id. What is missing here is looked for under our name.

        Raises:
            ModelError: A column is missing, or cannot be read as what it is.
        """
        given = frame if isinstance(frame, pl.DataFrame) else pl.from_pandas(frame)
        names = {name: (columns or {}).get(name, name) for name in (*_COLUMNS, *_OPTIONS)}
        missing = [names[name] for name in _COLUMNS if names[name] not in given.columns]
        if missing:
            raise ModelError(f"sales: the frame has no column {', '.join(missing)}; name it in `columns`")
        try:
            rows = given.select(
                *(pl.col(names[name]).cast(kind).alias(name) for name, kind in _COLUMNS.items()),
                *(
                    pl.col(names[name]).cast(kind).alias(name)
                    if names[name] in given.columns
                    else pl.lit(default, kind).alias(name)
                    for name, (kind, default) in _OPTIONS.items()
                ),
            )
        except pl.exceptions.PolarsError as error:
            raise ModelError(f"sales: a column cannot be read as what it is: {error}") from error
        sold = rows.filter((pl.col("quantity") > 0) & (pl.col("price") > 0)).with_columns(
            pl.col("at").dt.truncate("1w"), pl.col("promotion").fill_null(0.0).clip(0.0, 1.0)
        )
        summed = (
            sold.group_by("item_id", "seller_id", "at")
            .agg(
                price=(pl.col("price") * pl.col("quantity")).sum() / pl.col("quantity").sum(),
                quantity=pl.col("quantity").sum(),
                promotion=pl.col("promotion").max(),
                category_id=pl.col("category_id").fill_null("all").min(),
            )
            .sort("item_id", "seller_id", "at")
        )
        return cls(summed)

    def until(self, day: date) -> Sales:
        """The sales before a day."""
        return Sales(self.frame.filter(pl.col("at") < day))


@dataclass(frozen=True)
class FittedElasticities:
    """Elasticities of items, and what else moves their sales.

    Attributes:
        items: item_id, elasticity (own price, not promoted, never above the sign constraint), deviation.
        promoted: What is added to an elasticity while the item is promoted; with it the sign is kept, too.
        category: Cross-price elasticity: answer to the mean price of the category's other items.
        promotion: Effect of a promotion itself on log quantity.
        typical: Elasticity of an item never seen.
        max_elasticity: The sign constraint.
    """

    items: pl.DataFrame
    promoted: float
    category: float
    promotion: float
    typical: float
    max_elasticity: float

    def log_changes(self, sales: Sales) -> pl.DataFrame:
        """Every change between neighbouring weeks with sales in both, with what is expected of it.

        Args:
            sales: Weeks to look at; weeks before those that matter tell how much each item usually sells.

        Returns:
            item_id, at (second week), log_price and promotion (changes), log_quantity (what happened) and
            expected_log_quantity; sorted by item, seller and week.
        """
        changes = build_own_changes(sales.frame)
        known = dict(self.items.select("item_id", "elasticity").iter_rows())
        slope = np.array([known.get(item, self.typical) for item in changes.sku_ids])[changes.sku]
        slope = np.minimum(slope + self.promoted * changes.promoted, self.max_elasticity)
        expected = (
            slope * changes.log_price
            + self.promotion * changes.display
            + self.category * changes.category_log_price
        )
        return pl.DataFrame(
            {
                "item_id": np.array(changes.sku_ids, dtype=object)[changes.sku].tolist(),
                "at": [changes.first_week + timedelta(weeks=int(week)) for week in changes.week],
                "log_price": changes.log_price,
                "promotion": changes.display,
                "log_quantity": _log_ratio(changes),
                "expected_log_quantity": expected,
            }
        )

    def save(self, folder: Path) -> None:
        """Write it; `load` reads it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.items.write_parquet(folder / _ITEMS)
        names = ("promoted", "category", "promotion", "typical", "max_elasticity")
        (folder / _META).write_text(json.dumps({name: getattr(self, name) for name in names}) + "\n")


def load(folder: Path) -> FittedElasticities:
    """Read what `FittedElasticities.save` wrote.

    Raises:
        BundleError: It cannot be read.
    """
    try:
        meta = json.loads((folder / _META).read_text())
        return FittedElasticities(items=pl.read_parquet(folder / _ITEMS), **meta)
    except (OSError, ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise BundleError(f"elasticities {folder} cannot be read ({error}); fit again") from error


@dataclass(frozen=True)
class Elasticities:
    """The family: hierarchical shrinkage, sign constraint, cross price; settings as the product's.

    Attributes:
        config: Settings.
    """

    config: ElasticityConfig = field(default_factory=ElasticityConfig)
    name: str = "elasticities"

    def fit(self, data: Sales, until: date | None = None) -> FittedElasticities:
        """Fit on the weeks that begin before a day.

        Raises:
            InsufficientDataError: Too few changes, or prices that never move.
        """
        known = data if until is None else data.until(until)
        if known.frame.is_empty():
            raise InsufficientDataError("elasticities: no sale with a price before the day asked for")
        changes = build_own_changes(known.frame)
        model, _ = fit(changes, self.config)
        items = pl.DataFrame(
            {
                "item_id": changes.sku_ids,
                "elasticity": model.constrained(model.sku),
                "deviation": np.sqrt(model.sku.variance),
            }
        )
        return FittedElasticities(
            items=items,
            promoted=model.promoted,
            category=model.category,
            promotion=model.display,
            typical=float(model.constrained(model.overall)[0]),
            max_elasticity=model.max_elasticity,
        )


def _log_ratio(changes: Changes) -> FloatArray:
    return np.asarray(np.log(changes.after_qty / changes.before_qty))

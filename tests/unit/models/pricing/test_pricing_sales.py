"""Elasticities of anybody's frame: what was planted, frames of any kind, refusals, storage."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.errors import BundleError, InsufficientDataError, ModelError
from models.pricing.elasticities.changes import build_own_changes
from models.pricing.elasticities.sales import Elasticities, FittedElasticities, Sales, load

MONDAY = date(2018, 1, 1)
NAMES = {"item_id": "brand", "seller_id": "store", "at": "day", "quantity": "units", "promotion": "on_offer"}


def planted(own: float, promoted: float, cross: float, *, brands: int = 8, weeks: int = 60) -> pl.DataFrame:
    """Sales of brands in 20 stores; sales answer the mean price of the other brands."""
    rng = np.random.default_rng(5)
    shape = (brands, 20, weeks)
    log_price = 0.05 * rng.integers(-6, 3, shape)
    offer = rng.random(shape) < 0.15
    others = (log_price.sum(axis=0) - log_price) / (brands - 1)
    log_units = 5 + rng.normal(0, 0.1, (brands, 20, 1)) + (own + promoted * offer) * log_price
    log_units += cross * others + 0.4 * offer + rng.normal(0, 0.2, shape)
    brand, store, week = np.indices(shape)
    return pl.DataFrame(
        {
            "brand": brand.ravel(),
            "store": store.ravel(),
            "day": pl.Series(week.ravel() * 7).cast(pl.Int64),
            "units": np.exp(log_units).ravel(),
            "price": 3.99 * np.exp(log_price).ravel(),
            "on_offer": offer.ravel(),
        }
    ).with_columns(day=pl.lit(MONDAY) + pl.duration(days="day"))


def test_own_cross_and_promoted_elasticities_are_found_in_pandas_and_polars() -> None:
    frame = planted(-2.0, 0.0, 0.8)
    fitted = Elasticities().fit(Sales.from_frame(frame, NAMES))
    assert fitted.items["elasticity"].to_numpy() == pytest.approx(np.full(8, -2.0), abs=0.1)
    assert fitted.category == pytest.approx(0.8, abs=0.15)
    assert fitted.promotion == pytest.approx(0.4, abs=0.03)
    assert fitted.promoted == pytest.approx(0.0, abs=0.1)
    other = Elasticities().fit(Sales.from_frame(frame.to_pandas(), NAMES))
    assert other.items.equals(fitted.items)


def test_a_promotion_makes_prices_count_more() -> None:
    fitted = Elasticities().fit(Sales.from_frame(planted(-2.0, -1.5, 0.0), NAMES))
    # A week is promoted or not, a change is between two: the step is found in part.
    assert -1.6 < fitted.promoted < -0.4


def test_a_wrong_sign_is_held_at_the_constraint_and_nothing_after_the_day_is_read() -> None:
    frame = planted(+1.0, 0.0, 0.0)
    sales = Sales.from_frame(frame, NAMES)
    fitted = Elasticities().fit(sales)
    assert (fitted.items["elasticity"] <= fitted.max_elasticity).all()
    assert fitted.max_elasticity < 0
    until = MONDAY + timedelta(weeks=30)
    early = Elasticities().fit(sales, until)
    cut = Elasticities().fit(Sales.from_frame(frame.filter(pl.col("day") < until), NAMES))
    assert early.items.equals(cut.items)


def test_expected_changes_are_those_of_the_formula() -> None:
    weeks = Sales.from_frame(
        pl.DataFrame(
            {
                "item_id": ["a", "a", "a", "b", "b", "a"],
                "seller_id": ["s"] * 5 + ["t"],
                "at": [
                    MONDAY,
                    MONDAY + timedelta(7),
                    MONDAY + timedelta(21),
                    MONDAY,
                    MONDAY + timedelta(9),
                    MONDAY,
                ],
                "quantity": [10.0, 20.0, 5.0, 30.0, 15.0, 1.0],
                "price": [2.0, 1.0, 1.0, 4.0, 5.0, 3.0],
                "promotion": [0, 1, 0, 0, 0, 0],
            }
        )
    )
    items = pl.DataFrame({"item_id": ["a"], "elasticity": [-2.0], "deviation": [0.1]})
    fitted = FittedElasticities(items, -1.0, 0.5, 0.3, -3.0, -0.1)
    rows = fitted.log_changes(weeks)
    # The week after next is no neighbour, and the other seller has one week only.
    assert rows.select("item_id", "at").rows() == [("a", MONDAY + timedelta(7)), ("b", MONDAY + timedelta(7))]
    half, quarter = np.log(0.5), np.log(1.25)
    assert rows["expected_log_quantity"].to_list() == pytest.approx(
        [-3.0 * half + 0.3 + 0.5 * quarter, -3.0 * quarter + 0.5 * half]
    )
    assert rows["log_quantity"].to_list() == pytest.approx([np.log(2), np.log(0.5)])


def test_prices_of_the_category_are_weighted_with_what_sold_so_far() -> None:
    rows = [
        (item, "s", MONDAY + timedelta(weeks=week), units, cents, 0.0, "c")
        for item, weeks in {
            "a": [(10.0, 1.0), (10.0, 1.0), (10.0, 1.0)],
            "b": [(30.0, 2.0), (50.0, 2.0), (1.0, 4.0)],
            "d": [(20.0, 3.0), (20.0, 3.0), (20.0, 1.5)],
        }.items()
        for week, (units, cents) in enumerate(weeks)
    ]
    names = ["item_id", "seller_id", "at", "quantity", "price", "promotion", "category_id"]
    changes = build_own_changes(pl.DataFrame(rows, schema=names, orient="row"))
    second = changes.category_log_price[changes.week == 2]
    double = np.log(2.0)
    # a: 80 of b doubled, 40 of d halved; b: 20 of a stood, 40 of d halved; d: 20 of a, 80 of b doubled.
    assert second == pytest.approx([(80 - 40) / 120 * double, -40 / 60 * double, 80 / 100 * double])
    assert changes.category_log_price[changes.week == 1] == pytest.approx([0.0, 0.0, 0.0])


def test_what_is_wrong_with_a_frame_is_said() -> None:
    frame = planted(-2.0, 0.0, 0.0, brands=2, weeks=3)
    with pytest.raises(ModelError, match="no column amount; name it"):
        Sales.from_frame(frame, NAMES | {"quantity": "amount"})
    with pytest.raises(ModelError, match="cannot be read"):
        Sales.from_frame(frame.with_columns(units=pl.lit("many")), NAMES)
    sales = Sales.from_frame(frame, NAMES)
    with pytest.raises(InsufficientDataError, match="no sale"):
        Elasticities().fit(sales, MONDAY)
    with pytest.raises(InsufficientDataError, match="2 weeks"):
        Elasticities().fit(sales, MONDAY + timedelta(days=1))
    with pytest.raises(InsufficientDataError, match="are needed"):
        Elasticities().fit(sales)


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    fitted = Elasticities().fit(Sales.from_frame(planted(-2.0, 0.0, 0.5), NAMES))
    fitted.save(tmp_path)
    again = load(tmp_path)
    assert again.items.equals(fitted.items)
    assert (again.category, again.typical) == (fitted.category, fitted.typical)
    with pytest.raises(BundleError, match="fit again"):
        load(tmp_path / "nothing")

"""Week-to-week changes: the other merchants' price by hand, zero weeks, running weeks, one merchant."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from conftest import MONDAY, LineMaker

from models.errors import InsufficientDataError
from models.pricing.elasticities.changes import Changes, build_changes


def lines(rows: list[tuple[str, str, int, int, int]], last_day: int = 13) -> pl.DataFrame:
    """(sku, merchant, week, qty, unit price in cents)"""
    return pl.DataFrame(
        {
            "sku_id": [r[0] for r in rows],
            "merchant_id": [r[1] for r in rows],
            "week_start_on": [MONDAY + timedelta(weeks=r[2]) for r in rows],
            "placed_on": [MONDAY + timedelta(days=min(r[2] * 7 + 6, last_day)) for r in rows],
            "qty": [r[3] for r in rows],
            "list_price_cents": [r[3] * r[4] + 7 for r in rows],
            "promo_discount_cents": [7] * len(rows),
            "is_on_display": [r[1] == "b" and r[2] == 1 for r in rows],
            "is_on_mailer": [None] * len(rows),
            "is_merchandise": [True] * len(rows),
            "category_l3_id": ["l3"] * len(rows),
            "category_l2_id": ["l2"] * len(rows),
        },
        schema_overrides={"is_on_mailer": pl.Boolean},
    )


PANEL = [
    ("s", "a", 0, 4, 100),
    ("s", "b", 0, 1, 100),
    ("s", "b", 1, 3, 80),
    ("s", "c", 0, 2, 200),
    ("s", "c", 1, 1, 90),
    ("t", "a", 1, 5, 50),
]


def as_rows(changes: Changes) -> list[tuple]:
    names = ("sku", "week", "before_qty", "after_qty", "log_price", "display", "own_log_price")
    return list(zip(*(getattr(changes, name).tolist() for name in names), strict=True))


def test_changes_by_hand() -> None:
    found = build_changes(lines(PANEL), min_changes=1)
    assert found.price_source == "others"
    assert found.sku_ids == ["s", "t"]
    mean = lambda *prices: sum(math.log(p) for p in prices) / len(prices)  # noqa: E731
    # a sold 4 then nothing: the price change is that of b and c; b was one of two on display in week 1.
    assert as_rows(found)[0][:4] == (0, 1, 4.0, 0.0)
    assert as_rows(found)[0][4] == pytest.approx(mean(80, 90) - mean(100, 200))
    assert as_rows(found)[0][5] == pytest.approx(0.5)
    assert math.isnan(as_rows(found)[0][6])
    # b: week 0 had a and c beside it, week 1 only c.
    assert as_rows(found)[1][:4] == (0, 1, 1.0, 3.0)
    assert as_rows(found)[1][4] == pytest.approx(mean(90) - mean(100, 200))
    assert as_rows(found)[1][6] == pytest.approx(math.log(0.8))
    assert as_rows(found)[2][4] == pytest.approx(mean(80) - mean(100, 100))
    # t was sold by one merchant in one week only: no market price, no row.
    assert len(as_rows(found)) == 3
    assert found.input_rows == 6


def test_more_other_merchants_can_be_asked_for() -> None:
    assert len(as_rows(build_changes(lines(PANEL), min_changes=1, min_other_merchants=2))) == 1


def test_one_merchant_falls_back_to_its_own_prices_and_drops_zero_weeks() -> None:
    rows = [("s", "a", 0, 4, 100), ("s", "a", 1, 6, 80), ("t", "a", 0, 2, 50), ("u", "a", 1, 2, 50)]
    found = build_changes(lines(rows), min_changes=1)
    assert found.price_source == "own"
    assert as_rows(found) == [
        (0, 1, 4.0, 6.0, pytest.approx(math.log(0.8)), 0.0, pytest.approx(math.log(0.8)))
    ]


def test_a_running_week_is_left_out() -> None:
    rows = [*PANEL, ("s", "a", 2, 1, 100), ("s", "b", 2, 1, 100), ("s", "c", 2, 1, 100)]
    assert build_changes(lines(rows, last_day=19), min_changes=1).n_weeks == 2
    assert build_changes(lines(rows, last_day=20), min_changes=1).n_weeks == 3


def test_other_lines_and_free_goods_are_left_out() -> None:
    frame = lines(PANEL).with_columns(is_merchandise=pl.col("merchant_id") != "a")
    assert build_changes(frame, min_changes=1).input_rows == 4
    free = lines(PANEL).with_columns(promo_discount_cents=pl.col("list_price_cents"))
    with pytest.raises(InsufficientDataError, match="no merchandise"):
        build_changes(free)


def test_missing_categories_are_one_category() -> None:
    frame = lines(PANEL).with_columns(
        category_l3_id=pl.lit(None, pl.String), category_l2_id=pl.lit(None, pl.String)
    )
    found = build_changes(frame, min_changes=1)
    assert (found.l3_ids, found.l2_ids) == (["unknown"], ["unknown"])


@pytest.mark.parametrize("height", [0, 1])
def test_too_little_data_is_said(height: int) -> None:
    with pytest.raises(InsufficientDataError):
        build_changes(lines(PANEL).head(height))


def test_row_order_does_not_matter(lines_of: LineMaker) -> None:
    frame = lines_of([-2.0] * 8, weeks=6)
    one, two = build_changes(frame), build_changes(frame.sample(fraction=1.0, shuffle=True, seed=3))
    for name in ("sku", "week", "before_qty", "after_qty", "log_price", "cluster"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-12)


def test_goods_by_weight_are_priced_by_the_unit() -> None:
    """A tenth of the quantities at ten times the unit price: the same money and the same changes of price."""
    whole = build_changes(lines(PANEL), min_changes=1)
    weighed = build_changes(lines(PANEL).with_columns(pl.col("qty").cast(pl.Float64) / 10), min_changes=1)
    assert weighed.before_qty.tolist() == pytest.approx((whole.before_qty / 10).tolist())
    assert weighed.log_price.tolist() == pytest.approx(whole.log_price.tolist())

"""Listings without a sale: they take what new listings took, no more than their part, and are marked."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from scipy import stats
from test_reorder_tables import AS_OF, NO_LISTINGS, SURE, forecasts, lines, offer, table

from models.contracts import PUBLISHED_TABLES
from models.replenishment.config import ReorderConfig
from models.replenishment.newcomers import NEW_LISTINGS, ratios, with_newcomers
from models.replenishment.reorder import ReorderResult, reorder

TODAY = date(2018, 1, 1)
CONFIG = replace(SURE, newcomer_prior=0.0, newcomer_share=0.5)


def new(*rows: tuple[str, str, int, float, float]) -> pl.DataFrame:
    """(merchant, sku, listed days ago, units of the first weeks, units since) of category `l2-a`."""
    return pl.DataFrame(
        [
            {
                "merchant_id": merchant,
                "category_id": "l2-a",
                "sku_id": sku,
                "first_listed_on": TODAY - timedelta(days=ago),
                "first_weeks_qty": first,
                "sold_qty": since,
            }
            for merchant, sku, ago, first, since in rows
        ],
        schema=NEW_LISTINGS,
    )


def pairs(*rows: tuple[str, str, float]) -> pl.DataFrame:
    """(merchant, sku, units in eight weeks) of category `l2-a`; the weight is the units."""
    frame = pl.DataFrame(rows, schema=["merchant_id", "sku_id", "recent"], orient="row")
    return frame.with_columns(category_id=pl.lit("l2-a"), weight=pl.col("recent"))


SOLD = pairs(("m1", "a", 20.0), ("m1", "b", 12.0), ("m2", "a", 16.0))
"""Sixteen units a pair in eight weeks: eight in four weeks."""


def test_the_ratio_by_hand() -> None:
    """Two of four weeks ago sold 3 and 0 where average pairs sell 8 each; a younger one tells nothing."""
    seen = new(("m1", "n", 28, 3.0, 5.0), ("m2", "n", 40, 0.0, 0.0), ("m1", "o", 27, 99.0, 99.0))
    assert ratios(seen, SOLD, TODAY, CONFIG).rows() == [("l2-a", 3 / 16)]
    prior = replace(CONFIG, newcomer_prior=6.0, newcomer_ratio=0.5)
    assert ratios(seen, SOLD, TODAY, prior)["ratio"].item() == pytest.approx((3 + 6 * 0.5 * 8) / (8 * 8))


def test_without_a_listing_seen_the_ratio_is_the_prior() -> None:
    prior = replace(CONFIG, newcomer_prior=20.0)
    assert ratios(new(), SOLD, TODAY, prior)["ratio"].to_list() == [0.5]
    silent = pairs(("m1", "a", 0.0))
    assert ratios(new(), silent, TODAY, prior)["ratio"].to_list() == [0.5]


def test_a_new_listing_weighs_as_a_part_of_an_average_pair_there() -> None:
    """m1's pairs weigh 16 on average; a quarter of that is 4."""
    quarter = replace(CONFIG, newcomer_prior=1.0, newcomer_ratio=0.25)
    got = with_newcomers(SOLD, new(("m1", "n", 3, 0.0, 0.0)), TODAY, quarter)
    assert got.filter("is_new").rows() == [("m1", "l2-a", "n", 4.0, True)]
    assert got.filter(~pl.col("is_new")).height == SOLD.height


@pytest.mark.parametrize(("most", "weight"), [(0.2, 8.0), (0.1, 32 / 9)])
def test_all_new_listings_have_at_most_their_part(most: float, weight: float) -> None:
    """Two of half of 16 are 16 together beside 32: a fifth of the whole is 8, a tenth 32/9, each has half."""
    limited = replace(CONFIG, newcomer_prior=1.0, newcomer_ratio=0.5, newcomer_share=most)
    got = with_newcomers(SOLD, new(("m1", "n", 3, 0, 0), ("m1", "o", 3, 0, 0)), TODAY, limited)
    assert got.filter("is_new")["weight"].sum() == pytest.approx(weight)
    total = got.filter(merchant_id="m1")["weight"].sum()
    assert got.filter("is_new")["weight"].sum() / total == pytest.approx(most)


@pytest.mark.parametrize(
    ("listing", "is_new"),
    [
        (("m1", "n", 0, 0.0, 0.0), True),
        (("m1", "n", 26 * 7 - 1, 0.0, 0.0), True),
        (("m1", "n", 26 * 7, 0.0, 0.0), False),
        (("m1", "n", -1, 0.0, 0.0), False),
        (("m1", "n", 3, 1.0, 1.0), False),
        (("m1", "a", 3, 0.0, 0.0), False),
        (("m3", "n", 3, 0.0, 0.0), False),
    ],
)
def test_who_is_new(listing: tuple[str, str, int, float, float], is_new: bool) -> None:
    """Listed within 26 weeks, without a sale, at a merchant that sells the category."""
    got = with_newcomers(SOLD, new(listing), TODAY, replace(CONFIG, newcomer_prior=1.0))
    assert got.filter("is_new").height == is_new


def run(listed: pl.DataFrame | None, config: ReorderConfig = SURE, **changes: Any) -> ReorderResult:
    sold = lines([("m1", "k", 3, 5)])
    supply = table(offer("k"), offer("n"))
    given = {"ahead": forecasts({"m1": 70.0}), "supply": supply} | changes
    return reorder(given["ahead"], sold, given["supply"], NO_LISTINGS, AS_OF, config, None, listed)


def test_a_new_sku_is_forecast_from_its_category_marked_and_ordered() -> None:
    """Half of an average pair: `n` has 1/3 of 70 units a week, but a fifth at most: 14, and `k` 56."""
    result = run(new(("m1", "n", 3, 0.0, 0.0)))
    week = result.sku_forecasts.filter(horizon_weeks=1)
    assert week.select("sku_id", "category_id", "basis").rows() == [
        ("k", "l2-a", "share_of_sales"),
        ("n", "l2-a", "new_in_category"),
    ]
    assert week["mean_qty"].to_list() == pytest.approx([56.0, 14.0])
    assert week["new_listing_qty"].to_list() == pytest.approx([0.0, 14.0])
    told = {row["sku_id"]: row for row in result.reorder_suggestions.iter_rows(named=True)}
    assert told["n"]["demand_mean_qty"] == pytest.approx(28.0)
    assert told["n"]["reorder_qty"] > 28
    assert json.loads(told["n"]["explanation"])["demand_basis"] == "new_in_category"
    assert json.loads(told["k"]["explanation"])["demand_basis"] == "share_of_sales"
    share = result.reorder_merchant_shares.filter(sku_id="n")
    assert share["reorder_qty"].to_list() == [told["n"]["reorder_qty"]]
    without = run(None)
    assert without.reorder_suggestions["sku_id"].to_list() == ["k"]


def test_little_is_known_of_a_new_sku() -> None:
    """Lines of 5 units: variance 5 x 0.2 x 0.8 x 70 = 56, and 14^2 more of what is not known."""
    sure = run(new(("m1", "n", 3, 0.0, 0.0)), replace(SURE, newcomer_cv=0.0))
    wide = run(new(("m1", "n", 3, 0.0, 0.0)))
    p90 = [r.sku_forecasts.filter(sku_id="n")["p90_qty"][0] for r in (sure, wide)]
    assert p90 == [stats.nbinom.ppf(0.9, 14**2 / (v - 14), 14 / v) for v in (56, 56 + 14**2)]
    assert p90[1] > p90[0]


def test_forecasts_of_skus_pool_merchants_and_need_no_offer() -> None:
    ahead = forecasts({"m1": 70.0, "m2": 10.0})
    sold = lines([("m1", "k", 3, 5), ("m2", "k", 3, 5), ("m2", "n", 3, 5)])
    listed = new(("m1", "n", 3, 0.0, 0.0))
    result = reorder(ahead, sold, table(offer("k")).clear(), NO_LISTINGS, AS_OF, SURE, None, listed)
    assert result.reorder_suggestions.is_empty()
    assert result.sku_forecasts.columns == [c.name for c in PUBLISHED_TABLES["sku_forecasts"].columns]
    week = result.sku_forecasts.filter(horizon_weeks=2)
    assert week["mean_qty"].to_list() == pytest.approx([56.0 + 5, 14.0 + 5])
    assert week["basis"].to_list() == ["share_of_sales"] * 2
    assert week["new_listing_qty"].to_list() == pytest.approx([0.0, 14.0])
    ordered = (pl.col("p10_qty") <= pl.col("p50_qty")) & (pl.col("p50_qty") <= pl.col("p90_qty"))
    assert result.sku_forecasts.select(ordered.all()).item()


@pytest.mark.parametrize(
    "setting", [{"newcomer_weeks": 0}, {"newcomer_share": 1.0}, {"newcomer_ratio": -0.1}]
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="newcomer"):
        ReorderConfig(**setting)

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from models.contracts import PUBLISHED_TABLES
from models.replenishment.config import ReorderConfig
from models.replenishment.disaggregate import sku_shares, units_per_line_factor
from models.replenishment.reorder import ReorderResult, reorder

AS_OF = datetime(2018, 1, 1, 6, tzinfo=UTC)
TODAY = date(2018, 1, 1)


def lines(rows: list[tuple[str, str, int, int]]) -> pl.DataFrame:
    """(merchant, sku, days ago, qty) merchandise lines of category `l2-a`."""
    return pl.DataFrame(
        rows,
        schema={"merchant_id": pl.String, "sku_id": pl.String, "ago": pl.Int64, "qty": pl.Int64},
        orient="row",
    ).with_columns(
        category_l2_id=pl.lit("l2-a"),
        placed_on=pl.lit(TODAY) - pl.duration(days=pl.col("ago")),
        is_merchandise=pl.lit(value=True),
    )


def forecasts(means: dict[str, float], width: float = 0.0) -> pl.DataFrame:
    """Four equal weeks of category `l2-a` a merchant; p10 and p90 are `width` away from the mean."""
    return pl.DataFrame(
        [
            {
                "merchant_id": merchant,
                "category_id": "l2-a",
                "week_start_on": TODAY + timedelta(weeks=k),
                "horizon_weeks": k + 1,
                "mean_qty": mean,
                "p10_qty": mean - width,
                "p50_qty": mean,
                "p90_qty": mean + width,
                "model": "x",
            }
            for merchant, mean in means.items()
            for k in range(4)
        ]
    )


def offer(sku: str, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "supplier_id": "s1",
        "sku_id": sku,
        "supply_price_cents": 100,
        "on_hand_qty": 0,
        "capacity_per_day": 1000,
        "lead_time_days": 7,
        "min_order_qty": 1,
        "valid_from": datetime(2017, 12, 1, tzinfo=UTC),
    }
    return row | changes


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(
        list(rows),
        schema_overrides={
            "on_hand_qty": pl.Int64,
            "capacity_per_day": pl.Int64,
            "lead_time_days": pl.Int64,
            "min_order_qty": pl.Int64,
        },
    )


NO_LISTINGS = pl.DataFrame(schema={"merchant_id": pl.String, "sku_id": pl.String, "is_listed": pl.Boolean})
SURE = ReorderConfig(lead_time_cv=0.0, share_prior_units=0.0)


def run(
    sold: pl.DataFrame,
    ahead: pl.DataFrame,
    supply: pl.DataFrame,
    config: ReorderConfig = SURE,
    listings: pl.DataFrame = NO_LISTINGS,
) -> ReorderResult:
    return reorder(ahead, sold, supply, listings, AS_OF, config)


def one(result: ReorderResult) -> dict[str, Any]:
    assert result.reorder_suggestions.height == 1
    return result.reorder_suggestions.row(0, named=True)


def test_order_up_to_by_hand() -> None:
    """One sku is the whole category: 70 units a week, 7 + 7 days, so demand is Poisson(140)."""
    sold = lines([("m1", "k", 3, 5)])
    row = one(run(sold, forecasts({"m1": 70.0}), table(offer("k", on_hand_qty=90))))
    # Quantiles of Poisson(140) and Poisson(70) from published tables: 146 at 0.7, 155 at 0.9; 74 at 0.7.
    assert (row["order_up_to_qty"], row["demand_p90_qty"]) == (146, 155)
    assert row["demand_mean_qty"] == pytest.approx(140)
    assert (row["on_hand_qty"], row["reorder_qty"]) == (90, 56)
    # (90 - 74) / 10 a day leaves one whole day.
    assert row["order_by_on"] == TODAY + timedelta(days=1)
    assert row["reason_code"] == "below_order_up_to_level"
    assert json.loads(row["explanation"])["reorder_point_qty"] == 74


def test_columns_are_the_published_ones() -> None:
    result = run(lines([("m1", "k", 3, 5)]), forecasts({"m1": 70.0}), table(offer("k")))
    for name, frame in (
        ("reorder_suggestions", result.reorder_suggestions),
        ("reorder_merchant_shares", result.reorder_merchant_shares),
    ):
        published = PUBLISHED_TABLES[name]
        assert frame.columns == [c.name for c in published.columns]
        assert frame.select(published.key).is_unique().all()
        for column in published.columns:
            assert column.nullable or frame[column.name].null_count() == 0, column.name


def test_enough_stock_orders_nothing() -> None:
    result = run(lines([("m1", "k", 3, 5)]), forecasts({"m1": 7.0}), table(offer("k", on_hand_qty=500)))
    row = one(result)
    assert (row["reorder_qty"], row["order_by_on"], row["reason_code"]) == (0, None, "enough_stock")
    assert result.reorder_merchant_shares.height == 0


def test_what_lies_in_stock_is_judged_although_nothing_forecasts_it() -> None:
    """The stock decides who has a row: `old` sells nothing and is not forecast, `gone` has none."""
    new = datetime(2017, 12, 31, tzinfo=UTC)
    supply = table(
        offer("k", on_hand_qty=500),
        offer("old", on_hand_qty=7),
        offer("new", on_hand_qty=7, valid_from=new),
        offer("gone"),
    )
    got = run(lines([("m1", "k", 3, 5)]), forecasts({"m1": 7.0}), supply).reorder_suggestions
    assert {row["sku_id"]: (row["reason_code"], row["is_stalled"]) for row in got.iter_rows(named=True)} == {
        "k": ("enough_stock", False),
        "old": ("no_expected_demand", True),
        "new": ("no_expected_demand", False),
    }
    idle = got.filter(sku_id="old").row(0, named=True)
    numbers = ("demand_mean_qty", "demand_p90_qty", "order_up_to_qty", "reorder_qty", "order_by_on")
    assert tuple(idle[name] for name in numbers) == (0, 0, 0, 0, None)


def test_capacity_caps_and_minimum_excludes() -> None:
    sold, ahead = lines([("m1", "k", 3, 5)]), forecasts({"m1": 70.0})
    capped = one(run(sold, ahead, table(offer("k", capacity_per_day=10))))
    assert (capped["reorder_qty"], capped["reason_code"]) == (70, "reorder_capped_by_capacity")
    assert json.loads(capped["explanation"])["shortfall_qty"] == 76
    excluded = one(run(sold, ahead, table(offer("k", capacity_per_day=10, min_order_qty=100))))
    assert (excluded["reorder_qty"], excluded["reason_code"]) == (0, "capacity_below_minimum_order")


def test_a_budget_buys_what_avoids_most_lost_sales() -> None:
    """Both sell 35 a week; `dear` costs ten times as much, so that its money avoids a tenth."""
    sold, ahead = lines([("m1", "cheap", 3, 5), ("m1", "dear", 3, 5)]), forecasts({"m1": 70.0})
    supply = table(offer("cheap"), offer("dear", supply_price_cents=1000))
    free = run(sold, ahead, supply).reorder_suggestions
    wanted = dict(free.select("sku_id", "reorder_qty").iter_rows())
    assert wanted["cheap"] == wanted["dear"] > 70
    budget = wanted["cheap"] * 100 + 5_999
    tight = ReorderConfig(lead_time_cv=0.0, share_prior_units=0.0, budget_cents=budget)
    result = run(sold, ahead, supply, tight)
    got = {row["sku_id"]: row for row in result.reorder_suggestions.iter_rows(named=True)}
    assert (got["cheap"]["reorder_qty"], got["cheap"]["reason_code"]) == (
        wanted["cheap"],
        "below_order_up_to_level",
    )
    assert (got["dear"]["reorder_qty"], got["dear"]["reason_code"]) == (5, "reorder_cut_by_budget")
    explained = json.loads(got["dear"]["explanation"])
    assert explained["over_budget_qty"] == wanted["dear"] - 5
    assert explained["service_level"] < json.loads(got["cheap"]["explanation"])["service_level"]
    assert result.reorder_merchant_shares["reorder_qty"].sum() == wanted["cheap"] + 5
    none = run(sold, ahead, supply, ReorderConfig(lead_time_cv=0.0, share_prior_units=0.0, budget_cents=99))
    assert none.reorder_suggestions["reason_code"].to_list() == ["over_budget"] * 2
    with pytest.raises(ValueError, match="budget_cents"):
        ReorderConfig(budget_cents=-1)


def test_the_reason_tells_service_and_cost_by_hand() -> None:
    """Poisson(2 weeks of 1): at 0.7 the level is 3; what comes of it is summed over the counts."""
    row = one(run(lines([("m1", "k", 3, 1)]), forecasts({"m1": 1.0}), table(offer("k"))))
    said = json.loads(row["explanation"])
    assert (row["order_up_to_qty"], row["reorder_qty"]) == (3, 3)
    # P(0..3) of Poisson(2) = .857123; E[(D - 3)+] = 2 - 3 + 3 P(0) + 2 P(1) + P(2) = .217953.
    assert said["service_level"] == 0.8571
    assert (said["expected_lost_qty"], said["expected_left_qty"]) == (0.22, 1.22)
    assert said["expected_cost"] == pytest.approx(0.217953 + 0.05 * 1.217953, abs=0.005)
    assert (said["demand_class"], said["service_quantile"]) == (None, 0.7)


def test_past_weeks_tune_what_is_ordered() -> None:
    """40 skus of steady sales: the loop at high holding costs orders less than at low ones."""
    sold = lines([("m1", f"k{n:02d}", 3, 5) for n in range(40)])
    monday = date(2017, 12, 25)
    weekly = pl.DataFrame(
        [
            {
                "sku_id": f"k{n:02d}",
                "week_start_on": monday - timedelta(weeks=w),
                "qty": 4.0 + (7 * n + w) % 5,
            }
            for n in range(40)
            for w in range(34)
        ]
    )
    supply, ahead = table(*(offer(f"k{n:02d}") for n in range(40))), forecasts({"m1": 240.0}, 60.0)

    def ordered(holding: float) -> tuple[int, set[str]]:
        config = ReorderConfig(holding_cost=holding)
        got = reorder(ahead, sold, supply, NO_LISTINGS, AS_OF, config, weekly).reorder_suggestions
        said = [json.loads(text) for text in got["explanation"]]
        return int(got["reorder_qty"].sum()), {
            f"{one['demand_class']} {one['service_quantile']}" for one in said
        }

    low, high = ordered(2.0), ordered(0.02)
    assert low[0] < high[0]
    assert all(said.startswith("smooth") for said in low[1] | high[1])


def test_nothing_is_brought_in_of_what_the_quality_brake_stopped() -> None:
    sold = lines([("m1", "k", 3, 5), ("m1", "j", 3, 5)])
    supply = table(offer("k"), offer("j"))
    free = reorder(forecasts({"m1": 70.0}), sold, supply, NO_LISTINGS, AS_OF, SURE)
    assert (free.reorder_suggestions["reorder_qty"] > 0).all()
    held = reorder(forecasts({"m1": 70.0}), sold, supply, NO_LISTINGS, AS_OF, SURE, stopped=["k"])
    found = {row["sku_id"]: row for row in held.reorder_suggestions.iter_rows(named=True)}
    assert (found["k"]["reorder_qty"], found["k"]["order_by_on"]) == (0, None)
    assert found["k"]["reason_code"] == "stopped_by_quality_brake"
    assert found["j"] == free.reorder_suggestions.row(by_predicate=pl.col("sku_id") == "j", named=True)
    assert held.reorder_merchant_shares["sku_id"].unique().to_list() == ["j"]


def test_packs_from_the_offer() -> None:
    supply = table(offer("k", min_order_qty=24)).with_columns(pack_qty=pl.lit(24))
    assert one(run(lines([("m1", "k", 3, 5)]), forecasts({"m1": 70.0}), supply))["reorder_qty"] == 168


def test_unknown_stock_counts_as_none_and_says_so() -> None:
    row = one(run(lines([("m1", "k", 3, 5)]), forecasts({"m1": 70.0}), table(offer("k", on_hand_qty=None))))
    assert (row["on_hand_qty"], row["reorder_qty"]) == (None, 146)
    assert json.loads(row["explanation"])["is_stock_known"] is False


def test_merchants_pool_and_their_shares_sum() -> None:
    sold = lines([("m1", "k", 3, 5), ("m2", "k", 4, 5), ("m3", "k", 4, 5)])
    result = run(sold, forecasts({"m1": 35.0, "m2": 28.0, "m3": 7.0}), table(offer("k")))
    assert one(result)["reorder_qty"] == 146
    shares = result.reorder_merchant_shares
    # 146 x (.5, .4, .1) = 73, 58.4, 14.6: the largest remainder is m3's.
    assert dict(shares.select("merchant_id", "reorder_qty").iter_rows()) == {"m1": 73, "m2": 58, "m3": 15}
    assert shares["expected_qty"].sum() == pytest.approx(140)


def test_two_suppliers_share_one_need() -> None:
    supply = table(offer("k", supplier_id="s2", supply_price_cents=130), offer("k"))
    result = run(lines([("m1", "k", 3, 5)]), forecasts({"m1": 70.0}), supply)
    by_supplier = {r["supplier_id"]: r for r in result.reorder_suggestions.iter_rows(named=True)}
    assert (by_supplier["s1"]["reorder_qty"], by_supplier["s2"]["reorder_qty"]) == (103, 43)
    assert json.loads(by_supplier["s1"]["explanation"])["open_share_qty"] == 15
    assert result.reorder_merchant_shares["expected_qty"].sum() == pytest.approx(140)


def test_shares_by_hand_and_shrunk() -> None:
    sold = lines([("m1", "a", 10, 6), ("m1", "b", 10, 2), ("m2", "a", 10, 10), ("m2", "b", 100, 2)])
    plain = sku_shares(sold, NO_LISTINGS, TODAY, SURE)
    assert dict(plain.filter(pl.col("merchant_id") == "m1").select("sku_id", "share").iter_rows()) == {
        "a": 0.75,
        "b": 0.25,
    }
    shrunk = sku_shares(sold, NO_LISTINGS, TODAY, ReorderConfig(share_prior_units=8))
    # The platform split is 16 : 4; (6 + 8 x .8) / 16.
    assert shrunk.row(0)[3] == pytest.approx((6 + 6.4) / 16)
    sums = shrunk.group_by("merchant_id").agg(pl.col("share").sum())["share"]
    assert sums.to_list() == pytest.approx([1, 1])


def test_delisted_pairs_are_left_out() -> None:
    sold = lines([("m1", "a", 10, 6), ("m1", "b", 10, 2)])
    off = pl.DataFrame({"merchant_id": ["m1"], "sku_id": ["a"], "is_listed": [False], "is_current": [True]})
    assert sku_shares(sold, off, TODAY, SURE).select("sku_id", "share").rows() == [("b", 1.0)]
    stale = off.with_columns(is_current=pl.lit(value=False))
    assert sku_shares(sold, stale, TODAY, SURE).height == 2


def test_bundles_widen_counts() -> None:
    assert units_per_line_factor(lines([("m1", "a", 1, 1), ("m1", "a", 1, 3)])) == pytest.approx(10 / 4)
    assert units_per_line_factor(lines([])) == 1.0


def test_one_wholesale_line_does_not_widen_everything() -> None:
    """A hundred lines of 1 and one of 6,000: in full it would give a factor of 5,902."""
    factor = units_per_line_factor(lines([("m1", "a", 1, 1)] * 100 + [("m1", "a", 1, 6_000)]))
    # Capped at 100 medians: (100 x 1 + 100 x 100) / (100 + 100).
    assert factor == pytest.approx(10_100 / 200)


def test_goods_by_weight_are_reordered_in_whole_units() -> None:
    by_weight = lines([("m1", "k", 3, 1), ("m1", "k", 5, 2)]).with_columns(
        qty=pl.col("qty").cast(pl.Float64) * 0.345
    )
    result = run(by_weight, forecasts({"m1": 35.5}), table(offer("k")))
    assert result.reorder_suggestions.schema["reorder_qty"] == pl.Int64
    # Twice the weekly forecast of 35.5 kg; the level is rounded up to whole kilograms.
    assert one(result)["demand_mean_qty"] == pytest.approx(71.0)
    assert one(result)["order_up_to_qty"] >= 71


def test_uncertainty_raises_the_level() -> None:
    sold, supply = lines([("m1", "k", 3, 5)]), table(offer("k"))
    sure = one(run(sold, forecasts({"m1": 70.0}), supply))
    wide = one(run(sold, forecasts({"m1": 70.0}, width=40), supply))
    late = one(run(sold, forecasts({"m1": 70.0}), supply, ReorderConfig(lead_time_cv=0.5)))
    assert wide["order_up_to_qty"] > sure["order_up_to_qty"]
    assert late["order_up_to_qty"] > sure["order_up_to_qty"]


@pytest.mark.parametrize("missing", ["offers", "forecasts", "lines"])
def test_empty_inputs_give_empty_tables(missing: str) -> None:
    sold, ahead, supply = lines([("m1", "k", 3, 5)]), forecasts({"m1": 70.0}), table(offer("k"))
    result = run(
        sold.clear() if missing == "lines" else sold,
        ahead.clear() if missing == "forecasts" else ahead,
        supply.clear() if missing == "offers" else supply,
    )
    assert result.reorder_suggestions.height == 0
    assert result.reorder_merchant_shares.height == 0
    assert len(result.reorder_suggestions.columns) == 12


def test_row_order_does_not_matter() -> None:
    sold = lines([(f"m{m}", f"k{k}", 3 + k, 1 + m) for m in range(4) for k in range(5)])
    ahead = forecasts({f"m{m}": 20.0 + m for m in range(4)})
    supply = table(*(offer(f"k{k}", on_hand_qty=k) for k in range(5)))
    here = run(sold, ahead, supply)
    there = run(
        sold.sample(fraction=1, shuffle=True, seed=1),
        ahead.sample(fraction=1, shuffle=True, seed=2),
        supply.sample(fraction=1, shuffle=True, seed=3),
    )
    assert here.reorder_suggestions.equals(there.reorder_suggestions)
    assert here.reorder_merchant_shares.equals(there.reorder_merchant_shares)


def test_as_of_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        reorder(forecasts({"m1": 1.0}), lines([]), table(offer("k")), NO_LISTINGS, datetime(2018, 1, 1))  # noqa: DTZ001

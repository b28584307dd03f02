from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.replenishment.apportion import largest_remainder
from models.replenishment.config import ReorderConfig
from models.replenishment.protection import cumulative, demand_quantile, protection_demand
from models.replenishment.stalled import stalled
from models.replenishment.suppliers import ranked_offers, rounded_order, split_over_suppliers

TODAY = date(2018, 1, 8)


def split(weights: list[float], total: int) -> list[int]:
    frame = pl.DataFrame(
        {"g": "a", "w": weights, "t": total, "tie": [f"{k:03d}" for k in range(len(weights))]},
        schema_overrides={"w": pl.Float64, "t": pl.Int64},
    )
    return largest_remainder(frame, ["g"], "w", "t", "tie", "out")["out"].to_list()


def test_largest_remainder_by_hand() -> None:
    assert split([1, 1, 1], 10) == [4, 3, 3]
    assert split([0.6, 0.25, 0.15], 5) == [3, 1, 1]
    assert split([0, 0], 3) == [2, 1]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.integers(0, 100_000))
def test_shares_sum_and_stay_within_one_unit(weights: list[float], total: int) -> None:
    parts = split(weights, total)
    assert sum(parts) == total
    weight = sum(weights)
    if weight > 0:
        for part, share in zip(parts, weights, strict=True):
            assert abs(part - share / weight * total) < 1 + 1e-6


def test_cumulative_by_hand() -> None:
    weekly = np.array([[7.0, 14.0]] * 4)
    np.testing.assert_allclose(cumulative(weekly, np.array([0.0, 3.0, 10.0, 21.0])), [0, 3, 13, 31.5])


def poisson_level(rate: float, level: float) -> int:
    """Least s with P(Poisson(rate) <= s) >= level, by summing the mass function."""
    mass, total, s = math.exp(-rate), math.exp(-rate), 0
    while total < level:
        s += 1
        mass *= rate / s
        total += mass
    return s


@given(st.floats(0.1, 40), st.integers(1, 20), st.sampled_from([0.5, 0.7, 0.9, 0.99]))
def test_order_up_to_is_the_textbook_base_stock(weekly: float, lead: int, level: float) -> None:
    """Poisson demand and a fixed lead time: S is the Poisson quantile at rate x (lead + review)."""
    mean = np.full((1, 4), weekly)
    total, variance = protection_demand(mean, mean, np.array([float(lead)]), 0.0, 7, 0)
    expected = weekly / 7 * (lead + 7)
    np.testing.assert_allclose([total[0], variance[0]], expected)
    quantile = demand_quantile(total, variance, level)[0]
    assert quantile in {poisson_level(expected * (1 + shift), level) for shift in (-1e-9, 0, 1e-9)}


def test_matched_moments_agree_with_joint_simulation() -> None:
    """Negative binomial weeks and gamma lead times, drawn day by day, against the closed form."""
    rng = np.random.default_rng(4)
    weekly, ratio, lead, cv, draws = 21.0, 2.5, 10.0, 0.25, 40_000
    mean = np.full((1, 6), weekly)
    total, variance = protection_demand(mean, ratio * mean, np.array([lead]), cv, 7, 0)
    lengths = rng.gamma(1 / cv**2, lead * cv**2, draws) + 7
    expected = weekly / 7 * lengths
    sampled = rng.poisson(rng.gamma(expected / (ratio - 1), ratio - 1))
    np.testing.assert_allclose(total[0], sampled.mean(), rtol=0.01)
    np.testing.assert_allclose(variance[0], sampled.var(), rtol=0.03)
    for level in (0.5, 0.7, 0.9, 0.95):
        assert abs(demand_quantile(total, variance, level)[0] - np.quantile(sampled, level)) <= 1


def test_no_demand_orders_nothing() -> None:
    assert demand_quantile(np.zeros(2), np.array([0.0, 3.0]), 0.9).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("wanted", "minimum", "pack", "capacity", "expected"),
    [
        (0, 6, 1, None, 0),
        (5, 1, 1, None, 5),
        (5, 12, 1, None, 12),
        (13, 12, 6, None, 18),
        (50, 12, 6, 30, 30),
        (5, 12, 6, 6, 0),
        (5, 12, 1, 12, 12),
    ],
)
def test_rounding_of_an_order(
    wanted: int, minimum: int, pack: int, capacity: int | None, expected: int
) -> None:
    frame = pl.DataFrame(
        {"w": [wanted], "m": [minimum], "p": [pack], "c": [capacity]}, schema_overrides={"c": pl.Int64}
    )
    value = frame.select(rounded_order(pl.col("w"), pl.col("m"), pl.col("p"), pl.col("c"))).item()
    assert value == expected


def offers(rows: list[tuple[str, int, int | None, int]]) -> pl.DataFrame:
    """(supplier, price, capacity a day, minimum) offers of one sku."""
    return pl.DataFrame(
        [
            {
                "supplier_id": name,
                "sku_id": "k",
                "supply_price_cents": price,
                "on_hand_qty": 0,
                "capacity_per_day": capacity,
                "lead_time_days": 3,
                "min_order_qty": minimum,
                "valid_from": date(2018, 1, 1),
            }
            for name, price, capacity, minimum in rows
        ],
        schema_overrides={"capacity_per_day": pl.Int64},
    )


def plan(rows: list[tuple[str, int, int | None, int]], need: int) -> dict[str, dict[str, int]]:
    config = ReorderConfig()
    needs = ranked_offers(offers(rows), config).with_columns(need_qty=pl.lit(need, dtype=pl.Int64))
    split_frame = split_over_suppliers(needs, config)
    return {row["supplier_id"]: row for row in split_frame.iter_rows(named=True)}


def test_one_supplier_takes_everything() -> None:
    result = plan([("s1", 100, None, 1)], 100)
    assert (result["s1"]["reorder_qty"], result["s1"]["open_qty"], result["s1"]["shortfall_qty"]) == (
        100,
        0,
        0,
    )


def test_primary_sixty_backups_thirty_and_the_missing_ten_is_said() -> None:
    result = plan([("s2", 120, None, 1), ("s1", 100, None, 1), ("s3", 130, None, 1)], 100)
    assert {name: row["reorder_qty"] for name, row in result.items()} == {"s1": 70, "s2": 30, "s3": 0}
    assert result["s1"]["open_qty"] == 10


def test_backups_below_their_minimum_go_back_to_the_primary() -> None:
    result = plan([("s1", 100, None, 1), ("s2", 120, None, 50)], 100)
    assert {name: row["reorder_qty"] for name, row in result.items()} == {"s1": 100, "s2": 0}


def test_a_short_primary_leaves_a_shortfall_and_backups_keep_their_cap() -> None:
    result = plan([("s1", 100, 5, 1), ("s2", 120, None, 1)], 100)
    assert {name: row["reorder_qty"] for name, row in result.items()} == {"s1": 35, "s2": 30}
    assert result["s1"]["shortfall_qty"] == 35


@given(
    st.integers(10, 500),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_split_is_optimal_for_the_linear_programme(need: int, capacities: list[int]) -> None:
    """Against scipy: with ascending costs and the backups' budget used as far as capacity allows."""
    from scipy.optimize import linprog

    budget = math.floor(need * 0.3)
    rows: list[tuple[str, int, int | None, int]] = [("s0", 100, None, 1)]
    rows += [(f"s{k}", 100 + k, capacity, 1) for k, capacity in enumerate(capacities, start=1)]
    result = plan(rows, need)
    taken = [result[f"s{k}"]["reorder_qty"] for k in range(len(rows))]
    used = min(budget, sum(7 * c for c in capacities))
    n = len(rows)
    solved = linprog(
        [row[1] for row in rows],
        A_eq=[[1] * n, [0] + [1] * (n - 1)],
        b_eq=[need, used],
        bounds=[(0.6 * need, need), *[(0, 7 * c) for c in capacities]],
    )
    assert solved.success
    assert sum(t * row[1] for t, row in zip(taken, rows, strict=True)) == pytest.approx(solved.fun)


def sales(days: list[int], sku: str = "k") -> pl.DataFrame:
    """Units sold on each of the days before TODAY, newest last, plus an early first sale."""
    rows = [(sku, TODAY - timedelta(days=60), 1)]
    rows += [(sku, TODAY - timedelta(days=len(days) - k), qty) for k, qty in enumerate(days) if qty]
    return pl.DataFrame(rows, schema=["sku_id", "placed_on", "qty"], orient="row").with_columns(
        is_merchandise=pl.lit(value=True)
    )


def is_stalled(
    lines: pl.DataFrame,
    safety: float,
    config: ReorderConfig | None = None,
    *,
    on_hand: int = 0,
    offered: date | None = None,
) -> bool:
    stock = pl.DataFrame(
        {"sku_id": ["k"], "safety_stock_qty": [safety], "on_hand_qty": [on_hand], "offered_on": [offered]},
        schema_overrides={"offered_on": pl.Date},
    )
    return bool(stalled(lines, stock, TODAY, config or ReorderConfig())["is_stalled"].item())


def test_stalled_boundaries() -> None:
    # Safety stock 10: the limit is 2 units a day.
    assert is_stalled(sales([1] * 7), 10)
    assert is_stalled(sales([0] * 7), 10)
    assert not is_stalled(sales([1, 1, 1, 2, 1, 1, 1]), 10)
    assert not is_stalled(sales([2, 1, 1, 1, 1, 1, 1]), 10)
    assert is_stalled(sales([2, 1, 1, 1, 1, 1, 1, 1]), 10)
    assert not is_stalled(sales([0] * 7), 0)


def test_stock_of_which_nothing_is_expected_is_stalled_when_nothing_was_sold() -> None:
    long_ago, week = TODAY - timedelta(days=60), TODAY - timedelta(days=7)
    nothing = sales([0]).clear()
    assert is_stalled(nothing, 0, on_hand=5, offered=long_ago)
    assert not is_stalled(nothing, 0, on_hand=0, offered=long_ago)
    assert not is_stalled(nothing, 0, on_hand=5, offered=week)  # it came within the seven days
    assert not is_stalled(nothing, 0, on_hand=5)
    assert not is_stalled(sales([0, 0, 0, 1, 0, 0, 0, 0]), 0, on_hand=5, offered=long_ago)


def test_today_and_other_lines_do_not_count() -> None:
    lines = sales([1] * 7)
    today = lines.head(1).with_columns(placed_on=pl.lit(TODAY), qty=pl.lit(50, dtype=pl.Int64))
    fuel = sales([9] * 7).with_columns(is_merchandise=pl.lit(value=False))
    assert is_stalled(pl.concat([lines, today, fuel]), 10)


def test_a_new_sku_is_not_stalled() -> None:
    assert not is_stalled(sales([1] * 7).tail(7), 10)


def test_the_other_reading_sums_the_days() -> None:
    summed = ReorderConfig(slow_reading="window_sum")
    assert not is_stalled(sales([1] * 7), 10, summed)
    assert is_stalled(sales([1, 0, 0, 0, 0, 0, 0]), 10, summed)
    assert not is_stalled(sales([1, 1, 0, 0, 0, 0, 0]), 10, summed)


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="service_quantile"):
        ReorderConfig(service_quantile=1.0)
    with pytest.raises(ValueError, match="backup_share"):
        ReorderConfig(primary_share=0.8, backup_share=0.3)
    with pytest.raises(ValueError, match="slow_reading"):
        ReorderConfig(slow_reading="weekly")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        ReorderConfig(review_days=0)

"""The closed loop and what is tuned in it: by hand, against exact values, and against its own rules."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.replenishment.config import ReorderConfig
from models.replenishment.limits import OrderLimits
from models.replenishment.loop.past_loop import GRID, demand_classes, sku_levels
from models.replenishment.loop.simulate import Outcome, Terms, simulate
from models.replenishment.loop.tuning import tune
from models.replenishment.protection import demand_quantile, expected_lost, service_level

Floats = npt.NDArray[np.float64]


def test_the_loop_by_hand() -> None:
    """Stock 10; 4 a week; each week 5 are ordered, which come two weeks later; 0.5 held, 2 lost."""
    asked = np.asarray([[4.0, np.nan, 9.0, 4.0, 12.0]])
    seen = []

    def policy(week: int, stock: Floats, arriving: Floats) -> Floats:
        seen.append((week, stock[0], arriving[0].tolist()))
        return np.asarray([4.2])

    got = simulate(asked, policy, Terms(2, 0.5, 2.0), stock=np.asarray([10.0]), start=0, score_from=1)
    # 10-4=6 | nobody asks, 6 | 6+5-9=2 | 2+5-4=3 | 3+5-12: 4 are lost
    assert seen == [(0, 6, [0]), (1, 6, [5]), (2, 2, [5]), (3, 3, [5]), (4, 0, [5])]
    assert (got.lost[0], got.held[0], got.demand[0]) == (4, 11, 25)
    assert got.total_cost == 2 * 4 + 0.5 * 11
    assert got.fill_rate == pytest.approx(21 / 25)
    assert got.periods_of_stock == pytest.approx(11 / 21)


def test_a_drawn_lead_time_decides_when_an_order_comes() -> None:
    leads = np.asarray([[3, 1, 1, 1]])
    got = simulate(
        np.asarray([[0.0, 0.0, 1.0, 0.0]]), lambda week, *_: np.asarray([float(week == 1)]),
        Terms(3), stock=np.zeros(1), start=0, score_from=0, leads=leads,
    )  # fmt: skip
    assert (got.lost[0], got.held[0]) == (0, 0)
    with pytest.raises(ValueError, match=r"1\.\.2"):
        simulate(np.zeros((1, 4)), lambda *_: np.zeros(1), Terms(2), stock=np.zeros(1), start=0,
                 score_from=0, leads=leads)  # fmt: skip
    with pytest.raises(ValueError, match="score_from"):
        simulate(np.zeros((1, 4)), lambda *_: np.zeros(1), Terms(2), stock=np.zeros(1), start=3, score_from=2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_no_unit_appears_or_vanishes(seed: int, lead: int) -> None:
    random = np.random.default_rng(seed)
    asked, orders = random.integers(0, 9, (3, 12)).astype(float), random.integers(0, 9, (12, 3)).astype(float)
    begun = random.integers(0, 9, 3).astype(float)
    ends: dict[int, Floats] = {}

    def policy(week: int, stock: Floats, arriving: Floats) -> Floats:
        ends[week] = stock
        return np.asarray(orders[week])

    got = simulate(asked, policy, Terms(lead), stock=begun, start=0, score_from=0)
    came = orders[: 12 - lead].sum(axis=0)
    np.testing.assert_allclose(begun + came - (got.demand - got.lost), ends[11])
    assert (got.lost >= 0).all()


def test_poisson_lost_sales_cost_no_more_than_the_best_base_stock() -> None:
    """Poisson(5), holding 1, lost sale 4: every base stock is tried in the weeks of the tuned quantile."""
    random = np.random.default_rng(1)
    asked = random.poisson(5, (100, 140)).astype(float)

    def at(level: float) -> Outcome:
        def policy(week: int, stock: Floats, arriving: Floats) -> Floats:
            return level - stock - arriving.sum(axis=1)

        return simulate(asked, policy, Terms(3, 1.0, 4.0), stock=np.full(100, 15.0), start=0, score_from=40)

    def run(quantile: float) -> Outcome:
        of_three_weeks = np.asarray([15.0])
        return at(float(demand_quantile(of_three_weeks, of_three_weeks, quantile)[0]))

    best = min(at(float(level)).total_cost for level in range(10, 28))
    tuned = tune(run, np.full(100, "poisson"), grid=GRID)
    assert min(tuned.costs["poisson"]) < 1.01 * best


def test_exact_newsvendor() -> None:
    """Poisson(50), holding 0.18, stock-out 0.70: the least expected cost of all levels, term by term."""
    from scipy import stats

    asked = np.arange(200)
    chance = stats.poisson(50).pmf(asked)

    def expected_cost(level: int) -> float:
        gap = level - asked
        return float((chance * np.where(gap > 0, 0.18 * gap, -0.70 * gap)).sum())

    best = min(range(200), key=expected_cost)
    mean = np.asarray([50.0])
    level = demand_quantile(mean, mean, 0.70 / 0.88)
    lost = expected_lost(mean, mean, level)
    assert level.tolist() == [best]
    assert (0.70 * lost + 0.18 * (level - mean + lost))[0] == pytest.approx(expected_cost(best), rel=1e-9)


@given(st.floats(0.2, 40), st.floats(1.0, 6.0), st.integers(0, 60))
def test_expected_lost_sales_are_the_sum_over_the_tail(mean: float, wide: float, stock: int) -> None:
    from scipy import stats

    variance = mean * wide
    counts = np.arange(4000)
    if wide > 1 + 1e-6:
        law = stats.nbinom(mean**2 / (variance - mean), mean / variance)
    else:
        variance, law = mean, stats.poisson(mean)
    args = (np.asarray([mean]), np.asarray([variance]), np.asarray([float(stock)]))
    chances = law.pmf(counts)
    expected = (np.maximum(counts - stock, 0) * chances).sum()
    assert expected_lost(*args)[0] == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert service_level(*args)[0] == pytest.approx(chances[: stock + 1].sum(), abs=1e-9)


def limits(**changes: object) -> OrderLimits:
    plain: dict[str, object] = {
        "minimum": np.asarray([1, 12, 5, 1]),
        "pack": np.asarray([1, 6, 5, 10]),
    }
    return OrderLimits(**(plain | changes))  # type: ignore[arg-type]


def test_limits_by_hand() -> None:
    wanted, same = np.asarray([2.2, 1.0, 0.0, 11.0]), np.ones(4)
    assert limits().feasible(wanted, same).tolist() == [3, 12, 0, 20]
    assert limits(capacity=np.asarray([2, 11, 9, 19])).feasible(wanted, same).tolist() == [2, 0, 0, 10]
    assert limits(most=np.asarray([1.0, 9, 9, 9])).feasible(wanted, same).tolist() == [1, 12, 0, 10]
    with pytest.raises(ValueError, match="unit_cost"):
        limits(budget=5.0)


def test_a_budget_serves_the_worthiest_in_whole_packs() -> None:
    money = limits(budget=50.0, unit_cost=np.asarray([1.0, 2.0, 1.0, 2.0]))
    wanted = np.asarray([9.0, 12.0, 0.0, 20.0])
    # The last costs 40 and comes first; 10 are left: 9 for the first, 1 for the second, under its minimum.
    assert money.feasible(wanted, np.asarray([2.0, 1.0, 1.0, 3.0])).tolist() == [9, 0, 0, 20]
    assert money.feasible(wanted, np.asarray([1.0, 3.0, 1.0, 2.0])).tolist() == [6, 12, 0, 10]


@given(st.integers(0, 2**32 - 1))
def test_orders_keep_every_limit(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = 8
    minimum, pack, capacity = random.integers(1, 20, n), random.integers(1, 9, n), random.integers(0, 60, n)
    cost = random.uniform(0.5, 3, n)
    rule = OrderLimits(minimum, pack, capacity, random.uniform(0, 50, n), cost, 60.0)
    got = rule.feasible(random.uniform(0, 60, n), random.uniform(0, 1, n))
    assert (got % pack == 0).all()
    assert (got <= capacity).all()
    assert ((got == 0) | (got >= minimum)).all()
    assert (got * cost).sum() <= 60 + 1e-9


def test_classes_by_hand() -> None:
    weeks = np.asarray(
        [[5, 5, 5, 5, 5, 5], [1, 9, 1, 9, 1, 1], [0, 3, 0, 3, 0, 3], [2, 0, 0, 30, 0, 2], [0, 0, 0, 0, 5, 5]],
        dtype=float,
    )
    assert demand_classes(weeks).tolist() == ["smooth", "erratic", "intermittent", "lumpy", "smooth"]


def past(rows: dict[str, list[float]], last_week: date) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"sku_id": sku, "week_start_on": last_week - timedelta(weeks=len(sold) - 1 - k), "qty": units}
            for sku, sold in rows.items()
            for k, units in enumerate(sold)
            if units
        ],
        schema={"sku_id": pl.String, "week_start_on": pl.Date, "qty": pl.Float64},
    )


def ranked(skus: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {"sku_id": skus, "lead_time_days": 7, "minimum": 1, "pack": 1, "place": 0},
    ).with_columns(capacity=pl.lit(None, pl.Int64))


def test_the_past_tunes_each_class_to_the_costs_of_its_stock() -> None:
    random = np.random.default_rng(0)
    today = date(2018, 1, 3)
    rows = {f"even{k:02d}": random.poisson(40, 34).astype(float).tolist() for k in range(40)}
    wild = (random.random((40, 34)) < 0.15) * random.integers(1, 60, (40, 34))
    rows |= {f"wild{k:02d}": wild[k].astype(float).tolist() for k in range(40)}
    weekly, offers = past(rows, date(2017, 12, 25)), ranked(sorted(rows))
    config = ReorderConfig()
    got = sku_levels(weekly, offers, today, config)
    levels = dict(got.select("demand_class", "service_quantile").unique().iter_rows())
    assert set(levels) == {"smooth", "lumpy", "intermittent"}
    dear = sku_levels(weekly, offers, today, ReorderConfig(holding_cost=2.0))
    cheap = dict(dear.select("demand_class", "service_quantile").unique().iter_rows())
    assert cheap["smooth"] < levels["smooth"]
    # Sales of this week and later are not known yet.
    later = pl.concat([weekly, past({"even00": [999.0]}, date(2018, 1, 1))])
    assert sku_levels(later, offers, today, config).equals(got)


def test_too_little_past_keeps_the_setting() -> None:
    today = date(2018, 1, 3)
    few = past({f"s{k}": [5.0] * 34 for k in range(5)}, date(2017, 12, 25))
    new = past({f"s{k:02d}": [5.0] * 6 for k in range(50)}, date(2017, 12, 25))
    for weekly in (few, new):
        offers = ranked(weekly["sku_id"].unique().sort().to_list())
        assert sku_levels(weekly, offers, today, ReorderConfig())["service_quantile"].unique().to_list() == [
            0.7
        ]
    assert sku_levels(few.clear(), ranked(["s1"]), today, ReorderConfig()).is_empty()


def test_a_class_must_fill_what_is_asked_of_it() -> None:
    asked = np.asarray([[10.0, 10.0, 10.0]])

    def run(level: float):
        policy = lambda week, stock, arriving: np.asarray([10 * level])  # noqa: E731
        return simulate(asked, policy, Terms(1, 9.0, 1.0), stock=np.zeros(1), start=0, score_from=1)

    names = np.asarray(["a"])
    assert tune(run, names, grid=(0.2, 0.5, 1.0), least_series=2).levels == {}
    assert tune(run, names, grid=(0.2, 0.5, 0.8), least_fill=0.5).levels == {"a": 0.8}
    assert tune(run, names, grid=(0.2, 0.3), least_fill=0.9).levels == {"a": 0.3}
    assert tune(run, names, grid=(0.2, 0.5)).of(np.asarray(["a", "b"]), 0.7).tolist() == [0.5, 0.7]


def test_one_slow_supplier_does_not_decide_by_which_weeks_all_are_tuned() -> None:
    """A sku that takes half a year is not tuned, and the others are as without it."""
    random = np.random.default_rng(3)
    today = date(2026, 6, 1)
    rows = [
        (f"s{sku:03d}", today - timedelta(weeks=week), float(qty))
        for sku in range(60)
        for week in range(1, 35)
        if (qty := int(random.poisson(10)) if week > 1 else 1 + int(random.poisson(1)))
    ]
    weekly = pl.DataFrame(rows, schema=["sku_id", "week_start_on", "qty"], orient="row")

    def levels(slowest: int) -> dict[str, float]:
        offers = pl.DataFrame(
            {
                "sku_id": [f"s{sku:03d}" for sku in range(60)],
                "lead_time_days": [slowest, *[7] * 59],
                "minimum": [1] * 60, "pack": [1] * 60, "place": [0] * 60,
            }
        ).with_columns(capacity=pl.lit(None, dtype=pl.Int64))  # fmt: skip
        found = sku_levels(weekly, offers, today, ReorderConfig())
        return dict(found.filter(pl.col("sku_id") != "s000").select("sku_id", "service_quantile").iter_rows())

    assert levels(180) == levels(7)
    assert set(levels(180).values()) != {ReorderConfig().service_quantile}

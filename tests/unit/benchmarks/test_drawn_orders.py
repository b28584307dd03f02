"""Orders from drawn futures, as the inventory benchmark compares them: by hand and against exact values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.models.drawn_orders import needs, order_of_least_cost, order_to_level
from benchmarks.models.error_draws import DemandDraws, bootstrap_draws, log_errors
from models.replenishment.loop.simulate import Policy, Terms, simulate
from models.replenishment.loop.tuning import tune

Floats = npt.NDArray[np.float64]
ONE = np.ones(1, dtype=np.int64)


def test_poisson_lost_sales_cost_no_more_than_the_best_base_stock() -> None:
    """Poisson(5), holding 1, lost sale 4: every base stock is tried in the weeks of the tuned quantile."""
    random = np.random.default_rng(1)
    asked = random.poisson(5, (100, 140)).astype(float)
    possible = random.poisson(5, (1, 150, 3)).astype(float)
    draws = DemandDraws(np.repeat(possible, 100, axis=0), np.full((100, 150), 3))

    def cost_of(policy: Policy) -> float:
        got = simulate(asked, policy, Terms(3, 1.0, 4.0), stock=np.full(100, 15.0), start=0, score_from=40)
        return float(got.cost.sum())

    def base_stock(level: int) -> Policy:
        return lambda week, stock, arriving: np.maximum(level - stock - arriving.sum(axis=1), 0.0)

    def run(level: float):
        def policy(week: int, stock: Floats, arriving: Floats) -> Floats:
            return order_to_level(needs(draws, stock, arriving), np.full(100, level))

        return simulate(asked, policy, Terms(3, 1.0, 4.0), stock=np.full(100, 15.0), start=0, score_from=40)

    best = min(cost_of(base_stock(level)) for level in range(10, 28))
    tuned = tune(run, np.full(100, "poisson"), grid=(0.65, 0.75))
    assert min(tuned.costs["poisson"]) < 1.01 * best


def test_needs_lose_what_comes_before_the_order_by_hand() -> None:
    """Two futures; the order comes in week 3, or in week 2 of the second future."""
    demand = np.asarray([[[5.0, 1.0, 4.0], [1.0, 3.0, 9.0]]])
    draws = DemandDraws(demand, np.asarray([[3, 2]]))
    # First: 3-5 -> 0; 0+2-1 = 1; 4 - 1 = 3. Second: 3-1 = 2; +2 = 4; 3 - 4 = -1 (and the 9 is not its week).
    got = needs(draws, np.asarray([3.0]), np.asarray([[0.0, 2.0]]))
    assert got.tolist() == [[3.0, -1.0]]
    assert order_to_level(got, np.asarray([0.5])).tolist() == [0.0]
    assert order_to_level(got, np.asarray([0.51])).tolist() == [3.0]
    with pytest.raises(ValueError, match="reach"):
        needs(draws, np.asarray([3.0]), np.asarray([[0.0]]), review=2)


@example(0, 0.5, 1.5)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 20), st.floats(0.05, 1.5))
def test_the_order_of_least_cost_is_a_least_cost(seed: int, rate: float, holding: float) -> None:
    """No whole order costs less, by the cost of lost sales and of leftovers until they are sold."""
    need = np.random.default_rng(seed).integers(-5, 40, (1, 30)).astype(float)

    def cost(order: float) -> float:
        left = np.maximum(order - need, 0)
        hold = holding * left * (1 + left / (2 * rate))
        return float((np.maximum(need - order, 0) + hold).mean())

    chosen = order_of_least_cost(need, np.asarray([rate]), holding_cost=holding)[0]
    assert cost(chosen) == pytest.approx(min(cost(float(one)) for one in range(60)), abs=1e-9)
    heavier = order_of_least_cost(need, np.asarray([rate]), holding_cost=holding, weight=3.0)[0]
    assert heavier <= chosen


def test_the_order_of_least_cost_by_hand() -> None:
    """Needs 1 to 4, h = .2: at 3, three draws hold 3 + (2 + 1 + 0) / rate units' worth, one still lacks."""
    need = np.asarray([[4.0, 2.0, 1.0, 3.0]])

    def order(rate: float, holding: float) -> float:
        return float(order_of_least_cost(need, np.asarray([rate]), holding_cost=holding)[0])

    # rate 3: 3: 1 - .2 (3 + 1) = .2 > 0; 4: 0 - .2 (4 + 2) < 0. rate 1: 3: 1 - .2 (3 + 3) < 0.
    assert (order(3.0, 0.2), order(1.0, 0.2)) == (4, 3)
    assert order(1.0, 5.0) == 1
    assert order_of_least_cost(-need, np.asarray([1.0]), holding_cost=0.2).tolist() == [0]


def test_draws_go_wrong_as_a_whole_and_by_class() -> None:
    actual = np.asarray([[[2.0, 4.0], [9.0, 9.0]]] * 40)
    forecast = np.asarray([[[1.0, 1.0], [9.0, 18.0]]] * 40)
    errors = log_errors(actual, forecast)
    errors[0, 0, 1] = np.nan
    names = np.asarray(["a", "b"])
    draws = bootstrap_draws(np.asarray([[10.0, 10.0], [np.nan, 10.0]]), errors, names, np.asarray([1, 2]))
    np.testing.assert_allclose(draws.demand[0], np.tile([20.0, 40.0], (100, 1)))
    np.testing.assert_allclose(draws.demand[1], np.tile([0.0, 5.0], (100, 1)))
    assert set(np.unique(draws.lead)) == {1, 2}
    with pytest.raises(ValueError, match="older origins"):
        bootstrap_draws(np.ones((2, 2)), np.full((3, 2, 2), np.nan), names, ONE)
    with pytest.raises(ValueError, match=r"1\.\.2"):
        bootstrap_draws(np.ones((2, 2)), errors, names, np.asarray([3]))
    assert np.isnan(log_errors(np.asarray([[[0.0]]]), np.asarray([[[1.0]]]))).all()

"""The inventory benchmark counts as it says: its rules, its loop and what each of them may know, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.harness import Row
from benchmarks.models import inventory_orange_juice as inventory


def steady(weeks: int = 40, units: float = 10.0) -> np.ndarray:
    return np.full((2, weeks), units)


def test_the_clairvoyant_holds_nothing_once_its_first_stock_is_sold() -> None:
    demand = steady()
    got = inventory.run(demand, inventory.clairvoyant(demand), 14, 20, 40)
    assert (got.total_cost, got.fill_rate) == (0, 1)
    begun = inventory.run(demand, inventory.clairvoyant(demand), 14, 14, 40)
    # Four weeks of stock: 30, 20 and 10 are left after the first three weeks, of each of two series.
    assert begun.total_cost == pytest.approx(0.2 * 2 * (30 + 20 + 10))


def test_the_textbook_rule_by_hand() -> None:
    demand = np.tile([8.0, 12.0], (1, 10))
    demand[0, 3] = np.nan
    order = inventory.textbook(demand)(11, np.asarray([5.0]), np.asarray([[1.0, 2.0]]))
    # The last 8 weeks there are: mean 10, deviation 2; z(.8) = .841621.
    assert order[0] == pytest.approx(3 * 10 + 0.841621 * 2 * np.sqrt(3) - 5 - 3, abs=1e-4)
    later = demand.copy()
    later[0, 12:] = 999.0
    assert inventory.textbook(later)(11, np.asarray([5.0]), np.asarray([[1.0, 2.0]])) == order


def test_errors_are_known_when_their_last_week_is_over() -> None:
    forecasts = object.__new__(inventory.Forecasts)
    forecasts.errors = np.arange(20.0)[:, None, None]
    # A forecast of origin 9 is about weeks 9, 10 and 11; at the end of week 11 it is judged, that of 10 not.
    assert forecasts.seen(11)[-1].item() == 9


def test_the_nightly_rule_by_hand() -> None:
    """Three weeks of 4: errors of 1 at both ends tell no variance, so that the demand is Poisson(12)."""
    forecasts = object.__new__(inventory.Forecasts)
    forecasts.weeks = np.full((30, 1, 3), 4.0)
    forecasts.errors = np.zeros((30, 1, 3))
    order = inventory.by_moments(forecasts, np.asarray([0.7]))
    # P(D <= 13) = .682 and P(D <= 14) = .772 for Poisson(12).
    assert order(20, np.asarray([3.0]), np.asarray([[2.0, 1.0]])).tolist() == [14 - 3 - 3]
    high = inventory.by_moments(forecasts, np.asarray([0.9]))
    sure = high(20, np.asarray([3.0]), np.asarray([[2.0, 1.0]]))
    forecasts.errors[::2] = np.log(3.0)
    assert high(20, np.asarray([3.0]), np.asarray([[2.0, 1.0]])) > sure
    assert order(27, np.asarray([0.0]), np.asarray([[0.0, 0.0]])).tolist() == [0]


def test_another_loop_is_not_compared_with_the_stated_figures() -> None:
    rows = [Row(system, metric, value, "") for (system, metric), value in inventory.STATED.items()]
    assert inventory.check(rows) == []
    (wrong,) = inventory.check([Row("textbook", "cost", 1_750_000.0, ""), *rows[1:]])
    assert wrong.startswith("textbook cost: 1,750,000")

"""The printed formula shows its faults; the repaired index has the properties that the printed one lacks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pricing.rules.formula import (
    formula_printed,
    implied_elasticity,
    index_parameters,
    price_index,
    scarcity,
)

money = st.floats(1.0, 1e6)
units = st.floats(0.0, 1e6)
exponent = st.floats(0.0, 2.0)
factor = st.floats(1.0, 10.0)


def one(value: float) -> np.ndarray:
    return np.array([value])


def index(
    c: float, r: float, d: float, s: float, typical: float, cp: float, cm: float, a: float, b: float
) -> float:
    scarce = scarcity(one(d), one(s), one(typical))
    return float(price_index(one(c), one(r), scarce, one(cp), one(cm), one(a), one(b))[0])


def test_printed_formula_by_hand() -> None:
    # 100 * 1.5 * (20 / 10) * (1 - 80 / 100) = 60
    assert formula_printed(one(100), one(0.5), one(20), one(10), one(80), one(100))[0] == pytest.approx(60.0)


def test_printed_formula_is_degenerate() -> None:
    at_mean = formula_printed(one(100), one(0.5), one(20), one(10), one(100), one(100))[0]
    above = formula_printed(one(100), one(0.5), one(20), one(10), one(120), one(100))[0]
    assert at_mean == 0.0
    assert above < 0.0
    assert np.isinf(formula_printed(one(100), one(0.5), one(20), one(0), one(80), one(100))[0])
    assert np.isnan(formula_printed(one(100), one(0.5), one(0), one(0), one(80), one(100))[0])


def test_index_by_hand() -> None:
    # scarcity (8/2)/1 = 4, 4^0.5 = 2; (110/100)^1 = 1.1; 100 * 1.5 * 2 * 1.1 = 330
    assert index(100, 0.5, 8, 2, 1, 110, 100, 0.5, 1.0) == pytest.approx(330.0)


@given(money, st.floats(0, 5), units, units, money, money, exponent, exponent)
def test_parity_gives_cost_markup_and_scarcity(
    c: float, r: float, d: float, s: float, typical: float, cp: float, a: float, b: float
) -> None:
    scarce = float(scarcity(one(d), one(s), one(typical))[0])
    assert index(c, r, d, s, typical, cp, cp, a, b) == pytest.approx(c * (1 + r) * scarce**a)


@given(money, units, units, money, money, money, exponent, exponent, factor)
def test_index_rises_in_competitor_demand_and_cost_and_falls_in_stock(
    c: float, d: float, s: float, typical: float, cp: float, cm: float, a: float, b: float, k: float
) -> None:
    base = index(c, 0.4, d, s, typical, cp, cm, a, b)
    slack = 1 - 1e-9
    assert index(c, 0.4, d, s, typical, cp * k, cm, a, b) >= base * slack
    assert index(c * k, 0.4, d, s, typical, cp, cm, a, b) >= base * slack
    if d > 0:
        assert index(c, 0.4, d * k, s, typical, cp, cm, a, b) >= base * slack
        assert index(c, 0.4, d, s * k, typical, cp, cm, a, b) <= base / slack


def test_index_moves_strictly_inside_the_clip() -> None:
    base = index(100, 0.4, 10, 10, 1, 100, 100, 0.5, 0.5)
    assert index(100, 0.4, 12, 10, 1, 100, 100, 0.5, 0.5) > base
    assert index(100, 0.4, 10, 12, 1, 100, 100, 0.5, 0.5) < base
    assert index(100, 0.4, 10, 10, 1, 105, 100, 0.5, 0.5) > base


@given(money, units, units, money, money, money, exponent, exponent, st.floats(0.01, 100))
def test_index_scales_with_the_currency(
    c: float, d: float, s: float, typical: float, cp: float, cm: float, a: float, b: float, k: float
) -> None:
    once = index(c, 0.4, d, s, typical, cp, cm, a, b)
    assert index(c * k, 0.4, d, s, typical, cp * k, cm * k, a, b) == pytest.approx(once * k)


@given(money, units, st.sampled_from([0.0, 1e-300, 1e-9, -3.0]), units, money, exponent)
def test_index_is_finite_without_stock(
    c: float, d: float, s: float, typical: float, cp: float, a: float
) -> None:
    value = index(c, 0.4, d, s, typical, cp, cp, a, a)
    assert np.isfinite(value)
    assert c * 1.4 * 0.25**a * (1 - 1e-9) <= value <= c * 1.4 * 4.0**a * (1 + 1e-9)


def test_scarcity_knows_what_it_does_not_know() -> None:
    demand = np.array([0.0, 5.0, 5.0, 5.0, 1.0])
    stock = np.array([0.0, 0.0, 5.0, 5.0, 1e6])
    typical = np.array([1.0, 1.0, np.nan, 0.0, 1.0])
    assert scarcity(demand, stock, typical).tolist() == [1.0, 4.0, 1.0, 1.0, 0.25]


@pytest.mark.parametrize("missing", [np.nan, 0.0, -1.0, np.inf])
def test_missing_competitor_counts_as_parity(missing: float) -> None:
    assert index(100, 0.5, 1, 1, 1, missing, 100, 0.5, 1.0) == pytest.approx(150.0)
    assert index(100, 0.5, 1, 1, 1, 100, missing, 0.5, 1.0) == pytest.approx(150.0)


def test_parameters_by_hand() -> None:
    e = np.array([-2.0, -3.0, -3.0, -0.5])
    markup, alpha, beta = index_parameters(
        e, np.array([True, True, False, True]), theta=0.6, slack_share=0.5, min_abs_elasticity=1.5
    )
    assert markup == pytest.approx([1.0, 0.5, 0.5, 2.0])
    assert alpha == pytest.approx([0.5, 1 / 3, 1 / 6, 2 / 3])
    assert beta == pytest.approx([0.3, 0.2, 0.1, 0.4])


def test_parameters_refuse_a_markup_without_bound() -> None:
    with pytest.raises(ValueError, match="above 1"):
        index_parameters(one(-2.0), np.array([True]), theta=0.5, slack_share=0.5, min_abs_elasticity=1.0)


@given(st.floats(0.05, 3.0))
def test_implied_elasticity_returns_the_markup(markup: float) -> None:
    e = implied_elasticity(markup)
    assert 1.0 / (abs(e) - 1.0) == pytest.approx(markup)

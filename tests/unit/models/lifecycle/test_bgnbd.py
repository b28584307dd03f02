"""BG/NBD against what its authors printed, against integrals, and against customers drawn from it."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad, quad

from models.errors import InsufficientDataError
from models.lifecycle.value import bgnbd, tempo
from models.lifecycle.value.bgnbd import BgNbd, Summary

PUBLISHED = BgNbd(0.243, 4.414, 0.793, 2.426)


def one(repeats, last, age):
    return Summary(*(np.array([float(value)]) for value in (repeats, last, age)))


def test_the_worked_example_of_the_authors():
    assert PUBLISHED.expected(one(2, 30.43, 38.86), 39.0) == pytest.approx([1.2260], abs=5e-5)
    # Whoever did not buy again is alive by the model's own rule: one leaves after a repeat purchase only.
    assert PUBLISHED.alive(one(0, 0, 38.86)) == 1.0


@pytest.mark.parametrize(
    ("repeats", "last", "age", "horizon"), [(0, 0, 20, 10), (2, 12, 20, 30), (9, 19, 20, 5)]
)
def test_the_closed_form_is_the_integral_over_rate_and_chance_to_leave(repeats, last, age, horizon):
    r, alpha, a, b = 0.8, 6.0, 1.7, 2.5

    def prior(rate, chance):
        return rate ** (r - 1) * np.exp(-alpha * rate) * chance ** (a - 1) * (1 - chance) ** (b - 1)

    def alive(rate, chance):
        return prior(rate, chance) * (1 - chance) ** repeats * rate**repeats * np.exp(-rate * age)

    def gone(rate, chance):
        if repeats == 0:
            return 0.0
        return (
            prior(rate, chance)
            * chance
            * (1 - chance) ** (repeats - 1)
            * rate**repeats
            * np.exp(-rate * last)
        )

    def to_come(rate, chance):
        return alive(rate, chance) * -np.expm1(-rate * chance * horizon) / chance

    def integral(of):
        return dblquad(lambda rate, chance: of(rate, chance), 1e-9, 1, 1e-9, 8, epsabs=0, epsrel=1e-5)[0]

    total = integral(lambda rate, chance: alive(rate, chance) + gone(rate, chance))
    model = BgNbd(r, alpha, a, b)
    assert model.expected(one(repeats, last, age), horizon)[0] == pytest.approx(
        integral(to_come) / total, rel=1e-3
    )
    assert model.alive(one(repeats, last, age))[0] == pytest.approx(integral(alive) / total, rel=1e-3)


shapes = st.floats(0.05, 8)


@settings(max_examples=60, deadline=None)
@given(
    r=shapes, alpha=shapes, a=st.one_of(shapes, st.just(1.0)), b=shapes, repeats=st.integers(0, 900),
    share=st.floats(0.01, 1), age=st.floats(0.1, 500), horizon=st.floats(0, 500),
)  # fmt: skip
def test_expectations_are_finite_rise_with_time_and_stay_under_a_life_without_leaving(
    r, alpha, a, b, repeats, share, age, horizon
):
    model, known = BgNbd(r, alpha, a, b), one(repeats, age * share if repeats else 0, age)
    soon, late = model.expected(known, horizon)[0], model.expected(known, horizon + 1)[0]
    assert -1e-6 <= soon <= late * (1 + 3e-3) + 1e-6
    assert late <= (r + repeats) / (alpha + age) * (horizon + 1) * (1 + 1e-6) + 1e-6
    assert model.expected(known, 0.0)[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("repeats", "last", "age", "horizon"), [(0, 0, 20, 10), (2, 12, 20, 30), (9, 19, 20, 5)]
)
def test_where_the_series_gives_up_the_mean_over_chances_stands_in(monkeypatch, repeats, last, age, horizon):
    model, known = BgNbd(0.8, 6.0, 1.7, 2.5), one(repeats, last, age)
    right = model.expected(known, horizon)
    monkeypatch.setattr("scipy.special.hyp2f1", lambda *_: np.array([-np.inf]))
    assert model.expected(known, horizon) == pytest.approx(right, rel=2e-3)


def drawn(excess, weeks, customers=6_000, length=40.0):
    """Histories drawn purchase by purchase: rates, departures after purchases, and a lively beginning."""
    rng = np.random.default_rng(7)
    clock = tempo.Tempo(excess, weeks)
    rates, chances = rng.gamma(0.6, 1 / 5.0, customers), rng.beta(0.9, 2.5, customers)
    own_end = float(clock(np.array([length]))[0])
    ages = np.linspace(0, length, 4001)
    rows, repeat_ages = [], []
    for rate, chance in zip(rates, chances, strict=True):
        own, bought = 0.0, []
        while True:
            own += rng.exponential(1 / rate)
            if own > own_end:
                break
            bought.append(float(np.interp(own, clock(ages), ages)))
            if rng.random() < chance:
                break
        repeat_ages += bought
        rows.append((len(bought), bought[-1] if bought else 0.0, length))
    return Summary(*np.array(rows, dtype=float).T), np.array(repeat_ages)


def test_a_lively_beginning_is_found_and_told_apart_from_leaving():
    known, ages = drawn(1.5, 3.0)
    found = tempo.fit(known, ages)
    assert found.tempo.excess == pytest.approx(1.5, rel=0.35)
    assert found.tempo.weeks == pytest.approx(3.0, rel=0.35)
    assert (found.plain.r, found.plain.alpha) == pytest.approx((0.6, 5.0), rel=0.25)
    # The mean of the drawn departures is told within a few points.
    assert found.plain.a / (found.plain.a + found.plain.b) == pytest.approx(0.9 / 3.4, abs=0.05)


def test_own_time_is_the_integral_of_its_speed():
    clock = tempo.Tempo(0.7, 6.0)
    for age in (0.0, 1.0, 30.0):
        assert clock(np.array([age]))[0] == pytest.approx(
            quad(lambda at: clock.speed(np.array([at]))[0], 0, age)[0]
        )


def test_nobody_who_bought_twice_is_too_little():
    known = Summary(np.zeros(3), np.zeros(3), np.full(3, 9.0))
    with pytest.raises(InsufficientDataError, match="two days"):
        bgnbd.fit(known)
    with pytest.raises(InsufficientDataError, match="two days"):
        tempo.fit(known, np.zeros(0))


def test_a_history_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="0 <= last <= age"):
        one(1, 5, 4)


_LOG = st.floats(-7, 12)


@example((5.0, 0.0, 0.0, 1.0), 0, 0.0, 0.0, 8e-106)
@given(
    st.tuples(_LOG, _LOG, _LOG, _LOG),
    st.integers(0, 400),
    st.floats(0, 1),
    st.floats(0, 400),
    st.floats(0, 200),
)
@settings(max_examples=200, deadline=None)
def test_every_fit_within_bounds_expects_a_finite_number(logs, repeats, share, age, horizon):
    """Also where customers hardly differ and the closed form's series cannot be summed."""
    model = BgNbd(*np.exp(logs))
    known = one(repeats, share * age if repeats else 0.0, age)
    expected = model.expected(known, horizon)[0]
    assert np.isfinite(expected)
    assert expected >= 0
    assert 0 <= model.alive(known)[0] <= 1


def test_customers_of_one_rate_buy_as_before():
    """Purchases at random days for everybody alike: nobody leaves, and the rate goes on."""
    rng = np.random.default_rng(3)
    bought = [np.sort(rng.uniform(0, 28, rng.poisson(14))) for _ in range(200)]
    ages = [days[1:] - days[0] for days in bought if len(days)]
    rows = [
        (len(age), age[-1] if len(age) else 0.0, 28 - days[0]) for age, days in zip(ages, bought, strict=True)
    ]
    known = Summary(*np.array(rows, dtype=float).T)
    expected = tempo.fit(known, np.concatenate(ages)).expected(known, 4.0)
    assert expected.mean() == pytest.approx(2.0, rel=0.1)


def test_the_quadrature_agrees_with_the_closed_form():
    known = Summary(np.array([0.0, 2.0, 40.0]), np.array([0.0, 30.43, 35.0]), np.full(3, 38.86))
    closed = PUBLISHED.expected(known, 39.0)
    assert PUBLISHED._by_quadrature(known, np.full(3, 39.0)) == pytest.approx(closed, rel=1e-4)

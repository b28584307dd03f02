"""Statistics of experiments: papers, hands, another implementation, no effect that is none."""

import random
from math import exp, isclose, log, sqrt
from statistics import fmean

import numpy as np
import pytest
from moments import moments_of
from scipy import stats

from models.experiments.comparison import (
    FEWEST,
    Difference,
    Group,
    means,
    shares,
    slope,
    t_quantile,
)
from models.experiments.power import detectable, power_of, units_needed
from models.experiments.sample_ratio import chi_square_tail, ratio_probability
from models.experiments.sequential import always_valid, evidence


def test_the_interval_of_the_paper():
    """Newcombe (1998), table II, method 10: 56/70 against 48/80."""
    found = shares(Group(70, 56), Group(80, 48))
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
    found = shares(Group(10, 0), Group(10, 0))
    assert (round(found.low, 4), round(found.high, 4)) == (-0.2775, 0.2775)
    assert (found.value, found.variance) == (0.0, 0.0)


def test_means_without_a_past_are_welchs():
    draws = np.random.default_rng(3)
    one, other = draws.normal(5, 2, 40), draws.normal(4, 6, 25)
    found = means(moments_of((y, 0.0) for y in one), moments_of((y, 0.0) for y in other))
    theirs = stats.ttest_ind(one, other, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert isclose(found.value, one.mean() - other.mean(), rel_tol=1e-9)
    assert np.allclose((found.low, found.high), (interval.low, interval.high), atol=1e-4)
    assert isclose(found.value / sqrt(found.variance), theirs.statistic, rel_tol=1e-9)


def test_the_past_explains_what_it_explains():
    """Value = past + noise of sd 1, past of sd 3: nine tenths of the variance go; theta is 1."""
    draws = np.random.default_rng(4)
    arms = []
    for _ in range(2):
        past = draws.normal(10, 3, 5_000)
        arms.append(moments_of(zip(past + draws.normal(0, 1, 5_000), past, strict=True)))
    assert isclose(slope(*arms), 1.0, abs_tol=0.02)
    assert isclose(means(*arms).deviation, 1.0, rel_tol=0.03)


def test_the_adjusted_difference_by_hand():
    """Values 2 x past in both arms, pasts 0..9 and 2..11: 4 more, all of it from before."""
    one = moments_of((2.0 * x, float(x)) for x in range(2, 12))
    other = moments_of((2.0 * x, float(x)) for x in range(10))
    assert slope(one, other) == 2.0
    found = means(one, other)
    assert (found.value, found.low, found.high, found.variance) == (0.0, 0.0, 0.0, 0.0)


def test_an_arm_of_a_few_says_nothing():
    few = moments_of((1.0, 0.0) for _ in range(FEWEST - 1))
    with pytest.raises(ValueError, match=f"an arm needs {FEWEST} units, not {FEWEST - 1}"):
        means(few, moments_of((float(n), 0.0) for n in range(FEWEST)))


@pytest.mark.parametrize("freedom", [9.0, 12.5, 30.0, 1_000.0])
@pytest.mark.parametrize("probability", [0.9, 0.975, 0.995])
def test_the_quantile_of_student(probability, freedom):
    assert isclose(t_quantile(probability, freedom), stats.t.ppf(probability, freedom), abs_tol=2e-4)


@pytest.mark.parametrize("freedom", range(1, 8))
@pytest.mark.parametrize("statistic", [0.0, 0.5, 3.0, 20.0])
def test_the_tail_of_chi_square(statistic, freedom):
    assert isclose(chi_square_tail(statistic, freedom), stats.chi2.sf(statistic, freedom), rel_tol=1e-9)


def test_the_ratio_of_the_arms():
    assert ratio_probability((900, 100), (9_000, 1_000)) == 1.0
    # Chi-square of 10.828 has probability .001.
    found = ratio_probability((9_000 - 99, 1_000 + 99), (9_000, 1_000))
    assert isclose(found, 0.00097, abs_tol=3e-5)
    assert ratio_probability((100, 0), (10_000, 0)) == ratio_probability((0, 0), (1, 1)) == 1.0
    three = ratio_probability((480, 520, 500), (1, 1, 1))
    assert isclose(three, stats.chisquare([480, 520, 500]).pvalue, rel_tol=1e-9)


def test_the_evidence_by_hand():
    """p = .064, v = p (1 - p) / 900, d = -.04, t = .02: sqrt(v / (v + t^2)) e^(t^2 d^2 / 2v(v + t^2))."""
    found = shares(Group(9_000, 540), Group(1_000, 100))
    assert isclose(evidence(found, 0.02), 0.377705 * exp(10.30456), rel_tol=1e-5)
    assert evidence(shares(Group(5, 0), Group(5, 0)), 0.02) == 1.0
    assert evidence(shares(Group(5, 5), Group(5, 5)), 0.02) == 1.0


def test_the_interval_leaves_out_what_the_evidence_rules_out():
    found = Difference(0.03, 0.0, 0.0, 0.0001, 0.3)
    low, high = always_valid(found, 0.02)
    reach = sqrt(2 * 0.0001 * 0.0005 / 0.0004 * (log(20) + log(5) / 2))
    assert (low, high) == pytest.approx((0.03 - reach, 0.03 + reach))
    edge = found._replace(value=reach)
    assert evidence(edge, 0.02) == pytest.approx(20)


def test_power_and_units_by_hand():
    """(1.95996 + .84162) * sqrt(.1 * .9 * (1 / 900 + 1 / 100))"""
    assert isclose(detectable(0.3, 900, 100), 0.08859, abs_tol=1e-5)
    assert isclose(power_of(0.08859, 0.3, 900, 100), 0.8, abs_tol=1e-3)
    assert power_of(0.0, 0.3, 900, 100) == pytest.approx(0.05)
    wanted = units_needed(0.02, 0.3, 0.5)
    assert wanted == 7_064
    assert isclose(detectable(0.3, wanted // 2, wanted // 2), 0.02, rel_tol=1e-3)


def test_without_an_effect_five_of_a_hundred_means_are_called_anything():
    draws = np.random.default_rng(6)
    called = []
    for _ in range(600):
        past = draws.gamma(2, 10, 200)
        value = past * 0.5 + draws.gamma(2, 10, 200)
        arms = [moments_of(zip(value[part], past[part], strict=True)) for part in (slice(80), slice(80, 200))]
        found = means(*arms)
        called.append(found.low > 0 or found.high < 0)
    assert 0.03 <= fmean(called) <= 0.07


def test_looked_at_a_hundred_times_the_interval_keeps_the_truth():
    draws = random.Random(8)
    lost = 0
    for _ in range(200):
        sizes, reached = [0, 0], [0, 0]
        for _ in range(100):
            for _ in range(20):
                arm = draws.random() < 0.5
                sizes[arm] += 1
                reached[arm] += draws.random() < 0.3
            low, high = always_valid(
                shares(Group(sizes[0], reached[0]), Group(sizes[1], reached[1])), 0.07 * 0.46
            )
            if not low <= 0.0 <= high:
                lost += 1
                break
    assert lost / 200 <= 0.05

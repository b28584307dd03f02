"""The promotion gate by hand: which lower end, against whom, in which direction.

A metric here is the mean of one number a unit, so that the interval of every pair can be read off: units that
all differ by the same amount give an interval of width 0 at that amount.
"""

import numpy as np
import pytest

from models.gate import Bound, Keeps, UnitMetric, decide
from models.metrics import paired_bootstrap

UNITS = 40


def constant(value: float) -> UnitMetric:
    return lambda chosen: value


def mean_of(values: list[float]) -> UnitMetric:
    numbers = np.array(values)
    return lambda chosen: float(numbers[chosen].mean())


def two_groups(low: float, high: float) -> UnitMetric:
    """Half of the units at `low`, half at `high`."""
    return mean_of([low, high] * (UNITS // 2))


def test_a_constant_lift_above_the_rule_is_promoted() -> None:
    decision = decide("ndcg", UNITS, constant(0.6), {"popular": constant(0.5)}, higher_is_better=True)
    assert decision.promoted
    assert decision.lift.low == decision.lift.mean == decision.lift.high == pytest.approx(0.1)
    assert decision.reason == "promoted: beats popular by 0.1000 [0.1000, 0.1000]"


def test_an_interval_that_ends_at_zero_is_refused() -> None:
    """Nothing differs: the low end is exactly 0, and 0 is not above 0."""
    decision = decide("ndcg", UNITS, constant(0.5), {"popular": constant(0.5)}, higher_is_better=True)
    assert decision.lift.low == 0.0
    assert not decision.promoted
    assert decision.reason == "refused: does not beat popular with an interval above 0 (low end 0.0000)"


def test_a_better_mean_with_an_interval_across_zero_is_refused() -> None:
    """Half of the units gain 1.1, half lose 1: better on average by 0.05, and by chance."""
    decision = decide("ndcg", UNITS, two_groups(-1.0, 1.1), {"none": constant(0.0)}, higher_is_better=True)
    assert decision.lift.mean == pytest.approx(0.05)
    assert decision.lift.low < 0 < decision.lift.high
    assert not decision.promoted


def test_the_standing_champion_must_be_beaten_as_well() -> None:
    rules = {"popular": constant(0.5)}
    behind = decide("ndcg", UNITS, constant(0.6), rules, higher_is_better=True, champion=constant(0.7))
    assert not behind.promoted
    assert behind.champion_lift is not None
    assert behind.champion_lift.high == pytest.approx(-0.1)
    assert behind.reason.startswith("refused: does not beat the standing champion")
    ahead = decide("ndcg", UNITS, constant(0.8), rules, higher_is_better=True, champion=constant(0.7))
    assert ahead.promoted


@pytest.mark.parametrize("champion", [constant(0.6), two_groups(-0.5, 1.6)], ids=["equal", "by chance"])
def test_a_champion_that_is_not_clearly_beaten_stays(champion: UnitMetric) -> None:
    decision = decide(
        "ndcg", UNITS, constant(0.6), {"popular": constant(0.5)}, higher_is_better=True, champion=champion
    )
    assert decision.champion_lift is not None
    assert decision.champion_lift.low <= 0
    assert not decision.promoted


def test_a_champion_cannot_make_up_for_a_rule_that_wins() -> None:
    decision = decide(
        "ndcg",
        UNITS,
        constant(0.4),
        {"popular": constant(0.5)},
        higher_is_better=True,
        champion=constant(0.1),
    )
    assert not decision.promoted
    assert decision.reason.startswith("refused: does not beat popular")


@pytest.mark.parametrize(
    ("higher_is_better", "candidate", "promoted"),
    [(True, 0.6, True), (True, 0.4, False), (False, 0.4, True), (False, 0.6, False)],
)
def test_the_direction_of_the_metric_decides(
    higher_is_better: bool, candidate: float, promoted: bool
) -> None:
    decision = decide(
        "any", UNITS, constant(candidate), {"rule": constant(0.5)}, higher_is_better=higher_is_better
    )
    assert decision.promoted is promoted
    assert decision.lift.mean == pytest.approx(0.1 if promoted else -0.1)


@pytest.mark.parametrize(("higher_is_better", "best", "value"), [(True, "b", 0.7), (False, "a", 0.3)])
def test_the_best_rule_is_the_one_to_beat(higher_is_better: bool, best: str, value: float) -> None:
    rules = {"a": constant(0.3), "b": constant(0.7)}
    decision = decide("any", UNITS, constant(0.5), rules, higher_is_better=higher_is_better)
    assert (decision.baseline, decision.baseline_value) == (best, value)
    assert not decision.promoted


def test_without_a_rule_nothing_is_decided() -> None:
    with pytest.raises(ValueError, match="at least one simple rule"):
        decide("any", UNITS, constant(1.0), {}, higher_is_better=True)


def test_candidate_and_rule_are_measured_on_the_same_drawn_units() -> None:
    """Unpaired draws of so scattered units would spread the interval; paired ones differ by 1 every time."""
    scattered = [float(n * n) for n in range(UNITS)]
    candidate, rule = mean_of([one + 1 for one in scattered]), mean_of(scattered)
    interval = paired_bootstrap(UNITS, candidate, rule, higher_is_better=True)
    assert (interval.low, interval.high) == (pytest.approx(1.0), pytest.approx(1.0))


def _promoted_by_noise(seed: int) -> bool:
    noise = list(np.random.default_rng(seed).normal(0.0, 1.0, UNITS))
    return decide(
        "any", UNITS, mean_of(noise), {"nothing": constant(0.0)}, higher_is_better=True, draws=200
    ).promoted


def test_chance_alone_is_promoted_rarely() -> None:
    """Noise around 0: the lower end of a 95% interval lies above 0 about once in forty times."""
    assert sum(_promoted_by_noise(seed) for seed in range(200)) <= 14


def keeps(value: float, rule: float, tolerance: float = 0.0, *, higher_is_better: bool = False) -> Keeps:
    return Keeps(
        "wape",
        constant(value),
        {"last": constant(rule)},
        higher_is_better=higher_is_better,
        tolerance=tolerance,
    )


@pytest.mark.parametrize(
    ("other", "promoted"),
    [
        (keeps(0.12, 0.12), True),  # as good as the rule is not behind it
        (keeps(0.1201, 0.12), False),
        (keeps(0.1201, 0.12, tolerance=0.001), True),
        (keeps(0.5, 0.4, higher_is_better=True), True),
        (keeps(0.4, 0.5, higher_is_better=True), False),
    ],
)
def test_a_winner_may_not_fall_behind_in_another_metric(other: Keeps, promoted: bool) -> None:
    rules = {"popular": constant(0.5)}
    decision = decide("ndcg", UNITS, constant(0.6), rules, higher_is_better=True, keeps=[other])
    assert decision.promoted is promoted
    assert decision.judged[0].holds is promoted


def test_a_metric_of_other_units_is_taken_over_those() -> None:
    """Three categories, of which the last is far off; forty series decide."""
    errors = np.array([0.1, 0.1, 0.7])
    other = Keeps(
        "wape", lambda drawn: float(errors[drawn].mean()), {"last": constant(0.2)}, False, n_units=3
    )
    decision = decide(
        "ndcg", UNITS, constant(0.6), {"r": constant(0.5)}, higher_is_better=True, keeps=[other]
    )
    assert decision.judged[0].value == pytest.approx(0.3)
    assert decision.reason == "refused: wape is 0.3000 where last has 0.2000 (tolerance 0.0000)"


@pytest.mark.parametrize(
    ("bias", "promoted"),
    [(0.03, True), (-0.03, True), (0.0301, False), (-0.0301, False), (float("nan"), False)],
)
def test_a_bias_must_lie_inside_its_bound(bias: float, promoted: bool) -> None:
    rules = {"popular": constant(0.5)}
    bound = Bound("bias", bias, 0.03)
    decision = decide("ndcg", UNITS, constant(0.6), rules, higher_is_better=True, bounds=[bound])
    assert decision.promoted is promoted


@pytest.mark.parametrize(
    ("candidate", "champion", "demotes"),
    [
        (0.4, 0.45, True),  # both behind the rule
        (0.4, 0.5, False),  # as good as the rule stays
        (0.4, 0.55, False),
        (0.6, 0.45, False),  # replaced, not demoted
    ],
)
def test_a_champion_behind_the_rule_is_demoted(candidate: float, champion: float, demotes: bool) -> None:
    decision = decide(
        "ndcg",
        UNITS,
        constant(candidate),
        {"popular": constant(0.5)},
        higher_is_better=True,
        champion=constant(champion),
    )
    assert decision.demotes is demotes


@pytest.mark.parametrize(("same", "demotes"), [(True, True), (False, False)])
def test_a_champion_of_the_same_procedure_shares_its_fate(same: bool, demotes: bool) -> None:
    decision = decide(
        "ndcg", UNITS, constant(0.4), {"popular": constant(0.5)}, higher_is_better=True, champion_is_same=same
    )
    assert decision.demotes is demotes

"""Estimates of other policies: by hand, against a simulation whose truth is known, and their refusals."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommendation.judging.off_policy import (
    SmallEffectiveSampleError,
    cross_fitted,
    doubly_robust,
    effective_sample_size,
    snips,
)

REWARD = np.tile([1.0, 0.0, 1.0], 200)
WEIGHTS = np.tile([2.0, 1.0, 1.0], 200)


def test_values_by_hand() -> None:
    # Sums of one triple: w r = 3, w = 4. Effective: 800^2 / (200 * 6).
    assert snips(REWARD, WEIGHTS).mean == pytest.approx(0.75)
    assert effective_sample_size(WEIGHTS) == pytest.approx(800**2 / 1200)
    # q = 0.5 everywhere: 0.5 + (2 * 0.5 + 1 * -0.5 + 1 * 0.5) / 3.
    half = np.full(600, 0.5)
    assert doubly_robust(REWARD, WEIGHTS, half, half).mean == pytest.approx(0.5 + 1 / 3)
    assert effective_sample_size(np.zeros(3)) == 0
    # Influence of a triple on the value: (0.5, -0.75, 0.25) / 800; all triples of one unit count as one.
    found = snips(REWARD, WEIGHTS)
    assert found.high - found.mean == pytest.approx(1.96 * np.sqrt(200 * 0.875) / 800)
    apart = snips(REWARD, WEIGHTS, unit=np.arange(600) % 3)
    assert apart.high - apart.mean == pytest.approx(1.96 * 200 * np.sqrt(0.875) / 800)


def test_cells_are_told_from_the_other_fold() -> None:
    # Decisions 0 and 2 are of fold 0; all of cell 0 but the last.
    found = cross_fitted(np.array([0, 0, 0, 1]), np.array([1.0, 0.0, 1.0, 0.0]), 3, prior=1.0)
    assert found[1].tolist() == pytest.approx([(2 + 1) / 3, 1.0, 1.0])
    assert found[0].tolist() == pytest.approx([0.0, 0.0, 0.0])


@pytest.mark.parametrize("model", [0.0, 1.0], ids=["useless reward model", "true reward model"])
def test_the_truth_of_a_simulated_policy_is_found(model: float) -> None:
    rng = np.random.default_rng(4)
    value, logging, other = np.array([0.05, 0.1, 0.4]), np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.2, 0.7])
    action = rng.choice(3, 20_000, p=logging)
    reward = (rng.random(20_000) < value[action]).astype(float)
    weights = (other / logging)[action]
    truth = float(other @ value)
    q = model * value
    by_weights, robust = (
        snips(reward, weights),
        doubly_robust(reward, weights, q[action], np.full(20_000, other @ q)),
    )
    for found in (by_weights, robust):
        assert found.low < truth < found.high
        assert found.high - found.low < 0.05
    if model:
        assert robust.high - robust.low < by_weights.high - by_weights.low


def test_small_effective_samples_are_refused_by_name() -> None:
    few = np.append(np.full(3000, 0.001), np.full(50, 1.0))
    with pytest.raises(SmallEffectiveSampleError, match=r"effective sample of 56 .* needs 100"):
        snips(np.ones(3050), few)
    with pytest.raises(SmallEffectiveSampleError, match=r"9 rewarded .* needs 10"):
        doubly_robust(np.append(np.ones(9), np.zeros(991)), np.ones(1000), np.zeros(1000), np.zeros(1000))
    with pytest.raises(SmallEffectiveSampleError):
        snips(np.zeros(0), np.zeros(0))

"""Places with intervals: exact on hand-made cases, and right as often as they say on drawn ones."""

import numpy as np
import pytest

from models.reviews.ranking import places


def test_equal_values_share_the_better_place_and_certain_ones_have_no_width():
    found = places(np.array([5.0, 9.0, 5.0, 1.0]), np.zeros(4))
    assert found.rank.tolist() == [2, 1, 2, 4]
    assert found.low.tolist() == [2, 1, 2, 4]
    assert found.high.tolist() == [3, 1, 3, 4]


def test_a_place_is_as_wide_as_chance_makes_it():
    values, errors = np.array([100.0, 90.0, 10.0]), np.array([10.0, 10.0, 1.0])
    found = places(values, errors)
    # 10 apart with an error of 14 is nothing; 80 apart with one of 10 is more than chance brings.
    assert found.low.tolist() == [1, 1, 3]
    assert found.high.tolist() == [2, 2, 3]


def test_one_party_is_no_ranking():
    with pytest.raises(ValueError, match="two parties"):
        places(np.array([1.0]), np.array([1.0]))


def test_intervals_hold_the_true_rank_as_often_as_they_say():
    """Buyers are Poisson and spend log-normally: the error is computed from them, as the mart does it."""
    rng = np.random.default_rng(7)
    buyers = np.array([20, 30, 45, 60, 90, 140])
    truth = len(buyers) - np.argsort(np.argsort(buyers))
    held, widths = [], []
    for _ in range(400):
        spent = [rng.lognormal(3, 0.6, rng.poisson(n)) for n in buyers]
        values = np.array([one.sum() for one in spent])
        errors = np.sqrt([np.square(one).sum() for one in spent])
        found = places(values, errors)
        held.append((found.low <= truth) & (truth <= found.high))
        widths.append(found.high - found.low)
    assert np.mean(held, axis=0).min() >= 0.95
    assert np.mean(widths) < 2.5  # not by saying nothing

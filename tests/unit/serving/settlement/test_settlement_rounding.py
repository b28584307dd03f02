"""Floors, half-up and largest remainder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.settlement.errors import RoundingError
from serving.settlement.sharing.rounding import floor_bps, largest_remainder, round_half_up_bps


def test_floor_never_rounds_up():
    assert [floor_bps(9_999, bps) for bps in (0, 1, 5_000, 9_999, 10_000)] == [0, 0, 4_999, 9_998, 9_999]


def test_half_a_fen_goes_up():
    # 0.5% of 1.00 is exactly half a fen.
    assert [round_half_up_bps(cents, 50) for cents in (99, 100, 299, 300)] == [0, 1, 1, 2]


def test_ties_go_to_the_earlier_position():
    assert largest_remainder(2, [1, 1, 1]) == (1, 1, 0)
    assert largest_remainder(5, [0, 0]) == (3, 2)
    assert largest_remainder(7, [3]) == (7,)
    assert largest_remainder(0, [4, 4]) == (0, 0)


@pytest.mark.parametrize("rate", [floor_bps, round_half_up_bps])
@pytest.mark.parametrize(("cents", "bps"), [(-1, 10), (10, -1), (10, 10_001)])
def test_rates_refuse_what_is_out_of_range(rate, cents, bps):
    with pytest.raises(RoundingError, match=str(bps)):
        rate(cents, bps)


@pytest.mark.parametrize(("total", "weights"), [(1, []), (-1, [1]), (1, [1, -1])])
def test_spreading_refuses_what_cannot_be_spread(total, weights):
    with pytest.raises(RoundingError, match="cannot spread"):
        largest_remainder(total, weights)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=9))
def test_spreading_loses_nothing_and_is_off_by_less_than_a_fen(total, weights):
    shares = largest_remainder(total, weights)
    assert sum(shares) == total
    whole = sum(weights)
    if whole:
        assert all(
            abs(share * whole - total * weight) < whole for share, weight in zip(shares, weights, strict=True)
        )

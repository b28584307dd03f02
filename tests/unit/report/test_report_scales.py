from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.scales import Scale, apart, bin_counts, bin_edges, log_ticks, round_up, ticks


def test_a_scale_maps_its_ends_and_its_middle():
    scale = Scale(10, 20, 100, 0)
    assert [scale(10), scale(15), scale(20)] == [100, 50, 0]


def test_values_outside_stop_at_the_ends():
    scale = Scale(0, 1, 0, 100)
    assert (scale(-5), scale(7)) == (0, 100)


def test_a_scale_without_extent_puts_everything_at_its_start():
    assert Scale(3, 3, 40, 90)(3) == 40


def test_a_logarithmic_scale_puts_the_geometric_mean_in_the_middle():
    assert Scale(1, 10_000, 0, 100, is_log=True)(100) == pytest.approx(50)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 97, [0, 25, 50, 75]),
        (0, 4, [0, 1, 2, 3, 4]),
        (-0.05, 0.05, [-0.05, -0.025, 0, 0.025, 0.05]),
        (2, 2, [2]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == expected


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_lie_inside_and_are_few(low, extent, target):
    found = ticks(low, low + extent, target)
    room = 1e-6 * max(abs(low), extent)
    assert all(low - room <= tick <= low + extent + room for tick in found)
    assert len(found) <= target + 1


def test_log_ticks_are_powers_of_ten_and_never_more_than_five():
    assert log_ticks(1, 1000) == [1, 10, 100, 1000]
    assert log_ticks(1, 20_927_744) == [1, 100, 10_000, 1_000_000]


@pytest.mark.parametrize(("value", "expected"), [(0, 1), (97, 100), (100, 100), (101, 150), (0.3, 0.3)])
def test_round_up_is_not_below_the_value(value, expected):
    assert round_up(value) == pytest.approx(expected)


def test_whole_numbers_get_whole_bins():
    assert bin_edges(np.array([0.0, 1, 2, 3])) == ([0, 1, 2, 3, 4], False)


def test_shares_end_at_one():
    edges, is_open = bin_edges(np.linspace(0, 1, 101))
    assert (edges[0], edges[-1], is_open) == (0, 1, False)


def test_a_long_tail_goes_into_an_open_bin():
    values = np.array([float(n % 10) for n in range(990)] + [1000.0] * 10)
    edges, is_open = bin_edges(values)
    assert is_open
    assert edges[-1] == 10
    assert bin_counts(values, edges)[-1] == 99 + 10


def test_equal_values_get_one_bin():
    assert bin_edges(np.array([5.0, 5.0])) == ([5, 6], False)


@given(st.lists(st.floats(-1e5, 1e5).map(lambda v: round(v, 3)), min_size=1, max_size=60))
def test_every_value_is_in_a_bin_and_bins_are_ascending(values):
    array = np.array(values)
    edges, is_open = bin_edges(array)
    assert all(a < b for a, b in pairwise(edges))
    assert sum(bin_counts(array, edges)) == len(values)
    room = 1e-6 * max(1.0, float(np.abs(array).max()))
    assert edges[0] <= array.min() + room
    assert is_open or array.max() <= edges[-1] + room


def test_counts_are_half_open_like_a_loop_says():
    edges = [0, 1, 2, 4]
    values = [-3, 0, 0.5, 1, 1.9, 2, 3.9, 4, 99]
    expected = [0, 0, 0]
    for value in values:
        expected[0 if value < 1 else 1 if value < 2 else 2] += 1
    assert bin_counts(np.array(values, dtype=float), edges) == expected


def test_labels_too_close_go_into_another_row():
    assert apart([10, 20, 25, 100], 30) == [0, 1, 2, 0]
    assert apart([], 30) == []


def test_places_out_of_order_are_refused():
    with pytest.raises(ValueError, match="ascending"):
        apart([2, 1], 1)

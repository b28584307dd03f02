"""The population stability index by hand, and the yardstick that training leaves."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lake.tables import Lake
from pipelines.trainings import drift


def test_the_index_of_ten_values_shifted_by_one_bin_is_known():
    """Then: one value a bin. Now: all ten in the last bin.

    Shares are (count + 1/2) / (10 + 10/2): then 1/10 each; now 1/30 in nine bins and 21/30 in one.
    9 x (1/30 - 1/10) ln(1/3) + (21/30 - 1/10) ln 7 = 0.6 ln 3 + 0.6 ln 7.
    """
    then = np.arange(10)
    now = np.full(10, 9.5)
    assert drift.stability_index(then, now) == pytest.approx(0.6 * math.log(3) + 0.6 * math.log(7))


def test_two_bins_by_hand():
    """Then: 18 zeros and 2 ones: every decile edge but the last is 0, so the bins are x<0, 0, and 1.

    Quantiles at .1 to .9 of 18 zeros and 2 ones are eight zeros and, between ranks 17 and 18, 0.1.
    The bins are below 0, from 0 to 0.1, above. Then 0, 18, 2 of 20; now 0, 2, 18 of 20.
    """
    then = np.array([0.0] * 18 + [1.0] * 2)
    now = np.array([0.0] * 2 + [1.0] * 18)
    low, high = 18.5 / 21.5, 2.5 / 21.5
    assert drift.stability_index(then, now) == pytest.approx(2 * (low - high) * math.log(low / high))


@given(st.lists(st.integers(-5, 50), min_size=1, max_size=60))
def test_the_same_values_have_not_moved(values):
    assert drift.stability_index(np.array(values), np.array(values)) == pytest.approx(0, abs=1e-12)


@given(
    st.lists(st.integers(-5, 50), min_size=1, max_size=60),
    st.lists(st.integers(-5, 50), min_size=1, max_size=60),
)
def test_the_index_is_never_negative_and_the_order_of_rows_does_not_matter(then, now):
    value = drift.stability_index(np.array(then), np.array(now))
    assert value >= 0
    assert math.isfinite(value)
    assert drift.stability_index(np.array(then[::-1]), np.array(now[::-1])) == pytest.approx(value)


def test_nothing_to_compare_is_no_drift():
    assert drift.stability_index(np.array([]), np.array([1, 2])) == 0
    assert drift.stability_index(np.array([1, 2]), np.array([])) == 0


def _tags(spend: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"consumer_id": [str(n) for n in range(len(spend))], "net_spend_90d": spend, "orders_30d": 1}
    )


def test_without_a_training_the_tags_are_stable_and_the_note_says_why(tmp_path):
    shift = drift.against_training(Lake(tmp_path), _tags([1.0]))
    assert shift.is_stable
    assert "no model" in shift.note


def test_the_tag_that_moved_is_named(tmp_path):
    lake = Lake(tmp_path)
    drift.remember(lake, _tags([float(n) for n in range(100)]), ["net_spend_90d", "no_tag"])
    assert drift.against_training(lake, _tags([float(n) for n in range(100)])).is_stable
    shift = drift.against_training(lake, _tags([float(n + 90) for n in range(100)]))
    assert (shift.is_stable, shift.worst_tag) == (False, "net_spend_90d")
    assert shift.worst_index > drift.LIMIT
    assert shift.tags == 1  # what no champion reads is not measured


def test_a_small_shop_is_told_of_a_shift_only_beyond_chance(tmp_path):
    # 27.88 is the 99.9% quantile of chi-square with 9 degrees of freedom: (1/60 + 1/60) of it is 0.93.
    assert drift.limit(60, 60) == pytest.approx(27.88 / 30)
    assert drift.limit(2_400, 2_400) == drift.LIMIT
    rng = np.random.default_rng(1)
    told = [
        drift.stability_index(rng.normal(size=60), rng.normal(size=60)) >= drift.limit(60, 60)
        for _ in range(300)
    ]
    assert sum(told) <= 2
    moved = drift.stability_index(rng.normal(size=60), rng.normal(2, 1, 60))
    assert moved >= drift.limit(60, 60)


def test_null_values_are_left_out_and_an_all_null_tag_does_not_crash(tmp_path):
    lake = Lake(tmp_path)
    drift.remember(lake, _tags([None, 1.0, 2.0]).drop("orders_30d"), ["net_spend_90d", "orders_30d"])
    all_null = _tags([None, None]).with_columns(pl.col("net_spend_90d").cast(pl.Float64))
    assert drift.against_training(lake, all_null).worst_index == 0

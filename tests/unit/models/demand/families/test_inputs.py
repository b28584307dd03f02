"""What the families read at an origin: by hand, without look-ahead, and with gaps that are no zeros."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from panels import panel_of, promoted

from models.data import Panel
from models.demand.families.boosted import numbered
from models.demand.families.inputs import HALF_UNIT, Inputs, Reader


def read(panel: Panel, origin: int, steps: tuple[int, ...] = (1, 2), *, hide: bool = False) -> Inputs:
    series = np.arange(len(panel.ids))
    reader = Reader(panel, 8, numbered(panel.static))
    return reader.read(series, np.full_like(series, origin), steps, np.full(len(series), hide))


def column(inputs: Inputs, name: str) -> np.ndarray:
    return inputs.values[:, :, inputs.names.index(name)]


def test_lags_and_levels_by_hand() -> None:
    inputs = read(panel_of(np.array([[4.0, 8.0, 2.0, 6.0, 1.0, 3.0]])), 4)
    scale = np.log(5.0 + HALF_UNIT)
    assert inputs.log_scale == pytest.approx([scale])
    assert column(inputs, "lag_1")[0] == pytest.approx(np.log(6.5) - scale)
    assert column(inputs, "lag_3")[0] == pytest.approx(np.log(8.5) - scale)
    assert column(inputs, "mean_2")[0] == pytest.approx((np.log(6.5) + np.log(2.5)) / 2 - scale)
    assert inputs.target[0] == pytest.approx([np.log(1.5) - scale, np.log(3.5) - scale])
    assert inputs.to_units(inputs.target)[0] == pytest.approx([1.0, 3.0])


def test_a_gap_is_missing_and_not_a_zero() -> None:
    whole = read(panel_of(np.array([[10.0, 10.0, 10.0, 10.0, 10.0]])), 4)
    gap = read(panel_of(np.array([[10.0, np.nan, 10.0, 10.0, np.nan]])), 4)
    zero = read(panel_of(np.array([[10.0, 0.0, 10.0, 10.0, 10.0]])), 4)
    assert gap.log_scale == pytest.approx(whole.log_scale)
    assert np.isnan(column(gap, "lag_3")).all()
    assert zero.log_scale[0] < whole.log_scale[0]
    assert np.isnan(gap.target[0, 0])


def test_nothing_observed_at_or_after_the_origin_is_read() -> None:
    panel = promoted()
    later = panel.target.copy()
    later[:, 40:] = 999.0
    changed = dataclasses.replace(panel, target=later)
    np.testing.assert_array_equal(read(panel, 40).values, read(changed, 40).values)


def test_a_hidden_plan_leaves_no_trace() -> None:
    panel = promoted()
    other = dataclasses.replace(panel, known={"deal": 1 - panel.known["deal"]})
    plan = panel.known["deal"].copy()
    plan[:, 40:] = other.known["deal"][:, 40:]
    other = dataclasses.replace(panel, known={"deal": plan})
    np.testing.assert_array_equal(read(panel, 40, hide=True).values, read(other, 40, hide=True).values)
    assert not np.array_equal(read(panel, 40).values, read(other, 40).values, equal_nan=True)


def test_the_level_under_like_plans_is_that_of_the_like_periods() -> None:
    units = np.array([[10.0, 40.0, 10.0, 40.0, 10.0, 40.0, 10.0, 40.0]])
    deal = np.array([[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]])
    inputs = read(panel_of(units, ahead=2, deal=deal), 8)
    like = inputs.to_units(column(inputs, "like_near").astype(np.float64))
    assert like[0] == pytest.approx([40.0, 10.0], rel=0.02)


def test_returns_above_sales_count_as_nothing_sold() -> None:
    inputs = read(panel_of(np.array([[4.0, -3.0, 4.0, 4.0, -1.0]])), 4)
    assert inputs.units[0, 0] == 0.0
    assert column(inputs, "lag_3")[0, 0] == pytest.approx(np.log(HALF_UNIT) - inputs.log_scale[0])


def test_how_unevenly_a_plan_stands_in_a_group_by_hand() -> None:
    """Shop a sells s1 and s3 at 1 and 3, shop b s0 and s2 at one price: deviations of 1 and 0."""
    price = np.repeat([[2.0], [1.0], [2.0], [3.0]], 12, axis=1)
    panel = panel_of(np.full((4, 10), 5.0), ahead=2, price=price)
    assert column(read(panel, 10), "price_uneven_in_shop").tolist() == [[0, 0], [1, 1], [0, 0], [1, 1]]
    hidden = read(panel, 10, hide=True)
    assert np.isnan(column(hidden, "price_uneven_in_shop")).all()

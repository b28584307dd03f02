"""The LightGBM family: it uses plans, its quantiles do not cross, and it comes back from files as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from panels import panel_of, promoted

from models.data import Panel
from models.demand.families.boosted import Boosted, BoostedConfig, load
from models.demand.families.inputs import Reader
from models.errors import BundleError, InsufficientDataError

SMALL = BoostedConfig(steps=(1, 2), trees=40, leaves=6, min_leaf_rows=10, window=12)


def test_a_known_deal_raises_the_forecast_and_quantiles_do_not_cross(tmp_path: Path) -> None:
    panel = promoted()
    fitted = Boosted(SMALL).fit(panel, 60)
    forecast = fitted.predict(panel, 60, 2)
    deal = panel.known["deal"][:, 60:62] > 0
    assert forecast.quantiles.shape == (12, 2, 3)
    assert (np.diff(forecast.quantiles, axis=2) >= 0).all()
    assert forecast.quantiles[deal][:, 1].mean() > 2 * forecast.quantiles[~deal][:, 1].mean()
    assert forecast.mean[deal].mean() > 2 * forecast.mean[~deal].mean()
    fitted.save(tmp_path)
    again = load(tmp_path).predict(panel, 60, 2)
    np.testing.assert_array_equal(again.quantiles, forecast.quantiles)
    np.testing.assert_array_equal(again.mean, forecast.mean)


def test_a_fit_does_not_see_what_comes_after() -> None:
    panel = promoted()
    later = panel.target.copy()
    later[:, 50:60] *= 5
    changed = panel_of(later[:, :60], ahead=4, deal=panel.known["deal"])
    one, two = (Boosted(SMALL).fit(each, 50).predict(each, 50, 2) for each in (panel, changed))
    np.testing.assert_array_equal(one.mean, two.mean)


def test_too_short_a_history_is_named() -> None:
    with pytest.raises(InsufficientDataError, match="no target after 12 observed periods before period 5"):
        Boosted(SMALL).fit(promoted(), 5)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="train again"):
        load(tmp_path)


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="levels must ascend"):
        BoostedConfig(levels=(0.5, 0.1))
    with pytest.raises(ValueError, match="steps must be 1 or more"):
        BoostedConfig(steps=(0,))


def test_where_nothing_was_ever_sold_the_rule_serves() -> None:
    rows = {"s": ["a"] * 40, "t": list(range(40)), "y": [0.0] * 40}
    panel = Panel.from_frame(pl.DataFrame(rows), id="s", time="t", target="y")
    with pytest.raises(InsufficientDataError, match="nothing was sold before period 36"):
        Boosted().fit(panel, 36)


def test_a_fit_until_after_the_last_period_is_one_on_everything() -> None:
    rows = {"s": ["a"] * 40, "t": list(range(40)), "y": [float(3 + t % 4) for t in range(40)]}
    panel = Panel.from_frame(pl.DataFrame(rows), id="s", time="t", target="y")
    late, whole = (Boosted().fit(panel, until).predict(panel, 36, 4).mean for until in (99, 40))
    np.testing.assert_array_equal(late, whole)


def test_inputs_a_year_ahead_read_nothing_from_the_origin_on() -> None:
    rows = {"s": ["a"] * 300, "t": list(range(300)), "y": [float(3 + t % 11) for t in range(300)]}
    panel = Panel.from_frame(pl.DataFrame(rows), id="s", time="t", target="y")
    whole, seen = (
        Reader(one, 28, {}).read(np.array([0]), np.array([200]), range(1, 61)).values
        for one in (panel, panel.seen_at(200))
    )
    np.testing.assert_array_equal(whole, seen)

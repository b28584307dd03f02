"""SBA and TSB: by hand, against statsforecast, with gaps, and never reading what comes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from panels import panel_of
from scipy import stats

from models.demand.families.intermittent import (
    CHANCE_WEIGHT,
    METHODS,
    SIZE_WEIGHT,
    Intermittent,
    load,
    sba,
    spreads,
    tsb,
)
from models.errors import BundleError

START = np.array([0])
SERIES = np.array([[2.0, 0, 0, 5, 0, 1, 0]])


def test_sba_by_hand() -> None:
    """Sizes 2, 5, 1 and intervals 1, 3, 2: 2 + .5 x 3 = 3.5, to 1: 2.25; 1 + .5 x 2 = 2, to 2: 2."""
    np.testing.assert_allclose(sba(SERIES, START, 0.5), (1 - 0.25) * 2.25 / 2)


def test_tsb_by_hand() -> None:
    """Chance 1, .75, .5625, .671875, ... each a quarter of the way to 0 or 1; sizes as above."""
    chance = 1.0
    for asked in (0, 0, 1, 0, 1, 0):
        chance += 0.25 * (asked - chance)
    np.testing.assert_allclose(tsb(SERIES, START, 0.5, 0.25), chance * 2.25)


@pytest.mark.parametrize("seed", range(5))
def test_both_equal_statsforecast(seed: int) -> None:
    from statsforecast.models import TSB, CrostonSBA

    rng = np.random.default_rng(seed)
    series = np.r_[3.0, rng.poisson(2, 60) * (rng.random(60) < 0.3)]
    np.testing.assert_allclose(
        sba(series[None, :], START)[0], CrostonSBA().forecast(series, h=1)["mean"][0], rtol=1e-5
    )
    theirs = TSB(alpha_d=SIZE_WEIGHT, alpha_p=CHANCE_WEIGHT).forecast(series, h=1)["mean"][0]
    np.testing.assert_allclose(tsb(series[None, :], START)[0], theirs, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_gap_teaches_nothing(name: str) -> None:
    gaps = np.insert(SERIES, [1, 1, 4, 7], np.nan, axis=1)
    np.testing.assert_allclose(METHODS[name](gaps, START), METHODS[name](SERIES, START))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_nothing_before_the_start_is_read(name: str) -> None:
    early = np.concatenate([[[9.0, 9, 9]], SERIES], axis=1)
    np.testing.assert_allclose(METHODS[name](early, START + 3), METHODS[name](SERIES, START))


@given(st.lists(st.floats(0, 50), min_size=1, max_size=30), st.sampled_from(sorted(METHODS)))
def test_a_level_lies_within_what_was_asked_for(values: list[float], name: str) -> None:
    found = float(METHODS[name](np.array([values]), START)[0])
    assert 0 <= found <= max(values) + 1e-9
    if not any(values):
        assert found == 0


def test_silence_lowers_tsb_and_leaves_sba() -> None:
    silent = np.concatenate([SERIES, np.zeros((1, 20))], axis=1)
    assert tsb(silent, START)[0] == pytest.approx(tsb(SERIES, START)[0] * (1 - CHANCE_WEIGHT) ** 20)
    assert sba(silent, START) == sba(SERIES, START)


def test_spreads_meet_the_typical_one() -> None:
    """Five periods of 0 and 4 in turn, 4 of 2: variance 4.8 over mean 1.6 is 3, and 1 at least; median 3."""
    units = np.array([[0.0, 4, 0, 4, 0], [np.nan, np.nan, np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(spreads(units, np.array([0, 5])), [3.0, 3.0])
    steady = np.concatenate([units[:1], np.full((2, 5), 2.0)])
    # Median of 3, 0 and 0 is below 1: a Poisson count's.
    np.testing.assert_allclose(spreads(steady, np.zeros(3, int)), [(5 * 3 + 13) / 18, 1.0, 1.0])


def test_the_family_tells_whole_quantiles_and_reads_nothing_of_what_comes() -> None:
    rng = np.random.default_rng(3)
    units = (rng.poisson(3, (20, 40)) * (rng.random((20, 40)) < 0.4)).astype(float)
    panel = panel_of(units)
    told = Intermittent("tsb").fit(panel, 30).predict(panel, 30, 3)
    assert told.mean.shape == (20, 3)
    assert told.quantiles.shape == (20, 3, 3)
    assert (np.diff(told.quantiles, axis=2) >= 0).all()
    np.testing.assert_allclose(told.mean[:, 0], tsb(units[:, :30], panel.start))
    ratio = spreads(units[:, :30], panel.start)[0]
    mean = told.mean[0, 0]
    size = mean / (ratio - 1)
    assert told.quantiles[0, 0, 2] == stats.nbinom.ppf(0.9, size, 1 / ratio)
    later = units.copy()
    later[:, 30:] = 99
    np.testing.assert_array_equal(
        Intermittent("tsb").predict(replace(panel, target=later), 30, 3).quantiles, told.quantiles
    )


def test_a_bundle_comes_back_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    Intermittent("sba", (0.2, 0.8)).save(tmp_path / "kept")
    assert load(tmp_path / "kept") == Intermittent("sba", (0.2, 0.8))
    with pytest.raises(BundleError):
        load(tmp_path / "none")
    with pytest.raises(ValueError, match="'croston' is not one of"):
        Intermittent("croston")

"""The LSTM family: its head against SciPy, plans, determinism, and a bundle that comes back as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from panels import panel_of, promoted
from scipy import stats

from models.demand.families.boosted import Boosted, BoostedConfig
from models.demand.families.network import LARGEST_LOG, MonotoneHead, Network, pinball_loss
from models.demand.families.recurrent import Recurrent, RecurrentConfig, load
from models.errors import BundleError, InsufficientDataError

LEVELS = (0.1, 0.5, 0.9)
SMALL = RecurrentConfig(
    steps=(1, 2), window=8, hidden=16, embedding=2, epochs=12, batch_size=64, learning_rate=1e-2, seed=4
)


def test_the_heads_quantiles_ascend_and_stay_in_bounds_for_any_weights() -> None:
    torch.manual_seed(0)
    head = MonotoneHead(5, 5)
    with torch.no_grad():
        for scale in (0.1, 10.0, 1e4):
            logs = head(scale * torch.randn(200, 5))
            assert bool((logs.diff(dim=-1) >= 0).all())
            assert bool((logs.abs() <= LARGEST_LOG).all())
            assert bool(torch.isfinite(logs).all())


def test_the_head_learns_the_quantiles_that_scipy_has() -> None:
    sample = torch.tensor(
        stats.norm.ppf((np.arange(4000) + 0.5) / 4000, loc=0.7, scale=1.3), dtype=torch.float32
    )
    torch.manual_seed(0)
    head = MonotoneHead(1, 3)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    ones = torch.ones(len(sample), 1)
    for _ in range(300):
        optimiser.zero_grad()
        pinball_loss(sample, head(ones), LEVELS).mean().backward()
        optimiser.step()
    found = head(ones[:1])[0].detach().numpy()
    np.testing.assert_allclose(found, stats.norm.ppf(LEVELS, loc=0.7, scale=1.3), atol=0.06)


def test_pinball_loss_by_hand() -> None:
    loss = pinball_loss(torch.tensor([2.0]), torch.tensor([[1.0, 2.0, 5.0]]), LEVELS)
    assert float(loss) == pytest.approx((0.1 * 1 + 0 + 0.1 * 3) / 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lstm") / "bundle"


def test_a_known_deal_raises_the_forecast_and_the_bundle_says_the_same(folder: Path) -> None:
    panel = promoted()
    state = torch.random.get_rng_state()
    fitted = Recurrent(SMALL).fit(panel, 60)
    assert torch.equal(torch.random.get_rng_state(), state)
    forecast = fitted.predict(panel, 60, 2)
    deal = panel.known["deal"][:, 60:62] > 0
    assert forecast.quantiles[deal][:, 1].mean() > 2 * forecast.quantiles[~deal][:, 1].mean()
    assert (np.diff(forecast.quantiles, axis=2) >= 0).all()
    assert (forecast.mean > 0).all()
    fitted.save(folder)
    again = load(folder).predict(panel, 60, 2)
    np.testing.assert_array_equal(again.quantiles, forecast.quantiles)
    same = Recurrent(SMALL).fit(panel, 60).predict(panel, 60, 2)
    np.testing.assert_array_equal(same.quantiles, forecast.quantiles)


def test_what_comes_after_is_not_seen_and_a_fit_goes_on_from_an_older_one() -> None:
    panel = promoted()
    later = panel.target.copy()
    later[:, 50:] = 500.0
    changed = dataclasses.replace(panel, target=later)
    quick = dataclasses.replace(SMALL, epochs=1)
    one, two = (Recurrent(quick).fit(each, 50) for each in (panel, changed))
    np.testing.assert_array_equal(one.predict(panel, 50, 2).mean, two.predict(changed, 50, 2).mean)
    further = Recurrent(quick).fit(panel, 52, start=one)
    assert further.standard is one.standard
    assert not np.array_equal(further.predict(panel, 52, 2).mean, one.predict(panel, 52, 2).mean)


def test_a_bare_panel_of_numbered_steps_is_enough() -> None:
    units = np.random.default_rng(0).poisson(20, (6, 40)).astype(np.float64)
    bare = dataclasses.replace(panel_of(units, ahead=2), static={}, times=tuple(range(42)))
    for family in (Recurrent(dataclasses.replace(SMALL, epochs=3)), Boosted(BoostedConfig(trees=10))):
        forecast = family.fit(bare, 40).predict(bare, 40, 2)
        assert np.isfinite(forecast.quantiles).all(), family.name
        assert forecast.mean.mean() == pytest.approx(20, rel=0.4), family.name


def test_too_little_and_broken_bundles_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InsufficientDataError, match="no target after 12 observed periods before period 5"):
        Recurrent(SMALL).fit(promoted(), 5)
    with pytest.raises(BundleError, match="train again"):
        load(tmp_path)


def test_a_fit_that_broke_off_goes_on_to_the_weights_that_it_would_have_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = promoted()
    whole = Recurrent(SMALL).fit(panel, 40)
    begun: list[int] = []

    def broken(self: Network) -> None:
        begun.append(self.current_epoch)
        if begun == [0, 1, 2, 3, 4]:
            raise RuntimeError("the lights went out")

    monkeypatch.setattr(Network, "on_train_epoch_start", broken)
    family = Recurrent(SMALL, checkpoints=tmp_path)
    with pytest.raises(RuntimeError, match="the lights went out"):
        family.fit(panel, 40)
    assert len(list(tmp_path.iterdir())) == 1
    resumed = family.fit(panel, 40)
    assert begun[5:] == list(range(4, SMALL.epochs)), "four of the epochs are not made again"
    here, there = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here)
    assert list(tmp_path.iterdir()) == []

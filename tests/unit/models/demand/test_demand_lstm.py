from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.demand.config import QUANTILES, DemandConfig, LstmConfig
from models.demand.panel.series import Panel
from models.demand.weekly import lstm_fit
from models.demand.weekly.baselines import naive, seasonal_naive
from models.demand.weekly.lstm import DemandLstm, QuantileHead, pinball_loss
from models.errors import BundleError, InsufficientDataError, ModelError
from models.metrics import pinball


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 1e4))
def test_head_never_crosses_for_any_weights(seed: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    head = QuantileHead(5, 3)
    with torch.no_grad():
        head.linear.weight.copy_(torch.randn(4, 5, generator=generator) * size)
        quantiles, mean = head(torch.randn(50, 5, generator=generator) * size)
    assert bool((quantiles.diff(dim=-1) >= 0).all())
    assert bool((quantiles >= 0).all())
    assert bool((mean > 0).all())


def test_loss_equals_the_shared_pinball_loss() -> None:
    rng = np.random.default_rng(0)
    target, quantiles = rng.gamma(2, 3, 20), np.sort(rng.gamma(2, 3, (20, 3)), axis=1)
    ours = pinball_loss(torch.from_numpy(target), torch.from_numpy(quantiles)).numpy()
    expected = np.mean([pinball(target, quantiles[:, q], level) for q, level in enumerate(QUANTILES)], axis=0)
    np.testing.assert_allclose(ours, expected)


def test_same_seed_same_weights_and_nothing_is_left_behind(
    small_panel: Panel, small_config: DemandConfig, tmp_path: Path
) -> None:
    before = torch.random.get_rng_state()
    first = lstm_fit.fit(small_panel, 30, small_config)
    second = lstm_fit.fit(small_panel, 30, small_config)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()
    here, there = lstm_fit.predict(first, small_panel, 30), lstm_fit.predict(second, small_panel, 30)
    np.testing.assert_array_equal(here.quantiles, there.quantiles)
    other = lstm_fit.fit(small_panel, 30, replace(small_config, seed=9))
    assert not np.array_equal(lstm_fit.predict(other, small_panel, 30).quantiles, here.quantiles)


def test_weeks_after_the_cut_do_not_reach_the_weights(
    small_panel: Panel, small_config: DemandConfig, tmp_path: Path
) -> None:
    qty = small_panel.qty.copy()
    qty[:, 30:] += 50
    changed = replace(small_panel, qty=qty)
    here = lstm_fit.fit(small_panel, 30, small_config).network.state_dict()
    there = lstm_fit.fit(changed, 30, small_config).network.state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_bundle_round_trip_and_unknown_ids(
    small_panel: Panel, small_config: DemandConfig, tmp_path: Path
) -> None:
    fitted = lstm_fit.fit(small_panel, 30, small_config, epochs=1)
    lstm_fit.save(fitted, tmp_path)
    loaded = lstm_fit.load(tmp_path)
    np.testing.assert_array_equal(
        lstm_fit.predict(loaded, small_panel, 40).quantiles,
        lstm_fit.predict(fitted, small_panel, 40).quantiles,
    )
    strangers = replace(small_panel, category_id=tuple("new" for _ in small_panel.category_id))
    assert np.isfinite(lstm_fit.predict(loaded, strangers, 40).quantiles).all()


def test_a_file_with_code_is_refused(small_panel: Panel, small_config: DemandConfig, tmp_path: Path) -> None:
    lstm_fit.save(lstm_fit.fit(small_panel, 30, small_config, epochs=1), tmp_path)
    torch.save({"head.linear.weight": Path("x")}, tmp_path / "weights.pt")
    with pytest.raises(BundleError, match="train again"):
        lstm_fit.load(tmp_path)
    with pytest.raises(BundleError, match="train again"):
        lstm_fit.load(tmp_path / "missing")


def test_a_loss_that_is_not_finite_stops_training(
    small_panel: Panel, small_config: DemandConfig, tmp_path: Path
) -> None:
    qty = small_panel.qty.copy()
    qty[:, 20:24] = np.inf
    with pytest.raises(ModelError, match="loss is"):
        lstm_fit.fit(replace(small_panel, qty=qty), 30, small_config)


def test_too_short_a_history_is_said(small_panel: Panel, small_config: DemandConfig, tmp_path: Path) -> None:
    with pytest.raises(InsufficientDataError, match="no window"):
        lstm_fit.fit(small_panel, 10, small_config)


def planted_panel(config: DemandConfig) -> Panel:
    """60 series: a level, tripled in weeks with a mailer; the mailer is known in advance."""
    rng = np.random.default_rng(11)
    n, weeks = 60, 48
    mailer = rng.random((n, weeks + config.horizon)) < 0.3
    level = rng.uniform(8, 30, (n, 1))
    qty = rng.poisson(level * np.where(mailer[:, :weeks], 3, 1)).astype(np.float32)
    promo = np.zeros((n, weeks + config.horizon, 2), dtype=np.float32)
    promo[:, :, 1] = np.where(mailer, 2.0, 0.0)
    return Panel(
        category_id=tuple("l2-a" for _ in range(n)),
        merchant_id=tuple(f"m{row}" for row in range(n)),
        weeks=tuple(date(2017, 1, 2) + timedelta(weeks=k) for k in range(weeks + config.horizon)),
        qty=qty,
        start=np.zeros(n, dtype=np.int64),
        promo=promo,
        plan_known=np.ones(weeks + config.horizon, dtype=np.bool_),
        log_price=np.zeros((n, weeks), dtype=np.float32),
        calendar=np.zeros((weeks + config.horizon, 5), dtype=np.float32),
        category_qty=np.repeat(qty.sum(axis=0, keepdims=True), n, axis=0),
        merchant_qty=qty,
        members=pl.DataFrame(
            schema={"category_id": pl.String, "merchant_id": pl.String, "row": pl.UInt32, "share": pl.Float64}
        ),
    )


def test_a_planted_promotion_is_learnt(tmp_path: Path) -> None:
    config = DemandConfig(
        utc_offset_hours=-5,
        window=12,
        lstm=LstmConfig(
            hidden=24, epochs=20, batch_size=64, samples_per_series=5, learning_rate=1e-2, dropout=0.0
        ),
    )
    panel = planted_panel(config)
    fitted = lstm_fit.fit(panel, 44, config, epochs=20)
    actual = panel.qty[:, 44:48]
    error = np.abs(actual - lstm_fit.predict(fitted, panel, 44).quantiles[..., 1]).sum()
    history = panel.qty[:, :44].astype(float)
    for rule in (naive, seasonal_naive):
        assert error < 0.5 * np.abs(actual - rule(history, panel.start, 4)).sum()
    blind = lstm_fit.predict(fitted, panel, 44, hide_plan=True).quantiles[..., 1]
    assert error < 0.7 * np.abs(actual - blind).sum()


_KILLED = """
import os, pickle, sys
from pathlib import Path
from models.demand.weekly import lstm_fit
from models.demand.weekly.lstm import DemandLstm

panel, config = pickle.loads(Path(sys.argv[1]).read_bytes())
DemandLstm.on_train_epoch_start = lambda self: self.current_epoch < 2 or os.kill(os.getpid(), 9)
lstm_fit.fit(panel, 30, config, checkpoints=Path(sys.argv[2]))
"""


def test_a_killed_fit_goes_on_to_the_weights_that_it_would_have_had(
    small_panel: Panel, small_config: DemandConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(small_config, lstm=replace(small_config.lstm, epochs=5, patience=5, dropout=0.3))
    whole = lstm_fit.fit(small_panel, 30, config)
    kept, given = tmp_path / "kept", tmp_path / "given"
    given.write_bytes(pickle.dumps((small_panel, config)))
    root = Path(lstm_fit.__file__).parents[3]
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, given, kept], env=os.environ | {"PYTHONPATH": str(root)}
    )
    assert ended.returncode == -signal.SIGKILL
    assert len(list(kept.iterdir())) == 1, "the state after two epochs"

    # Another fit begins at its own beginning, whatever lies there.
    other = lstm_fit.fit(small_panel, 30, replace(config, seed=9), checkpoints=kept)
    assert other.epochs == lstm_fit.fit(small_panel, 30, replace(config, seed=9)).epochs

    begun: list[int] = []
    monkeypatch.setattr(DemandLstm, "on_train_epoch_start", lambda self: begun.append(self.current_epoch))
    resumed = lstm_fit.fit(small_panel, 30, config, checkpoints=kept)
    assert begun[0] == 2
    assert (resumed.epochs, resumed.best_epoch) == (whole.epochs, whole.best_epoch)
    here, there = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here)
    assert list(kept.iterdir()) == [], "done: nothing is left"


def test_a_torn_checkpoint_is_no_beginning(
    small_panel: Panel, small_config: DemandConfig, tmp_path: Path
) -> None:
    def stop(self: DemandLstm) -> None:
        if self.current_epoch == 1:
            raise RuntimeError("out of memory")

    whole = lstm_fit.fit(small_panel, 30, small_config)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DemandLstm, "on_train_epoch_start", stop)
        with pytest.raises(RuntimeError, match="out of memory"):
            lstm_fit.fit(small_panel, 30, small_config, checkpoints=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    again = lstm_fit.fit(small_panel, 30, small_config, checkpoints=tmp_path)
    here, there = whole.network.state_dict(), again.network.state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here)

"""The pretrained peer's answers become a forecast: order, floor, mean, and what is too short for it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.models import fracast_peer
from benchmarks.models.fracast_peer import LEAST_SEEN, FracastPeer


class Told:
    """Answers 3, 1, 2 for every period, and remembers what it was asked."""

    quantiles = (0.1, 0.5, 0.9)

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def forecast_batch(self, context: np.ndarray, *, horizon: int) -> np.ndarray:
        self.asked.append(context)
        return np.tile(np.array([3.0, 1.0, 2.0], np.float32), (len(context), horizon, 1))


def test_quantiles_ascend_and_are_not_below_the_least() -> None:
    told = FracastPeer(Told()).forecast(np.ones((2, LEAST_SEEN)), horizon=2, least=1.5)
    assert told.quantiles.tolist() == [[[1.5, 2.0, 3.0]] * 2] * 2
    assert told.levels == (0.1, 0.5, 0.9)
    assert (told.mean > 1.5).all()
    assert (told.mean < 3.5).all()


def test_a_series_of_seven_weeks_is_not_asked_about_and_repeats_its_last() -> None:
    model = Told()
    history = np.full((3, 20), np.nan)
    history[0, :LEAST_SEEN] = 5.0
    history[1, 3 : 3 + LEAST_SEEN - 1] = np.arange(1.0, LEAST_SEEN)
    told = FracastPeer(model).forecast(history, horizon=1)
    assert [len(rows) for rows in model.asked] == [1]
    assert told.quantiles[0].tolist() == [[1.0, 2.0, 3.0]]
    assert told.quantiles[1].tolist() == [[LEAST_SEEN - 1.0] * 3]
    assert told.quantiles[2].tolist() == [[0.0] * 3]
    assert told.mean[1, 0] == pytest.approx(LEAST_SEEN - 1.0)


def test_without_the_package_there_is_no_peer_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fracast", None)
    assert fracast_peer.peer() is None
    assert "make extras" in capsys.readouterr().err

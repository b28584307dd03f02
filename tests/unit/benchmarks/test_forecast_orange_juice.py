"""The orange juice benchmark counts as it says: rounds, the rule and the errors, by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.models import forecast_orange_juice, orange_juice
from benchmarks.models.forecast_orange_juice import Scored, errors, naive
from benchmarks.models.public_data import MissingDataError, public_file


def juice(path: Path) -> Path:
    prices = {f"price{k}": [0.01 * k] * 3 for k in range(1, 12)}
    pl.DataFrame(
        {
            "store": [2, 2, 2],
            "brand": [1, 1, 3],
            "week": [40, 42, 41],
            "logmove": np.log([64.0, 128.0, 192.0]),
            **prices,
            "deal": [1, 0, 0],
            "feat": [0.0, 0.5, 0.0],
        }
    ).write_csv(path)
    return path


def test_weeks_that_are_not_in_the_file_are_missing_and_their_prices_are_known(tmp_path: Path) -> None:
    panel = orange_juice.read(juice(tmp_path / "juice.csv"))
    assert panel.ids == ("2/1", "2/3")
    assert panel.target[0, :3].tolist() == pytest.approx([64.0, np.nan, 128.0], nan_ok=True)
    assert panel.known["log_price"][0, :3] == pytest.approx(np.log(0.01))
    assert panel.known["log_price"][1, :3] == pytest.approx(np.log(0.03))
    assert panel.start.tolist() == [0, 1]


def test_the_first_round_sees_week_135_and_the_last_forecasts_week_160() -> None:
    assert orange_juice.origin(0) - 1 + orange_juice.FIRST_WEEK == 135
    last = orange_juice.origin(orange_juice.ROUNDS - 1) + orange_juice.SCORED.stop - 1
    assert last + orange_juice.FIRST_WEEK == orange_juice.LAST_WEEK


def test_a_round_shows_no_unit_of_its_weeks_and_no_plan_after_them(tmp_path: Path) -> None:
    shown = orange_juice.shown(orange_juice.read(juice(tmp_path / "juice.csv")), 2)
    assert shown.target.shape == (2, 5)
    assert np.isfinite(shown.target).sum() == 2
    assert {values.shape for values in shown.known.values()} == {(2, 5)}
    assert len(shown.times) == 5


def test_the_rule_takes_the_last_week_that_was_observed(tmp_path: Path) -> None:
    panel = orange_juice.read(juice(tmp_path / "juice.csv"))
    shown = dataclasses.replace(panel, target=np.array([[1.0, 2.0, np.nan, 9.0], [4.0, np.nan, 6.0, 9.0]]))
    assert naive(shown, 3).tolist() == [[2.0, 2.0], [6.0, 6.0]]


def test_each_error_is_of_the_number_that_it_asks_for() -> None:
    actual = np.array([[[100.0, np.nan], [50.0, 200.0]]])
    system = Scored()
    system.relative.append(np.array([[90.0, 5.0], [60.0, 150.0]]))
    system.median.append(np.array([[100.0, 5.0], [50.0, 165.0]]))
    system.mean.append(np.array([[110.0, 5.0], [50.0, 225.0]]))
    found = errors(actual, system)
    assert found["mape"] == pytest.approx(100 * (0.1 + 0.2 + 0.25) / 3)
    assert found["wape"] == pytest.approx(100 * 35 / 350)
    assert found["bias_pct"] == pytest.approx(100 * 35 / 350)


def test_missing_data_are_named_and_end_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("MUYUN_BENCH_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match="set MUYUN_BENCH_DATA"):
        public_file("orange_juice", "orangeJuice_yx.csv.gz")
    assert forecast_orange_juice.main() == 1
    assert "orangeJuice_yx.csv.gz is missing" in capsys.readouterr().err

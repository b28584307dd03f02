"""The demand benchmark reads the right rows of a leaderboard and knows who would serve."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import pytest

from benchmarks.models import forecast_complete_journey as benchmark
from models.contracts import Candidate, GateDecision, Interval

SERIES = "merchant x category x week, horizon 1-4"
MONTH = "category x 4 weeks, all series summed"


def test_each_metric_is_read_at_its_level() -> None:
    names = {
        ("wape_ratio_to_seasonal_naive", SERIES): 0.7,
        ("quantile_loss_ratio_to_seasonal_naive", SERIES): 0.8,
        ("coverage_80", SERIES): 0.81,
        ("coverage_95", SERIES): 0.94,
        ("crossings", SERIES): 0.0,
        ("wape", SERIES): 9.0,
        ("wape", MONTH): 0.11,
        ("bias_of_mean", SERIES): 9.0,
        ("bias_of_mean", MONTH): -0.01,
    }
    board = [{"system": "x", "metric": m, "level": level, "value": v} for (m, level), v in names.items()]
    board += [{**row, "system": "y", "value": 5.0} for row in board]
    assert benchmark.metrics(board, "x", 4) == {
        "wape_ratio": 0.7,
        "quantile_loss_ratio": 0.8,
        "coverage_80": 0.81,
        "coverage_95": 0.94,
        "crossings": 0.0,
        "wape_category_4w": 0.11,
        "bias_category_4w": -0.01,
    }


def test_the_rule_serves_where_no_model_was_promoted() -> None:
    lift = Interval(0.01, 0.005, 0.02)
    decision = GateDecision(True, "wape", 0.6, "ses_median", 0.61, lift, None, "promoted")
    first = Candidate("demand_lstm", "demand", {}, decision, {}, [], Path("x"), date.min, date.max, 1)
    refused = dataclasses.replace(first, decision=dataclasses.replace(decision, promoted=False))
    assert benchmark.serving([first]) == "demand_lstm"
    assert benchmark.serving([refused]) == "ses"


def test_a_home_without_a_warehouse_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(benchmark, "HOME", tmp_path)
    assert benchmark.main() == 1
    assert "run `muyun run` first" in capsys.readouterr().err

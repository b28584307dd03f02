"""Calibration curves on synthetic data whose truth is known, and the resampled AUC against the plain one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_panels import at

from models.lifecycle.features.tasks import Examples
from models.lifecycle.judging.backtest import Forecast
from models.lifecycle.judging.calibration import fit_calibration, fit_isotonic, fit_platt
from models.lifecycle.judging.evaluation import precision_at_top, resampled_auc, units_of
from models.metrics import auc, expected_calibration_error
from models.splits import Cut


def test_both_kinds_repair_an_overconfident_score() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.05, 0.6, 20_000)
    logit = np.log(truth / (1 - truth))
    raw = 1 / (1 + np.exp(-(2.5 * logit + 1)))
    label = rng.random(20_000) < truth
    assert expected_calibration_error(label, raw) > 0.1
    fresh = rng.random(20_000) < truth
    for kind in ("platt", "isotonic"):
        curve = fit_calibration(kind, raw, label)  # type: ignore[arg-type]
        assert expected_calibration_error(fresh, curve.apply(raw)) < 0.015
        assert (np.diff(curve.apply(np.linspace(0, 1, 50))) >= 0).all()
    assert fit_platt(raw, label).knots == pytest.approx([0.4, -0.4], abs=0.06)


def test_isotonic_by_hand() -> None:
    curve = fit_isotonic(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True]))
    # Blocks {1}, {2, 3}, {4}: 0, 1/2, 1, each shrunk by one row of the overall 1/2.
    assert curve.knots.tolist() == [1.0, 2.5, 4.0]
    assert curve.values == pytest.approx([0.25, 0.5, 0.75])
    assert curve.apply(np.array([0.0, 1.75, 9.0])) == pytest.approx([0.25, 0.375, 0.75])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60), st.booleans())
def test_isotonic_never_turns_and_stays_inside(rows: list[tuple[int, bool]], increasing: bool) -> None:
    raw = np.array([value for value, _ in rows], dtype=np.float64)
    label = np.array([flag for _, flag in rows])
    curve = fit_isotonic(raw, label, increasing=increasing)
    values = curve.apply(np.linspace(-1, 8, 40))
    steps = np.diff(values) if increasing else -np.diff(values)
    assert (steps >= -1e-12).all()
    assert ((values >= 0) & (values <= 1)).all()


def test_platt_survives_a_constant_score() -> None:
    curve = fit_platt(np.full(100, 0.3), np.arange(100) < 20)
    assert curve.apply(np.array([0.3]))[0] == pytest.approx(0.2, abs=0.02)


def forecast(rows: int, consumers: int, seed: int) -> Forecast:
    rng = np.random.default_rng(seed)
    label = rng.random(rows) < 0.3
    raw = np.round(rng.normal(size=rows) + label, 2 if rows < 500 else 9)
    examples = Examples(np.sort(rng.integers(0, consumers, rows)), np.zeros((rows, 1), np.float32), label, {})
    return Forecast(Cut(at(0), at(1)), examples, raw, raw)


@pytest.mark.parametrize(("rows", "tolerance"), [(300, 1e-12), (6000, 1e-3)])
def test_the_resampled_auc_is_the_auc_of_the_drawn_rows(rows: int, tolerance: float) -> None:
    cuts = [forecast(rows, 40, seed) for seed in (1, 2)]
    units = units_of(cuts)
    metric = resampled_auc(cuts, [one.raw for one in cuts], units)
    drawn = np.random.default_rng(3).integers(0, len(units), len(units))
    expected = []
    for one in cuts:
        rows_of = [np.flatnonzero(one.examples.consumer == unit) for unit in units[drawn]]
        chosen = np.concatenate(rows_of)
        expected.append(auc(one.examples.label[chosen], one.raw[chosen]))
    assert metric(drawn) == pytest.approx(np.mean(expected), abs=tolerance)


def test_precision_of_the_top_rows_by_hand() -> None:
    examples = Examples(
        np.array([1, 1, 1, 2]), np.zeros((4, 1), np.float32), np.array([True, False, True, False]), {}
    )
    score = np.array([0.1, 0.9, 0.5, 0.3])
    one = Forecast(Cut(at(0), at(1)), examples, score, score)
    # Consumer 1 shows rows 1 and 2 (one right), consumer 2 its only row (wrong).
    assert precision_at_top(one, score, top=2) == pytest.approx((0.5 + 0) / 2)

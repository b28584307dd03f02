"""Uplift: Qini by hand, effects that are known, and a gate that accepts and refuses."""

import numpy as np
import polars as pl
import pytest

from benchmarks.models import uplift_hillstrom
from models.errors import FrameError, InsufficientDataError
from models.lifecycle.uplift.gate import judge
from models.lifecycle.uplift.learners import (
    LEARNERS,
    choose,
    chosen,
    doubly_robust,
    unseen_effects,
    x_learner,
)
from models.lifecycle.uplift.linear import fit_linear
from models.lifecycle.uplift.qini import resampled_qini
from models.lifecycle.uplift.trial import Experiment


def trial(rows=6_000, effect=lambda values: 0.3 * values[:, 0], share=0.5, seed=5):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 3))
    treated = rng.random(rows) < share
    outcome = values[:, 1] + effect(values) * treated + rng.normal(0, 0.5, rows)
    return Experiment(values, treated, outcome, share)


def test_anybodys_frame_becomes_a_trial():
    frame = pl.DataFrame(
        {"got": [1, 0, 1], "age": [3, 4, 5], "new": [True, False, True], "came": [0.5, 0, 1]}
    )
    names = {"features": ["age", "new"], "treated": "got", "outcome": "came", "share": 0.5}
    for given in (frame, frame.to_pandas(), frame.lazy()):
        read = Experiment.from_frame(given, **names)
        assert read.values.tolist() == [[3, 1], [4, 0], [5, 1]]
        assert read.treated.tolist() == [True, False, True]
        assert read.outcome.tolist() == [0.5, 0, 1]
    with pytest.raises(FrameError, match="'got': who was treated"):
        Experiment.from_frame(frame.with_columns(got=pl.col("got") * 2), **names)
    with pytest.raises(FrameError, match="age"):
        Experiment.from_frame(frame.drop("age"), **names)


def test_qini_by_hand():
    known = Experiment(
        np.zeros((4, 1)), np.array([True, False, True, False]), np.array([1.0, 0.0, 0.0, 0.0]), 0.5
    )
    every = np.arange(4)
    # Gains from the top: 1, 1 - 0, 1 - 0, 1; the line to the end: .25, .5, .75, 1. Mean gap over 4 rows.
    assert resampled_qini(known, np.array([4.0, 3, 2, 1]))(every) == pytest.approx(
        (0.75 + 0.5 + 0.25 + 0) / 4 / 4
    )
    backwards = resampled_qini(known, np.array([1.0, 2, 3, 4]))(every)
    assert backwards < 0
    # A row drawn twice counts twice: the same as the row written twice.
    twice = known.rows(np.array([0, 0, 1, 2]))
    assert resampled_qini(known, np.array([4.0, 3, 2, 1]))(np.array([0, 0, 1, 2])) == pytest.approx(
        resampled_qini(twice, np.array([4.0, 4, 3, 2]))(every), abs=0.07
    )


def test_the_effect_is_found_also_where_few_are_treated():
    for share in (0.5, 0.9):
        effect = doubly_robust(trial(share=share, rows=20_000), seed=1)
        assert effect.weights == pytest.approx([0.3, 0, 0], abs=0.05)
        assert effect.intercept == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("name", sorted(LEARNERS))
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_every_learner_finds_an_effect_that_is_known(name, share):
    effect = LEARNERS[name](trial(share=share, rows=20_000), 1)
    values = np.array([[-1.5, 0, 0], [0, 0, 0], [1.5, 0, 0]])
    assert effect.predict(values) == pytest.approx([-0.45, 0, 0.45], abs=0.25)


def test_the_x_learner_hears_the_untreated_as_the_share_of_the_treated():
    # Arms below two leaves: trees expect each arm's mean, 2 with and 1 without, whatever the features.
    values = np.repeat([[-1.0], [1.0]], 50, axis=0)
    treated = np.tile([True, False], 50)
    slope = np.where(treated, 0.4, -0.2)
    outcome = np.where(treated, 2.0, 1.0) + slope * values[:, 0]
    effect = x_learner(Experiment(values, treated, outcome, 0.8), seed=0)
    # Of the treated: 1 + 0.4 x; of the rest: 1 + 0.2 x; slopes drawn to 0 by 100 rows beside their 50.
    expected = 1 + (0.2 * 0.4 + 0.8 * 0.2) * 50 / 150
    assert effect.predict(np.array([[1.0]])) == pytest.approx([expected])


def test_trees_are_chosen_where_the_effect_is_no_line():
    bent = trial(rows=20_000, effect=lambda values: np.where(np.abs(values[:, 0]) > 1, 1.0, 0.0))
    assert choose(bent, seed=0) == "t_learner"
    said = chosen(bent, seed=0).predict(np.array([[-2.0, 0, 0], [0, 0, 0], [2.0, 0, 0]]))
    assert said == pytest.approx([1, 0, 1], abs=0.25)
    assert judge(bent).learner == "t_learner"


def test_effects_of_a_row_are_neither_learnt_nor_chosen_by_it():
    known = trial(rows=500)
    before = unseen_effects(known, 2, chosen)
    outcome = known.outcome.copy()
    outcome[7] += 1e6
    after = unseen_effects(Experiment(known.values, known.treated, outcome, known.share), 2, chosen)
    of_its_fold = known.folds(2) == known.folds(2)[7]
    assert (after[of_its_fold] == before[of_its_fold]).all()
    assert (after != before).any()


def test_the_gate_accepts_an_order_that_gains_and_refuses_one_that_does_not():
    assert judge(trial()).decision.promoted
    # Everybody gains the same: worth treating, and nothing to choose by.
    same = judge(trial(effect=lambda values: np.full(len(values), 0.5)))
    assert not same.decision.promoted
    assert same.effect.predict(np.zeros((1, 3))) == pytest.approx([0.5], abs=0.05)


def test_a_small_arm_is_no_experiment():
    with pytest.raises(InsufficientDataError, match="the assumed response serves"):
        judge(trial(rows=150))


def test_rows_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="finite"):
        Experiment(np.full((2, 1), np.nan), np.array([True, False]), np.zeros(2), 0.5)


def test_ridge_without_a_penalty_is_least_squares():
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, size=(50, 2))
    outcome = 1 + values @ np.array([0.5, -2.0])
    found = fit_linear(values, outcome, penalty=0.0)
    assert found.weights == pytest.approx([0.5, -2.0])
    assert found.predict(values) == pytest.approx(outcome)


def test_the_benchmark_reads_both_mailings_against_none():
    customers = pl.DataFrame(
        {
            "recency": [1, 2, 3], "mens": [1, 0, 1], "womens": [0, 1, 1], "newbie": [0, 0, 1],
            "history": [10.0, 20, 30], "zip_code": ["Rural", "Urban", "Surburban"],
            "channel": ["Web", "Phone", "Multichannel"], "visit": [1, 0, 1],
            "segment": ["Womens E-Mail", "No E-Mail", "Mens E-Mail"],
        }
    )  # fmt: skip
    womens = uplift_hillstrom.trial(customers, uplift_hillstrom.WOMENS)
    assert womens.treated.tolist() == [True, False]
    assert womens.outcome.tolist() == [1.0, 0.0]
    assert womens.values[:, -4:].tolist() == [[1, 0, 0, 1], [0, 1, 1, 0]]

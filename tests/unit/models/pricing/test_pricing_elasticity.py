"""Elasticities: planted ones are found, the sign holds, and shrinkage has the right limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import LineMaker

from models.errors import InsufficientDataError
from models.pricing.config import ElasticityConfig
from models.pricing.elasticities.changes import Changes, build_changes
from models.pricing.elasticities.elasticity import elasticity_without_zero_weeks, fit
from models.pricing.elasticities.pooled import controls, fit_pooled, second_week_share

CONFIG = ElasticityConfig(min_changes=50, min_moves=20)


def planted(count: int, seed: int = 1) -> list[float]:
    return (-2.0 + 0.8 * np.random.default_rng(seed).standard_normal(count)).clip(-5, -0.3).tolist()


def test_planted_elasticities_are_found(lines_of: LineMaker) -> None:
    truth = np.array(planted(80))
    model, _ = fit(build_changes(lines_of(truth.tolist(), weeks=40)), CONFIG)
    assert model.overall.mean[0] == pytest.approx(truth.mean(), abs=0.25)
    assert np.corrcoef(model.sku.mean, truth)[0, 1] > 0.85
    # Shrunken estimates are nearer to the truth than the common one.
    assert np.abs(model.sku.mean - truth).mean() < 0.6 * np.abs(truth.mean() - truth).mean()
    errors = (model.sku.mean - truth) / np.sqrt(model.sku.variance)
    assert 0.5 < errors.std() < 1.6


def test_dropping_zero_weeks_hides_the_response(lines_of: LineMaker) -> None:
    changes = build_changes(lines_of([-2.5] * 60, units=0.4, weeks=40))
    model, _ = fit(changes, CONFIG)
    assert model.overall.mean[0] == pytest.approx(-2.5, abs=0.4)
    assert elasticity_without_zero_weeks(changes) > -1.25


def test_one_merchant_with_large_sales_is_learnt_from_own_prices(lines_of: LineMaker) -> None:
    changes = build_changes(lines_of([-1.5] * 30, merchants=1, units=60.0, weeks=30))
    assert changes.price_source == "own"
    model, _ = fit(changes, CONFIG)
    assert model.pass_through == 1.0
    assert model.overall.mean[0] == pytest.approx(-1.5, abs=0.1)


def test_sign_constraint_holds(lines_of: LineMaker) -> None:
    model, _ = fit(build_changes(lines_of([1.5] * 20 + [-2.0] * 20, weeks=40)), CONFIG)
    assert (model.sku.mean[:20] > 0).any()
    assert (model.constrained(model.sku) <= CONFIG.max_elasticity).all()


def test_a_sku_without_changes_gets_its_parents_elasticity(lines_of: LineMaker) -> None:
    changes = build_changes(lines_of(planted(40), weeks=30))
    rows = changes.sku != 7
    model, _ = fit(changes, CONFIG, rows)
    parent = changes.l3_of_sku[7]
    assert model.sku.mean[7] == pytest.approx(model.l3.mean[parent])
    assert model.sku.variance[7] == pytest.approx(model.l3.variance[parent] + model.sku.spread**2)


def test_much_data_gives_the_own_estimate(lines_of: LineMaker) -> None:
    # Not in step with the categories, so that only the sku itself can tell.
    truth = np.random.default_rng(2).permutation([-1.0, -1.2, -1.4, -4.0] * 25)
    changes = build_changes(lines_of(truth.tolist(), units=200.0, weeks=50))
    model, _ = fit(changes, CONFIG)
    assert np.abs(model.sku.mean - truth).max() < 0.25
    assert np.abs(model.sku.mean - truth).mean() < 0.06


def test_alike_skus_are_pooled(lines_of: LineMaker) -> None:
    model, _ = fit(build_changes(lines_of([-2.0] * 60, units=1.0)), CONFIG)
    assert model.sku.mean.std() < 0.25


def oracle_newton(changes: Changes, steps: int = 30) -> np.ndarray:
    """The same likelihood with explicit week dummies, solved densely."""
    weeks = np.unique(changes.week)
    design = np.column_stack([controls(changes)[:, :1], changes.week[:, None] == weeks[None, :]]).astype(
        float
    )
    units = changes.before_qty + changes.after_qty
    beta = np.zeros(design.shape[1])
    for _ in range(steps):
        share = second_week_share(design @ beta)
        gradient = design.T @ (changes.after_qty - units * share)
        hessian = (design * (units * share * (1 - share))[:, None]).T @ design
        beta += np.linalg.solve(hessian, gradient)
    return beta


def test_pooled_fit_agrees_with_dense_newton(lines_of: LineMaker) -> None:
    # Sales of one unit a pair make overdispersion drop out of the weights.
    changes = build_changes(lines_of([-2.0] * 40, units=0.05, merchants=40, weeks=12))
    few = changes.before_qty + changes.after_qty == 1
    assert few.mean() > 0.7
    arrays = (
        "sku",
        "week",
        "before_qty",
        "after_qty",
        "log_price",
        "display",
        "mailer",
        "own_log_price",
        "promoted",
        "category_log_price",
        "cluster",
    )
    single = replace(changes, **{name: getattr(changes, name)[few] for name in arrays})
    single = replace(single, category_log_price=np.zeros(int(few.sum())))
    found = fit_pooled(single, np.ones(int(few.sum()), dtype=bool), 20)
    oracle = oracle_newton(single)
    assert found.slopes[0] == pytest.approx(oracle[0], abs=1e-3)
    assert found.slopes[1:].tolist() == [0.0] * 4


def test_fit_is_deterministic(lines_of: LineMaker) -> None:
    changes = build_changes(lines_of(planted(20)))
    one, two = fit(changes, CONFIG)[0], fit(changes, CONFIG)[0]
    assert one.sku.mean.tobytes() == two.sku.mean.tobytes()


def test_prices_that_never_move_teach_nothing(lines_of: LineMaker) -> None:
    changes = build_changes(lines_of([-2.0] * 20))
    flat = replace(changes, log_price=np.zeros_like(changes.log_price))
    with pytest.raises(InsufficientDataError, match="never change"):
        fit(flat, CONFIG)
    with pytest.raises(InsufficientDataError, match="in step"):
        fit(build_changes(lines_of([-2.0], merchants=20)), CONFIG)
    with pytest.raises(InsufficientDataError, match="at least"):
        fit(changes, CONFIG, changes.sku < 0)


def test_the_usual_elasticity_is_that_of_sales_as_often_promoted_as_they_are(lines_of: LineMaker) -> None:
    changes = build_changes(lines_of(planted(20)))
    model, _ = fit(changes, CONFIG)
    assert model.promoted_share == 0.0
    assert model.usual(model.sku).tolist() == model.constrained(model.sku).tolist()
    shown = replace(changes, promoted=np.where(changes.sku < 10, 0.5, 0.0))
    units = changes.before_qty + changes.after_qty
    share = 0.5 * units[changes.sku < 10].sum() / units.sum()
    assert fit(shown, CONFIG)[0].promoted_share == pytest.approx(share)
    steeper = replace(model, promoted=-1.0, promoted_share=0.4, pass_through=0.8)
    assert steeper.usual(model.sku) == pytest.approx(np.minimum(model.sku.mean - 0.5, model.max_elasticity))

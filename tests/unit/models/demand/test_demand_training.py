from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from demand_samples import MakeLines, after

from models.contracts import PUBLISHED_TABLES, Candidate
from models.demand import training
from models.demand.bundle import read
from models.demand.config import BOOSTED, LSTM, STACKED, DemandConfig
from models.demand.judging.backtest import LEVELLED, plan_origins
from models.demand.judging.figures import FANS_SCHEMA
from models.demand.judging.levels import CategoryLevels
from models.demand.panel.pooling import publish
from models.demand.panel.series import Panel, build_panel, weekly_sales
from models.demand.scoring import forecast
from models.demand.training import train
from models.demand.weekly import stacking
from models.demand.weekly.baselines import RULES
from models.demand.weekly.forecasts import Forecast
from models.errors import BundleError, InsufficientDataError

Weekly = dict[tuple[str, str], list[int]]
COLUMNS = [column.name for column in PUBLISHED_TABLES["demand_forecasts"].columns]


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    make_lines: MakeLines,
    small_weekly: Weekly,
    no_promotions: pl.DataFrame,
    small_config: DemandConfig,
) -> tuple[list[Candidate], Path]:
    folder = tmp_path_factory.mktemp("bundles")
    lines = make_lines(small_weekly)
    return train(lines, no_promotions, after(40), folder, small_config), folder


def values(candidate: Candidate, system: str, metric: str) -> list[float]:
    return [r["value"] for r in candidate.leaderboard if (r["system"], r["metric"]) == (system, metric)]


def test_candidates_carry_their_evidence(trained: tuple[list[Candidate], Path]) -> None:
    candidates, folder = trained
    assert {c.name for c in candidates} == {LSTM, BOOSTED, STACKED}
    for candidate in candidates:
        assert candidate.decision.baseline.removesuffix("_median") in {*RULES, LEVELLED}
        assert candidate.metrics["crossings"] == 0
        assert candidate.metrics["origins"] == 6
        assert candidate.metrics["series_tested"] == 12
        assert candidate.data_from == date(2017, 1, 2)
        assert candidate.bundle_dir == folder / candidate.name
        assert values(candidate, "seasonal_naive", "wape_ratio_to_seasonal_naive") == [1.0]
        for rule in (*RULES, LEVELLED):
            assert len(values(candidate, rule, "wape")) == 7
        json.dumps(candidate.config)
    assert not list(folder.glob(".*"))
    fans = pl.read_parquet(folder / "fans.parquet")
    assert fans.schema == FANS_SCHEMA
    assert fans["system"].n_unique() == 4
    assert fans.filter(pl.col("week_start_on") >= pl.col("origin_week"))["p50"].null_count() == 0


def test_the_better_candidate_comes_first(trained: tuple[list[Candidate], Path]) -> None:
    candidates, _ = trained
    losses = {c.name: (not c.decision.promoted, c.metrics["quantile_loss"]) for c in candidates}
    assert [c.name for c in candidates] == sorted(losses, key=lambda name: losses[name])


@pytest.mark.parametrize("name", [LSTM, BOOSTED, STACKED])
def test_a_bundle_serves_the_published_table(
    trained: tuple[list[Candidate], Path],
    make_lines: MakeLines,
    small_weekly: Weekly,
    no_promotions: pl.DataFrame,
    name: str,
) -> None:
    _, folder = trained
    lines = make_lines(small_weekly)
    served = forecast(lines, no_promotions, after(40), folder / name, name)
    assert served.columns == COLUMNS
    assert served.height == 14 * 4
    assert served.select("merchant_id", "category_id", "week_start_on").is_unique().all()
    assert served["model"].unique().to_list() == [name]
    assert served["week_start_on"].min() == date(2017, 10, 9)
    assert (
        served.select((pl.col("p10_qty") <= pl.col("p50_qty")) & (pl.col("p50_qty") <= pl.col("p90_qty")))
        .to_series()
        .all()
    )
    assert served.null_count().sum_horizontal().item() == 0
    again = forecast(
        lines.sample(fraction=1, shuffle=True, seed=1), no_promotions, after(40), folder / name, name
    )
    assert again.equals(served)
    later = pl.concat([lines, make_lines({("l2-0", "m1"): [0] * 40 + [900] * 4})])
    assert forecast(later, no_promotions, after(40), folder / name, name).equals(served)


def test_the_pool_sums_to_its_forecast(small_panel: Panel) -> None:
    shape = (small_panel.n_series, 4)
    rng = np.random.default_rng(0)
    quantiles = np.sort(rng.gamma(2, 4, (*shape, 3)), axis=-1)
    given = Forecast(quantiles.mean(axis=-1), quantiles)
    table = publish(small_panel, given, "x")
    by_category = table.group_by("category_id").agg(pl.col("mean_qty").sum()).sort("category_id")
    expected = [
        given.mean[[c == name for c in small_panel.category_id]].sum() for name in by_category["category_id"]
    ]
    np.testing.assert_allclose(by_category["mean_qty"].to_numpy(), expected)
    # m8 sold 5 of the pool's 17 units in the newest 26 weeks, m9 the other 12.
    small = table.filter(pl.col("merchant_id").is_in(["m8", "m9"]) & (pl.col("horizon_weeks") == 1))
    np.testing.assert_allclose(small["mean_qty"].to_numpy(), given.mean[0, 0] * np.array([5, 12]) / 17)


@pytest.mark.parametrize("weeks", [1, 5, 30])
def test_short_histories_are_served_by_a_rule(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_config: DemandConfig, weeks: int
) -> None:
    lines = make_lines({("l2-a", "m1"): [6] * weeks, ("l2-a", "m2"): [0] * (weeks - 1) + [1]})
    served = forecast(lines, no_promotions, after(weeks), None, "none", config=small_config)
    assert served.height == 8
    assert served["model"][0] in {*RULES, LEVELLED}
    assert np.isfinite(served["mean_qty"].to_numpy()).all()
    np.testing.assert_allclose(
        served.filter(pl.col("merchant_id") == "m1")["mean_qty"].to_numpy(), 6.0, rtol=0.2
    )


def test_one_wholesale_line_and_goods_by_weight_do_not_break_the_training(
    make_lines: MakeLines,
    no_promotions: pl.DataFrame,
    small_weekly: Weekly,
    small_config: DemandConfig,
    tmp_path: Path,
) -> None:
    """Every quantity has a fraction, and one line of a hundred thousand units lies in another category."""
    retail = make_lines(small_weekly).with_columns(qty=pl.col("qty").cast(pl.Float64) * 0.345)
    wholesale = make_lines({("l2-2", "m3"): [0] * 30 + [100_000]}).with_columns(
        pl.col("qty").cast(pl.Float64)
    )
    lines = pl.concat([retail, wholesale])
    candidates = train(lines, no_promotions, after(40), tmp_path, small_config)
    for candidate in candidates:
        assert all(np.isfinite(row["value"]) for row in candidate.leaderboard), candidate.name
        served = forecast(lines, no_promotions, after(40), tmp_path / candidate.name, candidate.name)
        assert np.isfinite(served.select("mean_qty", "p10_qty", "p90_qty").to_numpy()).all()
        others = served.filter(pl.col("category_id") == "l2-0", pl.col("merchant_id") == "m1")
        assert others["mean_qty"].max() < 0.345 * max(small_weekly["l2-0", "m1"])


def test_the_stack_serves_the_mixture_of_what_its_members_serve(
    trained: tuple[list[Candidate], Path],
    make_lines: MakeLines,
    small_weekly: Weekly,
    no_promotions: pl.DataFrame,
    small_config: DemandConfig,
) -> None:
    candidates, folder = trained
    stack = next(c for c in candidates if c.name == STACKED)
    weights = {name: value for name, value in stack.metrics.items() if name.startswith("weight_")}
    assert set(weights) == {
        f"weight_{kind}_{name}"
        for kind in ("smooth", "intermittent")
        for name in (LSTM, BOOSTED, "sba", "tsb")
    }
    smooth = {name: weights[f"weight_smooth_{name}"] for name in (LSTM, BOOSTED, "sba", "tsb")}
    assert sum(smooth.values()) == pytest.approx(1)
    panel = build_panel(
        weekly_sales(make_lines(small_weekly), after(40), small_config), no_promotions, small_config
    )
    parts = {name: read(folder / name).predict(panel, 40) for name in (LSTM, BOOSTED)}
    parts |= {name: stacking.rule(name, panel, 40, 4) for name in ("sba", "tsb")}
    found = read(folder / STACKED).predict(panel, 40)
    own = ~panel.is_pooled
    expected = sum(weight * parts[name].mean[own] for name, weight in smooth.items())
    np.testing.assert_allclose(found.mean[own], expected)
    logs = sum(weight * np.log(parts[name].quantiles[own] + 0.5) for name, weight in smooth.items())
    np.testing.assert_allclose(found.quantiles[own], np.exp(logs) - 0.5, atol=1e-9)


def test_a_stack_with_another_champion_is_compared_with_its_procedure(
    trained: tuple[list[Candidate], Path],
    make_lines: MakeLines,
    small_weekly: Weekly,
    no_promotions: pl.DataFrame,
    small_config: DemandConfig,
    tmp_path: Path,
) -> None:
    other = replace(small_config, gbm=replace(small_config.gbm, trees=2))
    champions = {STACKED: {"system": STACKED, "settings": other.as_json()}}
    again = train(make_lines(small_weekly), no_promotions, after(40), tmp_path, small_config, champions)
    decisions = {c.name: c.decision for c in again}
    assert decisions[STACKED].champion_lift is not None
    assert decisions[BOOSTED].champion_lift is None


def test_what_would_serve_is_fitted_anew_and_the_rest_stays_as_it_was_judged(
    make_lines: MakeLines,
    small_weekly: Weekly,
    no_promotions: pl.DataFrame,
    small_config: DemandConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The LSTM says five times as much as boosting: it passes here, is third, and has no weight."""
    fits: list[tuple[str, int]] = []

    def member(name: str, factor: float) -> Callable[..., training._Fitted]:
        def fit(panel: Panel, cut: int, *_: object) -> training._Fitted:
            fits.append((name, cut))

            def predict(panel: Panel, origin: int, hide: bool) -> Forecast:
                level = factor * np.repeat(panel.qty[:, :origin].mean(axis=1, keepdims=True), 4, axis=1)
                return Forecast(level, level[..., None] * np.array([0.7, 1.0, 1.3]))

            return training._Fitted(predict, lambda folder: (folder / f"fit_at_{cut}").touch())

        return fit

    judge = training.leaderboard.gate
    monkeypatch.setattr(training, "_FIT", {LSTM: member(LSTM, 5.0), BOOSTED: member(BOOSTED, 1.0)})
    for passes, wanted in ((True, {BOOSTED}), (False, set())):
        monkeypatch.setattr(
            training.leaderboard, "gate", lambda *a, _p=passes, **k: replace(judge(*a, **k), promoted=_p)
        )
        fits.clear()
        found = train(make_lines(small_weekly), no_promotions, after(40), tmp_path, small_config)
        assert [one.name for one in found][-1] == LSTM
        assert {name for name, cut in fits if cut == 40} == wanted
        judged = plan_origins(40, small_config).fit_cut
        assert (tmp_path / LSTM / f"fit_at_{judged}").exists()
        boosted = 40 if passes else judged
        assert (tmp_path / BOOSTED / f"fit_at_{boosted}").exists()


def test_a_stack_without_its_weights_is_named(trained: tuple[list[Candidate], Path], tmp_path: Path) -> None:
    _, folder = trained
    broken = tmp_path / STACKED
    shutil.copytree(folder / STACKED, broken)
    (broken / "weights.json").write_text("{}")
    with pytest.raises(BundleError, match=r"weights\.json: not the weights of a stack"):
        read(broken)


def test_a_named_rule_is_used(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_weekly: Weekly, small_config: DemandConfig
) -> None:
    lines = make_lines(small_weekly)
    served = forecast(lines, no_promotions, after(40), None, "naive", config=small_config)
    row = served.filter((pl.col("merchant_id") == "m2") & (pl.col("category_id") == "l2-1"))
    assert row["mean_qty"].to_list() == [float(small_weekly["l2-1", "m2"][-1])] * 4
    assert served["model"].unique().to_list() == ["naive"]


def test_the_levelled_rule_serves_by_its_name(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_weekly: Weekly, small_config: DemandConfig
) -> None:
    lines = make_lines(small_weekly)
    served = forecast(lines, no_promotions, after(40), None, LEVELLED, config=small_config)
    assert served["model"].unique().to_list() == [LEVELLED]
    panel = build_panel(weekly_sales(lines, after(40), small_config), no_promotions, small_config)
    level = CategoryLevels(panel, 4).at(40)
    units = served.group_by("category_id").agg(pl.col("mean_qty").sum()).sort("category_id")["mean_qty"]
    np.testing.assert_allclose(units.to_numpy(), level, rtol=0.01)
    plain = forecast(lines, no_promotions, after(40), None, "tsb", config=small_config)
    assert not np.allclose(served["mean_qty"], plain["mean_qty"])


def test_nothing_in_nothing_out(make_lines: MakeLines, no_promotions: pl.DataFrame, tmp_path: Path) -> None:
    served = forecast(make_lines({}), no_promotions, after(40), None, "none")
    assert served.height == 0
    assert served.columns == COLUMNS
    with pytest.raises(InsufficientDataError, match="0 complete weeks"):
        train(make_lines({}), no_promotions, after(40), tmp_path)


@pytest.mark.parametrize(
    ("weeks", "message"), [(15, "at least 16"), (20, "26 are needed"), (40, "no category")]
)
def test_too_little_is_said(
    make_lines: MakeLines, no_promotions: pl.DataFrame, tmp_path: Path, weeks: int, message: str
) -> None:
    lines = make_lines({("l2-a", "m1"): [6] * weeks})
    with pytest.raises(InsufficientDataError, match=message):
        train(lines, no_promotions, after(weeks), tmp_path)


def test_data_that_ended_long_ago_leave_no_weeks_to_judge_by(
    make_lines: MakeLines,
    no_promotions: pl.DataFrame,
    small_weekly: Weekly,
    small_config: DemandConfig,
    tmp_path: Path,
) -> None:
    lines = make_lines(small_weekly)
    with pytest.raises(InsufficientDataError, match="no weeks to judge by, nothing was sold since 20"):
        train(lines, no_promotions, after(80), tmp_path, small_config)


def test_a_broken_bundle_is_named(make_lines: MakeLines, no_promotions: pl.DataFrame, tmp_path: Path) -> None:
    lines = make_lines({("l2-a", "m1"): [6] * 20})
    with pytest.raises(BundleError, match=r"no bundle\.json"):
        forecast(lines, no_promotions, after(20), tmp_path, "x")
    (tmp_path / "bundle.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(BundleError, match="format 99"):
        forecast(lines, no_promotions, after(20), tmp_path, "x")


def test_a_model_is_compared_with_its_own_champion_only(
    trained: tuple[list[Candidate], Path],
    make_lines: MakeLines,
    small_weekly: Weekly,
    no_promotions: pl.DataFrame,
    small_config: DemandConfig,
    tmp_path: Path,
) -> None:
    """The LSTM's champion has other settings, boosting's the same."""
    candidates, _ = trained
    other = replace(small_config, lstm=replace(small_config.lstm, epochs=1))
    champions: dict[str, Any] = {c.name: c.config for c in candidates}
    champions[LSTM] = {"system": LSTM, "settings": other.as_json()}
    again = train(make_lines(small_weekly), no_promotions, after(40), tmp_path, small_config, champions)
    boosted, lstm, stacked = ({c.name: c for c in again}[name].decision for name in (BOOSTED, LSTM, STACKED))
    assert stacked.champion_lift is None
    assert boosted.champion_lift is None
    assert boosted.champion_rule_lift == boosted.lift
    assert lstm.champion_lift is not None
    assert lstm.champion_rule_lift != lstm.lift
    before = {c.name: c.metrics for c in candidates}
    assert {c.name: c.metrics for c in again} == before

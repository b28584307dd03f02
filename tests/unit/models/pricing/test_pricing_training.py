"""Training: gate, bundle, leakage, champions and thin data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from conftest import LineMaker

from models.errors import BundleError, InsufficientDataError
from models.pricing.bundle import META_FILE, load_bundle
from models.pricing.config import ElasticityConfig, PricingConfig, elasticity_settings
from models.pricing.elasticities.changes import build_changes
from models.pricing.elasticities.evaluation import NO_RESPONSE, POOLED, SHRUNKEN, backtest, origins
from models.pricing.training import changes_at, train

CONFIG = PricingConfig(elasticity=ElasticityConfig(min_changes=50, min_moves=20))
AS_OF = datetime(2018, 1, 1, tzinfo=UTC)


def spread_out(count: int) -> list[float]:
    return np.linspace(-4.0, -0.4, count).tolist()


def test_different_skus_are_worth_a_tree_of_elasticities(lines_of: LineMaker, tmp_path: Path) -> None:
    candidate = train(lines_of(spread_out(80), weeks=32), AS_OF, tmp_path / "b", CONFIG)
    assert candidate.name == "pricing_elasticity"
    assert candidate.decision.promoted, candidate.decision.reason
    assert candidate.decision.baseline == POOLED
    systems = {row["system"] for row in candidate.leaderboard}
    assert systems == {NO_RESPONSE, POOLED, SHRUNKEN}
    assert candidate.metrics["held_out_moves"] > 100
    assert set(candidate.figures) == {"pricing_elasticities", "pricing_backtest"}
    assert candidate.input_rows == lines_of(spread_out(80), weeks=32).height
    saved = load_bundle(tmp_path / "b")
    assert saved.skus.height == 80
    assert saved.skus["elasticity"].is_between(-8, -0.1).all()
    assert saved.categories["level"].unique().sort().to_list() == ["all", "l2", "l3"]


def test_no_response_is_not_promoted(lines_of: LineMaker, tmp_path: Path) -> None:
    candidate = train(lines_of([0.0] * 40, weeks=32), AS_OF, tmp_path / "b", CONFIG)
    assert not candidate.decision.promoted
    assert candidate.decision.reason.startswith("refused")


def test_later_lines_are_not_seen(lines_of: LineMaker, tmp_path: Path) -> None:
    frame = lines_of(spread_out(30), weeks=30)
    cut = datetime(2017, 7, 10, tzinfo=UTC)
    train(frame, cut, tmp_path / "a", CONFIG)
    train(frame.filter(pl.col("placed_at") <= cut), cut, tmp_path / "b", CONFIG)
    for name in ("skus.parquet", "categories.parquet"):
        assert pl.read_parquet(tmp_path / "a" / name).equals(pl.read_parquet(tmp_path / "b" / name))


def test_test_weeks_do_not_reach_the_fit(lines_of: LineMaker) -> None:
    changes = build_changes(lines_of(spread_out(30), weeks=30))
    first = origins(changes.n_weeks, CONFIG.elasticity)[0]
    last = changes.week >= changes.n_weeks - 1
    assert first == 30 - 12
    changed = replace(changes, after_qty=np.where(last, changes.after_qty + 5, changes.after_qty))
    one = backtest(changes, replace(CONFIG.elasticity, origins=2), known=lambda _: changes)
    two = backtest(changed, replace(CONFIG.elasticity, origins=2), known=lambda _: changed)
    assert one.metrics["held_out_moves"] == two.metrics["held_out_moves"]
    assert one.decision.value != two.decision.value


def test_what_came_late_or_was_corrected_is_learnt_from_then_on_only(lines_of: LineMaker) -> None:
    """The changes at an origin are those of what was known, although lines came or were corrected since."""
    frame = lines_of(spread_out(30), weeks=30).with_row_index("order_id")
    standing = build_changes(frame)
    week = origins(standing.n_weeks, CONFIG.elasticity)[0]
    zone = "America/New_York"
    monday = datetime(2017, 1, 2, tzinfo=ZoneInfo(zone)) + timedelta(weeks=week)
    moment = monday.astimezone(UTC)
    before = pl.col("placed_at") < moment
    late = before & (pl.col("order_id") % 5 == 0)
    wrong = before & ~late & (pl.col("order_id") % 5 == 1)
    first_told = frame.filter(wrong).with_columns(pl.col("qty") * 3, pl.col("list_price_cents") * 4)
    received = pl.when(late | wrong).then(pl.lit(moment)).otherwise("placed_at")
    states = pl.concat(
        [
            frame.with_columns(
                received_at=received + pl.duration(microseconds=1),
                superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
            ),
            first_told.with_columns(
                received_at=pl.col("placed_at"), superseded_at=pl.lit(moment) + pl.duration(microseconds=1)
            ),
        ],
        how="vertical_relaxed",
    )
    told = changes_at(states, standing, week, CONFIG.elasticity, zone)
    as_known = pl.concat([frame.filter(before & ~late & ~wrong), first_told], how="vertical_relaxed")
    expected = build_changes(as_known, like=standing)
    for name in ("sku", "week", "before_qty", "after_qty", "log_price"):
        np.testing.assert_array_equal(getattr(told, name), getattr(expected, name), err_msg=name)
    later = changes_at(states, standing, week + 1, CONFIG.elasticity, zone)
    assert later.before_qty[later.week < week].sum() == standing.before_qty[standing.week < week].sum()
    assert told.before_qty[told.week < week].sum() != standing.before_qty[standing.week < week].sum()


def test_late_lines_move_the_backtest_and_not_the_final_fit(lines_of: LineMaker, tmp_path: Path) -> None:
    frame = lines_of(spread_out(30), weeks=30)
    late = pl.when(pl.col("sku_id") < "p0015").then(pl.lit(AS_OF)).otherwise("placed_at")
    states = frame.with_columns(received_at=late, superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")))
    seen = train(frame, AS_OF, tmp_path / "a", CONFIG)
    unseen = train(states, AS_OF, tmp_path / "b", CONFIG)
    assert seen.metrics["held_out_moves"] == unseen.metrics["held_out_moves"]
    assert seen.decision.value < unseen.decision.value
    assert pl.read_parquet(tmp_path / "a" / "skus.parquet").equals(
        pl.read_parquet(tmp_path / "b" / "skus.parquet")
    )


def test_the_champion_is_compared_only_where_settings_differ(lines_of: LineMaker, tmp_path: Path) -> None:
    frame = lines_of(spread_out(30), weeks=30)
    same = train(frame, AS_OF, tmp_path / "b", CONFIG, champion=CONFIG.as_dict())
    assert same.decision.champion_lift is None
    other = replace(CONFIG, elasticity=replace(CONFIG.elasticity, max_elasticity=-3.9))
    compared = train(frame, AS_OF, tmp_path / "b", CONFIG, champion=other.as_dict())
    assert compared.decision.champion_lift is not None
    assert compared.decision.champion_lift.mean > 0


def test_settings_survive_storage() -> None:
    stored = CONFIG.as_dict() | {"unknown": 1}
    stored["elasticity"] = {**stored["elasticity"], "of_another_version": 2}
    assert elasticity_settings(stored) == CONFIG.elasticity
    assert elasticity_settings({}) == ElasticityConfig()


def test_thin_data_are_refused_with_what_is_missing(lines_of: LineMaker, tmp_path: Path) -> None:
    frame = lines_of([-2.0] * 20, weeks=30)
    with pytest.raises(InsufficientDataError, match="no merchandise"):
        train(frame.clear(), AS_OF, tmp_path / "b", CONFIG)
    with pytest.raises(InsufficientDataError, match="20 are needed"):
        train(lines_of([-2.0] * 20, weeks=10), AS_OF, tmp_path / "b", CONFIG)
    strict = replace(CONFIG, elasticity=replace(CONFIG.elasticity, min_moves=10**6))
    with pytest.raises(InsufficientDataError, match="held-out price moves"):
        train(frame, AS_OF, tmp_path / "b", strict)
    with pytest.raises(InsufficientDataError):
        train(frame, AS_OF - timedelta(days=900), tmp_path / "b", CONFIG)
    assert not (tmp_path / "b").exists()


def test_training_is_deterministic(lines_of: LineMaker, tmp_path: Path) -> None:
    frame = lines_of(spread_out(20), weeks=30)
    one = train(frame, AS_OF, tmp_path / "a", CONFIG)
    two = train(frame.sample(fraction=1.0, shuffle=True, seed=5), AS_OF, tmp_path / "b", CONFIG)
    assert one.decision.value == pytest.approx(two.decision.value, abs=1e-12)
    left, right = (load_bundle(tmp_path / name).skus for name in "ab")
    assert left["sku_id"].equals(right["sku_id"])
    np.testing.assert_allclose(left["elasticity"].to_numpy(), right["elasticity"].to_numpy(), atol=1e-9)


@pytest.mark.parametrize("damage", ["missing", "cut_short", "other_format", "not_json", "not_parquet"])
def test_a_damaged_bundle_is_named(damage: str, lines_of: LineMaker, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    if damage != "missing":
        train(lines_of(spread_out(20), weeks=30), AS_OF, folder, CONFIG)
    if damage == "cut_short":
        (folder / META_FILE).unlink()
    if damage == "other_format":
        (folder / META_FILE).write_text('{"format": 99}')
    if damage == "not_json":
        (folder / META_FILE).write_text("{")
    if damage == "not_parquet":
        (folder / "skus.parquet").write_bytes(b"no")
    with pytest.raises(BundleError, match="train again"):
        load_bundle(folder)

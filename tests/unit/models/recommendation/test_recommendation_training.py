"""Training end to end on a small simulated panel: evidence, bundles, refusals, no look-ahead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from recommendation_panels import NO_LISTINGS, SCHEMA, at, lines, simulated

from models.errors import BundleError, InsufficientDataError, ModelError
from models.recommendation.bundle import load_discovery, load_repeat
from models.recommendation.config import ALONE, AlsParams, RankerParams, RecommendationConfig, TifuParams
from models.recommendation.interactions import index_lines
from models.recommendation.judging.evaluation import Backtest, Choices, Measured, blend_name
from models.recommendation.scoring import score
from models.recommendation.training import LANES, kept_spacing, train
from models.splits import Cut

AS_OF = at(150)
CONFIG = RecommendationConfig(
    als_grid=(AlsParams(factors=8, regularisation=1.0, iterations=4, min_buyers=1),),
    tifu_grid=(TifuParams(neighbours=10, min_buyers=1),),
    ranker=RankerParams(rounds=10, leaves=4, min_rows_a_leaf=20, training_cuts=1),
    trend_powers=(0.0, 0.5),
    reference_origins=(at(125),),
    threads=1,
)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.name == "bundle.json"
    }


def test_one_candidate_a_lane_with_evidence_and_a_loadable_bundle(tmp_path: Path) -> None:
    repeat, discovery = train(simulated(), AS_OF, tmp_path, CONFIG)
    assert [repeat.name, discovery.name] == ["recommendation_repeat", "recommendation_discovery"]
    for candidate, rule in ((repeat, "gp_topfreq"), (discovery, "popularity_28d")):
        assert candidate.family == "recommendation"
        assert candidate.decision.metric == "ndcg_at_10"
        assert candidate.decision.baseline == rule
        assert candidate.metrics[f"{rule}_ndcg_at_10"] > 0
        assert candidate.data_to <= AS_OF
        assert all(figure.axes for figure in candidate.figures.values())
        levels = {row["level"] for row in candidate.leaderboard}
        assert sum("test cut 2024" in level for level in levels) == 3
        assert any("reference cut 2024-05-05" in level for level in levels)
        for row in candidate.leaderboard:
            assert 0 <= row["value"] <= 1
            if "low" in row:
                assert row["low"] <= row["value"] <= row["high"]
    # Consumers buy from their own third of the skus: ALS must find that, popularity cannot.
    assert discovery.decision.promoted
    assert load_repeat(repeat.bundle_dir).kind == repeat.config["chosen"]["repeat_kind"]
    assert load_discovery(discovery.bundle_dir).items.factors.shape == (90, 8)
    chosen = dict(repeat.config)
    chosen.pop("chosen")
    assert RecommendationConfig.from_dict(chosen) == CONFIG


def test_training_twice_gives_the_same_and_the_future_changes_nothing(tmp_path: Path) -> None:
    panel = simulated(days=160)
    known = panel.filter(pl.col("placed_at") <= AS_OF)
    assert known.height < panel.height
    shuffled = panel.sample(fraction=1.0, shuffle=True, seed=5)
    first = train(known, AS_OF, tmp_path / "a", CONFIG)
    second = train(shuffled, AS_OF, tmp_path / "b", CONFIG)
    for one, other in zip(first, second, strict=True):
        assert one.metrics == other.metrics
        assert one.decision == other.decision
        assert one.leaderboard == other.leaderboard
    assert files(tmp_path / "a") == files(tmp_path / "b")
    factors = [load_discovery(tmp_path / x / "recommendation_discovery").items.factors for x in "ab"]
    np.testing.assert_array_equal(*factors)


def test_choices_and_lists_at_a_cut_do_not_see_later_rows() -> None:
    panel = simulated()
    cut = Cut(at(94), at(108))
    until_end = panel.filter(pl.col("placed_at") <= cut.end)
    ranked = []
    for rows in (panel, until_end):
        data = index_lines(rows, AS_OF)
        backtest = Backtest(data, CONFIG, at(0))
        choices = backtest.choose([cut])
        known = backtest.known(cut)
        users = known.users_of(known.bought)
        lists = backtest.rank_repeat(known, choices.repeat_kind, choices.tifu, users, cut.origin)
        assert lists is not None
        ranked.append((choices, [[data.skus[i] for i in row] for row in lists.tolist()]))
    assert ranked[0] == ranked[1]


def test_lists_at_an_origin_do_not_change_with_the_window_after_it() -> None:
    panel = simulated()
    cut = Cut(at(94), at(108))
    window = (pl.col("placed_at") > cut.origin) & (pl.col("placed_at") <= cut.end)
    # Other skus are bought inside the window, by the same consumers: features and factors must not move.
    other = {"sku_id": "a000", "category_l2_id": "l2-a", "category_l3_id": "l3-a"}
    changed = panel.with_columns(
        pl.when(window).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in other.items()
    ).unique(["order_id", "sku_id"])
    lists = []
    for rows in (panel, changed):
        data = index_lines(rows, AS_OF)
        backtest = Backtest(data, CONFIG, at(0))
        known = backtest.known(cut)
        users = np.arange(data.n_users)
        found = [
            backtest.rank_repeat(known, name, TifuParams(), users, cut.origin)
            for name in ("repeat_ranker", "tifu_knn")
        ]
        affinity = backtest.affinity(cut.origin, CONFIG.als_grid[0], cut.origin)
        found.append(backtest.rank_discovery(known, affinity, CONFIG.als_grid[0], 0.5, users))
        lists.append(found)
    for one, other in zip(*lists, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_came_late_or_was_corrected_is_seen_from_then_on_only() -> None:
    """The lists at a cut are those of what was known, although some orders came or were corrected since.

    What came true in the window is told by what stands today.
    """
    cut = Cut(at(94), at(108))
    panel = simulated().with_columns(
        received_at=pl.col("placed_at"), superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    )
    is_before = pl.col("placed_at") <= cut.origin
    late = is_before & (pl.col("order_id").hash(seed=1) % 5 == 0)
    wrong = is_before & ~late & (pl.col("order_id").hash(seed=2) % 5 == 0)
    came, corrected = pl.lit(at(109)), pl.lit(at(110))
    as_first_told = panel.filter(wrong).with_columns(
        sku_id=pl.lit("a000"), category_l2_id=pl.lit("l2-a"), category_l3_id=pl.lit("l3-a")
    ).unique("order_id", maintain_order=True)  # fmt: skip
    everything = pl.concat(
        [
            panel.with_columns(
                received_at=pl.when(late).then(came).when(wrong).then(corrected).otherwise("received_at")
            ),
            as_first_told.with_columns(superseded_at=corrected),
        ],
        how="vertical_relaxed",
    )
    as_known = pl.concat([panel.filter(~late & ~wrong), as_first_told])
    ranked = []
    for rows in (everything, as_known):
        data = index_lines(rows, AS_OF)
        backtest = Backtest(data, CONFIG, at(0))
        known = backtest.known(cut)
        users = np.arange(data.n_users)
        lists = [
            backtest.rank_repeat(known, name, TifuParams(), users, cut.origin)
            for name in ("repeat_ranker", "tifu_knn")
        ]
        affinity = backtest.affinity(cut.origin, CONFIG.als_grid[0], cut.origin)
        lists.append(backtest.rank_discovery(known, affinity, CONFIG.als_grid[0], 0.5, users))
        ranked.append((data, known, lists))
    (data, known, lists), (other_data, other_known, other_lists) = ranked
    assert data.consumers == other_data.consumers
    for one, other in zip(lists, other_lists, strict=True):
        assert [[data.skus[i] for i in row] for row in one.tolist()] == [
            [other_data.skus[i] for i in row] for row in other.tolist()
        ]
    assert known.bought.sum() == other_known.bought.sum() > 0
    standing = index_lines(panel, AS_OF)
    assert data.until(at(120)).drop("received").equals(standing.until(at(120)).drop("received"))


def test_the_champion_is_compared_only_when_its_settings_differ(tmp_path: Path) -> None:
    panel = simulated(consumers=30)
    same = train(panel, AS_OF, tmp_path, CONFIG, dict.fromkeys(LANES, replace(CONFIG, reference_origins=())))
    assert all(one.decision.champion_rule_lift == one.decision.lift for one in same)
    assert all(one.decision.champion_lift is None for one in same)
    other = replace(CONFIG, als_grid=(AlsParams(factors=2, iterations=1, min_buyers=1),))
    against = train(panel, AS_OF, tmp_path, CONFIG, dict.fromkeys(LANES, other))
    repeat, discovery = (one.decision.champion_lift for one in against)
    # Only the discovery lane's procedure differs: two factors after one round find less than eight.
    assert repeat is None
    assert discovery is not None
    assert discovery.mean > 0
    weaker = train(panel, AS_OF, tmp_path, other, {"discovery": CONFIG})[1].decision
    assert weaker.champion_lift is not None
    assert weaker.champion_lift.mean == pytest.approx(-discovery.mean)
    assert not weaker.promoted


@pytest.mark.parametrize(
    ("panel", "words"),
    [
        (pl.DataFrame(schema=SCHEMA), "0 consumers"),
        (lines([("u", "m", 140, "a b")]), "1 consumers"),
        (simulated(consumers=19), "19 consumers"),
        (simulated().filter(pl.col("placed_at") > at(90)), "days of history"),
    ],
)
def test_too_little_data_is_refused_with_the_reason(tmp_path: Path, panel: pl.DataFrame, words: str) -> None:
    with pytest.raises(InsufficientDataError, match=words):
        train(panel, AS_OF, tmp_path, CONFIG)
    assert not list(tmp_path.iterdir())


def test_nothing_bought_in_the_test_windows_is_refused(tmp_path: Path) -> None:
    panel = simulated().filter(pl.col("placed_at") < at(90))
    with pytest.raises(InsufficientDataError, match="test windows"):
        train(panel, AS_OF, tmp_path, CONFIG)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="merchant_id"):
        train(simulated().drop("merchant_id"), AS_OF, tmp_path, CONFIG)


def test_bundles_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="missing or unfinished"):
        load_repeat(tmp_path)
    train(simulated(consumers=24), AS_OF, tmp_path, CONFIG)
    with pytest.raises(BundleError, match="wanted lane discovery"):
        load_discovery(tmp_path / "recommendation_repeat")
    (tmp_path / "recommendation_discovery" / "bundle.json").unlink()
    with pytest.raises(BundleError, match="missing or unfinished"):
        load_discovery(tmp_path / "recommendation_discovery")
    (tmp_path / "recommendation_repeat" / "arrays.npz").write_bytes(b"half")
    with pytest.raises(BundleError, match="missing or unfinished"):
        load_repeat(tmp_path / "recommendation_repeat")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="grid is empty"):
        RecommendationConfig(als_grid=())
    with pytest.raises(ValueError, match="exploration_rate"):
        RecommendationConfig(exploration_rate=1.0)
    with pytest.raises(ValueError, match="spacing"):
        RecommendationConfig(discovery_spacings=(1, 3))
    with pytest.raises(TypeError):
        RecommendationConfig.from_dict({"no_such_setting": 1})


def measured(ndcg: list[float]) -> Measured:
    values = np.array(ndcg)
    return Measured(np.arange(len(values)), values, values, 1.0)


@pytest.mark.parametrize(
    ("limit", "spacing"),
    [
        (0.6, 3),  # validation .5, test .25
        (0.3, 5),  # validation .1, test .2 at 5; .5 on validation at 3
        (0.15, 10),  # test .2 at 5 breaks it, although validation allows 5
        (0.01, 0),  # nothing keeps to it: no discovery slots
    ],
)
def test_a_spacing_serves_only_where_it_keeps_to_the_bound_on_every_cut(limit: float, spacing: int) -> None:
    choices = Choices("tifu_knn", TifuParams(), AlsParams(), 0.0, ALONE, ((3, 0.5), (5, 0.1), (10, 0.0)))
    of_spacing = {3: 0.3, 5: 0.32, 10: 0.38}
    cuts = [
        {
            "repeat": {"tifu_knn": measured([0.4, 0.4])},
            "blend": {blend_name(s): measured([value + noise] * 2) for s, value in of_spacing.items()},
        }
        for noise in (0.01, -0.01)
    ]
    assert kept_spacing(choices, cuts, limit) == spacing


def test_where_no_spacing_keeps_to_the_bound_no_slot_is_a_discovery(tmp_path: Path) -> None:
    # Every discovery slot costs these consumers something; nothing of it is allowed.
    strict = replace(CONFIG, max_blend_loss=-1.0)
    repeat, discovery = train(simulated(), AS_OF, tmp_path, strict)
    assert load_repeat(repeat.bundle_dir).spacing == load_discovery(discovery.bundle_dir).spacing == 0
    assert repeat.metrics["blend_spacing"] == 0
    assert repeat.config["chosen"]["spacing"] == 0
    assert not any(row["system"] == "blend" for row in repeat.leaderboard)
    # Quotas may let a discovery in further down, where habits crowd; never before.
    lists = score(simulated(), NO_LISTINGS, AS_OF, repeat.bundle_dir, discovery.bundle_dir, strict)
    first = lists.recommendations.filter(pl.col("rank") < min(strict.exploration_ranks))
    assert first["lane"].unique().to_list() == ["repeat"]

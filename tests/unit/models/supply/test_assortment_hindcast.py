"""Matching judged on windows that are over: what counts as started, what lists held, and the gate."""

from dataclasses import replace

import numpy as np
import pytest
from assortment_world import DAY, NOW, lines, merchants, products, two_kinds

from models.errors import BundleError, InsufficientDataError
from models.supply.assortment import ranking
from models.supply.assortment.candidates import Pairs
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.features import FEATURES
from models.supply.assortment.hindcast import (
    held,
    listed,
    look,
    new_products,
    units_per_new,
    units_per_score,
    window_after,
)
from models.supply.assortment.history import World
from models.supply.assortment.training import train

SMALL = AssortmentConfig(
    least_skus=2, factors=8, neighbours=5, popular=40, similar=40, near=40, unsold=4, list_length=10,
    rounds=30, least_rows=20, test_cuts=2, train_cuts=2, new_slots=2, new_choices=2,
)  # fmt: skip
WINDOW = 56 * DAY


def small_world(*more, skus=("a1", "a2", "a3", "a4")):
    known = [("m1", "a1", "c1", 70), ("m1", "a2", "c1", 70), ("m2", "a1", "c2", 70), ("m2", "a2", "c2", 70)]
    known += [("m2", "a3", "c2", 65), ("m2", "a4", "c2", 65), ("m3", "a1", "c3", 70)]
    return World.of(
        lines(*known, *more), products(list(skus)), merchants(m1="general", m2="general", m3="general")
    )


def test_a_start_is_a_first_sale_inside_the_window():
    world = small_world(("m1", "a3", "c1", 56), ("m1", "a4", "c1", 55.9, 3.0), ("m1", "a1", "c1", 5))
    found = window_after(world, NOW - WINDOW, SMALL)
    # At the moment itself a3 is known; a1 was sold before; m3 sells too few skus to be asked.
    assert found.look.past.asked.tolist() == [0, 1]
    assert found.started.tolist() == [1, 0]
    assert found.sold.tolist() == [3, 0]
    mine = found.look.pairs.merchant == 0
    assert found.units[mine].tolist() == [3.0]
    late = window_after(world, NOW - WINDOW - DAY, SMALL)
    assert late.started.tolist() == [2, 0]


def test_a_start_that_no_candidate_foresaw_counts_as_missed():
    config = replace(SMALL, popular=1, similar=1, near=1, unsold=1)
    world = small_world(
        ("m1", "a3", "c1", 50), ("m1", "a9", "c1", 50), skus=("a1", "a2", "a3", "a4", "a8", "a9")
    )
    found = window_after(world, NOW - WINDOW, config)
    assert found.started[0] == 2
    assert held(found, np.ones(len(found.units), np.float32), config).skus[0] <= 2
    assert found.sold.sum() == 2


def test_lists_hold_the_best_scores_above_zero():
    pairs = Pairs(np.array([0, 0, 0, 1, 1]), np.array([3, 5, 7, 2, 4]))
    score = np.array([1, 2, 2, 0, 5], np.float32)
    assert listed(pairs, score, 2).tolist() == [False, True, True, False, True]
    assert listed(pairs, score, 1).tolist() == [False, True, False, False, True]
    assert listed(pairs, score, 9).tolist() == [True, True, True, False, True]


def test_units_of_a_point_of_score():
    world = small_world(("m1", "a3", "c1", 50, 3.0))
    window = window_after(world, NOW - WINDOW, SMALL)
    score = np.full(len(window.units), 2, np.float32)
    count = listed(window.look.pairs, score, 10).sum()
    assert units_per_score([(window, score)], SMALL) == pytest.approx(3 / (2 * count))
    assert units_per_score([], SMALL) == 0


def test_new_products_are_those_nobody_sold():
    world = small_world(("m1", "a8", "c1", 50, 4.0), skus=("a1", "a2", "a3", "a4", "a8", "a9"))
    window = window_after(world, NOW - WINDOW, SMALL)
    skus = world.products["sku_id"].to_list()
    shown = new_products(window.look, SMALL)
    assert {skus[sku] for sku in window.look.pairs.sku[shown[0]]} == {"a8", "a9"}
    assert units_per_new([window], SMALL) == pytest.approx(4 / sum(map(len, shown)))
    assert units_per_new([], SMALL) == 0


def test_the_ranking_beats_popularity_where_shops_differ(tmp_path):
    world = two_kinds()
    (found,) = train(world, NOW, tmp_path, SMALL)
    assert found.decision.promoted, found.decision.reason
    board = {(row["system"], row["metric"]): row["value"] for row in found.leaderboard}
    assert board["supply_assortment", "recall_at_10"] > board["popular_in_scene", "recall_at_10"]
    assert found.metrics["lift_low"] > 0
    kept = ranking.load(found.bundle_dir)
    assert kept.config == SMALL
    assert kept.units_per_score > 0
    seen = look(world, NOW, SMALL)
    score = kept.score(seen.features)
    assert ((score > 0) & (score < 1)).all()
    # The same history gives the same ranking, to the bit.
    (again,) = train(world, NOW, tmp_path / "again", SMALL)
    assert ranking.load(again.bundle_dir) == kept
    # A champion with the same settings is what was measured.
    (same,) = train(world, NOW, tmp_path / "same", SMALL, SMALL)
    assert same.decision.champion_rule_lift == same.decision.lift


def test_a_champion_with_other_settings_is_judged_on_the_same_windows(tmp_path):
    (found,) = train(two_kinds(), NOW, tmp_path, SMALL, replace(SMALL, rounds=29))
    assert "champion" in {row["system"] for row in found.leaderboard}
    assert found.decision.champion_lift is not None


def test_without_a_start_or_enough_history_the_rule_serves(tmp_path):
    with pytest.raises(InsufficientDataError, match="learns from 4 windows"):
        train(small_world(("m1", "a3", "c1", 50)), NOW, tmp_path, SMALL)
    still = [(f"m{m}", f"a{n}", "c", ago) for m in (1, 2) for n in (1, 2) for ago in range(3, 330, 9)]
    world = World.of(lines(*still), products(["a1", "a2", "a3"]), merchants(m1="general", m2="general"))
    with pytest.raises(InsufficientDataError, match="no merchant with 2 skus or more"):
        train(world, NOW, tmp_path, SMALL)


def test_a_damaged_ranking_is_refused(tmp_path):
    with pytest.raises(BundleError, match="missing or damaged"):
        ranking.load(tmp_path / "nothing")
    kept = ranking.Ranking(SMALL, "tree", 0.5, 0.1)
    ranking.save(tmp_path / "kept", kept)
    assert ranking.load(tmp_path / "kept") == kept
    document = tmp_path / "kept" / "ranking.json"
    document.write_text(document.read_text().replace(FEATURES[0], "another"))
    with pytest.raises(BundleError, match="another version"):
        ranking.load(tmp_path / "kept")

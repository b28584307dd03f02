"""The measures of the benchmark of grades, against plain loops; its world is seeded and knows its truth."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.supply.channel_world import SUPPLIERS_EACH, peer, world
from benchmarks.supply.supplier_grades import Order, ndcg
from models.supply.grading.evidence import CHANNEL

CHANNELS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=8
).filter(lambda rows: sum(row[1] for row in rows) and sum(row[2] for row in rows))


@settings(deadline=None)
@given(CHANNELS)
def test_the_area_is_the_share_of_pairs_in_order(rows):
    said, late, good = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    hits = pairs = 0.0
    for one, bad in zip(said, late, strict=True):
        for other, fine in zip(said, good, strict=True):
            pairs += bad * fine
            hits += bad * fine * (1.0 if one > other else 0.5 if one == other else 0.0)
    assert Order(said).agrees(late, late + good) == pytest.approx(hits / pairs)


def test_the_true_order_has_the_highest_gain_there_is():
    truth = pl.DataFrame(
        {"supplier_id": [f"s{n}" for n in range(300)], "category_id": "c", "score": np.linspace(0, 1, 300)}
    )
    assert ndcg(truth, truth, pl.col("truth")) == pytest.approx(1)
    backwards = truth.with_columns(score=-pl.col("score"))
    assert ndcg(backwards, truth, pl.col("truth")) < 0.3


def test_the_world_is_seeded_and_every_channel_has_a_truth():
    first, again = world(3, categories=2), world(3, categories=2)
    assert first.happened.lines.equals(again.happened.lines)
    assert first.truth.height == first.next_late.height == 2 * SUPPLIERS_EACH
    assert not first.truth.select(CHANNEL).is_duplicated().any()
    assert first.truth["score"].is_between(0, 1).all()


def test_the_wilson_bound_distrusts_few_parcels_and_the_raw_rate_does_not():
    channels = pl.DataFrame({"supplier_id": ["few", "many"], "category_id": "c"})
    evidence = pl.DataFrame(
        {
            "supplier_id": ["few", "many"],
            "category_id": "c",
            "signal": "fault",
            "n": [3.0, 3000.0],
            "total": [0.0, 30.0],
        }
    )
    raw = dict(peer(evidence, channels, wilson=False).select("supplier_id", "score").iter_rows())
    bound = dict(peer(evidence, channels, wilson=True).select("supplier_id", "score").iter_rows())
    assert raw["few"] > raw["many"]
    assert bound["few"] < bound["many"]

"""Every tag of consumers against plain Python loops, on random worlds in which every feed reports."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from benchmarks.tags.tag_oracle.compare import differences, row_of
from benchmarks.tags.tag_oracle.feeds import Feeds
from benchmarks.tags.tag_oracle.loops import Oracle
from benchmarks.tags.tag_oracle.random_world import consumers_of, expected_tags, random_world
from benchmarks.tags.tag_oracle.world import NOW, OFFSET, ZONE, World, ago
from feature_store.offline import build_tags, validate_tags
from feature_store.point_in_time import training_set
from feature_store.registry import Registry, load_registry

CONSUMERS = consumers_of(4)
MOMENTS = [NOW, ago(30) + timedelta(microseconds=1), ago(150.7)]


@pytest.mark.parametrize(
    "seed", [1, 2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
def test_every_tag_agrees_with_plain_loops_and_knows_nothing_of_the_future(seed: int) -> None:
    world = random_world(seed)
    oracle = Oracle(world.tables, OFFSET)
    feeds = Feeds(oracle)
    entities = pl.DataFrame(
        [(c, t) for t in MOMENTS for c in CONSUMERS],
        schema={"consumer_id": pl.String, "as_of": pl.Datetime("us", "UTC")},
        orient="row",
    )
    got = training_set(world.connect(), entities, time_zone=ZONE)
    population = {t: oracle.population(t) for t in MOMENTS}
    wrong = {}
    for row in got.iter_rows(named=True):
        consumer, t = row["consumer_id"], row["as_of"]
        expected = expected_tags(oracle, feeds, population[t], t, consumer)
        if found := differences(row, expected):
            wrong[consumer, t] = found
    assert wrong == {}
    assert validate_tags(got) == []
    then = MOMENTS[-1]
    past = build_tags(world.up_to(then).connect(), then, time_zone=ZONE)
    now = build_tags(world.connect(), then, time_zone=ZONE)
    assert past.equals(now)
    assert row_of(now, "c1") == row_of(got.filter(pl.col("as_of") == then), "c1")


def test_the_loops_cover_every_tag(registry: Registry) -> None:
    world = World()
    world.order("c1", ago(1), net=100)
    oracle = Oracle(world.tables, OFFSET)
    covered = expected_tags(oracle, Feeds(oracle), oracle.population(NOW), NOW, "c1")
    assert set(registry.tags) - set(covered) == set()
    assert len(load_registry().tags) >= 220

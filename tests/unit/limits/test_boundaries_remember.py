"""A boundary judges new content once, remembers what passed, and lets nobody work behind what did not."""

import sys

import dagster as dg
import polars as pl
import pytest

from pipelines.lake.tables import Lake
from pipelines.limits import last_good
from pipelines.limits.boundaries import Boundaries
from pipelines.limits.judging import Batch
from pipelines.limits.suites import FEED_BOUNDARIES
from pipelines.settings import Settings
from pipelines.steps.state import StateStore, StepRecord

OFFERS = next(boundary for boundary in FEED_BOUNDARIES if boundary.table == "offers")


class World:
    """A home with offers whose prices a test chooses; counts how often they are read."""

    def __init__(self, home):
        self.settings = Settings(home=home)
        self.records = StateStore(self.settings.state_dir)
        self.lake = Lake(self.settings.lake_dir)
        self.boundaries = Boundaries(self.settings, self.records, self.lake)
        self.reads = 0

    def judge(self, version, price, rows=100):
        def whole():
            self.reads += 1
            return pl.LazyFrame({"supply_price_cents": [price] * rows})

        self.records.put(StepRecord(OFFERS.asset, version, version, {}, [], 0, 0))
        return self.boundaries.judge(OFFERS, Batch(lambda: whole().collect(), whole, lambda: 0.0))

    def last_good_price(self):
        return last_good.read(self.lake, OFFERS.suite).numbers["median.supply_price"]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_content_that_passed_is_not_read_again_and_costs_no_import(world):
    sys.modules.pop("pipelines.limits.quality", None)
    assert world.judge("v1", 500).passed
    assert world.reads == 1
    again = world.judge("v1", 500)
    assert (again.passed, again.metadata["reused"], world.reads) == (True, True, 1)
    assert "pipelines.limits.quality" not in sys.modules
    world.boundaries.require_passed([OFFERS])


def test_a_disaster_is_not_remembered_and_leaves_the_last_good_profile(world):
    world.judge("v1", 500)
    bad = world.judge("v2", 50_000)
    assert (bad.passed, bad.is_error) == (False, True)
    assert bad.metadata["errors"][0].startswith(
        "supply_prices_keep_their_level: median.supply_price is 50,000"
    )
    assert world.last_good_price() == 500
    with pytest.raises(dg.Failure, match=r"raw/offers \(suite accepted_offers\)"):
        world.boundaries.require_passed([OFFERS])
    assert not world.judge("v2", 50_000).passed
    assert world.judge("v3", 600).passed
    assert world.last_good_price() == 600


def test_an_accepted_level_is_the_new_level(world):
    world.judge("v1", 500)
    assert not world.judge("v2", 50_000).passed
    assert last_good.forget(world.lake, OFFERS.suite)
    assert world.judge("v2", 50_000).passed
    assert world.last_good_price() == 50_000


def test_a_warning_tells_and_does_not_hold(world):
    world.judge("v1", 500)
    found = world.judge("v2", 500, rows=50)
    assert (found.passed, found.is_error) == (False, False)
    assert found.metadata["warnings"][0].startswith("feeds_keep_their_volume: rows is 50")
    world.boundaries.require_passed([OFFERS])
    assert (world.judge("v2", 500, rows=50).passed, world.reads) == (False, 2)


def test_changed_limits_judge_the_same_content_again(world):
    world.judge("v1", 500)
    world.judge("v2", 500, rows=50)
    (world.settings.home / "limits.yaml").write_text("limits: {feeds_keep_their_volume: {severity: error}}")
    world.judge("v1", 500)
    found = world.judge("v2", 500, rows=50)
    assert (found.passed, found.is_error) == (False, True)

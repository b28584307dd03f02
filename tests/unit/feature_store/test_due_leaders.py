"""Where only the leading group counts: when it may lose its lead, and who has no such rule."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.tags.tag_oracle.world import NOW, ZONE, World, ago
from feature_store.contracts import RefreshClass
from feature_store.due.leaders import leader_waits
from feature_store.language.definitions import Measure, Rollup
from feature_store.refresh.statement import SEEN, compile_refresh
from feature_store.registry import Registry, load_registry

TAGS = ("brand_interest_browse", "view_repeat_max_14d")
BRANDS = {"s1": "a", "s2": "b", "s3": "c"}


def asked(con: duckdb.DuckDBPyConnection, tag: str, moment: datetime) -> tuple[Any, timedelta | None]:
    """The value of c1 at a moment, and how long it is told to last."""
    naive = moment.replace(tzinfo=None)
    statement = compile_refresh(load_registry(), (tag,), ZONE)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE entities AS SELECT 1 AS row_id, 'c1' AS consumer_id, $t AS as_of",
        {"t": naive},
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE {SEEN} AS SELECT $t AS events", {"t": naive})
    row = con.execute(f"SELECT {tag}, due_at FROM ({statement.at(naive)})").fetchone()
    assert row is not None
    return row[0], None if row[1] is None else row[1] - naive


def viewed(*views: tuple[str, float]) -> duckdb.DuckDBPyConnection:
    """c1 viewed these skus so many days ago."""
    world = World()
    for sku, brand in BRANDS.items():
        world.product(sku, brand)
    for number, (sku, days) in enumerate(views):
        world.add(
            "fct_events",
            consumer_id="c1",
            session_id=f"v{number}",
            event_type="view",
            sku_id=sku,
            occurred_at=ago(days),
        )
    return world.connect()


def test_only_a_step_of_the_leading_brand_is_waited_for() -> None:
    con = viewed(("s1", 5), ("s1", 6), ("s2", 6.5))
    assert asked(con, "brand_interest_browse", NOW) == ("a", timedelta(days=1))


def test_of_skus_seen_as_often_the_one_that_stays_longest_is_waited_for() -> None:
    con = viewed(("s1", 10), ("s1", 3), ("s2", 12), ("s2", 1), ("s3", 13.9))
    assert asked(con, "view_repeat_max_14d", NOW) == (2, timedelta(days=4))
    assert asked(con, "view_repeat_max_14d", NOW + timedelta(days=4)) == (1, timedelta(days=9))


def test_who_viewed_nothing_waits_for_nothing() -> None:
    assert asked(viewed(), "brand_interest_browse", NOW) == (None, None)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(BRANDS)), st.integers(0, 32 * 4)), min_size=1, max_size=12),
    st.sampled_from(TAGS),
)
def test_a_value_stays_until_it_is_due(views: list[tuple[str, int]], tag: str) -> None:
    con = viewed(*((sku, quarters / 4) for sku, quarters in views))
    moment, (value, lasts) = NOW, asked(con, tag, NOW)
    while lasts is not None:
        assert lasts > timedelta(0)
        for part in (0.5, 1):
            between = moment + lasts * part - timedelta(microseconds=1)
            assert asked(con, tag, between)[0] == value
        moment += lasts
        value, lasts = asked(con, tag, moment)
    assert value == (None if tag == "brand_interest_browse" else 0)
    assert moment >= NOW


def changed(registry: Registry, **parts: Any) -> list[str]:
    """Rollups with a leader, after a part of the views by brand was written another way."""
    rollups = [
        Rollup.model_validate(rollup.model_dump() | parts) if rollup.name == "viewed_brands" else rollup
        for rollup in registry.rollups.values()
    ]
    other = Registry(
        registry.entity,
        list(registry.parameters.values()),
        list(registry.sources.values()),
        rollups,
        list(registry.tags.values()),
    )
    return list(leader_waits(other, [other.tag(name) for name in TAGS]))


def measured(value: str) -> dict[str, Any]:
    return {"interest": Measure(value=value).model_dump()}


def test_whose_weight_never_grows_has_a_leader() -> None:
    registry = load_registry()
    assert changed(registry) == ["viewed_brands", "viewed_skus"]
    assert changed(registry, measures=measured("COUNT(*)")) == ["viewed_brands", "viewed_skus"]


@pytest.mark.parametrize(
    "parts",
    [
        {"measures": measured("SUM(CASE WHEN age_us < days_us(7) THEN 1 ELSE 2 END)")},
        {"measures": measured("SUM(CASE WHEN age_us < days_us(7) THEN 2 ELSE -1 END)")},
        {"measures": measured("SUM(CASE WHEN age_us >= days_us(7) THEN 2 ELSE 1 END)")},
        {"measures": measured("COUNT(*) FILTER (WHERE age_us >= days_us(7))")},
        {"measures": measured("MIN(micros(event_at))")},
        {"where": "event_type = 'view' AND brand_id IS NOT NULL AND age_us >= days_us(1)"},
        {"layers": [{"columns": {"interest_rank": "ROW_NUMBER() OVER (ORDER BY interest, brand_id)"}}]},
        {"layers": [{"columns": {"interest_rank": "RANK() OVER (ORDER BY interest DESC)"}}]},
    ],
)
def test_whose_weight_may_grow_has_none(parts: dict[str, Any]) -> None:
    assert changed(load_registry(), **parts) == ["viewed_skus"]


def test_a_rollup_that_is_read_in_another_way_too_has_none() -> None:
    registry = load_registry()
    everything = [registry.tag(name) for name in TAGS]
    counted = registry.tag("brand_interest_browse")
    share = counted.model_copy(
        update={
            "name": "brand_share",
            "definition": counted.definition.model_copy(update={"value": "COUNT(*)", "where": None}),
        }
    )
    assert list(leader_waits(registry, [*everything, share])) == ["viewed_skus"]


def test_the_live_class_waits_for_leaders() -> None:
    registry = load_registry()
    live = [tag for tag in registry.tags.values() if tag.refresh is RefreshClass.QUARTER_HOUR]
    assert {"viewed_categories_l1", "viewed_categories_l2", "viewed_brands", "viewed_skus"} <= set(
        leader_waits(registry, live)
    )

"""Any entity has tags by the same mechanism: a registry folder, one statement, a state and training sets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from benchmarks.tags.tag_oracle.world import NOW, ZONE, World, ago
from feature_store.contracts import RefreshClass
from feature_store.errors import EntityFrameError, RegistryError
from feature_store.offline import build_tags, profile_documents
from feature_store.point_in_time import training_set
from feature_store.refresh.engine import build, refresh
from feature_store.registry import Registry, load_registry

SOURCES = {
    "parameters": [],
    "sources": [
        {
            "name": "orders",
            "table": "intermediate.int_orders_known",
            "entity": "merchant_id",
            "time": "placed_at",
            "received": "received_at",
            "superseded": "superseded_at",
            "embedded_origin": "observed",
            "defines_population": True,
            "where": "is_sale",
            "columns": {"is_sale": "BOOLEAN", "sold_cents": "BIGINT", "consumer_id": "VARCHAR"},
            "description": "Orders at the merchant.",
        }
    ],
    "rollups": [],
}
SHARED = {
    "group": "rfm_value",
    "type": "int",
    "unit": "count",
    "owner": "features",
    "null_rule": "zero",
    "valid": {"min": 0},
    "refresh": "15m",
    "privacy": "behavioural",
    "consent": "service",
}
TAGS = [
    ("orders_7d", "7d", {"source": "orders", "value": "COUNT(*)"}, "15m"),
    ("buyers_7d", "7d", {"source": "orders", "value": "COUNT(DISTINCT consumer_id)"}, "15m"),
    ("rank", "7d", {"population": "ROW_NUMBER() OVER (ORDER BY orders_7d DESC, merchant_id)"}, "1d"),
]


@pytest.fixture
def merchants(tmp_path: Path) -> Registry:
    folder = tmp_path / "merchant"
    folder.mkdir()
    (folder / "sources.yaml").write_text(yaml.safe_dump(SOURCES), encoding="utf-8")
    tags = [
        SHARED | {"name": n, "window": w, "definition": d, "refresh": r, "description": n}
        for n, w, d, r in TAGS
    ]
    (folder / "trade.yaml").write_text(yaml.safe_dump({"tags": tags}), encoding="utf-8")
    return load_registry(folder, entity="merchant")


@pytest.fixture
def world() -> World:
    world = World()
    world.order("c1", ago(1), net=100, merchant_id="m1")
    world.order("c1", ago(6.9), net=100, merchant_id="m1")
    world.order("c2", ago(2), net=100, merchant_id="m2")
    return world


def test_merchants_have_tags(merchants: Registry, world: World) -> None:
    con = world.connect()
    built = build_tags(con, NOW, time_zone=ZONE, registry=merchants)
    assert built.rows() == [("m1", NOW, 2, 1, 1), ("m2", NOW, 1, 1, 2)]
    assert built.columns[0] == "merchant_id"
    asked = built.select("merchant_id", "as_of")
    assert training_set(con, asked, time_zone=ZONE, registry=merchants).equals(built)
    assert profile_documents(built, merchants).columns[0] == "merchant_id"
    with pytest.raises(EntityFrameError, match="lack the column 'merchant_id'"):
        training_set(con, asked.rename({"merchant_id": "consumer_id"}), registry=merchants)


def test_merchants_are_refreshed(merchants: Registry, world: World) -> None:
    con = world.connect()
    con.execute("CREATE TABLE touched (entity_id VARCHAR)")
    build(con, merchants, refresh_class=RefreshClass.QUARTER_HOUR, as_of=NOW, time_zone=ZONE)
    done = refresh(
        con,
        merchants,
        refresh_class=RefreshClass.QUARTER_HOUR,
        as_of=NOW + timedelta(hours=3),
        time_zone=ZONE,
        touched="touched",
        revision=1,
    )
    assert (done.entity, done.dirty, done.changed) == ("merchant", 1, 1)
    state = con.execute("SELECT entity_id, orders_7d, revision FROM tags.merchant_15m ORDER BY 1").pl()
    assert state.equals(pl.DataFrame({"entity_id": ["m1", "m2"], "orders_7d": [1, 1], "revision": [1, 0]}))


def test_an_entity_without_a_registry_is_told() -> None:
    with pytest.raises(RegistryError, match="there is no registry of the entity 'planet'"):
        load_registry(entity="planet")

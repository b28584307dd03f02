"""The rows behind a tag: exactly those that count, by hand and by aggregating them anew."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from benchmarks.tags.tag_oracle.world import NOW, ZONE, World, ago
from feature_store.compiler import NULL_VALUES, SQL_TYPES
from feature_store.errors import SourceTableError
from feature_store.explain.definition import definition_of
from feature_store.explain.explained import compute, is_member
from feature_store.explain.rows import EVENT_AT, RowsOfEntity
from feature_store.language import expressions
from feature_store.registry import Registry

NAIVE = NOW.replace(tzinfo=None)


def shop() -> World:
    world = World()
    world.product("sku", brand_id="b1")
    for one in ("a", "b"):
        world.consumer(one, ago(500), city="x")
    world.order("a", ago(1), net=100, order_id="yesterday")
    world.order("a", ago(30) + timedelta(microseconds=1), net=200, order_id="just-inside")
    world.order("a", ago(30), net=400, order_id="at-the-edge")
    world.order("a", ago(2), net=800, order_id="cancelled", state="cancelled")
    world.order("a", ago(3), net=1600, order_id="late", received_at=NOW + timedelta(hours=1))
    world.order("a", ago(4), net=3200, order_id="fixed", superseded_at=ago(1))
    world.order("a", ago(4), net=50, order_id="fixed", received_at=ago(1))
    world.order("a", NOW + timedelta(days=1), net=6400, order_id="to-come")
    world.order("b", ago(1), net=12800, order_id="of-another")
    world.add(
        "fct_events", consumer_id="a", session_id="s1", event_type="view", sku_id="sku", occurred_at=ago(1)
    )
    world.add("fct_events", consumer_id="a", session_id="s1", event_type="search", occurred_at=ago(2))
    world.add(
        "fct_events", consumer_id="a", session_id="s2", event_type="view", sku_id="sku", occurred_at=ago(31)
    )
    return world


def listed(registry: Registry, name: str, limit: int | None = None):
    tag = registry.tag(name)
    found = compute(
        shop().connect(), registry, [tag], entity_id="a", as_of=NOW, time_zone=ZONE, rows=limit, compare=False
    )
    return found[name]


def test_orders_that_count_are_listed_and_no_others(registry: Registry) -> None:
    of_tag = listed(registry, "orders_30d")
    (part,) = of_tag.parts
    order = part.columns.index("order_id")
    assert [row[order] for row in part.rows] == ["yesterday", "fixed", "just-inside"]
    assert (of_tag.value, part.count, part.left_out) == (3, 3, 0)
    assert part.columns[:2] == ("event_at", "known_at")
    assert part.rows[1][:2] == (NAIVE - timedelta(days=4), NAIVE - timedelta(days=1))
    assert (part.relation, part.table) == ("orders", "intermediate.int_orders_known")


def test_what_is_not_listed_is_counted(registry: Registry) -> None:
    (part,) = listed(registry, "orders_30d", limit=1).parts
    assert (len(part.rows), part.count, part.left_out) == (1, 3, 2)


def test_a_condition_of_the_tag_chooses_rows(registry: Registry) -> None:
    of_tag = listed(registry, "product_views_30d")
    (part,) = of_tag.parts
    assert (of_tag.value, part.count) == (1, 1)
    assert dict(zip(part.columns, part.rows[0], strict=True))["event_type"] == "view"


def test_a_rollup_has_its_rows_and_its_groups(registry: Registry) -> None:
    of_tag = listed(registry, "top_category_l1_90d")
    rows, groups = of_tag.parts
    assert (rows.kind, rows.count) == ("rows", 4)
    assert sum(row[rows.columns.index("net_paid_cents")] for row in rows.rows) == 100 + 200 + 400 + 50
    assert (groups.kind, groups.table, groups.count) == ("groups", "", 1)
    assert dict(zip(groups.columns, groups.rows[0], strict=True))["net_90d"] == 750


def test_a_derived_tag_names_the_tags_below_it(registry: Registry) -> None:
    derived = next(t for t in registry.tags.values() if t.definition.derived and "orders_365d" in t.inputs)
    of_tag = listed(registry, derived.name)
    assert of_tag.inputs["orders_365d"] == 4
    below = {t.name for t in registry.closure([derived])}
    assert {name for part in of_tag.parts for name in part.tags} <= below
    assert len({part.rows for part in of_tag.parts}) == len(of_tag.parts), "no rows are listed twice"
    assert definition_of(registry, derived).inputs == tuple(sorted(derived.inputs & registry.tags.keys()))


def test_hidden_tags_are_told_nowhere(registry: Registry) -> None:
    derived = next(t for t in registry.tags.values() if t.definition.derived and "orders_365d" in t.inputs)
    found = compute(
        shop().connect(),
        registry,
        [derived, registry.tag("orders_365d")],
        entity_id="a",
        as_of=NOW,
        time_zone=ZONE,
        rows=None,
        compare=False,
        hidden={"orders_365d"},
    )
    assert "orders_365d" not in found
    assert "orders_365d" not in found[derived.name].inputs
    assert "orders_365d" not in {name for part in found[derived.name].parts for name in part.tags}


def test_a_past_moment_sees_what_was_known_then(registry: Registry) -> None:
    tag, then = registry.tag("net_spend_30d"), ago(2)
    found = compute(
        shop().connect(), registry, [tag], entity_id="a", as_of=then, time_zone=ZONE, rows=None, compare=False
    )
    part = found["net_spend_30d"].parts[0]
    assert found["net_spend_30d"].value == 200 + 400 + 3200
    assert sum(row[part.columns.index("net_sales_cents")] for row in part.rows) == 200 + 400 + 3200


def test_a_tag_whose_source_never_reported_has_none(registry: Registry) -> None:
    of_tag = listed(registry, "complaints_365d" if "complaints_365d" in registry.tags else "open_complaint")
    assert (of_tag.value, of_tag.has_source) == (None, False)


def test_a_warehouse_of_another_release_is_told_so(registry: Registry) -> None:
    connection = shop().connect()
    connection.execute("DROP TABLE core.fct_points_ledger")
    with pytest.raises(SourceTableError, match=r"fct_points_ledger.*Build the warehouse"):
        compute(
            connection,
            registry,
            [registry.tag("orders_30d")],
            entity_id="a",
            as_of=NOW,
            time_zone=ZONE,
            rows=1,
            compare=False,
        )


def test_who_is_a_member(registry: Registry) -> None:
    connection = shop().connect()
    assert is_member(connection, registry, "a", NOW)
    assert not is_member(connection, registry, "A", NOW)
    assert not is_member(connection, registry, "a", ago(501))


def test_the_rows_aggregated_anew_give_the_value(registry: Registry) -> None:
    """Without any window or condition: the listed rows alone must decide."""
    tags = [
        tag
        for tag in registry.tags.values()
        if tag.definition.source in registry.sources and "FILTER" not in (tag.definition.value or "").upper()
    ]
    assert len(tags) > 60
    connection = shop().connect()
    values = compute(
        connection, registry, tags, entity_id="a", as_of=NOW, time_zone=ZONE, rows=0, compare=False
    )
    compared = 0
    with RowsOfEntity(connection, registry, tags, entity_id="a", as_of=NAIVE, time_zone=ZONE) as rows:
        for tag in tags:
            (part,) = rows.counted(tag, None)
            if not part.count:
                continue
            compared += 1
            assert anew(connection, registry, tag, part) == values[tag.name].value, tag.name
    assert compared > 30


def anew(connection, registry, tag, part):
    parameters = {name: p.value for name, p in registry.parameters.items()}
    value = expressions.expanded(expressions.parse(tag.definition.value), parameters, ZONE).sql(
        dialect="duckdb"
    )
    if tag.null_rule != "null":
        value = f"COALESCE({value}, {NULL_VALUES[tag.null_rule]})"
    source = registry.sources[tag.definition.source]
    types = {name: kind for joined in (source, *source.joins) for name, kind in joined.columns.items()}
    typed = ", ".join(
        f"CAST({name} AS {types.get(name, 'TIMESTAMP').removesuffix('TZ')}) AS {name}"
        for name in part.columns
    )
    frame = pl.DataFrame(part.rows, schema=list(part.columns), orient="row", infer_schema_length=None)
    connection.register("part", frame)
    ((found,),) = connection.execute(
        f"SELECT CAST({value} AS {SQL_TYPES[tag.type]}) FROM (SELECT *, CAST($as_of AS TIMESTAMP) AS as_of, "
        f"EPOCH_US(CAST($as_of AS TIMESTAMP)) - EPOCH_US({EVENT_AT}) AS age_us "
        f"FROM (SELECT {typed} FROM part)) GROUP BY as_of",
        {"as_of": NAIVE},
    ).fetchall()
    return found


@pytest.mark.parametrize("entity", ["merchant", "agent", "sku", "supplier"])
def test_other_entities_have_rows_too(entity: str) -> None:
    from feature_store.registry import load_registry

    registry = load_registry(entity=entity)
    with RowsOfEntity(
        shop().connect(), registry, registry.tags.values(), entity_id="m1", as_of=NAIVE, time_zone=ZONE
    ) as rows:
        counts = {tag.name: sum(p.count for p in rows.counted(tag, 1)) for tag in registry.tags.values()}
    assert any(counts.values()) == (entity == "merchant")

"""Stock of the feeds in the operational database: where it lies, and which of two counts stands."""

import datetime as dt

import psycopg
import pytest
import tiny_world
from tiny_world import AS_OF, world

from pipelines.lake.tables import Lake
from pipelines.replay import replay
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import INGEST_ORDER, ingest
from serving.db.urls import libpq_url
from serving.supply.warehouses import StatedWarehouse, put_warehouses

STATED = "2025-06-01T00:00:00Z"
LATER = dt.timedelta(days=2)


@pytest.fixture
def feed(tmp_path, database_url):
    """Loads offers and movements beside the tiny world, replays a day, and shows the stock of a sku."""
    with psycopg.connect(libpq_url(database_url)) as conn:
        houses = [("e-1", None), ("w-1", None), ("own", "s-1"), ("other", "s-2")]
        put_warehouses(
            conn,
            "default",
            [
                StatedWarehouse(name, owner, "east", None, None, None, 600, "1234567", None)
                for name, owner in houses
            ],
        )

    def load(movements, *, sku="milk-1", stock=50, as_of=AS_OF, stated=STATED):
        tables = world()
        tables["offers"] = [
            row | {"valid_from": stated, "received_at": stated, "stock_qty": stock}
            for row in tables["offers"][: len(tables["products"])]
        ]
        tables["inventory_movements"] = [
            {
                "movement_id": f"v-{number}", "warehouse_id": house, "sku_id": sku, "supplier_id": "s-1",
                "qty_delta": qty, "reason": "inbound" if qty > 0 else "sale", "occurred_at": at,
            }
            for number, (house, qty, at) in enumerate(movements)
        ]  # fmt: skip
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        (folder / "feeds").mkdir(parents=True)
        for table, rows in tables.items():
            tiny_world.write_table(folder / "feeds", table, rows)
        source, lake = Files(folder / "feeds", not_after=as_of), Lake(folder / "lake")
        lake.create()
        for table in INGEST_ORDER:
            ingest(source, table, lake, as_of=as_of, window=None, loaded_at=as_of)
        replay(lake, database_url, tenant_id="default", as_of=as_of, days=20, has_generated_agents=False)
        return stock_of(database_url, sku)

    return load


def stock_of(url, sku):
    """Units on hand and, where they are known, units by warehouse."""
    with psycopg.connect(libpq_url(url)) as conn:
        total, parted = conn.execute(
            "select on_hand_qty, is_by_warehouse from orders.stock where supplier_id = 's-1' and sku_id = %s",
            (sku,),
        ).fetchone()
        parts = dict(
            conn.execute(
                "select warehouse_id, on_hand_qty from orders.warehouse_stock"
                " where supplier_id = 's-1' and sku_id = %s",
                (sku,),
            )
        )
    return total, parts if parted else None


BEFORE = "2025-05-01T00:00:00Z"
SINCE = "2025-06-10T00:00:00Z"


def test_stock_lies_where_the_movements_brought_it(feed):
    assert feed([("e-1", 30, BEFORE), ("own", 20, BEFORE), ("e-1", -4, SINCE), ("w-1", 7, SINCE)]) == (
        53,
        {"e-1": 26, "own": 20, "w-1": 7},
    )


@pytest.mark.parametrize(
    "movements",
    [
        [],
        [("e-1", 49, BEFORE)],  # a unit short of what the offer states
        [("e-1", 60, BEFORE), ("w-1", -10, BEFORE)],  # adds up, but none can lie below zero
        [("e-1", 30, BEFORE), ("nowhere", 20, BEFORE)],  # no warehouse that was stated
        [("e-1", 30, BEFORE), ("other", 20, BEFORE)],  # of another supplier
    ],
)
def test_else_nothing_is_known_of_where_it_lies(feed, movements):
    assert feed(movements) == (50, None)


def test_a_newer_feed_takes_the_place_of_the_last_one(feed):
    first = [("e-1", 30, BEFORE), ("own", 20, BEFORE)]
    feed(first)
    moved = [*first, ("own", -20, "2025-07-01T00:00:00Z"), ("w-1", 5, "2025-07-01T00:00:00Z")]
    assert feed(moved, as_of=AS_OF + LATER) == (35, {"e-1": 30, "own": 0, "w-1": 5})
    # What no longer adds up keeps its total, and nothing is known of its parts.
    assert feed([("e-1", 8, BEFORE)], stock=9, as_of=AS_OF + 2 * LATER, stated="2025-07-03T00:00:00Z") == (
        9,
        None,
    )


def test_a_count_that_is_newer_than_the_feed_stands(feed, database_url):
    feed([("e-1", 50, BEFORE)])
    with psycopg.connect(libpq_url(database_url)) as conn:
        conn.execute(
            "update orders.stock set on_hand_qty = 3, is_by_warehouse = false,"
            " source_at = '2025-06-29T00:00:00Z' where sku_id = 'milk-1'"
        )
    assert feed([("e-1", 50, BEFORE), ("e-1", 5, SINCE)]) == (3, None)
    assert feed([("e-1", 50, BEFORE), ("e-1", 5, "2025-06-29T00:00:01Z")]) == (55, {"e-1": 55})


def test_units_that_moved_after_the_runs_time_are_not_written_over(feed, database_url):
    feed([("e-1", 50, BEFORE)])
    with psycopg.connect(libpq_url(database_url)) as conn:
        conn.execute(
            "insert into orders.stock_movement (tenant_id, supplier_id, sku_id, qty_delta, reason,"
            " occurred_at) values ('default', 's-1', 'milk-1', -6, 'sale', %s)",
            (AS_OF + dt.timedelta(minutes=1),),
        )
    assert feed([("e-1", 50, BEFORE), ("e-1", 5, SINCE)]) == (50, {"e-1": 50})


def test_orders_of_the_past_went_where_their_parcels_did(feed, database_url):
    feed([])
    with psycopg.connect(libpq_url(database_url)) as conn:
        regions = dict(
            conn.execute(
                "select coalesce(o.region_code, '-'), count(*) from orders.customer_order o"
                " where exists (select from orders.shipment s where s.order_id = o.order_id) group by 1"
            )
        )
    assert set(regions) <= {"west"}
    assert regions

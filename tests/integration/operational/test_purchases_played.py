"""The embedded panel's purchase orders: its deliveries told once, its suppliers played, day after day."""

import datetime as dt

import polars as pl
import pytest
import tiny_world
from tiny_world import AS_OF, world

from pipelines.lake.tables import Lake
from pipelines.replay import replay
from pipelines.replay.purchases import play, state_policy
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import INGEST_ORDER, ingest
from serving.db.operations import Operations
from serving.purchasing.placing import place_stated
from serving.purchasing.policies import Policy, policies_of, put_policy

DAY = dt.timedelta(days=1)


@pytest.fixture
def lake(tmp_path):
    for table, rows in world().items():
        (tmp_path / "feeds").mkdir(exist_ok=True)
        tiny_world.write_table(tmp_path / "feeds", table, rows)
    source, made = Files(tmp_path / "feeds", not_after=AS_OF), Lake(tmp_path / "lake")
    made.create()
    for table in INGEST_ORDER:
        ingest(source, table, made, as_of=AS_OF, window=None, loaded_at=AS_OF)
    return made


@pytest.fixture
def operations(lake, database_url):
    replay(lake, database_url, tenant_id="default", as_of=AS_OF, days=3, has_generated_agents=False)
    with Operations(database_url, size=2) as made:
        yield made


def counted(operations):
    with operations.transaction("default") as connection:
        rows = connection.execute(
            "select status, count(*), sum(ordered_qty)::int, sum(received_qty)::int"
            " from purchasing.purchase_order join purchasing.purchase_line"
            " using (tenant_id, purchase_order_id) group by 1"
        )
        return {status: tuple(figures) for status, *figures in rows}


def test_deliveries_are_told_once_and_move_no_stock(lake, operations):
    def play_on(now):
        return play(lambda: operations.transaction("default"), lake, now)

    offered = lake.read("offers").select("supplier_id", "sku_id").unique()
    came = (
        lake.read("inventory_movements")
        .filter(
            (pl.col("reason") == "inbound")
            & (pl.col("qty_delta") > 0)
            & (pl.col("occurred_at") > AS_OF - dt.timedelta(weeks=8))
            & (pl.col("occurred_at") <= AS_OF)
        )
        .join(offered, on=["supplier_id", "sku_id"])
    )
    assert came.height > 0
    with operations.transaction("default") as connection:
        before = connection.execute("select sum(on_hand_qty) from orders.stock").fetchone()
    wanted = came.select("supplier_id", pl.col("occurred_at").dt.date()).unique().height
    assert play_on(AS_OF).past == wanted
    assert play_on(AS_OF).past == 0
    units = int(came["qty_delta"].sum())
    assert counted(operations)["received"][1:] == (units, units)
    with operations.transaction("default") as connection:
        assert connection.execute("select sum(on_hand_qty) from orders.stock").fetchone() == before


def test_what_a_purchase_order_brought_in_is_not_told_as_another(lake, operations):
    play(lambda: operations.transaction("default"), lake, AS_OF)
    moves = lake.read("inventory_movements")
    came = moves.filter(reason="inbound", supplier_id=moves["supplier_id"][0]).head(1)
    later = pl.lit(AS_OF + DAY).cast(moves.schema["occurred_at"])
    again = pl.concat(
        [
            came.with_columns(movement_id=pl.lit(name), occurred_at=later, received_at=later)
            for name in ("op-7", "v-later")
        ]
    )

    class Grown:
        def scan(self, table):
            return pl.concat([moves, again]).lazy() if table == "inventory_movements" else lake.scan(table)

    with operations.transaction("default") as connection:
        before = counted_units(connection)
    assert play(lambda: operations.transaction("default"), Grown(), AS_OF + 2 * DAY).past == 1
    with operations.transaction("default") as connection:
        assert counted_units(connection) - before == came["qty_delta"][0]


def counted_units(connection):
    row = connection.execute(
        "select coalesce(sum(received_qty), 0)::int from purchasing.purchase_line l"
        " join purchasing.purchase_order o using (tenant_id, purchase_order_id) where o.source = 'feed'"
    ).fetchone()
    return row[0]


def test_suppliers_answer_ship_and_deliver_when_it_is_time(lake, operations):
    offers = lake.read("offers").unique(["supplier_id", "sku_id"], maintain_order=True)
    with operations.transaction("default") as connection:
        for supplier, sku, smallest in offers.select(
            "supplier_id", "sku_id", pl.col("min_order_qty").fill_null(1)
        ).iter_rows():
            place_stated(connection, "default", supplier, {sku: max(smallest, 1)}, AS_OF, "test")
    placed = counted(operations)["placed"][0]

    def play_on(now):
        return play(lambda: operations.transaction("default"), lake, now)

    first = play_on(AS_OF)
    assert first.answered == placed
    states = counted(operations)
    assert "placed" not in states
    later = play_on(AS_OF + 60 * DAY)
    assert first.received + later.received == first.shipped
    assert states.get("declined", (0,))[0] + first.shipped == placed


def test_a_policy_that_somebody_stated_stays(operations):
    with operations.transaction("default") as connection:
        state_policy(connection, AS_OF)
        assert [one.mode for one in policies_of(connection, "default")] == ["auto"]
        put_policy(connection, "default", Policy("*", "off", 0), AS_OF)
        state_policy(connection, AS_OF)
        assert [one.mode for one in policies_of(connection, "default")] == ["off"]

"""The step of the graph: from parcels and observations of the lake to alarms and alternatives."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import numpy as np
import polars as pl
import psycopg
import pytest

from pipelines.defs import watch
from pipelines.graph import resources
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.sources.contract import contract_table
from pipelines.supply_watch import ALARMS
from pipelines.watch_told import ALARM_FIGURES, PARCEL_PROOF, alarm_figures, parcel_proof
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.watch.alarms.records import Whose, alarms_page
from serving.watch.parcels import parcels_among
from serving.watch.record.sealing import anchors_of

AS_OF = datetime(2026, 11, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PROMISE = 3 * DAY


def conformed(table, rows):
    dtypes = dict(contract_table(table).dtypes)
    return pl.DataFrame([{**dict.fromkeys(dtypes), **row} for row in rows], schema=dtypes)


class Supply:
    """Parcels that take two days of their three, as tables of a lake."""

    def __init__(self, lake):
        self.lake = lake
        self.orders, self.parcels, self.seen = [], [], []
        rng = np.random.default_rng(1)
        for number in range(300):
            left = AS_OF - 60 * DAY + number * 3 * HOUR
            self.parcel(f"past{number}", left, left + 2 * DAY * float(rng.lognormal(0, 0.08)))

    def parcel(self, name, left, arrived=None, supplier="S1"):
        self.orders.append(
            {"order_id": f"o-{name}", "merchant_id": "m1", "placed_at": left - HOUR, "received_at": left}
        )
        self.parcels.append(
            {
                "shipment_id": name,
                "order_id": f"o-{name}",
                "supplier_id": supplier,
                "from_region": "east",
                "to_region": "west",
                "promised_at": left + PROMISE,
                "shipped_at": left,
                "delivered_at": arrived,
                "last_node": "delivered" if arrived else "shipped",
                "last_node_at": arrived or left,
                "received_at": left,
                "placed_at": left - HOUR,
            }
        )

    def scan(self, name, at, status="in_transit"):
        self.observe(kind="parcel_scan", shipment_id=name, status=status, occurred_at=at)

    def capacity(self, qty, at, supplier="S1", **of):
        self.observe(kind="capacity", supplier_id=supplier, qty=qty, occurred_at=at, **of)

    def observe(self, **row):
        row = {"observation_id": f"ob{len(self.seen)}", "received_at": row["occurred_at"], **row}
        self.seen.append(row)

    def write(self):
        self.lake.create()
        self.lake.replace_days("orders", conformed("orders", self.orders))
        placed = pl.Series("placed_at", [row["placed_at"] for row in self.parcels], pl.Datetime("us", "UTC"))
        frame = conformed(
            "shipments", [{k: v for k, v in p.items() if k != "placed_at"} for p in self.parcels]
        )
        self.lake.replace_days("shipments", frame.with_columns(placed), time_column="placed_at")
        self.lake.replace_days("supply_observations", conformed("supply_observations", self.seen))


@pytest.fixture
def supply(tmp_path):
    return Supply(Lake(tmp_path / "home" / "lake"))


@pytest.fixture
def look(supply, database_url, tmp_path, monkeypatch):
    """Write the lake, run the step, and tell its metadata and the open alarms by object."""
    for name in ("MUYUN_AS_OF", "MUYUN_DATA"):
        monkeypatch.delenv(name, raising=False)

    def run(as_of=AS_OF):
        supply.write()
        settings = Settings.model_construct(
            home=tmp_path / "home", data=tmp_path / "feeds", as_of=as_of, database_url=database_url
        )
        made = resources(settings)
        wanted = {name: made[name] for name in ("steps", "settings", "clock", "lake", "database")}
        tags = {"muyun/force": "operations/supply_watch"}
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize([watch.supply_watch], resources=wanted, instance=instance, tags=tags)
            (event,) = done.get_asset_materialization_events()
        with Operations(database_url, size=1) as operations, operations.transaction("default") as conn:
            found = alarms_page(conn, "default", Whose(), kind=None, is_open=True, after=0, limit=99)
        return event.materialization.metadata, {alarm.object_id: alarm for alarm in found}

    return run


def test_a_parcel_that_stands_still_is_an_alarm_before_its_promise_is_over(supply, look):
    left = AS_OF - PROMISE + 2 * HOUR
    supply.parcel("stuck", left)
    supply.parcel("fine", AS_OF - 20 * HOUR)
    supply.parcel("moving", left)
    supply.scan("moving", AS_OF - HOUR, "out_for_delivery")
    told, alarms = look()
    assert set(alarms) >= {"stuck"}
    assert "fine" not in alarms
    stuck = alarms["stuck"]
    assert (stuck.kind, stuck.supplier_id, stuck.merchant_id, stuck.order_id) == (
        "delay",
        "S1",
        "m1",
        "o-stuck",
    )
    assert (stuck.evidence["status"], stuck.evidence["lane"]) == ("picked_up", "east > west")
    assert told["parcels_watched"].value == 3
    assert told["with_alternatives"].value == len(alarms)


def test_it_clears_when_the_parcel_came_by_a_scan_or_by_its_row(supply, look):
    left = AS_OF - 6 * DAY
    supply.parcel("scanned", left)
    supply.parcel("told", left)
    _, alarms = look()
    assert set(alarms) == {"scanned", "told"}
    assert alarms["told"].evidence["probability"] == 1.0
    supply.scan("scanned", AS_OF + HOUR, "delivered")
    supply.parcels[-1] |= {"delivered_at": AS_OF + HOUR, "last_node": "delivered"}
    told, alarms = look(AS_OF + 2 * HOUR)
    assert alarms == {}
    assert (told["cleared"].value, told["opened"].value) == (2, 0)


def test_what_was_not_received_yet_is_not_known(supply, look):
    left = AS_OF - 6 * DAY
    supply.parcel("late", left)
    supply.observe(
        kind="parcel_scan",
        shipment_id="late",
        status="delivered",
        occurred_at=AS_OF - HOUR,
        received_at=AS_OF + HOUR,
    )
    assert set(look()[1]) == {"late"}
    assert look(AS_OF + HOUR)[1] == {}


def test_what_a_row_tells_of_a_later_time_is_not_known(supply, look):
    """The row of a parcel is received when it leaves, and goes on telling."""
    supply.parcel("late", AS_OF - 6 * DAY, AS_OF + HOUR)
    _, alarms = look()
    assert set(alarms) == {"late"}
    assert alarms["late"].evidence["status"] == "picked_up"
    assert look(AS_OF + HOUR)[1] == {}


def test_a_place_of_a_later_time_is_not_known(supply, look):
    supply.parcel("stuck", AS_OF - 6 * DAY)
    supply.parcels[-1] |= {"last_node": "out_for_delivery", "last_node_at": AS_OF + HOUR}
    assert look()[1]["stuck"].evidence["status"] == "picked_up"
    assert look(AS_OF + HOUR)[1]["stuck"].evidence["status"] == "out_for_delivery"


def test_the_capacities_of_a_warehouse_and_of_a_sku_of_one_name_are_two(supply, look):
    for day in range(10, 0, -1):
        supply.capacity(100, AS_OF - day * DAY, warehouse_id="X")
        supply.capacity(20, AS_OF - day * DAY, sku_id="X")
    supply.capacity(100, AS_OF, warehouse_id="X")
    supply.capacity(5, AS_OF, sku_id="X")
    told, alarms = look()
    assert (told["capacities_watched"].value, set(alarms)) == (2, {"S1//X"})
    evidence = alarms["S1//X"].evidence
    assert (evidence["warehouse_id"], evidence["sku_id"], evidence["median"]) == (None, "X", 20)


def test_a_capacity_that_falls_is_an_alarm_until_it_was_calm_for_three_days(supply, look):
    for day in range(28, 0, -1):
        supply.capacity(100, AS_OF - day * DAY)
        supply.capacity(50, AS_OF - day * DAY, "S2")
    supply.capacity(69, AS_OF)
    supply.capacity(36, AS_OF, "S2")
    _, alarms = look()
    assert set(alarms) == {"S1"}
    assert (alarms["S1"].kind, alarms["S1"].supplier_id) == ("capacity", "S1")
    assert alarms["S1"].evidence["swing"] == -0.31
    for day in range(1, 5):
        supply.capacity(95, AS_OF + day * DAY)
    assert set(look(AS_OF + 3 * DAY)[1]) == {"S1"}
    assert look(AS_OF + 4 * DAY)[1] == {}


def test_parcels_of_the_feed_are_known_to_the_intake_and_alarms_to_analysts(supply, look, database_url):
    supply.parcel("stuck", AS_OF - 6 * DAY)
    look()
    with Operations(database_url, size=1) as operations, operations.transaction("default") as conn:
        known = parcels_among(conn, "default", ["stuck", "past0", "nowhere"])
    assert known == {"stuck": ("S1", AS_OF - 6 * DAY)}
    kept = supply.lake.get(ALARMS)
    assert kept.select("kind", "object_id", "supplier_id").rows() == [("delay", "stuck", "S1")]


def test_nothing_observed_is_no_alarm(supply, look):
    supply.orders, supply.parcels = supply.orders[:1], supply.parcels[:1]
    told, alarms = look()
    assert (alarms, told["parcels_watched"].value, told["capacities_watched"].value) == ({}, 0, 0)


def test_a_look_tells_what_alarms_brought_and_proves_a_parcels_record(supply, look, database_url):
    # Two days before the harm, and three days after it.
    supply.parcel("ahead", AS_OF - PROMISE + DAY)
    supply.parcel("behind", AS_OF - PROMISE - 4 * DAY)
    supply.parcel("fine", AS_OF - 20 * HOUR)
    _, alarms = look()
    assert set(alarms) >= {"behind"}
    (told,) = supply.lake.read_report(ALARM_FIGURES)["kinds"]
    hours = sorted({"ahead": 48.0, "behind": -72.0}[name] for name in alarms)
    assert told["median_hours_ahead"] == pytest.approx(float(np.median(hours)))
    assert told["warned_ahead"] == sum(one > 0 for one in hours)
    assert (told["opened"], told["proposed"], told["taken"], told["lines_moved"]) == (
        len(alarms),
        len(alarms),
        0,
        0,
    )
    look(AS_OF + HOUR)  # what an open transaction held back is sealed by now
    proof = supply.lake.read_report(PARCEL_PROOF)
    assert proof["shipment_id"] in alarms
    assert (proof["proven"], proof["broken"]) == (len(proof["records"]), None)
    # A record that somebody changed behind the triggers does not lead to its block any more.
    with psycopg.connect(libpq_url(database_url)) as conn:
        conn.execute("set session_replication_role = replica")
        conn.execute("update watch.alarm_event set by = 'nobody'")
    home = supply.lake.root.parent
    broken = parcel_proof(database_url, "default", anchors_of(home, "default"))
    assert broken["proven"] == 0
    assert "does not lead to block" in broken["broken"]


def test_what_was_taken_is_counted_with_its_lines(supply, look, database_url):
    supply.parcel("stuck", AS_OF - 6 * DAY)
    _, alarms = look()
    with psycopg.connect(libpq_url(database_url)) as conn:
        number = alarms["stuck"].alarm_id
        conn.execute("update watch.alternative set taken_at = %s, taken_by = 'policy'", (AS_OF,))
        conn.execute(
            "insert into watch.action (tenant_id, alarm_id, order_id, supplier_id, takers, decided_at,"
            " done_at, moved) values ('default', %s, 'o-stuck', 'S1', '{}', %s, %s, %s)",
            (number, AS_OF, AS_OF, '{"1": "S2", "2": "S2"}'),
        )
    (told,) = alarm_figures(database_url, "default", AS_OF)["kinds"]
    assert (told["taken"], told["lines_moved"]) == (1, 2)
    # Alarms that were opened longer ago than the window are not told of.
    assert alarm_figures(database_url, "default", AS_OF + 29 * DAY)["kinds"] == []

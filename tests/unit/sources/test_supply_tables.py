"""The supply tables at the door: what a folder may say of warehouses, licences, batches and observations."""

from collections.abc import Callable
from pathlib import Path

import pytest
from feed_folder import write_csv

from pipelines.lake.tables import Lake
from pipelines.sources.refused.quarantine import read_quarantine
from pipelines.sources.refused.remedies import remedy
from pipelines.sources.report import IngestReport

Row = dict[str, str]
Load = Callable[..., dict[str, IngestReport]]

SHIPMENTS = [
    {"shipment_id": "p1", "order_id": "o1", "supplier_id": "s1", "from_region": "east", "to_region": "north",
     "promised_at": "2026-11-04T12:00:00Z", "shipped_at": "2026-11-02T08:00:00Z"},
    {"shipment_id": "p2", "order_id": "o2", "supplier_id": "s1", "from_region": "east", "to_region": "north",
     "promised_at": "2026-11-05T12:00:00Z", "shipped_at": ""},
]  # fmt: skip
WAREHOUSE = {"warehouse_id": "w1", "name": "East hub", "region_code": "east", "latitude": "31.2",
             "longitude": "121.5", "capacity_per_day": "400", "cut_off_minutes": "960",
             "working_days": "12345", "time_zone": ""}  # fmt: skip
SCAN = {"observation_id": "ob1", "kind": "parcel_scan", "shipment_id": "p1", "status": "in_transit",
        "supplier_id": "", "sku_id": "", "qty": "", "device_id": "", "reading": "",
        "occurred_at": "2026-11-03T08:00:00Z"}  # fmt: skip
LICENCE = {"licence_id": "l1", "licence_no": "SC1", "kind": "food", "supplier_id": "s1", "merchant_id": "",
           "brand_id": "", "starts_on": "2026-01-01", "ends_on": "2026-12-31"}  # fmt: skip
BATCH = {"batch_id": "b1", "sku_id": "a", "supplier_id": "s1", "produced_on": "2026-10-01",
         "expires_on": "2027-10-01"}  # fmt: skip
GOOD = {
    "warehouses": WAREHOUSE,
    "supply_observations": SCAN,
    "licences": LICENCE,
    "batches": BATCH,
    "warehouse_closures": {"warehouse_id": "w1", "closed_on": "2027-01-01", "reason": "new year"},
}


def give(folder: Path, table: str, *changes: Row) -> None:
    """Good rows of every supply table, and of one of them further rows, each good but for what it changes."""
    write_csv(folder / "shipments.csv", SHIPMENTS)
    for name, row in GOOD.items():
        more = [{**row, **change} for change in changes] if name == table else []
        write_csv(folder / f"{name}.csv", [row, *more])


REFUSED = [
    ("supply_observations", {"kind": "capacity", "supplier_id": "s1", "qty": "-5"}, "qty", "negative"),
    ("supply_observations",
     {"kind": "stock_level", "supplier_id": "s1", "sku_id": "a", "qty": "1000000000000"},
     "qty", "more than 1,000,000,000"),
    ("supply_observations", {"occurred_at": "2026-11-10T00:00:01Z"}, "occurred_at", "in the future"),
    ("supply_observations", {"occurred_at": "2026-11-02T07:59:59Z"}, "occurred_at",
     "before the shipped_at of its row in shipments"),
    ("supply_observations", {"shipment_id": "p9"}, "shipment_id", "unknown key: not in shipments"),
    ("supply_observations", {"status": ""}, "kind", "lacks what its kind needs"),
    ("supply_observations", {"kind": "capacity", "qty": "5"}, "kind", "lacks what its kind needs"),
    ("supply_observations", {"kind": "stock_level", "supplier_id": "s1", "qty": "5"}, "kind",
     "lacks what its kind needs"),
    ("supply_observations", {"kind": "device", "device_id": "d1"}, "kind", "lacks what its kind needs"),
    ("supply_observations", {"kind": "device", "device_id": "d1", "reading": "warm"}, "reading", "not a"),
    ("supply_observations", {"kind": "rumour"}, "kind", "not one of"),
    ("warehouses", {"latitude": ""}, "longitude", "one of latitude and longitude without the other"),
    ("warehouses", {"latitude": "91"}, "latitude", "more than 90"),
    ("warehouses", {"cut_off_minutes": "1441"}, "cut_off_minutes", "more than 1,440"),
    ("warehouses", {"capacity_per_day": "-5"}, "capacity_per_day", "negative"),
    ("warehouses", {"working_days": "128"}, "working_days", "not days of the week"),
    ("warehouses", {"working_days": "21"}, "working_days", "not days of the week"),
    ("warehouses", {"time_zone": "Asia/Nowhere"}, "time_zone", "no time zone that IANA names"),
    ("licences", {"merchant_id": "m1"}, "supplier_id", "held by nobody or by two"),
    ("licences", {"supplier_id": ""}, "supplier_id", "held by nobody or by two"),
    ("licences", {"kind": "brand_authorisation"}, "brand_id", "an authorisation of no brand"),
    ("licences", {"starts_on": "2027-01-01"}, "ends_on", "ends before it starts"),
    ("batches", {"expires_on": "2026-09-30"}, "expires_on", "expires before it was made"),
    ("batches", {"produced_on": "2026-11-12"}, "produced_on", "in the future"),
    ("batches", {"sku_id": "z"}, "sku_id", "unknown key: not in products"),
]  # fmt: skip
KEYS = {"supply_observations": "observation_id", "warehouses": "warehouse_id", "licences": "licence_id",
        "batches": "batch_id"}  # fmt: skip


@pytest.mark.parametrize(("table", "change", "column", "reason"), REFUSED)
def test_a_bad_row_is_refused_with_its_column_and_reason(
    folder: Path, lake: Lake, load: Load, table: str, change: Row, column: str, reason: str
) -> None:
    give(folder, table, {KEYS[table]: "bad", **change})
    load(folder)
    assert lake.read(table)[KEYS[table]].to_list() == [GOOD[table][KEYS[table]]]
    refused = read_quarantine(lake, table)
    assert (refused["column"].to_list(), refused["line"].to_list()) == ([column], [3])
    assert refused["reason"][0].startswith(reason), refused["reason"][0]


TAKEN = [
    ("warehouses", {"latitude": "", "longitude": ""}),
    ("warehouses", {"time_zone": "Asia/Urumqi"}),
    ("warehouses", {"cut_off_minutes": "1440", "working_days": "7", "capacity_per_day": "0"}),
    ("supply_observations", {"occurred_at": "2026-11-02T08:00:00Z"}),  # as it left
    ("supply_observations", {"shipment_id": "p2"}),  # nobody knows when it left
    ("supply_observations", {"occurred_at": "2026-11-10T00:00:00Z"}),  # this very moment
    ("supply_observations", {"kind": "capacity", "supplier_id": "s1", "qty": "0"}),
    ("supply_observations", {"kind": "stock_level", "supplier_id": "s1", "sku_id": "a", "qty": "1000000000"}),
    ("supply_observations", {"kind": "device", "device_id": "d1", "reading": "-18.5"}),
    ("licences", {"starts_on": "2026-12-31"}),
    ("licences", {"kind": "brand_authorisation", "brand_id": "b7", "supplier_id": "", "merchant_id": "m1"}),
    # Two suppliers state one number: both statements are kept, the warehouse says for whom it counts.
    ("licences", {"supplier_id": "s2"}),
    ("batches", {"produced_on": "2026-10-01", "expires_on": "2026-10-01"}),
]


@pytest.mark.parametrize(("table", "change"), TAKEN)
def test_a_row_at_the_edge_of_a_rule_is_taken(
    folder: Path, lake: Lake, load: Load, table: str, change: Row
) -> None:
    give(folder, table, {KEYS[table]: "edge", **change})
    load(folder)
    assert read_quarantine(lake, table)["reason"].to_list() == []
    assert "edge" in lake.read(table)[KEYS[table]].to_list()


def test_what_a_warehouse_does_not_say_is_taken_as_documented(folder: Path, lake: Lake, load: Load) -> None:
    write_csv(folder / "warehouses.csv", [{"warehouse_id": "w7"}])
    load(folder)
    row = lake.read("warehouses").row(0, named=True)
    assert (row["name"], row["region_code"], row["working_days"]) == ("w7", "unknown", "1234567")
    assert [row[name] for name in ("latitude", "longitude", "capacity_per_day", "cut_off_minutes")] == [
        None
    ] * 4


def test_observations_without_a_table_of_parcels_are_taken(folder: Path, lake: Lake, load: Load) -> None:
    """A feed of scans alone is no worse than none."""
    write_csv(folder / "supply_observations.csv", [SCAN])
    load(folder)
    assert lake.read("supply_observations").height == 1


def test_a_scan_before_its_parcel_left_has_a_remedy() -> None:
    said = remedy("supply_observations", "occurred_at", "before the shipped_at of its row in shipments")
    assert said == "correct the clock of the system that wrote it, or the shipped_at in shipments"

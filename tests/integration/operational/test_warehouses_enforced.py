"""Warehouses of the lake in the database of orders: whole, with closed days, the same at a second run."""

import datetime as dt

import polars as pl
import psycopg

from pipelines.defs.supply import _put_warehouses
from pipelines.lake.tables import Lake
from pipelines.sources.contract import contract_table
from serving.db.urls import libpq_url

AT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def accepted(table, *rows):
    types = dict(contract_table(table).dtypes)
    return pl.DataFrame(
        [{**dict.fromkeys(types), "received_at": AT, "origin": "observed", **row} for row in rows],
        schema=types,
    )


def test_what_the_lake_accepted_is_in_force(tmp_path, database_url):
    lake = Lake(tmp_path / "lake")
    lake.create()
    near = {"warehouse_id": "w-1", "name": "Hub", "region_code": "east", "working_days": "12345",
            "latitude": 31.2, "longitude": 121.5, "capacity_per_day": 40, "cut_off_minutes": 960,
            "supplier_id": "s-1", "time_zone": "Asia/Shanghai"}  # fmt: skip
    plain = {"warehouse_id": "w-2", "name": "w-2", "region_code": "unknown", "working_days": "1234567"}
    lake.replace("warehouses", accepted("warehouses", near, plain))
    days = [dt.date(2026, 12, 25), dt.date(2027, 1, 1)]
    closed = [{"warehouse_id": "w-1", "closed_on": day} for day in days]
    lake.replace("warehouse_closures", accepted("warehouse_closures", *closed))
    done = _put_warehouses(lake, database_url, "default")
    assert (done.rows, done.metadata) == (2, {"changed": 4, "with_coordinates": 1})
    with psycopg.connect(libpq_url(database_url)) as conn:
        rows = conn.execute("select * from supply.warehouse order by warehouse_id").fetchall()
        shut = conn.execute("select closed_on from supply.warehouse_closure order by 1").fetchall()
    assert rows == [
        ("default", "w-1", "s-1", "east", 31.2, 121.5, 40, 960, "12345", "Asia/Shanghai"),
        ("default", "w-2", None, "unknown", None, None, None, None, "1234567", None),
    ]
    assert [day for (day,) in shut] == days
    again = _put_warehouses(lake, database_url, "default")
    assert (again.metadata["changed"], again.version) == (0, done.version)

"""A folder of three tables through the file adapter, the contract and the warehouse, to the right values.

Two days of exports: what the second file changes, the marts no longer show; a moment before it still knows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest
from dbt_runs import run_dbt, settings_of

from feature_store.point_in_time import training_set
from pipelines.lake.tables import Lake
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import ingest

AS_OF = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
FILES = {
    "products.csv": """sku_id,title,unit
apples,Apples,kg
pen,Pen,piece
""",
    "orders/2026-11-03.csv": """order_id,consumer_id,placed_at,status
o1,c1,2026-11-01T10:00:00Z,completed
o2,,2026-11-02T10:00:00Z,shipped
o3,c2,2026-11-02T11:00:00Z,completed
o4,c2,2026-11-02T12:00:00Z,pending
""",
    "orders/2026-11-05.csv": """order_id,consumer_id,placed_at,status
o1,c1,2026-11-01T10:00:00Z,cancelled
o5,c2,2026-11-04T10:00:00Z,completed
""",
    "order_lines.csv": """order_id,sku_id,qty,net_paid_cents
o1,pen,2,400
o2,apples,0.345,138
o2,pen,1,0
o3,pen,3,600
o4,pen,9,1800
o5,pen,-1,-200
""",
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    home = tmp_path_factory.mktemp("from_a_folder")
    for name, text in FILES.items():
        file: Path = home / "feeds" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    lake, source = Lake(home / "lake"), Files(home / "feeds")
    lake.create()
    for table in source.tables():
        report = ingest(source, table, lake, as_of=AS_OF, window=None, loaded_at=AS_OF)
        assert (table, report.quarantined, report.reasons) == (table, 0, {})
    build = run_dbt(
        home,
        *("run", "--select", "+mart_sales_daily", "+mart_consumer_360", "+int_orders_known"),
        "+int_order_lines_known",
        environment=settings_of(home) | {"MUYUN_AS_OF": AS_OF.isoformat()},
    )
    assert build.code == 0, build.output
    with duckdb.connect(str(build.file), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def test_revenue_and_orders_are_those_of_what_counts(warehouse: duckdb.DuckDBPyConnection) -> None:
    """o1 was cancelled, o4 never paid, o5 gives a pen back; a guest's apples and a gift at 0 are in o2."""
    totals = warehouse.sql(
        "select sum(orders), sum(net_paid_cents), sum(returned_cents), sum(guest_net_paid_cents), sum(units)"
        " from analyst.mart_sales_daily"
    ).fetchone()
    assert totals == (2, 138 + 600 - 200, 200, 138, pytest.approx(0.345 + 1 + 3 - 1))
    aside = warehouse.sql(
        "select state, count(*), sum(net_paid_cents) from core.fct_orders where not is_counted group by all"
        " order by all"
    ).fetchall()
    assert aside == [("cancelled", 1, 400), ("unpaid", 1, 1800)]


def test_consumers_are_members_with_what_they_kept(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = warehouse.sql(
        "select consumer_id, order_count, net_paid_cents from analyst.mart_consumer_360 order by consumer_id"
    ).fetchall()
    assert found == [("c1", 0, 0), ("c2", 1, 400)]


def test_by_weight_is_priced_by_the_kilogram(warehouse: duckdb.DuckDBPyConnection) -> None:
    price = warehouse.sql(
        "select unit_price_cents from core.fct_order_lines where sku_id = 'apples'"
    ).fetchone()
    assert price == (pytest.approx(400.0),)


def test_before_the_second_file_the_order_was_a_sale(warehouse: duckdb.DuckDBPyConnection) -> None:
    moments = [dt.datetime(2026, 11, day, hour, tzinfo=dt.UTC) for day, hour in ((4, 23), (5, 1))]
    asked = pl.DataFrame(
        [("c1", moment) for moment in moments],
        schema={"consumer_id": pl.String, "as_of": pl.Datetime("us", "UTC")},
        orient="row",
    )
    got = training_set(warehouse, asked, ["orders_lifetime", "net_spend_lifetime"])
    assert got.select("orders_lifetime", "net_spend_lifetime").rows() == [(1, 400), (0, 0)]

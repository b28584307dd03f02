"""The three tables that a folder must have are enough for a whole, honest run."""

import tempfile
from pathlib import Path

import duckdb
import pytest
from tiny_world import world as world_rows
from tiny_world import write_table
from world_run import Installation, explain

from models.contracts import PUBLISHED_TABLES

pytestmark = [pytest.mark.xdist_group("three_tables"), pytest.mark.slow]

KEPT = {
    "products": ("sku_id", "title"),
    "orders": ("order_id", "consumer_id", "placed_at", "status"),
    "order_lines": ("order_id", "line_no", "sku_id", "qty", "net_paid_cents"),
}


@pytest.fixture(scope="module")
def shop():
    """Three tables of the tiny world with the columns that they must have, after a run."""
    with tempfile.TemporaryDirectory(prefix="muyun-three-") as folder:
        installation = Installation(Path(folder) / "home", Path(folder) / "feeds")
        installation.data.mkdir()
        for table, columns in KEPT.items():
            rows = world_rows()[table]
            write_table(installation.data, table, [{name: row[name] for name in columns} for row in rows])
        try:
            yield installation, installation.run()
        finally:
            installation.stop_database()


def test_the_run_is_whole(shop):
    installation, done = shop
    assert done.returncode == 0, explain(done)
    summary = installation.summary()
    assert (summary["failed"], summary["failed_checks"]) == ({}, [])
    assert {table["name"] for table in summary["published"]} == set(PUBLISHED_TABLES)
    assert sum(table["quarantined"] for table in summary["tables"]) == 0


def test_it_sells_what_the_files_say(shop):
    installation, _ = shop
    rows = world_rows()
    completed = {row["order_id"] for row in rows["orders"] if row["status"] == "completed"}
    net = sum(line["net_paid_cents"] for line in rows["order_lines"] if line["order_id"] in completed)
    with duckdb.connect(str(installation.home / "warehouse" / "muyun.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute(
            "select sum(net_paid_cents), sum(orders) from analyst.mart_sales_daily"
        ).fetchone()
        buyers = warehouse.execute("select count(*) from core.dim_consumers").fetchone()
    assert found == (net, len(completed) - 1), "a return is no order"
    assert buyers == (62,), "who never bought is in no order"


def test_what_three_tables_cannot_tell_stays_empty_and_the_rest_is_published(shop):
    installation, _ = shop
    rows = {table["name"]: table["rows"] for table in installation.summary()["published"]}
    assert rows["prices"] == rows["reorder_suggestions"] == 0, "nobody said what goods cost"
    assert rows["profiles"] == 62
    assert rows["recommendations"] > 0

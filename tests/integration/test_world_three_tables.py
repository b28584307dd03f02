"""The three tables that a folder must have are enough for a whole, honest run."""

import csv
import tempfile
from pathlib import Path

import duckdb
import pytest
from tiny_world import world as world_rows
from tiny_world import write_table
from world_run import Installation, explain

from models.contracts import REQUIRED_TABLES

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
    assert {table["name"] for table in summary["published"]} >= REQUIRED_TABLES
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


FAMILIES = ("recommendation/lanes", "demand/forecasters", "pricing/elasticities", "lifecycle/churn_and_rebuy")


def test_one_order_more_is_scored_by_the_models_that_serve(shop):
    """Comes last. No family trains, each says when it will; the order is in the marts and in the tags."""
    installation, _ = shop
    before = installation.summary()
    for table, row in {
        "orders": ("o-new", "c-01", "2025-06-30T09:00:00Z", "completed"),
        "order_lines": ("o-new", 1, "milk-1", 2, 999),
    }.items():
        with (installation.data / f"{table}.csv").open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)
    done = installation.run()
    assert done.returncode == 0, explain(done)
    said = {line.partition("] ")[2] for line in done.stderr.splitlines() if line.startswith("[")}
    for family in FAMILIES:
        (line,) = [text for text in said if text.startswith(f"models/{family}: ")]
        assert "trained 2025-06-30, next due with orders of 2025-07-06" in line
    assert "raw/promotions: 0 rows, unchanged" in said, "nobody supplies it"
    after = installation.summary()
    assert after["models"] == before["models"]
    assert after["trainings"] == before["trainings"]
    assert {training["due_on"] for training in after["trainings"]} == {"2025-07-06"}
    with duckdb.connect(str(installation.home / "warehouse" / "muyun.duckdb"), read_only=True) as warehouse:
        new = "select net_sales_cents from core.fct_orders where order_id = 'o-new'"
        assert warehouse.execute(new).fetchone() == (999,)


def test_a_forced_run_trains(shop):
    installation, _ = shop
    done = installation.run("run --force models/pricing/elasticities")
    assert done.returncode == 0, explain(done)
    said = [line.partition("] ")[2] for line in done.stderr.splitlines() if line.startswith("[")]
    (line,) = [text for text in said if text.startswith("models/pricing/elasticities: ")]
    assert line.endswith("MB"), "it worked"
    (other,) = [text for text in said if text.startswith("models/demand/forecasters: ")]
    assert "next due with orders of" in other

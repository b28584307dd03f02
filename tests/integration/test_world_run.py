"""One run of the whole graph on a user's folder: what came in, what was refused, what is served."""

import json

import polars as pl
import psycopg
import pytest
from tiny_world import AS_OF, PLANTED, planted_line
from tiny_world import world as world_rows
from world_run import explain

from models.contracts import REQUIRED_TABLES
from pipelines.lake.tables import Lake
from pipelines.sources.contract import INGEST_ORDER, TABLES
from serving.db.urls import libpq_url
from serving.scores import loader

pytestmark = pytest.mark.xdist_group("world")


@pytest.fixture(scope="module")
def lake(world, first):
    return Lake(world.home / "lake")


def test_the_run_succeeds_and_says_what_came_out(first):
    assert first.done.returncode == 0
    assert "Traceback" not in first.done.stderr
    for word in ("rows received", "published recommendations", "200 ", "report", "make ui"):
        assert word in first.done.stdout
    assert "raw/orders: " in first.done.stderr


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ("steps", {"name": str, "wall_s": float, "peak_rss_mb": float}),
        ("tables", {"name": str, "origin": str, "received": int, "accepted": int, "quarantined": int}),
        (
            "models",
            {
                "name": str,
                "metric": str,
                "value": float,
                "baseline": str,
                "baseline_value": float,
                "promoted": bool,
            },
        ),
        ("published", {"name": str, "rows": int, "version": str}),
        ("api", {"request": str, "status": int, "ms": float}),
    ],
)
def test_every_part_of_the_summary_is_filled(first, part, fields):
    assert first.summary[part]
    for entry in first.summary[part]:
        assert set(entry) == set(fields)
        for name, kind in fields.items():
            assert isinstance(entry[name], kind), (part, entry)


def test_the_summary_covers_every_table_and_publication(first):
    assert [table["name"] for table in first.summary["tables"]] == list(INGEST_ORDER)
    assert {table["name"] for table in first.summary["published"]} >= REQUIRED_TABLES
    assert first.summary["wall_s"] > 0
    assert first.summary["peak_rss_mb"] > 0
    assert (first.summary["failed"], first.summary["failed_checks"]) == ({}, [])


def test_a_users_folder_is_never_mixed_with_generated_rows(first):
    assert {table["origin"] for table in first.summary["tables"]} == {"observed"}


def test_received_is_accepted_plus_quarantined_and_matches_the_files(first, lake):
    rows = world_rows()
    for table in first.summary["tables"]:
        if TABLES[table["name"]].is_book:
            continue
        planted = sum(bad.table == table["name"] for bad in PLANTED)
        assert table["quarantined"] == planted, table
        assert table["accepted"] == len(rows.get(table["name"], ())), table
        assert table["received"] == table["accepted"] + table["quarantined"]
        assert lake.scan(table["name"]).select(pl.len()).collect().item() == table["accepted"]


@pytest.mark.parametrize("bad", PLANTED, ids=lambda bad: f"{bad.table}-{bad.column}-{bad.reason}")
def test_a_bad_row_is_in_the_quarantine_with_its_place_and_reason(first, world, lake, bad):
    line = planted_line(world.data, bad)
    found = lake.read_quarantine(bad.table).filter(pl.col("line") == line)
    assert found.height == 1
    row = found.row(0, named=True)
    assert (row["file"], row["column"], row["value"]) == (f"{bad.table}.csv", bad.column, bad.value)
    assert bad.reason in row["reason"]
    assert json.loads(row["row_json"])[bad.column] == bad.value
    assert row["loaded_at"] is not None


def test_nothing_of_a_bad_row_reaches_readers(lake, first, world):
    import duckdb

    with duckdb.connect(str(world.home / "warehouse" / "muyun.duckdb"), read_only=True) as warehouse:
        bad = warehouse.execute("select count(*) from core.fct_orders where order_id like 'bad-%'").fetchone()
        whole = warehouse.execute("select count(*) from core.fct_order_lines").fetchone()
    assert bad == (0,)
    assert whole == (len(world_rows()["order_lines"]),)


def test_the_lake_and_postgresql_serve_the_same_publication(world, first):
    (manifest,) = first.manifests.values()
    with world.database() as url:
        served = next(v for v in loader.list_versions(url) if v.version == manifest["version"])
        assert served.content_hash == manifest["content_hash"]
        assert served.row_counts == {name: entry["rows"] for name, entry in manifest["tables"].items()}
        assert served.as_of == AS_OF
    folder = world.home / "lake" / "published" / manifest["version"]
    counts = {
        name: pl.scan_parquet(folder / f"{name}.parquet").select(pl.len()).collect().item()
        for name in manifest["tables"]
    }
    assert counts == {name: entry["rows"] for name, entry in manifest["tables"].items()}
    assert counts["recommendations"] > 0
    assert counts["profiles"] == len(world_rows()["consumers"]) == 63


def test_every_check_was_evaluated_and_kept_by_dagster(world, first):
    """Read from Dagster's own storage, which the UI reads: every check of the graph has passed or warned."""
    done = world.python(["tests/integration/recorded_checks.py", first.summary["run_id"]])
    assert done.returncode == 0, explain(done)
    recorded = json.loads(done.stdout)
    of_the_run = [name for name in recorded["missing"] if not name.startswith("live/")]  # those are of ticks
    assert of_the_run == []
    assert recorded["failed"] == []
    assert recorded["run_status"] == "SUCCESS"
    assert {"raw/orders:feed_is_plausible", "features/consumer_tags:features_are_whole"} <= set(
        recorded["passed"]
    )
    assert "published/prices:scores_are_safe_to_serve" in recorded["passed"]


def test_the_report_and_the_pages_exist(first):
    for page in (
        "report/index.html",
        "run_summary.json",
        "quality/gx/uncommitted/data_docs/local_site/index.html",
        "dbt/manifest.json",
        "dbt/run_results.json",
        "mlflow/mlflow.db",
        "warehouse/muyun.duckdb",
    ):
        assert first.files.get(page, 0) > 100, page


def test_every_model_family_reached_the_registry_or_says_why_not(first, lake):
    for family in ("recommendation", "demand", "pricing", "lifecycle"):
        summary = lake.read_report(f"models/{family}")
        assert summary["models"] or "simple rule serves" in summary["note"], family


def test_the_api_answered_every_question(first):
    assert {answer["status"] for answer in first.summary["api"]} == {200}
    asked = " ".join(answer["request"] for answer in first.summary["api"])
    for resource in ("recommendations", "profile", "prices", "reorder", "wakeup", "publications", "health"):
        assert resource in asked


def test_prices_respect_their_rails(lake, first):
    prices = lake.get("scores/prices")
    assert prices.height > 0
    assert prices.filter(pl.col("price_cents") < pl.col("floor_cents")).height == 0
    assert prices.filter(pl.col("price_cents") > pl.col("ceiling_cents")).height == 0


def test_nothing_is_written_outside_the_home(first, world):
    assert {path.name for path in world.home.parent.iterdir()} == {"home", "feeds"}
    assert {path.suffix for path in world.data.iterdir()} == {".csv"}


def test_without_its_own_mark_a_run_asks_every_step_and_none_works(second, world, first):
    """The short way is closed: the graph runs, and each step finds its record."""
    (world.home / "state" / "whole_run.json").unlink()
    third = world.run()
    assert third.returncode == 0, explain(third)
    lines = [line for line in third.stderr.splitlines() if line.startswith("[")]
    said = ("unchanged", " start ...", " api ...")  # the command's own two lines are no steps
    # The first run's own prices, orders, messages and grades are read, which makes nothing after them new.
    own = (
        "operations/recorded_prices",
        "raw/price_changes",
        "raw/purchase_lines",
        "raw/messages",
        "raw/grade_changes",
        "raw/level_changes",
        "raw/supply_answers",
        "raw/assortment_decisions",
    )
    worked = [
        line
        for line in lines
        if not line.endswith(said) and "still at work" not in line and not any(step in line for step in own)
    ]
    assert len(lines) > 30
    assert worked == []


def test_a_second_run_makes_no_new_version(second, world, first):
    assert second.returncode == 0
    assert world.manifests().keys() == first.manifests.keys()
    with world.database() as url, psycopg.connect(libpq_url(url)) as connection:
        assert connection.execute("select count(*) from scores.publication").fetchone() == (1,)

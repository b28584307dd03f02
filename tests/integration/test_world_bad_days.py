"""Bad feeds on a running installation: the line stops, the last good version serves, a good feed heals it."""

import csv
import json
import re
import shutil

import pytest
from tiny_world import write_table
from world_run import explain

from serving.scores import loader

pytestmark = [pytest.mark.xdist_group("world"), pytest.mark.slow]


def rewrite(folder, table, change):
    """Change the rows of a table's file; `change` takes a row's number and the row."""
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        rows = [change(number, row) for number, row in enumerate(csv.DictReader(file))]
    write_table(folder, table, rows)


@pytest.fixture
def current(world, second):
    """The version that serves and the warehouse that readers open."""

    def look():
        with world.database() as url:
            version = loader.current(url).version
        return version, (world.home / "warehouse" / "muyun.duckdb").read_bytes()

    return look


@pytest.fixture
def heals(world, current, first):
    """Afterwards the good feed gives the content of an undisturbed run again."""
    yield
    done = world.run()
    assert done.returncode == 0, explain(done)
    assert {m["content_hash"] for m in world.manifests().values()} == {
        m["content_hash"] for m in first.manifests.values()
    }
    assert current()[0] in first.manifests


@pytest.fixture
def feeds(world, tmp_path):
    """The folder of the home's source, for a test to spoil; afterwards it is as it was."""
    kept = shutil.copytree(world.data, tmp_path / "kept")
    yield world.data
    shutil.rmtree(world.data)
    shutil.copytree(kept, world.data)


def closing_screen(done):
    """What a failed run printed: one screen without the noise of dbt and Dagster, with what still serves."""
    assert "still served  version " in done.stdout, explain(done)
    assert len(done.stdout.splitlines()) < 30, explain(done)
    assert not re.search(r"\x1b\[|Done\. PASS=|Running with dbt|Warning:", done.stdout + done.stderr)
    return done.stdout


@pytest.mark.usefixtures("heals")
def test_an_implausible_batch_stops_before_the_warehouse(world, current, feeds):
    """Every line has 5,000 units at the same money: each row fits the contract, the batch does not.

    It differs from the last good batch by more than a shop's trade can.

    A later job that starts behind the boundary meets the same rows in the lake and must stop as well.
    """
    before = current()
    rewrite(feeds, "order_lines", lambda n, row: row | {"qty": "5000"} if row["qty"] in "123" else row)
    done = world.run()
    assert done.returncode == 1, explain(done)
    screen = closing_screen(done)
    assert "[raw/order_lines: feed_is_plausible]" in screen
    assert "quantities_keep_their_level: median.quantity is 5,000,000" in screen
    assert "muyun limits accept order_lines" in screen
    assert "warehouse/dbt_build ..." not in done.stderr
    assert "published/publication ..." not in done.stderr
    assert current() == before
    assert world.summary()["failed_checks"] == ["raw/order_lines: feed_is_plausible"]

    nightly = world.python(["tests/integration/graph_jobs.py", "publish_nightly"])
    assert nightly.returncode == 0, explain(nightly)
    found = json.loads(nightly.stdout.splitlines()[-1])
    assert not found["success"]
    assert "raw/order_lines (suite accepted_order_lines)" in found["failed"]["dbt_build"]
    assert "published/publication" not in found["made"]
    assert current() == before


@pytest.mark.usefixtures("heals")
def test_tables_that_contradict_each_other_stop_in_the_warehouse(world, current, feeds):
    """A line with more off by coupon than its order has: a dbt test fails, and nothing is silent."""
    before = current()
    rewrite(feeds, "orders", lambda n, row: row | {"coupon_discount_cents": "1"} if n == 0 else row)
    rewrite(feeds, "order_lines", lambda n, row: row | {"net_paid_cents": "50"} if n == 0 else row)
    done = world.run()
    assert done.returncode == 1, explain(done)
    screen = closing_screen(done)
    assert "NOT DONE  building the warehouse (dbt) failed   [dbt_build]" in screen
    assert "test line_coupons_stay_within_the_order_coupon" in screen
    assert "1 rows break it" in screen
    assert "dbt_project/models/marts/core/fct_orders.yml" in screen
    assert "published/publication ..." not in done.stderr
    assert current() == before
    assert "Traceback" not in done.stdout + done.stderr


def test_feeds_without_a_required_table_change_nothing(world, current, feeds):
    before = current()
    (feeds / "orders.csv").unlink()
    done = world.run()
    assert done.returncode == 1
    assert "orders: orders.csv" in done.stderr
    assert f"still served: version {before[0]}" in done.stderr
    assert "Traceback" not in done.stderr
    assert current() == before

"""Too many refused rows stop the run with their cause; after the fix a replay brings them in, once."""

import polars as pl
import pytest
from world_run import Installation, explain

from pipelines.lake.tables import Lake
from pipelines.sources.loading.ingest import read_report

pytestmark = pytest.mark.xdist_group("faults")

ORDERS, LINES_EACH, UNKNOWN = 60, 2, 15


@pytest.fixture(scope="module")
def shop(module_database_url, tmp_path_factory):
    """A shop of three small tables, a quarter of whose orders carry a status word that nobody knows."""
    feeds = tmp_path_factory.mktemp("feeds")
    (feeds / "products.csv").write_text(
        "sku_id,title,category_id\n" + "".join(f"s{n},Sku {n},all\n" for n in range(5))
    )
    (feeds / "orders.csv").write_text(
        "order_id,placed_at,channel,merchant_id,coupon_discount_cents,freight_cents,status\n"
        + "".join(
            f"o{n},2025-06-{1 + n % 28:02d}T09:00:00Z,store,shop,0,0,{word}\n"
            for n in range(ORDERS)
            for word in (["completed", "wunderbar"][n % 4 == 0],)
        )
    )
    (feeds / "order_lines.csv").write_text(
        "order_id,line_no,sku_id,qty,list_price_cents,promo_discount_cents,net_paid_cents\n"
        + "".join(
            f"o{n},{k + 1},s{(n + k) % 5},1,{500 + n},0,{500 + n}\n"
            for n in range(ORDERS)
            for k in range(LINES_EACH)
        )
    )
    return Installation(tmp_path_factory.mktemp("home"), feeds, {"MUYUN_DATABASE_URL": module_database_url})


@pytest.fixture(scope="module")
def stopped(shop):
    """The first run."""
    return shop.run()


def lake_of(shop):
    return Lake(shop.home / "lake")


def test_the_run_stops_with_the_cause_and_what_it_orphaned(shop, stopped):
    assert stopped.returncode == 1, explain(stopped)
    assert "25.0% of orders were refused: 15 of 60 rows (admitted: 5.0%)" in stopped.stdout
    assert (
        "15 orders: status: not a status we know; map it in muyun.yaml: orders.values.status, "
        "which orphaned 30 order_lines" in stopped.stdout
    )
    assert "first orders.csv:2 ('wunderbar')" in stopped.stdout
    assert "still served  nothing was published yet" in stopped.stdout
    assert "warehouse/dbt_build ..." not in stopped.stderr
    assert "Traceback" not in stopped.stdout + stopped.stderr


def test_the_list_ranks_the_cause(shop, stopped):
    listed = shop.run("quarantine")
    assert listed.returncode == 0, explain(listed)
    assert "15 orders: status" in listed.stdout
    assert "which orphaned 30 order_lines" in listed.stdout


def test_a_replay_without_a_fix_changes_nothing_and_says_so(shop, stopped):
    again = shop.run("quarantine replay")
    assert again.returncode == 1, explain(again)
    assert "orders: 15 refused rows before, 15 now; +0 accepted rows" in again.stdout


def test_after_the_fix_a_replay_brings_the_orders_in_once(shop, stopped):
    (shop.data / "muyun.yaml").write_text("orders:\n  values:\n    status: {wunderbar: completed}\n")
    replayed = shop.run("quarantine replay orders")
    assert replayed.returncode == 0, explain(replayed)
    assert "orders: 15 refused rows before, 0 now; +15 accepted rows" in replayed.stdout
    assert "order_lines: 30 refused rows before, 0 now; +30 accepted rows" in replayed.stdout
    lake = lake_of(shop)
    orders, lines = lake.read("orders"), lake.read("order_lines")
    assert orders["order_id"].n_unique() == orders.height == ORDERS
    assert lines.select(pl.struct("order_id", "line_no")).n_unique() == ORDERS * LINES_EACH
    for table in ("orders", "order_lines"):
        report = read_report(lake, table)
        assert (report.received, report.quarantined) == (report.accepted, 0)
        assert lake.read_quarantine(table).height == 0
    assert "no row is in the quarantine" in shop.run("quarantine replay").stdout

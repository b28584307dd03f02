"""What the platform records brings its own events and parcels: no generated feed grows with it."""

import datetime as dt

import live_market
from live_market import BASE, at_once

from pipelines.intake.feeds import OBSERVED, Feeds
from pipelines.lake.tables import Lake
from pipelines.sources.overlay import OVERLAY_TABLES
from pipelines.sources.recorded.rows import RecordedRows


def generated(folder, state, as_of):
    """Rows of the generated tables that the overlay made, by table."""
    lake = Lake(folder)
    lake.create()
    tables = live_market.tiny_lake.tables()
    feeds = Feeds(
        live_market.Feed({name: tables[name] for name in OBSERVED}),
        lake,
        with_overlay=True,
        seed=3,
        utc_offset_hours=-5,
        recorded=RecordedRows(live_market.Recordings(state)),
    )
    for table in live_market.INGEST_ORDER:
        feeds.load(table, as_of, None)
    rows = {name: lake.read(name).filter(origin="overlay") for name in sorted(OVERLAY_TABLES)}
    return rows, lake


def test_the_overlay_is_the_same_with_orders_of_the_platform_and_later(tmp_path):
    key = ("api-1",)
    line = at_once(
        "order_lines", order_id="api-1", line_no=1, sku_id="milk-1", supplier_id="s-1", qty_milli=9000,
        list_price_cents=900, promo_discount_cents=0, net_paid_cents=900,
    )  # fmt: skip
    order = at_once(
        "orders", order_id="api-1", consumer_id="c-1", merchant_id="m-1", channel="store", status="paid",
        state="paid", coupon_discount_cents=0, freight_cents=0, placed_at=BASE - dt.timedelta(days=9),
    )  # fmt: skip
    before, _ = generated(tmp_path / "before", {}, BASE)
    after, lake = generated(
        tmp_path / "after",
        {"orders": {key: order}, "order_lines": {(*key, 1): line}},
        BASE + dt.timedelta(days=3),
    )
    assert "api-1" in lake.read("orders")["order_id"]
    assert sum(frame.height for frame in before.values()) > 50
    for name, frame in before.items():
        assert after[name].equals(frame), name

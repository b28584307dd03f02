"""Rows that cannot be let in yet wait in the live store, and come in when what they wait for has come."""

import datetime as dt

import live_market
from live_market import BASE, at_once

from pipelines.live import waiting as kept
from pipelines.sources.contract import contract_table

HOUR = dt.timedelta(hours=1)


def event(**more):
    return at_once("events", **({"event_id": "e", "session_id": "v", "event_type": "view"} | more))


def order(order_id="o", **more):
    return at_once("orders", **({
        "order_id": order_id, "consumer_id": "c-1", "merchant_id": "m-1", "channel": "store",
        "placed_at": BASE, "status": "paid", "state": "paid", "coupon_discount_cents": 0, "freight_cents": 0,
    } | more))  # fmt: skip


def line(order_id="o", line_no=1, **more):
    return at_once("order_lines", **({
        "order_id": order_id, "line_no": line_no, "sku_id": "milk-1", "qty_milli": 1000,
        "list_price_cents": 100, "promo_discount_cents": 0, "net_paid_cents": 100,
    } | more))  # fmt: skip


def waiting(live):
    return live.rows('select table_name, key, "column", reason from live.waiting order by all')


def test_a_row_of_a_later_time_waits_until_then(live):
    taken, done = live.tick({"events": [event(occurred_at=BASE + HOUR)]})
    assert (taken.waiting, done.changed) == (1, {})
    assert taken.reasons == {"events": {"its time has not come": 1}}
    taken, _ = live.tick(as_of=BASE + HOUR / 2)
    assert (taken.received, taken.waiting) == ({}, 1)
    taken, done = live.tick(as_of=BASE + HOUR)
    assert (taken.waiting, done.changed["fct_events"]) == (0, 1)


def test_a_row_that_names_what_nobody_knows_waits_and_is_named(live):
    taken, _ = live.tick({"events": [event(sku_id="nothing")]})
    assert waiting(live) == [("events", ["e"], "sku_id", "unknown key: not in products")]
    assert taken.reasons == {"events": {"unknown key: not in products": 1}}
    # Nothing came that it could have waited for.
    taken, _ = live.tick({"events": [event(event_id="f")]})
    assert (taken.received, taken.waiting) == ({"events": 1}, 1)


def test_a_newer_version_takes_the_place_of_the_one_that_waits(live):
    live.tick({"events": [event(sku_id="nothing")]})
    taken, _ = live.tick({"events": [event(sku_id="milk-1")]})
    assert taken.waiting == 0
    assert live.rows("select sku_id from core.fct_events where event_id = 'e'") == [("milk-1",)]


def test_a_row_waits_without_loss(live):
    told = event(
        sku_id="nothing",
        query='a "b"\n,c',
        propensity=1 / 3,
        dwell_ms=7,
        occurred_at=BASE - HOUR / 3600 / 1e6,
    )
    live.tick({"events": [told]})
    live.tick({"events": [told | {"event_id": "f"}]})
    (row,) = live.rows("select row from live.waiting where key = ['e']")
    assert '"propensity":0.3333333333333333' in row[0]
    with live.open() as connection:
        again = kept.due(connection, {"products"}, BASE)["events"]
    assert dict(again.schema) == dict(contract_table("events").dtypes)
    assert again.row(0, named=True) == {**dict.fromkeys(again.columns), "origin": "observed", **told}


def test_who_orders_first_through_the_platform_becomes_a_consumer_and_brings_what_waited(live):
    live.tick({"events": [event(consumer_id="new")]})
    assert waiting(live) == [("events", ["e"], "consumer_id", "unknown key: not in consumers")]
    taken, _ = live.tick({"orders": [order(consumer_id="new")], "order_lines": [line()]})
    assert taken.waiting == 0
    assert live.rows(
        "select merchant_id, consent_marketing from core.dim_consumers where consumer_id = 'new'"
    ) == [("m-1", False)]
    # An earlier order that comes late was the first one.
    live.tick({"orders": [order("early", consumer_id="new", merchant_id="m-2", placed_at=BASE - HOUR)],
               "order_lines": [line("early")]})  # fmt: skip
    assert live.rows(
        "select merchant_id, registered_at from core.dim_consumers where consumer_id = 'new'"
    ) == [("m-2", BASE - HOUR)]


def test_an_order_without_an_accepted_line_waits_with_its_lines(live):
    live.tick({"orders": [order()], "order_lines": [line(sku_id="nothing")]})
    assert [(table, reason) for table, _, _, reason in waiting(live)] == [
        ("order_lines", "unknown key: not in products"),
        ("orders", "order has no accepted line"),
    ]
    taken, done = live.tick({"orders": [order()], "order_lines": [line()]})
    assert (taken.waiting, done.changed["fct_orders"]) == (0, 1)


def test_what_hangs_on_an_order_that_is_no_longer_let_in_waits_with_it(live):
    parcel = at_once(
        "shipments", shipment_id="p", order_id="o", supplier_id="s-1", from_region="a", to_region="b"
    )
    live.tick({"orders": [order()], "order_lines": [line()], "shipments": [parcel]})
    live.tick({"orders": [order(merchant_id="nobody")], "order_lines": [line()]})
    assert live.rows("select 1 from core.fct_shipments where shipment_id = 'p'") == []
    assert {table for table, *_ in waiting(live)} == {"orders", "order_lines", "shipments"}
    live.tick({"orders": [order()], "order_lines": [line()]})
    assert waiting(live) == []
    assert len(live.rows("select 1 from core.fct_shipments where shipment_id = 'p'")) == 1


def test_one_line_that_waits_does_not_take_the_others_with_it(live):
    lines = [line(), line(line_no=2, sku_id="nothing")]
    live.tick({"orders": [order()], "order_lines": lines})
    # The line is tried again with every order that comes, without its order.
    live.tick({"orders": [order("other")], "order_lines": [line("other")]})
    assert live.rows("select line_no from core.fct_order_lines where order_id = 'o'") == [(1,)]
    assert [key for _, key, *_ in waiting(live)] == [["o", "2"]]


def test_a_new_generation_begins_with_what_the_full_build_refused_or_did_not_see_yet(live):
    state = {
        "events": {
            (row["event_id"],): row
            for row in (
                event(event_id="stranger", consumer_id="new"),
                event(event_id="tomorrow", occurred_at=BASE + 24 * HOUR),
                event(event_id="known", consumer_id="c-1"),
            )
        }
    }
    live.tick({"events": [event(event_id="known", consumer_id="c-1")]})
    with live.open() as connection:
        assert kept.begin(connection, live_market.Recordings(state), BASE) == 2
    taken, _ = live.tick()
    assert (taken.received, taken.waiting) == ({"events": 2}, 2)
    live.tick({"orders": [order(consumer_id="new")], "order_lines": [line()]}, BASE + HOUR)
    taken, _ = live.tick(as_of=BASE + 24 * HOUR)
    assert taken.waiting == 0
    assert len(live.rows("select 1 from core.fct_events where event_id in ('stranger', 'tomorrow')")) == 2

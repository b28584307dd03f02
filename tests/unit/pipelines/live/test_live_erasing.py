"""Erased persons leave the live store in a tick, which then equals a full build that never let them in."""

import datetime as dt

import live_market
import pytest

from pipelines.erasure.tombstones import Tombstones
from pipelines.live import erasing, intake
from pipelines.live.store import LiveStore
from serving.consumers.erased import consumer_digest

BASE = live_market.BASE
HOUR = dt.timedelta(hours=1)
NAME = "erased-00000000000000aa"


def stones(consumer_id, *visitors, at=BASE):
    return Tombstones(
        {consumer_digest("default", consumer_id): NAME},
        {consumer_digest("default", visitor): at for visitor in visitors},
    )


def erase(live, tombstones, as_of, rows=None):
    """A tick that erases, as `advance` orders it; returns what was done about the persons."""
    frames = {table: live_market.frame(table, found) for table, found in (rows or {}).items()}
    with live.open() as connection:
        connection.execute("begin")
        found = erasing.begin(connection, tombstones, live.home / "lake")
        came = {**found.rows, **frames}
        taken = intake.take_in(connection, came, as_of=as_of)
        live.apply(connection, found.into(taken.accepted), as_of)
        erasing.finish(connection, found)
        connection.execute("commit")
    live.since = as_of
    return found


def held(live, text):
    """Tables with a row that holds some text."""
    found = []
    with live.open() as connection:
        for schema, table in connection.execute(
            "select schema_name, table_name from duckdb_tables()"
        ).fetchall():
            sql = f'select count(*) from "{schema}"."{table}" t where contains(t::varchar, ?)'
            rows = connection.execute(sql, [text]).fetchone()
            if rows[0]:
                found.append(table)
    return found


@pytest.mark.parametrize(
    "consumer_id", ["c-1", *(pytest.param(name, marks=pytest.mark.slow) for name in ("c-quiet", "c-silent"))]
)
def test_the_store_equals_a_full_build_without_the_person(live, consumer_id):
    live.tick({"events": [live_market_event(consumer_id)]})
    state = {}
    tombstones = stones(consumer_id)
    erase(live, tombstones, BASE + HOUR)
    assert live.differences(live.whole(state, BASE + HOUR, tombstones=tombstones)) == {}
    assert [row for row in live.rows("select consumer_id from core.dim_consumers") if row[0] == NAME]
    again = erase(live, tombstones, BASE + HOUR)
    assert not again.tombstones.people


def live_market_event(consumer_id, **more):
    row = {"event_id": "e-new", "consumer_id": consumer_id, "session_id": "v-new", "event_type": "view"}
    return row | {"occurred_at": BASE, "received_at": BASE} | more


def test_no_value_and_no_byte_of_the_person_is_left(live):
    loud = "n-loud-person-4471"
    order = {"order_id": "o-loud", "consumer_id": loud, "merchant_id": "m-1", "channel": "mini_program",
             "placed_at": BASE, "status": "paid", "state": "paid", "coupon_discount_cents": 0,
             "freight_cents": 0, "received_at": BASE}  # fmt: skip
    line = {"order_id": "o-loud", "line_no": 1, "sku_id": "milk-1", "qty_milli": 1000,
            "list_price_cents": 100, "promo_discount_cents": 0, "net_paid_cents": 100,
            "received_at": BASE}  # fmt: skip
    waits = live_market_event(loud, event_id="waits", sku_id="nobody-knows")
    visit = {"event_id": "anonymous", "anonymous_id": "dev-loud", "session_id": "v-a", "event_type": "view",
             "occurred_at": BASE, "received_at": BASE}  # fmt: skip
    live.tick({"orders": [order], "order_lines": [line]})
    live.tick({"events": [live_market_event(loud), waits, visit]}, BASE)
    assert {"fct_orders", "fct_events", "dim_consumers", "waiting", "touched"} <= set(held(live, loud))
    tombstones = stones(loud, "dev-loud")
    # The database has the order under the pseudonym from the same transaction on.
    erase(live, tombstones, BASE + HOUR, {"orders": [order | {"consumer_id": NAME}], "order_lines": [line]})
    assert (held(live, loud), held(live, "dev-loud")) == ([], [])
    assert live.rows(f"select count(*) from core.fct_orders where consumer_id = '{NAME}'") == [(1,)]
    assert loud.encode() in live.file.read_bytes()  # why the file is written anew
    store = LiveStore(live.file.parent)
    with store.open(live.file) as connection:
        assert erasing.is_to_be_written_anew(connection)
    with store.rewritten(live.file) as fresh, store.open(fresh) as connection:
        erasing.mark_written_anew(connection)
    assert loud.encode() not in live.file.read_bytes()
    with store.open(live.file) as connection:
        assert not erasing.is_to_be_written_anew(connection)
        assert erasing.outstanding(connection, tombstones).is_empty

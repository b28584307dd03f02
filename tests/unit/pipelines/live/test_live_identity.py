"""Anonymous events join a consumer by edges, in ticks as in a full build, and leave when they are cut."""

import datetime as dt

import live_market
import pytest

BASE = live_market.BASE
HOUR = dt.timedelta(hours=1)


def event(event_id, at, **more):
    row = {"event_id": event_id, "anonymous_id": "dev", "session_id": "v", "event_type": "view"}
    return row | {"occurred_at": at, "received_at": at} | more


def edge(consumer_id, begin, at, cut=None):
    return {"anonymous_id": "dev", "consumer_id": consumer_id, "valid_from": begin, "evidence": "login",
            "revoked_at": cut, "received_at": at}  # fmt: skip


class Recorded:
    """What was recorded so far, brought in by ticks and compared with full builds."""

    def __init__(self, live):
        self.live, self.state = live, {}

    def tick(self, as_of, **rows):
        for table, found in rows.items():
            for row in found:
                names = live_market.contract_table(table).key
                self.state.setdefault(table, {})[tuple(row[name] for name in names)] = row
        return self.live.tick(rows, as_of)

    def owners(self):
        return dict(
            self.live.rows("select event_id, consumer_id from core.fct_events where anonymous_id = 'dev'")
        )

    def touched(self):
        return [one for kind, one in self.live.rows("from live.touched order by all") if kind == "consumer"]

    def differences(self, as_of):
        return self.live.differences(self.live.whole(self.state, as_of))


@pytest.fixture
def recorded(live):
    return Recorded(live)


def test_an_edge_brings_past_events_and_a_cut_takes_them_away(recorded):
    first, later = BASE + HOUR, BASE + 2 * HOUR
    recorded.tick(first, events=[event("before", BASE - HOUR), event("after", BASE + HOUR / 2)])
    assert recorded.owners() == {"before": None, "after": None}
    recorded.tick(later, identity_edges=[edge("c-1", BASE, later)])
    assert recorded.owners() == {"before": None, "after": "c-1"}
    assert recorded.touched() == ["c-1"]
    known = recorded.live.rows(
        "select received_at, recorded_at from core.fct_events where event_id = 'after'"
    )
    assert known == [(later, BASE + HOUR / 2)]  # a feature of the hour between does not see whose it is
    recorded.tick(later + HOUR, identity_edges=[edge("c-1", BASE, later, cut=BASE)])
    assert recorded.owners() == {"before": None, "after": None}
    assert recorded.touched() == ["c-1"]
    assert recorded.differences(later + HOUR) == {}


def test_two_who_claim_a_device_get_nothing_of_it(recorded):
    now = BASE + HOUR
    recorded.tick(now, events=[event("e", BASE)], identity_edges=[edge("c-1", BASE, now)])
    assert recorded.owners() == {"e": "c-1"}
    recorded.tick(now + HOUR, identity_edges=[edge("c-2", BASE - HOUR, now + HOUR)])
    assert recorded.owners() == {"e": None}
    recorded.tick(now + 2 * HOUR, identity_edges=[edge("c-2", BASE - HOUR, now + HOUR, cut=BASE)])
    assert recorded.owners() == {"e": "c-1"}
    assert recorded.differences(now + 2 * HOUR) == {}


def test_what_an_event_states_is_stronger_than_any_edge_and_later_events_join_as_they_come(recorded):
    now = BASE + HOUR
    recorded.tick(now, identity_edges=[edge("c-1", BASE, now)])
    recorded.tick(now + HOUR, events=[event("own", now, consumer_id="c-2"), event("late", now)])
    assert recorded.owners() == {"own": "c-2", "late": "c-1"}
    assert recorded.differences(now + HOUR) == {}


def test_an_edge_to_whom_nobody_knows_waits_for_the_consumer(recorded):
    now = BASE + HOUR
    taken, _ = recorded.tick(now, events=[event("e", BASE)], identity_edges=[edge("stranger", BASE, now)])
    assert (taken.waiting, recorded.owners()) == (1, {"e": None})
    order = {"order_id": "o-new", "consumer_id": "stranger", "merchant_id": "m-1", "channel": "mini_program",
             "placed_at": now, "status": "paid", "state": "paid", "coupon_discount_cents": 0,
             "freight_cents": 0, "received_at": now}  # fmt: skip
    line = {"order_id": "o-new", "line_no": 1, "sku_id": "milk-1", "qty_milli": 1000, "list_price_cents": 100,
            "promo_discount_cents": 0, "net_paid_cents": 100, "received_at": now}  # fmt: skip
    recorded.tick(now + HOUR, orders=[order], order_lines=[line])
    assert recorded.owners() == {"e": "stranger"}
    assert recorded.differences(now + HOUR) == {}

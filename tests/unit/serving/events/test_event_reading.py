import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.events.contracts import MOST_EVENTS
from serving.events.reading import EARLIEST, EventBatchError, MerchantLimit, first_of_each, read_batch

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def event(**changes):
    """A good view, changed; a value of None removes the key."""
    made = {
        "event_id": "e1",
        "session_id": "s1",
        "event_type": "view",
        "occurred_at": "2026-03-01T11:59:00Z",
        "sku_id": "k1",
    } | changes
    return {key: value for key, value in made.items() if value is not None}


def impression(**changes):
    return event(event_type="impression", policy_version="rank-3", propensity=0.25, position=1, **changes)


def body(*events):
    return json.dumps({"events": list(events)}).encode()


def read(*events, only=None, now=NOW):
    return read_batch(body(*events), received_at=now, only=only)


def reasons(batch):
    return [(item.index, str(item.reason), item.field) for item in batch.refused]


def test_good_events_keep_their_order_and_values():
    batch = read(event(), impression(event_id="e2"))
    assert (batch.received, batch.refused) == (2, [])
    assert [(item.index, item.event.event_id) for item in batch.good] == [(0, "e1"), (1, "e2")]
    assert batch.good[1].event.propensity == 0.25
    assert batch.good[0].event.occurred_at == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bad", "reason", "field"),
    [
        (event(event_id=None), "missing_field", "event_id"),
        (event(session_id=None), "missing_field", "session_id"),
        (event(colour="red"), "unknown_field", "colour"),
        (event(event_type="purchase"), "invalid_field", "event_type"),
        (event(event_id=""), "invalid_field", "event_id"),
        (event(event_id="x" * 129), "invalid_field", "event_id"),
        (event(event_id="a\x00b"), "invalid_field", "event_id"),
        (event(query="line\nbreak"), "invalid_field", "query"),
        (event(dwell_ms=-1), "invalid_field", "dwell_ms"),
        (event(dwell_ms=2**31), "invalid_field", "dwell_ms"),
        (event(position=1.5), "invalid_field", "position"),
        (event(occurred_at="2026-03-01T11:59:00"), "invalid_field", "occurred_at"),
        (event(occurred_at="yesterday"), "invalid_field", "occurred_at"),
        (impression() | {"propensity": 0}, "invalid_field", "propensity"),
        (impression() | {"propensity": 1.0000001}, "invalid_field", "propensity"),
        (impression() | {"propensity": "0.5"}, "invalid_field", "propensity"),
        (event(event_type="impression", policy_version="p"), "propensity_missing", "propensity"),
        (event(event_type="impression", propensity=0.1), "policy_version_missing", "policy_version"),
        (event(occurred_at="2026-03-02T12:00:01Z"), "occurred_in_future", "occurred_at"),
        (event(occurred_at="1999-12-31T23:59:59Z"), "occurred_too_long_ago", "occurred_at"),
        (7, "malformed", None),
        ([], "malformed", None),
        (None, "malformed", None),
    ],
)
def test_a_bad_event_is_refused_alone_and_named(bad, reason, field):
    batch = read(event(event_id="a"), bad, event(event_id="b"))
    assert [item.event.event_id for item in batch.good] == ["a", "b"]
    assert reasons(batch) == [(1, reason, field)]


@pytest.mark.parametrize("propensity", [5e-324, 1, 1.0])
def test_the_ends_of_a_propensity(propensity):
    assert not read(impression() | {"propensity": propensity}).refused


def test_a_clock_may_run_ahead_a_day():
    assert not read(event(occurred_at="2026-03-02T12:00:00Z")).refused
    assert not read(event(occurred_at="2000-01-01T00:00:00Z"), now=EARLIEST).refused


def test_bytes_that_are_no_text_refuse_the_batch():
    for bad in (
        b"",
        b"[]",
        b"{}",
        b'{"events": {}}',
        b'{"events": [1',
        b'{"events": [], "more": 1}',
        b'{"events": [{"event_id": "\xff"}]}',
        b'{"events": ["\\ud800"]}',
        b'{"events": [' + b"[" * 100_000 + b"]}",
    ):
        with pytest.raises(EventBatchError):
            read_batch(bad, received_at=NOW, only=None)


def test_deep_nesting_in_one_event_is_its_own_fault_only():
    deep = b'{"events": [' + b'{"query":' + b"[" * 500 + b"]" * 500 + b"}" + b"]}"
    batch = read_batch(deep, received_at=NOW, only=None)
    assert batch.received == len(batch.refused) == 1


def test_a_batch_has_a_limit():
    many = [event(event_id=str(number)) for number in range(MOST_EVENTS + 1)]
    assert len(read(*many[:-1]).good) == MOST_EVENTS
    with pytest.raises(EventBatchError, match="at most 1000"):
        read(*many)


def test_a_merchants_key_speaks_for_its_merchant():
    batch = read(
        event(event_id="mine", merchant_id="m1"),
        event(event_id="filled"),
        event(event_id="theirs", merchant_id="m2"),
        only=MerchantLimit("m1"),
    )
    assert [(item.event.event_id, item.event.merchant_id) for item in batch.good] == [
        ("mine", "m1"),
        ("filled", "m1"),
    ]
    assert reasons(batch) == [(2, "merchant_out_of_scope", "merchant_id")]


def test_a_key_without_a_merchant_may_send_nothing():
    assert reasons(read(event(), only=MerchantLimit(None))) == [(0, "merchant_out_of_scope", "merchant_id")]


def test_repeats_and_reused_ids_within_a_batch():
    batch = read(event(), event(sku_id="k2"), event(), event(event_id="e2"))
    first, repeated, reused = first_of_each(batch.good)
    assert [item.index for item in first] == [0, 3]
    assert [item.index for item in repeated] == [2]
    assert [item.index for item in reused] == [1]


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(
        st.builds(lambda base, key, value: base | {key: value}, st.just(event()), st.sampled_from(
            ["event_id", "session_id", "event_type", "occurred_at", "merchant_id", "propensity", "query", "x"]
        ), _json) | _json,
        max_size=6,
    )
)  # fmt: skip
def test_every_event_is_accounted_for(events):
    text = json.dumps({"events": events})
    batch = read_batch(text.encode(), received_at=NOW, only=None)
    assert sorted([item.index for item in batch.good] + [item.index for item in batch.refused]) == list(
        range(len(events))
    )
    for item in batch.good:
        assert item.event.occurred_at <= NOW + timedelta(days=1)
        assert all(ord(letter) >= 32 for letter in item.event.event_id)

import json
from datetime import UTC, datetime, timedelta

import pytest

from serving.watch.intake.contracts import MOST_OBSERVATIONS, ObservationRefusal
from serving.watch.intake.reading import (
    CLOCK_TOLERANCE,
    EARLIEST,
    ObservationBatchError,
    Parcel,
    first_of_each,
    misplaced_scan,
    read_batch,
)

NOW = datetime(2026, 11, 1, 8, tzinfo=UTC)
SCAN = {"kind": "parcel_scan", "shipment_id": "p1", "status": "in_transit"}


def row(**fields):
    return {"observation_id": "o1", "occurred_at": NOW.isoformat(), **fields}


def read(*rows, only=None):
    return read_batch(json.dumps({"observations": rows}).encode(), received_at=NOW, only=only)


def reason(*rows, **whose):
    batch = read(*rows, **whose)
    return [(one.reason, one.field) for one in batch.refused]


@pytest.mark.parametrize(
    ("kind", "given", "lacks"),
    [
        ("parcel_scan", {"status": "picked_up"}, "shipment_id"),
        ("parcel_scan", {"shipment_id": "p1"}, "status"),
        ("capacity", {"qty": 5}, "supplier_id"),
        ("capacity", {"warehouse_id": "w"}, "qty"),
        ("stock_level", {"supplier_id": "s", "qty": 5}, "sku_id"),
        ("device", {"device_id": "d"}, "reading"),
    ],
)
def test_a_row_without_what_its_kind_needs_is_refused(kind, given, lacks):
    assert reason(row(kind=kind, **given)) == [(ObservationRefusal.INCOMPLETE, lacks)]


@pytest.mark.parametrize(
    ("qty", "fits"), [(-5, False), (-1, False), (0, True), (10**9, True), (10**9 + 1, False), (10**12, False)]
)
def test_units_lie_between_nothing_and_a_billion(qty, fits):
    found = read(row(kind="capacity", supplier_id="s", qty=qty))
    assert bool(found.good) is fits
    assert [(one.reason, one.field) for one in found.refused] == (
        [] if fits else [(ObservationRefusal.INVALID_FIELD, "qty")]
    )


def test_a_scan_of_the_future_is_refused_and_a_clock_may_run_a_little_ahead():
    latest = NOW + CLOCK_TOLERANCE
    assert not reason(row(**SCAN, occurred_at=latest.isoformat()))
    late = (latest + timedelta(microseconds=1)).isoformat()
    assert reason(row(**SCAN, occurred_at=late)) == [(ObservationRefusal.OCCURRED_IN_FUTURE, "occurred_at")]
    early = (EARLIEST - timedelta(microseconds=1)).isoformat()
    assert reason(row(**SCAN, occurred_at=early)) == [
        (ObservationRefusal.OCCURRED_TOO_LONG_AGO, "occurred_at")
    ]
    assert not reason(row(**SCAN, occurred_at=EARLIEST.isoformat()))


def test_a_suppliers_key_states_its_own_facts_and_fills_itself_in():
    assert read(row(kind="capacity", qty=1), only="s1").good[0].observation.supplier_id == "s1"
    assert reason(row(kind="capacity", qty=1, supplier_id="s2"), only="s1") == [
        (ObservationRefusal.SUPPLIER_OUT_OF_SCOPE, "supplier_id")
    ]


def test_a_scan_fits_the_parcel_that_it_names():
    parcels = {"p1": Parcel("s1", NOW)}

    def found(only=None, **fields):
        batch = read(row(kind="parcel_scan", status="in_transit", **fields), only=only)
        told = misplaced_scan(batch.good[0], parcels, only)
        return told and told.reason

    assert found(shipment_id="p1") is None
    assert found(shipment_id="p1", supplier_id="s1") is None
    assert found(shipment_id="p1", supplier_id="s2") is ObservationRefusal.SUPPLIER_DIFFERS
    assert found(shipment_id="p9") is ObservationRefusal.UNKNOWN_SHIPMENT
    assert found(only="s2", shipment_id="p1") is ObservationRefusal.UNKNOWN_SHIPMENT
    assert found(only="s1", shipment_id="p1") is None
    before = (NOW - timedelta(microseconds=1)).isoformat()
    assert found(shipment_id="p1", occurred_at=before) is ObservationRefusal.BEFORE_SHIPPING


def test_an_id_stands_for_one_content():
    batch = read(
        row(**SCAN),
        row(**SCAN),
        row(**{**SCAN, "status": "exception"}),
        row(**SCAN) | {"observation_id": "o2"},
    )
    first, reused = first_of_each(batch.good)
    assert [one.index for one in first] == [0, 3]
    assert [(one.index, one.reason) for one in reused] == [(2, ObservationRefusal.ID_REUSED)]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"observations": 1}', b"\xff", b'{"rows": []}'])
def test_what_is_no_batch_is_told(body):
    with pytest.raises(ObservationBatchError):
        read_batch(body, received_at=NOW, only=None)


def test_a_batch_has_an_end():
    many = [row(**SCAN)] * (MOST_OBSERVATIONS + 1)
    with pytest.raises(ObservationBatchError, match="at most 1000"):
        read(*many)
    assert read(*many[1:]).received == MOST_OBSERVATIONS

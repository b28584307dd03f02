"""From the body of a request to good observations and refusals. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from serving.batches import fault_of
from serving.errors import ServingError
from serving.watch.intake.contracts import (
    MOST_OBSERVATIONS,
    Observation,
    ObservationBatch,
    ObservationRefusal,
    RefusedObservation,
)

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a sender's clock may run ahead."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

_BATCH = msgspec.json.Decoder(ObservationBatch)
_OBSERVATION = msgspec.json.Decoder(Observation)


class ObservationBatchError(ServingError):
    """A body is no batch of observations; nothing of it was stored."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A good observation and its place in the batch."""

    index: int
    observation: Observation


class ReadBatch(NamedTuple):
    """A batch, read: `received` = good + refused."""

    received: int
    good: list[Indexed]
    refused: list[RefusedObservation]


class Parcel(NamedTuple):
    """What is known of a parcel that a scan names."""

    supplier_id: str
    shipped_at: datetime


def read_batch(body: bytes, *, received_at: datetime, only: str | None) -> ReadBatch:
    """Read a batch and sort its observations into good and refused.

    Args:
        body: JSON `{"observations": [...]}`.
        received_at: Now; an observation of the future is refused.
        only: The supplier of the key; it is filled in where a row names none. None for operators.

    Raises:
        ObservationBatchError: The body is no such JSON, or holds more than `MOST_OBSERVATIONS`.
    """
    try:
        # Strings are not decoded while a row is skipped over, so the encoding is looked at first.
        body.decode("utf-8")
        raw_rows = _BATCH.decode(body).observations
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ObservationBatchError(f'the body is not {{"observations": [...]}}: {error}') from error
    if len(raw_rows) > MOST_OBSERVATIONS:
        raise ObservationBatchError(
            f"the batch holds {len(raw_rows)} observations; send at most {MOST_OBSERVATIONS} in one request"
        )
    good: list[Indexed] = []
    refused: list[RefusedObservation] = []
    latest = received_at + CLOCK_TOLERANCE
    for index, raw in enumerate(raw_rows):
        try:
            row = _OBSERVATION.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            fault = fault_of(error)
            refused.append(
                RefusedObservation(index, ObservationRefusal(fault.reason), fault.message, field=fault.field)
            )
            continue
        if only is not None and row.supplier_id is None:
            row = msgspec.structs.replace(row, supplier_id=only)
        found = _refusal(Indexed(index, row), latest, only)
        if found is None:
            good.append(Indexed(index, row))
        else:
            refused.append(found)
    return ReadBatch(len(raw_rows), good, refused)


def first_of_each(rows: Sequence[Indexed]) -> tuple[list[Indexed], list[RefusedObservation]]:
    """The first row of each id, and refusals of rows that reuse an id of the batch for another content."""
    first: dict[str, Indexed] = {}
    reused = []
    for row in rows:
        known = first.setdefault(row.observation.observation_id, row)
        if known.observation != row.observation:
            reused.append(reused_id(row))
    return list(first.values()), reused


def misplaced_scan(
    row: Indexed, parcels: Mapping[str, Parcel], only: str | None
) -> RefusedObservation | None:
    """The refusal of a scan that does not fit the parcel it names.

    Args:
        row: The row; those that name no parcel fit.
        parcels: Known parcels by id.
        only: The supplier of the key: another one's parcels are unknown to it. None for operators.
    """
    shipment_id = row.observation.shipment_id
    if shipment_id is None:
        return None
    parcel = parcels.get(shipment_id)
    if parcel is None or (only is not None and parcel.supplier_id != only):
        return _refused(
            row,
            ObservationRefusal.UNKNOWN_SHIPMENT,
            "no such parcel was shipped; send it again when the parcel's notice is in",
            "shipment_id",
        )
    if row.observation.supplier_id not in (None, parcel.supplier_id):
        return _refused(
            row, ObservationRefusal.SUPPLIER_DIFFERS, "the parcel is of another supplier", "supplier_id"
        )
    if row.observation.occurred_at < parcel.shipped_at:
        return _refused(
            row,
            ObservationRefusal.BEFORE_SHIPPING,
            f"the parcel left at {parcel.shipped_at.isoformat()}; correct the time",
            "occurred_at",
        )
    return None


def reused_id(row: Indexed) -> RefusedObservation:
    """The refusal of a row whose id stands for another observation already."""
    return _refused(
        row,
        ObservationRefusal.ID_REUSED,
        "another observation has this observation_id; give every one an id of its own",
        "observation_id",
    )


def _refusal(row: Indexed, latest: datetime, only: str | None) -> RefusedObservation | None:
    seen = row.observation
    missing = _missing(seen)
    if missing is not None:
        return _refused(
            row, ObservationRefusal.INCOMPLETE, f"a {seen.kind} needs its {missing}", missing.split(" or ")[0]
        )
    if seen.occurred_at > latest:
        return _refused(
            row,
            ObservationRefusal.OCCURRED_IN_FUTURE,
            "it lies in the future; correct the sender's clock",
            "occurred_at",
        )
    if seen.occurred_at < EARLIEST:
        return _refused(
            row,
            ObservationRefusal.OCCURRED_TOO_LONG_AGO,
            f"it lies before {EARLIEST.date()}; correct the time",
            "occurred_at",
        )
    if only is not None and seen.supplier_id != only:
        return _refused(
            row,
            ObservationRefusal.SUPPLIER_OUT_OF_SCOPE,
            "this key states facts of its own supplier only",
            "supplier_id",
        )
    return None


def _missing(seen: Observation) -> str | None:
    """The first field that the kind of an observation needs and that is not given."""
    owner = seen.supplier_id or seen.warehouse_id
    needed: dict[str, tuple[tuple[str, object], ...]] = {
        "parcel_scan": (("shipment_id", seen.shipment_id), ("status", seen.status)),
        "capacity": (("supplier_id or warehouse_id", owner), ("qty", seen.qty)),
        "stock_level": (
            ("supplier_id or warehouse_id", owner),
            ("sku_id", seen.sku_id),
            ("qty", seen.qty),
        ),
        "device": (("device_id", seen.device_id), ("reading", seen.reading)),
    }
    return next((name for name, value in needed[seen.kind] if value is None), None)


def _refused(row: Indexed, reason: ObservationRefusal, message: str, field: str | None) -> RefusedObservation:
    return RefusedObservation(row.index, reason, message, row.observation.observation_id, field)

"""What an observation is, why one is refused, and what the sender is told. No check and no SQL here."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

MOST_OBSERVATIONS = 1_000
"""Observations in one batch."""
MOST_UNITS = 10**9
"""Units of a capacity or a level; the limit of every quantity of a feed."""

_PRINTABLE = r"^[^\x00-\x1f\x7f]+(?!\n)$"
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=_PRINTABLE)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_PRINTABLE)]
_Units = Annotated[int, msgspec.Meta(ge=0, le=MOST_UNITS)]
_Measured = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]

Kind = Literal["parcel_scan", "capacity", "stock_level", "device"]
Scan = Literal["picked_up", "in_transit", "out_for_delivery", "delivered", "exception"]


class Observation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One thing that was seen.

    Attributes:
        observation_id: Chosen by the sender, unique; sending it again changes nothing.
        kind: What was seen. A `parcel_scan` names the parcel and its status; a `capacity` (units a day) and a
            `stock_level` (units) say of whom; a level also of which sku; a `device` its reading.
        occurred_at: When it was seen, with a time zone.
        supplier_id: Of which supplier; a supplier's key may leave it out.
        warehouse_id: At which warehouse.
        sku_id: Of which sku.
        shipment_id: Of a scan: the parcel.
        batch_id: The batch of the sku that was seen.
        device_id: Of a reading: the device.
        place: Where, as the source words it.
        status: What a scan says.
        qty: Units of a capacity or a level.
        reading: What a device measured.
        reading_unit: Its unit.
    """

    observation_id: _Id
    kind: Kind
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
    supplier_id: _Id | None = None
    warehouse_id: _Id | None = None
    sku_id: _Id | None = None
    shipment_id: _Id | None = None
    batch_id: _Id | None = None
    device_id: _Id | None = None
    place: _Text | None = None
    status: Scan | None = None
    qty: _Units | None = None
    reading: _Measured | None = None
    reading_unit: _Text | None = None


class ObservationRefusal(StrEnum):
    """Why an observation of a batch was not stored."""

    MALFORMED = "malformed"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_FIELD = "invalid_field"
    INCOMPLETE = "lacks_what_its_kind_needs"
    OCCURRED_IN_FUTURE = "occurred_in_future"
    OCCURRED_TOO_LONG_AGO = "occurred_too_long_ago"
    SUPPLIER_OUT_OF_SCOPE = "supplier_out_of_scope"
    UNKNOWN_SHIPMENT = "unknown_shipment"
    SUPPLIER_DIFFERS = "supplier_differs"
    BEFORE_SHIPPING = "before_shipping"
    ID_REUSED = "observation_id_reused"


class RefusedObservation(msgspec.Struct, frozen=True):
    """One observation that was not stored.

    Attributes:
        index: Its place in the batch, from 0.
        reason: Why.
        message: What to change.
        observation_id: Its id, when it could be read.
        field: The field at fault, when it is one.
    """

    index: int
    reason: ObservationRefusal
    message: str
    observation_id: str | None = None
    field: str | None = None


class ObservationReceipt(msgspec.Struct, frozen=True):
    """What became of a batch: `received` = `accepted` + `duplicates` + `refused`.

    Attributes:
        received: Observations in the batch.
        accepted: Stored now.
        duplicates: Known before, or earlier in the batch, with the same content.
        refused: Not stored; each stands in `refusals`.
        refusals: By index.
    """

    received: int
    accepted: int
    duplicates: int
    refused: int
    refusals: list[RefusedObservation]


class ObservationBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch as sent; its rows are read one by one, so that one bad row spoils no other."""

    observations: list[msgspec.Raw]

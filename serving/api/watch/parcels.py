"""`/v1/parcels`: what was recorded of a parcel, with the proof that nothing was changed since."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from msgspec import Meta, Struct, convert

from serving.api.answers import principal_of, problem_responses
from serving.api.parameters import Identifier
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.api.watch.alarms import whose_of
from serving.security import Role, Scope
from serving.watch.record.proofs import as_document, record_of_parcel


class NeighbourView(Struct, frozen=True, kw_only=True):
    """A hash on the way up."""

    side: Annotated[str, Meta(description="`left` or `right` of the way.")]
    hash: str


class ProofView(Struct, frozen=True, kw_only=True):
    """Where a record stands; hashes are SHA-256, hexadecimal."""

    block_no: int
    leaves: Annotated[int, Meta(description="Records of the block.")]
    previous_hash: str
    root: str
    block_hash: str
    path: Annotated[list[NeighbourView], Meta(description="From below; RFC 6962, section 2.1.")]


class RecordView(Struct, frozen=True, kw_only=True):
    """A record."""

    kind: Annotated[str, Meta(description="`observation`, or `step` of an alarm.")]
    text: Annotated[str, Meta(description="As it is hashed.")]
    proof: Annotated[ProofView | None, Meta(description="Null until the next look of the watch seals it.")]


class ParcelRecord(Struct, frozen=True, kw_only=True):
    """What was recorded of a parcel; at most 500 records."""

    shipment_id: str
    records: list[RecordView]


@get(
    "/parcels/{shipment_id:str}/record",
    opt={
        "scope": Scope.WATCH_READ,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.SUPPLIER, Role.MERCHANT}),
        "owner": None,
    },
    tags=["Supply"],
    summary="The record of a parcel with its proofs",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_parcel_record(request: Request[Any, Any, Any], shipment_id: Identifier) -> ParcelRecord:
    """Observations and alarms, each checkable offline (`python -m serving.watch.record check`).

    A supplier sees its own parcels, a merchant those of its orders; of other records only hashes.
    """
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request, repeatable_read=True) as conn:
        found = record_of_parcel(conn, principal.tenant_id, shipment_id, whose_of(principal))
        note(request, conn, "parcel.read", "parcel", shipment_id)
    return convert(as_document(shipment_id, found), ParcelRecord)

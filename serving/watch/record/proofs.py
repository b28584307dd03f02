"""What was recorded of one parcel, each record with the proof that it stands in the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from serving.watch.alarms.errors import UnknownParcelError
from serving.watch.alarms.records import Whose
from serving.watch.record.merkle import Neighbour, path_of
from serving.watch.record.texts import OBSERVATION, STEP

Connection = psycopg.Connection[Any]

MOST_RECORDS = 500
"""Records of a parcel that are shown, in the order of their blocks."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Where a record stands: `path` leads from its hash to the root of its block."""

    block_no: int
    leaves: int
    previous_hash: bytes
    root: bytes
    block_hash: bytes
    path: list[Neighbour]


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is hashed; `proof` is None until the next look seals it."""

    kind: str
    text: str
    proof: Proof | None


def record_of_parcel(conn: Connection, tenant_id: str, shipment_id: str, whose: Whose) -> list[Record]:
    """The record of a parcel: its observations and the steps of its alarms, the sealed ones first.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        shipment_id: The parcel.
        whose: Only a parcel of these.

    Raises:
        UnknownParcelError: There is no such parcel, or it is none of theirs.
    """
    _require_parcel(conn, tenant_id, shipment_id, whose)
    rows = conn.execute(
        "with records as ("
        f"select 'observation' as kind, o.observation_id as record_id, {OBSERVATION} as text"
        " from watch.observation o where o.tenant_id = %(tenant)s and o.shipment_id = %(parcel)s"
        f" union all select 'step', e.event_id::text, {STEP}"
        " from watch.alarm_event e join watch.alarm a using (tenant_id, alarm_id)"
        " where a.tenant_id = %(tenant)s and a.kind = 'delay' and a.object_id = %(parcel)s)"
        " select r.kind, r.text, b.block_no, b.leaves, b.previous_hash, b.root, b.hash, l.place"
        " from records r left join watch.leaf l on l.tenant_id = %(tenant)s and l.kind = r.kind"
        "  and l.record_id = r.record_id"
        " left join watch.block b on b.tenant_id = %(tenant)s and b.block_no = l.block_no"
        " order by b.block_no nulls last, l.place, r.kind, r.record_id limit %(most)s",
        {"tenant": tenant_id, "parcel": shipment_id, "most": MOST_RECORDS},
    ).fetchall()
    hashes = {
        block_no: _hashes(conn, tenant_id, block_no)
        for block_no in sorted({row[2] for row in rows if row[2] is not None})
    }
    found = []
    for kind, text, block_no, leaves, previous, root, block, place in rows:
        proof = None
        if block_no is not None:
            path = path_of(hashes[block_no], place)
            proof = Proof(block_no, leaves, bytes(previous), bytes(root), bytes(block), path)
        found.append(Record(kind, text, proof))
    return found


def as_document(shipment_id: str, records: Sequence[Record]) -> dict[str, Any]:
    """The record of a parcel as it is given out, and as `checking.check` reads it; hashes are hexadecimal."""
    return {
        "shipment_id": shipment_id,
        "records": [
            {"kind": one.kind, "text": one.text, "proof": one.proof and _as_document(one.proof)}
            for one in records
        ],
    }


def _as_document(proof: Proof) -> dict[str, Any]:
    return {
        "block_no": proof.block_no,
        "leaves": proof.leaves,
        "previous_hash": proof.previous_hash.hex(),
        "root": proof.root.hex(),
        "block_hash": proof.block_hash.hex(),
        "path": [{"side": one.side, "hash": one.hash.hex()} for one in proof.path],
    }


def most_told_parcel(conn: Connection, tenant_id: str) -> str | None:
    """The parcel whose delay alarms have most sealed steps, of two the later one; None without any."""
    row = conn.execute(
        "select a.object_id from watch.alarm a join watch.alarm_event e using (tenant_id, alarm_id)"
        " join watch.leaf l on l.tenant_id = e.tenant_id and l.kind = 'step'"
        "  and l.record_id = e.event_id::text"
        " join watch.parcel p on p.tenant_id = a.tenant_id and p.shipment_id = a.object_id"
        " where a.tenant_id = %s and a.kind = 'delay' group by a.object_id"
        " order by count(*) desc, max(e.event_id) desc limit 1",
        (tenant_id,),
    ).fetchone()
    return None if row is None else row[0]


def _hashes(conn: Connection, tenant_id: str, block_no: int) -> list[bytes]:
    rows = conn.execute(
        "select hash from watch.leaf where tenant_id = %s and block_no = %s order by place",
        (tenant_id, block_no),
    )
    return [bytes(value) for (value,) in rows]


def _require_parcel(conn: Connection, tenant_id: str, shipment_id: str, whose: Whose) -> None:
    row = conn.execute(
        "select 1 from (select s.supplier_id, o.merchant_id from orders.shipment s"
        " join orders.customer_order o using (tenant_id, order_id)"
        " where s.tenant_id = %(tenant)s and s.shipment_id = %(parcel)s"
        " union all select supplier_id, merchant_id from watch.parcel"
        " where tenant_id = %(tenant)s and shipment_id = %(parcel)s) p"
        " where (%(supplier)s::text is null or p.supplier_id = %(supplier)s)"
        " and (%(merchant)s::text is null or p.merchant_id = %(merchant)s) limit 1",
        {
            "tenant": tenant_id,
            "parcel": shipment_id,
            "supplier": whose.supplier_id,
            "merchant": whose.merchant_id,
        },
    ).fetchone()
    if row is None:
        raise UnknownParcelError(f"there is no parcel {shipment_id!r}")

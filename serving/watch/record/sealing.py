"""Sealing what was recorded into blocks, after the fact as the ledger does; verifying; anchoring.

Sealing inside the intake would make every batch wait for the one before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from serving.db import locks
from serving.ledger.chain import GENESIS, ChainBrokenError, Head, read_anchors
from serving.watch.record.merkle import block_hash, leaf_hash, root_of
from serving.watch.record.texts import RECORDS

Connection = psycopg.Connection[Any]

_MOST_IN_A_BLOCK = 5_000


def seal(conn: Connection, tenant_id: str) -> Head:
    """Seal what no running transaction can still precede.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.

    Returns:
        The head afterwards; block 0 and zeros for a tenant without records.
    """
    locks.watch_record(conn, tenant_id)
    # Asked for with the lock in hand: a snapshot from before a wait may be older than the last block.
    row = conn.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    assert row is not None, "a snapshot has an end"
    horizon = int(row[0])
    head, mark = _head(conn, tenant_id)
    while True:
        rows = conn.execute(
            f"select kind, record_id, text from ({RECORDS}) r"
            " where r.xact_id >= %(mark)s::text::xid8 and r.xact_id < %(horizon)s::text::xid8"
            " and not exists (select from watch.leaf l where l.tenant_id = %(tenant)s"
            "  and l.kind = r.kind and l.record_id = r.record_id)"
            " order by r.xact_id, kind, record_id limit %(most)s",
            {
                "tenant": tenant_id,
                # Behind the mark is a database that came from a dump: everything is looked at again.
                "mark": str(mark if mark <= horizon else 0),
                "horizon": str(horizon),
                "most": _MOST_IN_A_BLOCK,
            },
        ).fetchall()
        if not rows:
            return head
        hashes = [leaf_hash(text) for _, _, text in rows]
        root = root_of(hashes)
        block = Head(head.block_no + 1, block_hash(head.hash, root, len(rows)))
        conn.execute(
            "insert into watch.block (tenant_id, block_no, leaves, previous_hash, root, hash, until_xact)"
            " values (%s, %s, %s, %s, %s, %s, %s::text::xid8)",
            (tenant_id, block.block_no, len(rows), head.hash, root, block.hash, str(horizon)),
        )
        conn.execute(
            "insert into watch.leaf (tenant_id, kind, record_id, block_no, place, hash)"
            " select %s, kind, record_id, %s, place - 1, hash"
            " from unnest(%s::text[], %s::text[], %s::bytea[]) with ordinality"
            " as n (kind, record_id, hash, place)",
            (tenant_id, block.block_no, [kind for kind, _, _ in rows], [name for _, name, _ in rows], hashes),
        )
        head = block


def verify(conn: Connection, tenant_id: str, anchors: Path | None = None) -> Head:
    """Recompute every block from the records themselves, and compare the heads that were written outside.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        anchors: File of anchors; None: none are compared.

    Raises:
        ChainBrokenError: A record was changed, removed or slipped in, or a block or an anchor does not match.
    """
    heads = {0: GENESIS}
    previous = GENESIS
    blocks = conn.execute(
        "select block_no, leaves, previous_hash, root, hash from watch.block where tenant_id = %s"
        " order by block_no",
        (tenant_id,),
    ).fetchall()
    for block_no, leaves, stored_previous, root, stored in blocks:
        texts = conn.execute(
            f"select r.text from watch.leaf l join ({RECORDS}) r using (kind, record_id)"
            " where l.tenant_id = %(tenant)s and l.block_no = %(block)s order by l.place",
            {"tenant": tenant_id, "block": block_no},
        ).fetchall()
        is_whole = block_no == len(heads) and len(texts) == leaves and bytes(stored_previous) == previous
        found = root_of([leaf_hash(text) for (text,) in texts]) if texts else GENESIS
        if not is_whole or found != bytes(root) or block_hash(previous, found, leaves) != bytes(stored):
            raise ChainBrokenError(f"block {block_no} of the record of the supply watch does not match")
        previous = heads[block_no] = bytes(stored)
    _require_all_sealed(conn, tenant_id)
    for anchored in read_anchors(anchors) if anchors is not None else ():
        if heads.get(anchored.block_no) != anchored.hash:
            raise ChainBrokenError(f"block {anchored.block_no} is not the one that was anchored in {anchors}")
    return Head(len(blocks), previous)


def anchors_of(home: Path, tenant_id: str) -> Path:
    """The file of anchors below the run folder; copy it to where the database's owner cannot write."""
    return home / "anchors" / f"supply-record-{tenant_id}.jsonl"


def _require_all_sealed(conn: Connection, tenant_id: str) -> None:
    """No record is older than the last block and in none; in a database from a dump ages tell nothing."""
    row = conn.execute(
        f"select r.kind, r.record_id from ({RECORDS}) r"
        " where r.xact_id < (select b.until_xact from watch.block b where b.tenant_id = %(tenant)s"
        "  and b.until_xact <= pg_snapshot_xmin(pg_current_snapshot())"
        "  and b.block_no = (select max(block_no) from watch.block where tenant_id = %(tenant)s))"
        " and not exists (select from watch.leaf l where l.tenant_id = %(tenant)s"
        "  and l.kind = r.kind and l.record_id = r.record_id) order by 1, 2 limit 1",
        {"tenant": tenant_id},
    ).fetchone()
    if row is not None:
        raise ChainBrokenError(f"{row[0]} {row[1]!r} lies before the last block of the record and is in none")


def _head(conn: Connection, tenant_id: str) -> tuple[Head, int]:
    row = conn.execute(
        "select block_no, hash, until_xact::text from watch.block where tenant_id = %s"
        " order by block_no desc limit 1",
        (tenant_id,),
    ).fetchone()
    return (Head(row[0], bytes(row[1])), int(row[2])) if row else (Head(0, GENESIS), 0)

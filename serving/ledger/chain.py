"""The hash chain over all transactions of a database, sealed in blocks after the fact, anchored in a file.

Sealing inside the posting would make every posting wait for the one before; a block a few seconds later
proves the same. A block lists its transactions, so that verifying needs no order but the block's own.

Source: invariant L15 of the settlement rules.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from serving.db import locks
from serving.errors import ServingError
from serving.ledger.errors import RestoredDatabaseError

GENESIS = bytes(32)
_MOST_IN_A_BLOCK = 5_000

_CANONICAL = """
    select t.transaction_id,
           jsonb_build_array(
               t.transaction_id, t.tenant_id, t.idempotency_key, encode(t.request_hash, 'hex'), t.kind,
               t.order_id, extract(epoch from t.booked_at)::text, t.details,
               (select jsonb_agg(
                    jsonb_build_array(e.entry_no, e.tenant_id, e.account_id, e.unit, e.amount, e.leg_id)
                    order by e.entry_no)
                from ledger.entry e where e.transaction_id = t.transaction_id)
           )::text
    from ledger.transaction t where t.transaction_id = any(%s) order by t.transaction_id
"""


class ChainBrokenError(ServingError):
    """The chain does not verify; the message names the block and what differs."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block."""

    block_no: int
    hash: bytes


def seal(conn: psycopg.Connection, leave_out: Collection[int] = ()) -> Head:
    """Seal what no running transaction can still precede, as the owner of the tables.

    Args:
        conn: In a transaction; not acting as the application.
        leave_out: Transactions known to be sealed although their numbers do not say so.

    Returns:
        The head afterwards; block 0 and zeros for a ledger without transactions.

    Raises:
        RestoredDatabaseError: The database came from a dump; see `restore`.
    """
    mark, horizon = _marks(conn)
    if horizon < mark:
        raise RestoredDatabaseError(
            "this database was restored from a dump: run python -m serving.ledger after-restore"
        )
    row = conn.execute(
        "select block_no, hash from ledger.chain_block order by block_no desc limit 1"
    ).fetchone()
    block_no, previous = (row[0], bytes(row[1])) if row else (0, GENESIS)
    ids = [
        transaction_id
        for (transaction_id,) in conn.execute(
            "select transaction_id from ledger.transaction where xact_id >= %s::text::xid8"
            " and xact_id < %s::text::xid8 order by xact_id, transaction_id",
            (str(mark), str(horizon)),
        )
        if transaction_id not in leave_out
    ]
    for start in range(0, len(ids), _MOST_IN_A_BLOCK):
        block = sorted(ids[start : start + _MOST_IN_A_BLOCK])
        block_no += 1
        digest = _block_hash(conn, previous, block)
        conn.execute(
            "insert into ledger.chain_block (block_no, transaction_ids, previous_hash, hash)"
            " values (%s, %s, %s, %s)",
            (block_no, block, previous, digest),
        )
        previous = digest
    conn.execute("update ledger.mark set xact_id = %s::text::xid8 where job = 'seal'", (str(horizon),))
    return Head(block_no, previous)


def _marks(conn: psycopg.Connection) -> tuple[int, int]:
    """Up to where the chain is sealed, and up to where it can be; the mark stays locked until commit."""
    mark = locks.seal_mark(conn)
    # Asked for with the mark in hand: a snapshot from before a wait for the lock may be older than the mark.
    horizon = conn.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    if mark is None or horizon is None:
        raise ChainBrokenError("the mark of the sealing job is missing from ledger.mark")
    return int(mark), int(horizon[0])


def verify(conn: psycopg.Connection, anchors: Path | None = None) -> Head:
    """Recompute every block; with the file of anchors, compare the heads that were written outside.

    Raises:
        ChainBrokenError: A transaction was changed, removed, slipped in or sealed twice, or an anchor
            does not match.
    """
    heads = {0: GENESIS}
    previous = GENESIS
    seen: set[int] = set()
    block_no = 0
    for block_no, ids, stored_previous, stored in conn.execute(
        "select block_no, transaction_ids, previous_hash, hash from ledger.chain_block order by block_no"
    ).fetchall():
        if block_no != len(heads):
            raise ChainBrokenError(f"block {len(heads)} of the ledger's chain is missing")
        twice = seen.intersection(ids)
        if twice:
            raise ChainBrokenError(f"block {block_no} holds transaction {min(twice)} a second time")
        seen.update(ids)
        if bytes(stored_previous) != previous or _block_hash(conn, previous, ids) != bytes(stored):
            raise ChainBrokenError(
                f"block {block_no} does not match its transactions {min(ids)} to {max(ids)}"
            )
        previous = heads[block_no] = bytes(stored)
    left_out = conn.execute(
        "select min(transaction_id) from (select transaction_id from ledger.transaction"
        "  where xact_id < (select xact_id from ledger.mark where job = 'seal')"
        "  except select unnest(transaction_ids) from ledger.chain_block) as unsealed"
    ).fetchone()
    if left_out is not None and left_out[0] is not None:
        raise ChainBrokenError(f"transaction {left_out[0]} lies before the last block and is in none")
    for anchor in read_anchors(anchors) if anchors is not None else ():
        if heads.get(anchor.block_no) != anchor.hash:
            raise ChainBrokenError(f"block {anchor.block_no} is not the one that was anchored in {anchors}")
    return Head(block_no, previous)


def anchors_of(home: Path) -> Path:
    """The file of anchors below the run folder; copy it to where the database's owner cannot write."""
    return home / "anchors" / "ledger-chain.jsonl"


def anchor(head: Head, anchors: Path) -> None:
    """Append the head to a file outside the database, flushed to disk; a head already there is left."""
    anchors.parent.mkdir(parents=True, exist_ok=True)
    known = read_anchors(anchors)
    if known and known[-1] == head:
        return
    with anchors.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"block_no": head.block_no, "hash": head.hash.hex()}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def set_anchors_aside(conn: psycopg.Connection, anchors: Path) -> Path | None:
    """Keep the anchors of a lost database apart, for a new one whose ledger is empty.

    Call it only for a database that is new to the home: in one that was known, an empty ledger is a breach,
    which `verify` must find.

    Returns:
        Where they lie now; None when there are none, or the ledger is not empty.
    """
    row = conn.execute(
        "select exists (select from ledger.chain_block) or exists (select from ledger.transaction)"
    ).fetchone()
    if not read_anchors(anchors) or row is None or row[0]:
        return None
    aside = anchors.with_name(f"{anchors.stem}-until-{datetime.now(UTC):%Y%m%dT%H%M%S}{anchors.suffix}")
    anchors.rename(aside)
    return aside


def read_anchors(anchors: Path) -> list[Head]:
    """The heads in a file of anchors, oldest first; none when there is no file."""
    if not anchors.exists():
        return []
    lines = (json.loads(line) for line in anchors.read_text(encoding="utf-8").splitlines())
    return [Head(line["block_no"], bytes.fromhex(line["hash"])) for line in lines]


def _block_hash(conn: psycopg.Connection, previous: bytes, ids: list[int]) -> bytes:
    digest = hashlib.sha256(previous)
    digest.update(json.dumps(ids).encode())
    found = 0
    for _, text in conn.execute(_CANONICAL, (ids,)):
        digest.update(text.encode())
        found += 1
    # A missing transaction must change the hash even if its neighbours hide the gap.
    digest.update(str(found).encode())
    return digest.digest()

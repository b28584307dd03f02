"""Bills of a payment channel: what they hold and how they are loaded. Comparing them: `reconciliation`.

A line says what the channel did: `payment` (captured), `refund` (paid back), `payout` (sent to a party),
`chargeback` (taken back by the buyer's bank), `payout_return` (came back from a party), `split` (a part of a
payment sent to a party) or `split_return` (came back of such a part). Amounts are above 0
whatever the direction; the fee of a payment is above 0, a returned fee (of a refund) below 0.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

import psycopg

from serving.channels.accounts import is_account_of
from serving.channels.facts import BillLine
from serving.channels.registry import BILL_KINDS
from serving.settlement.errors import SettlementError

HEADER = ("kind", "reference", "amount_cents", "fee_cents", "occurred_at")
# How far the clocks of channel and shop may differ at the end of a bill before a line counts as missing.
CUT_OFF = timedelta(minutes=10)
KINDS = ("payment", "refund", "payout", "chargeback", "payout_return", "split", "split_return")
_LINES_A_BLOCK = 10_000


class BillRefusedError(SettlementError):
    """A bill holds a line that cannot be read; nothing was loaded."""


class BillConflictError(SettlementError):
    """A bill of that id was loaded before with other content."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Which channel it comes from (`adapter`) and the time it covers: `bill_from` <= t < `bill_to`, UTC.

    `channel_id`: the account that it is of; None: all accounts of the adapter. `kinds`: what it tells of;
    None: what bills of the adapter's accounts do, and everything where it is of all accounts.
    """

    bill_id: str
    adapter: str
    bill_from: datetime
    bill_to: datetime
    channel_id: str | None = None
    kinds: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class LoadedBill:
    """A bill in the database; `is_new` is False when the same content had been loaded before."""

    bill_id: str
    lines: int
    content_hash: str
    is_new: bool


def as_csv(lines: Iterable[BillLine]) -> Iterator[bytes]:
    """Lines as blocks of CSV, the header first."""
    yield (",".join(HEADER) + "\n").encode()
    rest = iter(lines)
    while block := list(islice(rest, _LINES_A_BLOCK)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            (*line[:4], line.occurred_at.isoformat()) for line in block
        )
        yield text.getvalue().encode()


def load_bill(conn: psycopg.Connection, tenant_id: str, bill: Bill, blocks: Iterable[bytes]) -> LoadedBill:
    """Load a bill, once per content.

    Args:
        conn: In a transaction of the tenant.
        tenant_id: The tenant.
        bill: Head of the bill.
        blocks: CSV in UTF-8 with the columns of `HEADER` and a header line, in blocks of any size; see
        `as_csv`.

    Returns:
        The bill; the earlier one when the same content of the same time and channel was loaded before.

    Raises:
        BillRefusedError: The time is empty, the account is unknown, or a line is no CSV, of no known kind,
            without reference, or not above 0.
        BillConflictError: The id was used for other content.
    """
    if bill.bill_to <= bill.bill_from:
        raise BillRefusedError(
            f"bill {bill.bill_id} covers no time: {bill.bill_from.isoformat()} to {bill.bill_to.isoformat()}"
        )
    head: tuple[str, ...] = (bill.adapter, bill.bill_from.isoformat(), bill.bill_to.isoformat())
    if bill.channel_id is not None:
        if not is_account_of(conn, tenant_id, bill.channel_id, bill.adapter):
            raise BillRefusedError(
                f"bill {bill.bill_id}: there is no {bill.adapter} account {bill.channel_id!r}"
            )
        head = (*head, bill.channel_id)
        bill = replace(bill, kinds=BILL_KINDS[bill.adapter] if bill.kinds is None else bill.kinds)
    digest = hashlib.sha256(repr(head).encode())
    # COPY is not possible on tables with row-level security.
    conn.execute("drop table if exists pg_temp.loaded_bill_line")
    conn.execute(
        "create temp table loaded_bill_line (line_no integer generated always as identity, kind text not"
        " null,"
        " reference text not null, amount_cents bigint not null, fee_cents bigint not null,"
        " occurred_at timestamptz not null) on commit drop"
    )
    try:
        with (
            conn.cursor() as cursor,
            cursor.copy(
                "copy loaded_bill_line (kind, reference, amount_cents, fee_cents, occurred_at)"
                " from stdin with (format csv, header match)"
            ) as copy,
        ):
            for block in blocks:
                digest.update(block)
                copy.write(block)
    except (psycopg.DataError, psycopg.errors.NotNullViolation) as error:
        where = (error.diag.context or "").partition(",")[2].strip()
        raise BillRefusedError(
            f"bill {bill.bill_id}: {error.diag.message_primary} ({where}); "
            f"it must be CSV with the columns {', '.join(HEADER)}"
        ) from error
    _refuse_bad_lines(conn, bill)
    return _store(conn, tenant_id, bill, digest.hexdigest())


def _refuse_bad_lines(conn: psycopg.Connection, bill: Bill) -> None:
    bad = conn.execute(
        "select line_no, kind, reference, amount_cents from loaded_bill_line"
        " where not kind = any(%s) or reference = '' or amount_cents <= 0 order by line_no limit 1",
        (list(KINDS),),
    ).fetchone()
    if bad is not None:
        raise BillRefusedError(
            f"bill {bill.bill_id}, line {bad[0]}: kind {bad[1]!r}, reference {bad[2]!r}, {bad[3]} fen; the"
            f" kind is {', '.join(KINDS)}, the reference is not empty and the amount is above 0"
        )
    if bill.kinds is None:
        return
    other = conn.execute(
        "select line_no, kind from loaded_bill_line where not kind = any(%s) order by line_no limit 1",
        (sorted(bill.kinds),),
    ).fetchone()
    if other is not None:
        raise BillRefusedError(
            f"bill {bill.bill_id}, line {other[0]} is a {other[1]}, but the bill tells of"
            f" {', '.join(sorted(bill.kinds))}: name the kinds that it tells of"
        )


def _store(conn: psycopg.Connection, tenant_id: str, bill: Bill, content_hash: str) -> LoadedBill:
    if (same := _of_content(conn, tenant_id, content_hash)) is not None:
        return same
    made = conn.execute(
        "insert into settlement.channel_bill (tenant_id, bill_id, adapter, bill_from, bill_to,"
        " content_hash, channel_id, kinds)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing returning bill_id",
        (
            tenant_id, bill.bill_id, bill.adapter, bill.bill_from, bill.bill_to, content_hash,
            bill.channel_id, None if bill.kinds is None else sorted(bill.kinds),
        ),
    ).fetchone()  # fmt: skip
    if made is None:
        # Somebody else may have loaded the same in this very moment.
        if (same := _of_content(conn, tenant_id, content_hash)) is not None:
            return same
        raise BillConflictError(
            f"bill {bill.bill_id} was loaded before with other content: give a corrected bill its own id"
        )
    inserted = conn.execute(
        "insert into settlement.channel_bill_line"
        " (tenant_id, bill_id, line_no, kind, reference, amount_cents, fee_cents, occurred_at)"
        " select %s, %s, line_no, kind, reference, amount_cents, fee_cents, occurred_at from"
        " loaded_bill_line",
        (tenant_id, bill.bill_id),
    )
    return LoadedBill(bill.bill_id, inserted.rowcount, content_hash, True)


def _of_content(conn: psycopg.Connection, tenant_id: str, content_hash: str) -> LoadedBill | None:
    """The bill that holds this content already."""
    found = conn.execute(
        "select b.bill_id, (select count(*) from settlement.channel_bill_line l"
        "  where l.tenant_id = b.tenant_id and l.bill_id = b.bill_id)"
        " from settlement.channel_bill b where b.tenant_id = %s and b.content_hash = %s",
        (tenant_id, content_hash),
    ).fetchone()
    return None if found is None else LoadedBill(found[0], int(found[1]), content_hash, False)

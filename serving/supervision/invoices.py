"""Purchase invoices of parties: what backs a listing or an offer, and who else stated the same one.

What is stated stays. Anybody can state any number, so an invoice proves nothing by itself: it is evidence for
whoever decides about a case, and what speaks against it is a sign of the next night.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from models.supply.supervision.invoices import InvoiceError, invoice_id, require_issuer
from serving.db import locks
from serving.supervision.errors import InvoiceConflictError, InvoiceRefusedError
from serving.supervision.records import Subject

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class NewInvoice:
    """An invoice as it is stated; `units` are those of the sku on it, `code` is None of a digital one."""

    code: str | None
    number: str
    issuer_tax_no: str
    issued_on: date
    amount_cents: int
    units: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice that backs a listing or an offer.

    Attributes:
        invoice_id: Its number, of an older one with its code before it.
        issuer_tax_no: Who issued it.
        issued_on: The day on it.
        amount_cents: Its amount, fen, tax included.
        units: Units of the sku on it.
        stated_at: When it was stated.
        others: Other parties that stated the same one.
        is_first: Whether this party stated it before them.
    """

    invoice_id: str
    issuer_tax_no: str
    issued_on: date
    amount_cents: int
    units: int
    stated_at: datetime
    others: int
    is_first: bool


def state_invoice(
    conn: Connection,
    tenant_id: str,
    subject: Subject,
    new: NewInvoice,
    stated_by: str,
    today: date,
    now: datetime,
) -> Invoice:
    """Keep an invoice; the same again changes nothing.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        subject: What it backs; need not be listed yet.
        new: The invoice.
        stated_by: Key that states it.
        today: Local day.
        now: Business time.

    Raises:
        InvoiceRefusedError: There can be no such invoice.
        InvoiceConflictError: The party stated it with another issuer, day, amount or number of units.
    """
    if new.issued_on > today:
        raise InvoiceRefusedError(f"an invoice of {new.issued_on} is not issued yet")
    try:
        name = invoice_id(new.code, new.number, new.issued_on)
        require_issuer(new.issuer_tax_no)
    except InvoiceError as error:
        raise InvoiceRefusedError(str(error)) from error
    locks.invoice(conn, tenant_id, name)
    known = conn.execute(
        "select sku_id, issuer_tax_no, issued_on, amount_cents, units from supervision.invoice"
        " where tenant_id = %s and party_type = %s and party_id = %s and invoice_id = %s",
        (tenant_id, subject.party_type, subject.party_id, name),
    ).fetchall()
    said = new.issuer_tax_no, new.issued_on, new.amount_cents
    for sku_id, *before, units in known:
        if tuple(before) != said or (sku_id == subject.sku_id and units != new.units):
            raise InvoiceConflictError(
                f"invoice {name} was stated with other words; it stays as it was stated"
            )
    conn.execute(
        "insert into supervision.invoice (tenant_id, party_type, party_id, invoice_id, sku_id, issuer_tax_no,"
        " issued_on, amount_cents, units, stated_by, stated_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        (
            *(tenant_id, subject.party_type, subject.party_id, name, subject.sku_id),
            *(*said, new.units, stated_by, now),
        ),
    )
    return next(one for one in invoices_of(conn, tenant_id, subject) if one.invoice_id == name)


def invoices_of(conn: Connection, tenant_id: str, subject: Subject) -> list[Invoice]:
    """What backs a listing or an offer, the oldest statement first; at most 500."""
    with conn.cursor(row_factory=class_row(Invoice)) as cursor:
        return cursor.execute(
            "select i.invoice_id, i.issuer_tax_no, i.issued_on, i.amount_cents, i.units, i.stated_at,"
            " o.others::int, (i.party_type, i.party_id) = (o.first_type, o.first_id) as is_first"
            " from supervision.invoice i cross join lateral ("
            "  select count(distinct (s.party_type, s.party_id)) - 1 as others,"
            "   (array_agg(s.party_type order by s.stated_at, s.party_type, s.party_id))[1] as first_type,"
            "   (array_agg(s.party_id order by s.stated_at, s.party_type, s.party_id))[1] as first_id"
            "  from supervision.invoice s where s.tenant_id = i.tenant_id and s.invoice_id = i.invoice_id) o"
            " where i.tenant_id = %s and i.party_type = %s and i.party_id = %s and i.sku_id = %s"
            " order by i.stated_at, i.invoice_id limit 500",
            (tenant_id, *subject),
        ).fetchall()


def stated_invoices(conn: Connection, tenant_id: str) -> list[dict[str, object]]:
    """Every invoice, as the signs read them (`models.supply.supervision.facts`)."""
    rows = conn.execute(
        "select party_type, party_id, invoice_id, sku_id, issued_on, units, stated_at"
        " from supervision.invoice where tenant_id = %s order by 1, 2, 3, 4",
        (tenant_id,),
    )
    names = ("party_type", "party_id", "invoice_id", "sku_id", "issued_on", "units", "stated_at")
    return [dict(zip(names, row, strict=True)) for row in rows]

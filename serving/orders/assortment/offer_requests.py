"""Offers that wait, as requests for approval: asking, and closing what a newer statement made void."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from serving.approvals.asking import Ask, request
from serving.approvals.effects import Done
from serving.approvals.kinds import Kind
from serving.approvals.records import Approval, By, newest_of_subject, write_move
from serving.approvals.states import OPEN, Move, after
from serving.db import locks
from serving.security import Principal, Role, Scope

Connection = psycopg.Connection[Any]

OFFER = Kind(
    name="offer",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.SETTLEMENT_APPROVE,
    reasons=frozenset({"too_high", "too_low", "no_evidence", "not_needed", "other"}),
    validity=timedelta(days=14),
    rails={},
    second_above_cents=None,
)
"""Terms of a supplier outside the corridor of a sku; the subject is both. Validity assumed."""


def lock_requests(conn: Connection, tenant_id: str, supplier_id: str, sku_ids: Sequence[str]) -> None:
    """Be the one who states offers of a supplier, with its open requests locked: a decision comes first."""
    locks.approval_subject(conn, tenant_id, "offers", ("supplier", supplier_id))
    rows = conn.execute(
        "select approval_id from approvals.request where tenant_id = %s and kind = %s"
        " and subject_type = 'offer' and subject_id = any(%s) and state = any(%s)",
        (tenant_id, OFFER.name, [_subject(supplier_id, sku)[1] for sku in sku_ids], sorted(OPEN)),
    )
    locks.approvals(conn, tenant_id, [approval_id for (approval_id,) in rows])


def ask(
    conn: Connection,
    tenant_id: str,
    supplier_id: str,
    sku_id: str,
    terms: dict[str, Any],
    asked_by: Principal | str,
    now: datetime,
) -> int:
    """Ask an operator about terms; what waited for the same sku is superseded.

    Args:
        conn: Inside a transaction of the tenant that called `lock_requests`.
        tenant_id: The tenant.
        supplier_id: Who stated them.
        sku_id: Of what.
        terms: What was stated and what it is measured against, codes and numbers.
        asked_by: Who stated them.
        now: Business time.

    Returns:
        Id of the request.
    """
    asked = request(
        conn,
        tenant_id,
        Ask(
            kind=OFFER,
            subject=_subject(supplier_id, sku_id),
            party=("supplier", supplier_id),
            suggestion={"supplier_id": supplier_id, "sku_id": sku_id, **terms},
            value_cents=terms["supply_price_cents"] + terms["freight_cents"],
            bucket=terms["reason_code"],
        ),
        asked_by,
        now,
    )
    return asked.approval.approval_id


def close(
    conn: Connection,
    tenant_id: str,
    supplier_id: str,
    sku_ids: Sequence[str],
    by: Principal | str,
    now: datetime,
) -> None:
    """End the open requests about some skus: a newer statement needs no decision."""
    for sku_id in sorted(sku_ids):
        known = newest_of_subject(conn, tenant_id, OFFER.name, _subject(supplier_id, sku_id))
        if known is None or known.state not in OPEN:
            continue
        state = after(str(known), known.state, Move.SUPERSEDE)
        ended = replace(known, state=state, snoozed_until=None)
        key, role = (by.key_id, str(by.role)) if isinstance(by, Principal) else (by, "system")
        write_move(conn, tenant_id, known, ended, Move.SUPERSEDE, By(key=key, role=role, at=now))


def stated_at(approval: Approval) -> datetime:
    """The moment that names the terms which a request is about."""
    return datetime.fromisoformat(approval.wanted["source_at"])


def done(approval: Approval) -> Done:
    """What taking effect made."""
    wanted = approval.wanted
    return {"sku_id": wanted["sku_id"], "supply_price_cents": wanted["supply_price_cents"]}


def _subject(supplier_id: str, sku_id: str) -> tuple[str, str]:
    # With the length, since ids may hold a slash; `offers.terms_of` builds the same.
    return "offer", f"{len(supplier_id)}:{supplier_id}/{sku_id}"

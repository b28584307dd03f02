"""Programmes in the database: opening, consent of the funders, closing, reading. Redemption: `redeeming`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from serving.db import locks
from serving.orders.coupons.programme import Programme, Terms, check_terms
from serving.orders.errors import ConsentRefusedError, NotFoundError, ProgrammeStateError

Connection = psycopg.Connection[Any]

_SELECT = (
    "select programme_id, issuer_type, issuer_id, name, terms, status, spent_cents, spent_count"
    " from coupons.programme where tenant_id = %(tenant)s"
)


def open_programme(
    conn: Connection,
    tenant_id: str,
    issuer_type: str,
    issuer_id: str,
    name: str,
    terms: Terms,
    by: str,
    now: datetime,
) -> Programme:
    """Open a programme; the issuer's own share is agreed by opening it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        issuer_type: `platform` or `merchant`.
        issuer_id: The merchant; empty for the platform.
        name: For people.
        terms: What the funders agree to.
        by: Who opens it, for the record.
        now: Business time.

    Raises:
        InvalidRequestError: The terms contradict themselves.
    """
    check_terms(terms, issuer_type, issuer_id, now)
    programme_id = f"cp-{secrets.token_hex(8)}"
    conn.execute(
        "insert into coupons.programme (tenant_id, programme_id, issuer_type, issuer_id, name, terms,"
        " terms_digest, budget_cents, budget_count, valid_from, valid_to, status, opened_at, opened_by)"
        " values (%(tenant)s, %(programme)s, %(type)s, %(issuer)s, %(name)s, %(terms)s, %(digest)s,"
        " %(cents)s, %(count)s, %(from)s, %(to)s, 'proposed', %(now)s, %(by)s)",
        {
            "tenant": tenant_id,
            "programme": programme_id,
            "type": issuer_type,
            "issuer": issuer_id,
            "name": name,
            "terms": Jsonb(msgspec.to_builtins(terms)),
            "digest": terms.digest(),
            "cents": terms.budget_cents,
            "count": terms.budget_count,
            "from": terms.valid_from,
            "to": terms.valid_to,
            "now": now,
            "by": by,
        },
    )
    for share in terms.funders:
        conn.execute(
            "insert into coupons.funder (tenant_id, programme_id, party_type, party_id, share_bps)"
            " values (%s, %s, %s, %s, %s)",
            (tenant_id, programme_id, share.party_type, share.party_id, share.share_bps),
        )
    _agree(conn, tenant_id, programme_id, issuer_type, issuer_id, by, now)
    return find(conn, tenant_id, programme_id)


def consent(
    conn: Connection,
    tenant_id: str,
    programme_id: str,
    party_type: str,
    party_id: str,
    terms_digest: str,
    by: str,
    now: datetime,
) -> bool:
    """A funder agrees to bear its share; with the last one the programme is active.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        programme_id: The programme.
        party_type: `platform`, `merchant` or `supplier`.
        party_id: The funder; empty for the platform.
        terms_digest: Digest of the terms that the funder has read.
        by: Whose key it was, for the record.
        now: Business time.

    Returns:
        Whether it is new.

    Raises:
        NotFoundError: There is no such programme.
        ConsentRefusedError: The party bears no share, or read other terms.
        ProgrammeStateError: It is closed.
    """
    programme = find(conn, tenant_id, programme_id, lock=True)
    if not any((s.party_type, s.party_id) == (party_type, party_id) for s in programme.terms.funders):
        raise ConsentRefusedError(f"This {party_type} bears no share of programme {programme_id!r}.")
    if terms_digest != programme.terms.digest():
        raise ConsentRefusedError(
            f"The digest {terms_digest!r} is not that of the terms of programme {programme_id!r}; "
            "read the programme and agree to what it says."
        )
    if programme.status == "closed":
        raise ProgrammeStateError(f"Programme {programme_id!r} is closed; there is nothing to agree to.")
    return _agree(conn, tenant_id, programme_id, party_type, party_id, by, now)


def close(conn: Connection, tenant_id: str, programme_id: str, by: str, now: datetime) -> bool:
    """End a programme: nothing of it is issued or redeemed any more; what was redeemed stands.

    Returns:
        Whether it is new.

    Raises:
        NotFoundError: There is no such programme.
    """
    if find(conn, tenant_id, programme_id, lock=True).status == "closed":
        return False
    conn.execute(
        "update coupons.programme set status = 'closed', closed_at = %s, closed_by = %s"
        " where tenant_id = %s and programme_id = %s",
        (now, by, tenant_id, programme_id),
    )
    return True


def find(conn: Connection, tenant_id: str, programme_id: str, *, lock: bool = False) -> Programme:
    """A programme; locked when it is going to change.

    Raises:
        NotFoundError: There is no such programme.
    """
    found = programmes(conn, tenant_id, [programme_id], lock=lock)
    if not found:
        raise NotFoundError("coupon-programme", programme_id)
    return found[0]


def programmes(
    conn: Connection, tenant_id: str, programme_ids: Sequence[str], *, lock: bool = False
) -> list[Programme]:
    """Programmes by id; locked in that order when they are going to change."""
    if lock:
        locks.programmes(conn, tenant_id, programme_ids)
    query = f"{_SELECT} and programme_id = any(%(ids)s) order by programme_id"
    rows = conn.execute(query.encode(), {"tenant": tenant_id, "ids": list(programme_ids)}).fetchall()
    return [_programme(row) for row in rows]


def page(
    conn: Connection, tenant_id: str, party: tuple[str, str] | None, *, after: str, limit: int
) -> list[Programme]:
    """Programmes by id after the given one; of a party, those that it issued or bears a share of."""
    party_type, party_id = party or (None, None)
    rows = conn.execute(
        (
            f"{_SELECT} and programme_id > %(after)s and (%(type)s::text is null"
            " or (issuer_type, issuer_id) = (%(type)s, %(party)s) or exists (select from coupons.funder f"
            " where f.tenant_id = programme.tenant_id and f.programme_id = programme.programme_id"
            " and (f.party_type, f.party_id) = (%(type)s, %(party)s)))"
            " order by programme_id limit %(limit)s"
        ).encode(),
        {"tenant": tenant_id, "after": after, "type": party_type, "party": party_id, "limit": limit},
    ).fetchall()
    return [_programme(row) for row in rows]


def consents_of(
    conn: Connection, tenant_id: str, programme_ids: Sequence[str]
) -> dict[tuple[str, str, str], datetime | None]:
    """(programme, kind of party, party) to when that funder agreed; None where it has not."""
    rows = conn.execute(
        "select programme_id, party_type, party_id, consented_at from coupons.funder"
        " where tenant_id = %s and programme_id = any(%s)",
        (tenant_id, list(programme_ids)),
    )
    return {(programme, kind, party): at for programme, kind, party, at in rows}


def of_promotions(conn: Connection, tenant_id: str, programme_ids: Sequence[str]) -> set[str]:
    """Those programmes that pay for a promotion; their coupons belong to its orders."""
    rows = conn.execute(
        "select programme_id from promotions.promotion where tenant_id = %s and programme_id = any(%s)",
        (tenant_id, list(programme_ids)),
    )
    return {programme_id for (programme_id,) in rows}


def _agree(
    conn: Connection,
    tenant_id: str,
    programme_id: str,
    party_type: str,
    party_id: str,
    by: str,
    now: datetime,
) -> bool:
    agreed = conn.execute(
        "update coupons.funder set consented_at = %s, consented_by = %s where tenant_id = %s"
        " and programme_id = %s and party_type = %s and party_id = %s and consented_at is null",
        (now, by, tenant_id, programme_id, party_type, party_id),
    ).rowcount
    conn.execute(
        "update coupons.programme p set status = 'active' where p.tenant_id = %s and p.programme_id = %s"
        " and p.status = 'proposed' and not exists (select from coupons.funder f"
        " where f.tenant_id = p.tenant_id and f.programme_id = p.programme_id and f.consented_at is null)",
        (tenant_id, programme_id),
    )
    return agreed == 1


def _programme(row: tuple[Any, ...]) -> Programme:
    programme_id, issuer_type, issuer_id, name, terms, status, spent_cents, spent_count = row
    return Programme(
        programme_id,
        issuer_type,
        issuer_id,
        name,
        msgspec.convert(terms, Terms),
        status,
        spent_cents,
        spent_count,
    )

"""What was withheld from each payee in a calendar year of the tenant: for the tax authority, and for him."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import psycopg

from serving.db.calendar import day_start, zone_of
from serving.ledger.accounts import Party
from serving.settlement.sharing.leg import COMMISSION_KINDS


class Withheld(NamedTuple):
    """Of one payee in one year, fen: commissions before tax, and the tax; refunds taken off both."""

    party: Party
    commission_cents: int
    withheld_cents: int


def withheld_in(
    conn: psycopg.Connection,
    tenant_id: str,
    year: int,
    *,
    party: Party | None = None,
    after: Party | None = None,
    limit: int = 500,
) -> list[Withheld]:
    """Payees from whom tax was withheld in shares released in a year, by kind and id.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        year: The year, in the tenant's time zone.
        party: Only this payee; None for all.
        after: Last payee of the page before.
        limit: Most rows.
    """
    zone = zone_of(conn, tenant_id)
    rows = conn.execute(
        """
        with released as (
            select kind, case when kind = 'withholding' then split_part(payee_id, '/', 1) else payee_type end
                as party_type,
                case when kind = 'withholding' then substr(payee_id, position('/' in payee_id) + 1)
                else payee_id end as party_id,
                amount_cents - reversed_cents - forfeited_cents as cents
            from settlement.leg
            where tenant_id = %(tenant)s and state = 'released' and not is_replaced
                and released_at >= %(start)s and released_at < %(end)s
                and (kind = 'withholding' or kind = any(%(kinds)s))
        )
        select party_type, party_id, sum(cents)::bigint,
            coalesce(sum(cents) filter (where kind = 'withholding'), 0)::bigint
        from released
        where (%(type)s::text is null or (party_type, party_id) = (%(type)s, %(id)s))
            and (party_type, party_id) > (%(after_type)s, %(after_id)s)
        group by party_type, party_id having sum(cents) filter (where kind = 'withholding') > 0
        order by party_type, party_id limit %(limit)s
        """,
        {
            "tenant": tenant_id,
            "start": day_start(date(year, 1, 1), zone),
            "end": day_start(date(year + 1, 1, 1), zone),
            "kinds": sorted(COMMISSION_KINDS),
            "type": party.party_type if party else None,
            "id": party.party_id if party else None,
            "after_type": after.party_type if after else "",
            "after_id": after.party_id if after else "",
            "limit": limit,
        },
    )
    return [Withheld(Party(kind, name), commission, tax) for kind, name, commission, tax in rows]

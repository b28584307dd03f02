"""Which tenants a database holds. Asked as the owner of the tables, whom row-level security does not bind."""

from __future__ import annotations

import psycopg

from serving.db.urls import libpq_url


def tenants_of(url: str) -> list[str]:
    """Every tenant with a key, a plan, a party or a publication, by name.

    Args:
        url: Address of the migrated database, as its owner.
    """
    with psycopg.connect(libpq_url(url)) as conn:
        rows = conn.execute(
            "select tenant_id from ops.api_key union select tenant_id from settlement.plan_version"
            " union select tenant_id from parties.party union select tenant_id from scores.publication"
            " order by 1"
        ).fetchall()
    return [tenant_id for (tenant_id,) in rows]

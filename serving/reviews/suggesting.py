"""Suggestions of the current publication for an agent, of what its shop sells now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import class_row

from serving.orders.assortment.orderable import not_for_sale
from serving.scores.queries import current_snapshot

Connection = psycopg.Connection[Any]
_SNAPSHOT: Final[LiteralString] = current_snapshot("agent_suggestions")


@dataclass(frozen=True)
class Suggestion:
    """A sku that several customers of an agent have in their lists.

    Attributes:
        merchant_id: At which shop.
        sku_id: The sku.
        customers: Customers of the agent in whose list it stands.
        of_customers: Customers of the agent there who have a list.
        reason_code: Why it stands in most of those lists.
    """

    merchant_id: str
    sku_id: str
    customers: int
    of_customers: int
    reason_code: str


def suggestions_for(
    conn: Connection, tenant_id: str, agent_id: str, merchant_id: str | None
) -> Sequence[Suggestion]:
    """The most common first; what is not for sale now is left out.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        agent_id: The agent.
        merchant_id: At this shop only; None for all at which it has customers.
    """
    with conn.cursor(row_factory=class_row(Suggestion)) as cursor:
        found = cursor.execute(
            "select merchant_id, sku_id, customers, of_customers, reason_code from scores.agent_suggestions"
            f" where snapshot_id = {_SNAPSHOT} and agent_id = %(agent)s"
            " and (%(merchant)s::text is null or merchant_id = %(merchant)s)"
            " order by merchant_id, rank".encode(),
            {"tenant": tenant_id, "agent": agent_id, "merchant": merchant_id},
        ).fetchall()
    gone = {
        (shop, sku)
        for shop in {one.merchant_id for one in found}
        for sku in _gone(conn, tenant_id, shop, [one.sku_id for one in found if one.merchant_id == shop])
    }
    return [one for one in found if (one.merchant_id, one.sku_id) not in gone]


def _gone(conn: Connection, tenant_id: str, merchant_id: str, skus: Sequence[str]) -> Sequence[str]:
    row = conn.execute(
        not_for_sale("%(skus)s::text[]"),
        {"tenant": tenant_id, "merchant_id": merchant_id, "skus": list(skus)},
    ).fetchone()
    return list(row[0] or ()) if row else []

"""How the suggestions of a category become purchase orders: by themselves, after an approval, or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg

Connection = psycopg.Connection[Any]
Mode = Literal["auto", "approve", "off"]

ALL_OTHERS = "*"
"""The category that speaks for every one without a policy of its own."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A category's policy.

    Attributes:
        category_id: The category, with all below it; `ALL_OTHERS` for the rest.
        mode: `auto`: ordered at once; `approve`: asked for; `off`: left to whoever reads the suggestions.
        max_cents: Most that a line may be worth to be ordered at once, fen; what is more is asked for.
    """

    category_id: str
    mode: Mode
    max_cents: int


def put_policy(conn: Connection, tenant_id: str, policy: Policy, now: datetime) -> None:
    """State a category's policy; replaces the one before."""
    conn.execute(
        "insert into purchasing.policy (tenant_id, category_id, mode, max_cents, changed_at)"
        " values (%s, %s, %s, %s, %s) on conflict (tenant_id, category_id)"
        " do update set mode = excluded.mode, max_cents = excluded.max_cents,"
        " changed_at = excluded.changed_at",
        (tenant_id, policy.category_id, policy.mode, policy.max_cents, now),
    )


def policies_of(conn: Connection, tenant_id: str) -> list[Policy]:
    """Every policy, by category."""
    rows = conn.execute(
        "select category_id, mode, max_cents from purchasing.policy where tenant_id = %s"
        " order by 1 limit 5000",
        (tenant_id,),
    )
    return [Policy(*row) for row in rows]


def policy_for(policies: Sequence[Policy], categories: Sequence[str]) -> Policy | None:
    """The policy of the nearest category, else the one of all others; None when nobody stated one.

    Args:
        policies: See `policies_of`.
        categories: Of a sku, from the leaf to the root.

    >>> stated = [Policy("*", "off", 0), Policy("drinks", "approve", 0), Policy("tea", "auto", 500)]
    >>> [policy_for(stated, path).mode for path in (["tea", "drinks"], ["milk", "drinks"], ["soap"])]
    ['auto', 'approve', 'off']
    """
    by_category = {policy.category_id: policy for policy in policies}
    for category in (*categories, ALL_OTHERS):
        if category in by_category:
            return by_category[category]
    return None

"""Whether lines of a category go to another supplier by themselves when theirs fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg

Connection = psycopg.Connection[Any]
Mode = Literal["auto", "ask"]

ALL_OTHERS = "*"
"""The category that speaks for every one without a policy of its own."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A category's policy.

    Attributes:
        category_id: The category, with all below it; `ALL_OTHERS` for the rest.
        mode: `auto`: lines go by themselves; `ask`: a person takes an alternative.
        max_extra_cents: Most that a line may cost more elsewhere to go by itself, fen.
    """

    category_id: str
    mode: Mode
    max_extra_cents: int


def put_policy(conn: Connection, tenant_id: str, policy: Policy, now: datetime) -> None:
    """State a category's policy; replaces the one before."""
    conn.execute(
        "insert into watch.policy (tenant_id, category_id, mode, max_extra_cents, changed_at)"
        " values (%s, %s, %s, %s, %s) on conflict (tenant_id, category_id)"
        " do update set mode = excluded.mode, max_extra_cents = excluded.max_extra_cents,"
        " changed_at = excluded.changed_at",
        (tenant_id, policy.category_id, policy.mode, policy.max_extra_cents, now),
    )


def policies_of(conn: Connection, tenant_id: str) -> list[Policy]:
    """Every policy, by category."""
    rows = conn.execute(
        "select category_id, mode, max_extra_cents from watch.policy where tenant_id = %s"
        " order by 1 limit 5000",
        (tenant_id,),
    )
    return [Policy(*row) for row in rows]


def goes_by_itself(policies: Sequence[Policy], categories: Sequence[str], extra_cents: int) -> bool:
    """Whether a line of a sku goes elsewhere without a person. Nobody stated a policy: it does not.

    Args:
        policies: See `policies_of`.
        categories: Of the sku, from the leaf to the root; the nearest with a policy counts.
        extra_cents: What the line costs more there, fen.

    >>> stated = [Policy("*", "auto", 0), Policy("tea", "auto", 500), Policy("milk", "ask", 0)]
    >>> [goes_by_itself(stated, [sku, "drinks"], 500) for sku in ("tea", "milk", "soap")]
    [True, False, False]
    """
    by_category = {policy.category_id: policy for policy in policies}
    for category in (*categories, ALL_OTHERS):
        if category in by_category:
            policy = by_category[category]
            return policy.mode == "auto" and extra_cents <= policy.max_extra_cents
    return False

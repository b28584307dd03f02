"""Suggested prices that ask: a request for each one that somebody wants to decide, and what approving does.

What waits is thousands of rows of every publication, and nobody decides most of them: the next one writes
them anew. So a suggestion becomes a request when it is asked for: of one listing, or of a merchant's that
share a cause or a category. It is the pricing run's request, so any operator decides alone up to a limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg

from serving.approvals.asking import Ask, request
from serving.approvals.effects import Done
from serving.approvals.errors import ApprovalError
from serving.approvals.kinds import Kind, Rail
from serving.approvals.records import Approval
from serving.approvals.suggestions import Suggestion
from serving.db import locks
from serving.scores.in_force import DECIDED, is_held, record_approved
from serving.security import Role, Scope


def _move_of(suggestion: Suggestion) -> int:
    """How far the wanted price of a unit lies from the one in force."""
    return abs(int(suggestion["price_cents"]) - int(suggestion["current_cents"]))


PRICE_MOVE = Kind(
    name="price_move",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.SETTLEMENT_APPROVE,
    reasons=frozenset({"cost_is_wrong", "too_high", "too_low", "not_needed", "other"}),
    validity=timedelta(days=2),
    rails={"price_cents": Rail("floor_cents", "ceiling_cents")},
    second_above_cents=10_000,
    worth=_move_of,
)
"""A suggested price is put into force; the subject is the listing, the value is the move of a unit.

A move by more than 100 yuan needs a second person, also one that a decider adjusted to it. Limit and validity
are assumptions of ours."""

SUGGESTED = "suggested"
"""The bucket of a move that nothing forces: the listing's mode wants to be asked."""
MOST = 2_000
"""Most requests of one call, as many as a batch of approvals holds."""

_WAITING: LiteralString = """
    select x.sku_id, x.price_cents, x.floor_cents, x.ceiling_cents, x.cost_cents, x.list_price_cents,
        coalesce((jsonb_path_query_first(e.steps, '$[*] ? (@.step == "anchor")') ->> 'current_cents')::bigint,
            x.list_price_cents) as current_cents,
        coalesce(jsonb_path_query_first(e.steps, '$[*] ? (@.step == "asks")') ->> 'cause', 'suggested')
            as cause,
        c.version
    from scores.current_publication c
    join scores.publication v using (tenant_id, version)
    join scores.publication_table t using (tenant_id, version)
    left join scores.live_pointer p using (snapshot_id)
    cross join lateral (
        select {columns} from scores.live_price l
        where l.snapshot_id = t.snapshot_id and l.merchant_id = %(merchant_id)s
        union all
        select {columns} from scores.prices l
        where l.snapshot_id = t.snapshot_id and l.merchant_id = %(merchant_id)s and not exists (
            select from scores.live_price o where o.snapshot_id = l.snapshot_id
                and o.merchant_id = l.merchant_id and o.sku_id = l.sku_id)
    ) x
    cross join lateral (select x.explanation::jsonb as steps) e
    {decided}
    where c.tenant_id = %(tenant)s and t.table_name = 'prices' and x.action = 'await_approval'
        and (%(skus)s::text[] is null or x.sku_id = any(%(skus)s))
        and a.price_cents is null
        and (%(category)s::text is null or exists (
            select from orders.product g where g.tenant_id = %(tenant)s and g.sku_id = x.sku_id
                and %(category)s = any(g.category_ids)))
"""
_COLUMNS: LiteralString = (
    "l.sku_id, l.price_cents, l.floor_cents, l.ceiling_cents, l.cost_cents, l.list_price_cents, l.action,"
    " l.explanation"
)


class PriceMovedError(ApprovalError):
    """The suggestion does not wait any more, or its limits are others now."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A suggestion that asks, as readers see it; cents.

    Attributes:
        cause: What forces it (`cost_jumped`, `below_floor`, `above_ceiling`), else `suggested`.
        source: Version that readers see.
    """

    sku_id: str
    price_cents: int
    floor_cents: int
    ceiling_cents: int
    cost_cents: int
    list_price_cents: int
    current_cents: int
    cause: str
    source: str

    @property
    def move_cents(self) -> int:
        """How far the price of a unit moves."""
        return abs(self.price_cents - self.current_cents)


@dataclass(frozen=True, slots=True)
class AskedMoves:
    """What was asked for.

    Attributes:
        approvals: The requests, farthest moves first.
        new: How many of them were not asked before.
        beyond: Suggestions that fit as well and were left out, since one call asks for at most `most`.
        causes: How many of the merchant's suggestions that fit have which cause.
    """

    approvals: tuple[Approval, ...]
    new: int
    beyond: int
    causes: dict[str, int]


def ask_moves(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    merchant_id: str,
    now: datetime,
    *,
    sku_ids: Sequence[str] | None = None,
    category_id: str | None = None,
    cause: str | None = None,
    most: int = MOST,
) -> AskedMoves:
    """Make requests of a merchant's suggestions that ask; the same suggestion is asked once.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: Whose listings.
        now: Business time.
        sku_ids: Only these.
        category_id: Only skus of this category, as the catalogue of products states it.
        cause: Only those with this cause, or `suggested`.
        most: At most so many, the farthest moves first.
    """
    found = _waiting(conn, tenant_id, merchant_id, sku_ids, category_id)
    wanted = [one for one in found if cause is None or one.cause == cause]
    asked = [
        request(conn, tenant_id, _ask(merchant_id, one), "pricing", now)
        # In the order of the sku, so that two calls never wait for each other.
        for one in sorted(wanted[:most], key=lambda one: one.sku_id)
    ]
    approvals = sorted((one.approval for one in asked), key=lambda one: (-one.value_cents, one.subject_id))
    return AskedMoves(
        tuple(approvals),
        sum(one.is_new for one in asked),
        max(len(wanted) - most, 0),
        dict(sorted(Counter(one.cause for one in found).items())),
    )


def move_price(conn: psycopg.Connection[Any], tenant_id: str, approval: Approval, now: datetime) -> Done:
    """Put an approved price into force from this moment on.

    Raises:
        PriceMovedError: The suggestion is gone or published, or the price lies outside its limits of now.
    """
    locks.prices_in_force(conn, tenant_id)
    wanted = approval.wanted
    merchant_id, sku_id, price_cents = wanted["merchant_id"], wanted["sku_id"], wanted["price_cents"]
    if is_held(conn, tenant_id, merchant_id, sku_id):
        raise PriceMovedError(
            f"an experiment holds the price of sku {sku_id} at merchant {merchant_id} back; stop it first"
        )
    found = _waiting(conn, tenant_id, merchant_id, [sku_id], None)
    if not found:
        raise PriceMovedError(f"no price of sku {sku_id} at merchant {merchant_id} waits any more")
    shown = found[0]
    if (shown.current_cents, shown.list_price_cents) != (wanted["current_cents"], wanted["list_price_cents"]):
        raise PriceMovedError(f"the price of sku {sku_id} moved to {shown.current_cents}; ask again")
    if shown.price_cents != approval.suggestion["price_cents"]:
        raise PriceMovedError(f"the suggestion for sku {sku_id} is {shown.price_cents} by now; ask again")
    if not shown.floor_cents <= price_cents <= shown.ceiling_cents:
        raise PriceMovedError(
            f"{price_cents} lies outside {shown.floor_cents} to {shown.ceiling_cents} by now; ask again"
        )
    if not record_approved(
        conn,
        tenant_id,
        approval.approval_id,
        (merchant_id, sku_id),
        now,
        price_cents=price_cents,
        list_price_cents=shown.list_price_cents,
    ):
        raise PriceMovedError(f"a price of sku {sku_id} came into force this very moment; approve again")
    return {"merchant_id": merchant_id, "sku_id": sku_id, "price_cents": price_cents}


def _waiting(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    merchant_id: str,
    sku_ids: Sequence[str] | None,
    category_id: str | None,
) -> list[Waiting]:
    """What asks, farthest moves first."""
    rows = conn.execute(
        _WAITING.replace("{columns}", _COLUMNS).replace("{decided}", DECIDED),
        {
            "tenant": tenant_id,
            "merchant_id": merchant_id,
            "skus": None if sku_ids is None else list(sku_ids),
            "category": category_id,
        },
    ).fetchall()
    found = [Waiting(*row) for row in rows]
    return sorted(found, key=lambda one: (-one.move_cents, one.sku_id))


def _ask(merchant_id: str, one: Waiting) -> Ask:
    return Ask(
        kind=PRICE_MOVE,
        # With the length, since ids may hold a slash.
        subject=("listing", f"{len(merchant_id)}:{merchant_id}/{one.sku_id}"),
        party=("merchant", merchant_id),
        suggestion={
            "merchant_id": merchant_id,
            "sku_id": one.sku_id,
            "price_cents": one.price_cents,
            "current_cents": one.current_cents,
            "floor_cents": one.floor_cents,
            "ceiling_cents": one.ceiling_cents,
            "cost_cents": one.cost_cents,
            "list_price_cents": one.list_price_cents,
            "cause": one.cause,
        },
        value_cents=one.move_cents,
        bucket=one.cause,
        source=one.source,
    )

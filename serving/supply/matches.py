"""Skus of different suppliers that are one product: asked, decided in the room of approvals, read by feeds.

Nothing is merged by a number alone: a pair waits for an operator, those above the cut in a bucket of their
own, so that they can be decided in one batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from serving.approvals.asking import Ask, request
from serving.approvals.effects import Done
from serving.approvals.errors import UnknownApprovalError
from serving.approvals.kinds import BASIS, Kind
from serving.approvals.records import Approval, in_effect_of_subject
from serving.approvals.states import State
from serving.security import Role, Scope

Connection = psycopg.Connection[Any]

SURE, DOUBTFUL = "sure", "doubtful"
"""Buckets of pairs above and below the cut."""
APART = "is_apart"
"""Field of a suggestion that takes an accepted pair back, and its bucket."""

PRODUCT_MATCH = Kind(
    name="product_match",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.STOCK_WRITE,
    reasons=frozenset({"another_product", "another_size", "no_evidence", "other"}),
    validity=timedelta(days=90),
    rails={},
    second_above_cents=None,
    quiet=timedelta(days=3650),
    watched="score_percent",
    moves_bps=BASIS,
)
"""Offers of a sku stand under another, or no longer do (`APART`); the subject is the pair. A pair that was
refused or taken back is not asked again, unless its score doubled. Validity assumed."""


@dataclass(frozen=True, slots=True)
class Match:
    """A pair that may be one product.

    Attributes:
        sku_id: Would stand for nothing of its own any more.
        stands_for_id: Its offers would stand under this sku.
        score_percent: How alike they are, 0 to 100.
        is_sure: Whether that is above the cut.
    """

    sku_id: str
    stands_for_id: str
    score_percent: int
    is_sure: bool


def ask_matches(
    conn: Connection, tenant_id: str, matches: Iterable[Match], source: str, now: datetime
) -> int:
    """Ask about pairs, each once.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        matches: The pairs.
        source: What they were found with.
        now: Business time.

    Returns:
        Pairs that were not asked about before.
    """
    return sum(
        request(conn, tenant_id, ask, "product_matching", now).is_new
        for ask in (_ask(match, source) for match in matches)
        if not _is_apart(conn, tenant_id, ask)
    )


def undo_ask(conn: Connection, tenant_id: str, sku_id: str, stands_for_id: str, reason_code: str) -> Ask:
    """What is asked when somebody wants an accepted pair taken back.

    It is a request about the same pair: in effect it supersedes the acceptance, as any newer one does, so
    that the log of the pair tells both.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        sku_id: A sku of the pair.
        stands_for_id: The other one; which stands for which does not matter.
        reason_code: One of the reasons of the kind.

    Raises:
        UnknownApprovalError: No pair of them is in effect.
    """
    accepted = _in_effect(conn, tenant_id, _subject(sku_id, stands_for_id))
    if accepted is None or APART in accepted.suggestion:
        raise UnknownApprovalError(f"no accepted pair of {sku_id!r} and {stands_for_id!r} is in effect")
    kept = {name: accepted.suggestion[name] for name in ("sku_id", "stands_for_id", "score_percent")}
    return Ask(
        kind=PRODUCT_MATCH,
        subject=_subject(sku_id, stands_for_id),
        suggestion=kept | {APART: True, "reason_code": reason_code},
        value_cents=0,
        bucket=APART,
    )


def accept_match(conn: Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    """Nothing is written beside the approval: whoever loads offers reads what is in effect."""
    return {name: approval.wanted[name] for name in ("sku_id", "stands_for_id")}


def _is_apart(conn: Connection, tenant_id: str, ask: Ask) -> bool:
    """Whether the pair was taken back, and is no more alike than it was then."""
    known = _in_effect(conn, tenant_id, ask.subject)
    if known is None or APART not in known.suggestion:
        return False
    return not PRODUCT_MATCH.has_moved((known.suggestion, 0), (ask.suggestion, 0))


def _in_effect(conn: Connection, tenant_id: str, subject: tuple[str, str]) -> Approval | None:
    """What is in effect of a pair, whatever was asked about it since."""
    return in_effect_of_subject(conn, tenant_id, PRODUCT_MATCH.name, subject)


def matches_in_force(conn: Connection, tenant_id: str) -> dict[str, str]:
    """Sku to the sku under which its offers stand, of every accepted pair."""
    rows = conn.execute(
        "select suggestion->>'sku_id', suggestion->>'stands_for_id' from approvals.request"
        " where tenant_id = %s and kind = %s and state = %s and not suggestion ? %s order by 1, 2",
        (tenant_id, PRODUCT_MATCH.name, State.IN_EFFECT, APART),
    )
    return one_for_each([(str(sku_id), str(other)) for sku_id, other in rows])


def one_for_each(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One sku for all that were accepted as the same, whichever pairs said so.

    Args:
        pairs: Sku and the sku that it stands for.

    Returns:
        Every sku but that one, to it: the one that most pairs name as standing for others, then the
        smallest id.

    >>> one_for_each([("b", "a"), ("c", "b"), ("y", "x")])
    {'b': 'a', 'c': 'a', 'y': 'x'}
    """
    pairs = list(pairs)
    group: dict[str, set[str]] = {}
    for pair in pairs:
        joined = set().union(*(group.get(sku, {sku}) for sku in pair))
        group.update(dict.fromkeys(joined, joined))
    named = Counter(other for _, other in pairs)
    own = {sku for sku, _ in pairs}
    found = {}
    for sku, members in group.items():
        root = min(members, key=lambda one: (one in own, -named[one], one))
        if sku != root:
            found[sku] = root
    return dict(sorted(found.items()))


def _subject(one: str, other: str) -> tuple[str, str]:
    first, second = sorted((one, other))
    # With the length, since ids may hold a slash.
    return "sku_pair", f"{len(first)}:{first}/{second}"


def _ask(match: Match, source: str) -> Ask:
    return Ask(
        kind=PRODUCT_MATCH,
        subject=_subject(match.sku_id, match.stands_for_id),
        suggestion={
            "sku_id": match.sku_id,
            "stands_for_id": match.stands_for_id,
            "score_percent": match.score_percent,
        },
        value_cents=0,
        bucket=SURE if match.is_sure else DOUBTFUL,
        source=source,
    )

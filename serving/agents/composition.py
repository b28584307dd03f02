"""What an agent lives on: own retail, own purchases, downline, recruiting; which limit is passed. Pure.

Source: P13: own retail at least 50%, self-purchase at most 30%, downline at most 30% (0 by default),
    recruiting 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from serving.settlement.plans.rules import IncomeRule

FULL_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Composition:
    """Net sales (the rule's base) from which an agent earns in a period, by kind, fen; never negative.

    Attributes:
        own_retail_cents: Sold by the agent to others.
        self_purchase_cents: Bought by the agent's own consumer account.
        downline_cents: Sold by others whom the agent is above of.
        recruit_linked_cents: Tied to recruiting; no plan can pay it, so that it is 0 unless money went
            another way.
    """

    own_retail_cents: int = 0
    self_purchase_cents: int = 0
    downline_cents: int = 0
    recruit_linked_cents: int = 0

    @property
    def total_cents(self) -> int:
        """All of it, fen."""
        return (
            self.own_retail_cents + self.self_purchase_cents + self.downline_cents + self.recruit_linked_cents
        )


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that is passed: the share found (floored) and the limit, bps."""

    reason_code: str
    share_bps: int
    limit_bps: int


def breaches(composition: Composition, rule: IncomeRule) -> tuple[Breach, ...]:
    """Limits that are passed, in the order of the rule; none without income.

    Shares are compared as fractions, so that rounding decides nothing.
    """
    total = composition.total_cents
    if total <= 0:
        return ()

    def share(cents: int) -> int:
        return cents * FULL_BPS // total

    found = []
    if composition.own_retail_cents * FULL_BPS < rule.own_retail_min_bps * total:
        found.append(
            Breach("own_retail_too_low", share(composition.own_retail_cents), rule.own_retail_min_bps)
        )
    for code, cents, limit in (
        ("self_purchase_too_high", composition.self_purchase_cents, rule.self_purchase_max_bps),
        ("downline_too_high", composition.downline_cents, rule.downline_max_bps),
        ("recruit_linked", composition.recruit_linked_cents, rule.recruit_linked_max_bps),
    ):
        if cents * FULL_BPS > limit * total:
            found.append(Breach(code, share(cents), limit))
    return tuple(found)

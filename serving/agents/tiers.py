"""Which tier end customers and net sales reach, and how a month close moves an agent. Pure.

Source: P8: customers, not recruits; promote at month close, demote one step a month.
"""

from __future__ import annotations

from dataclasses import dataclass

from serving.settlement.plans.rules import TierRule

TIERS = ("none", "bronze", "silver", "gold", "diamond")
"""From the lowest to the highest."""


@dataclass(frozen=True, slots=True)
class Performance:
    """What counts for a tier within the window.

    Attributes:
        end_customers: Distinct end customers with a settled order, who hold no selling right.
        net_sales_cents: What they paid for settled lines less refunds, without freight, fen.
    """

    end_customers: int = 0
    net_sales_cents: int = 0


def reached_tier(performance: Performance, rule: TierRule) -> str:
    """The highest tier both of whose thresholds are reached, if all below are reached as well."""
    reached = TIERS[0]
    for tier in TIERS[1:]:
        step = rule.steps.get(tier)  # type: ignore[call-overload]
        if step is None:
            continue
        if performance.end_customers < step.customers or performance.net_sales_cents < step.net_sales_cents:
            break
        reached = tier
    return reached


def tier_after_close(before: str, performance: Performance, rule: TierRule, *, may_rise: bool = True) -> str:
    """The tier after a month close.

    Args:
        before: Tier until now.
        performance: Of the window that ends with the month.
        rule: P8 of the plan.
        may_rise: False while violation points keep the agent down.
    """
    now, reached = TIERS.index(before), TIERS.index(reached_tier(performance, rule))
    if reached >= now:
        return TIERS[reached if may_rise else now]
    return TIERS[max(reached, now - rule.max_demotion_steps_per_month)]


def one_tier_down(tier: str) -> str:
    """The next lower tier; `none` stays."""
    return TIERS[max(0, TIERS.index(tier) - 1)]

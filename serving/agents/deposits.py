"""How large an agent's deposit has to be, and what a release adds to it. Pure integers; books nothing.

Source: P10: clamp(min, max, rate x EWMA30 of settled sales x (1 + step x points) x risk); a top-up takes
    at most 20% of a release.
"""

from __future__ import annotations

from collections.abc import Sequence

from serving.settlement.plans.rules import DepositRule

FULL_BPS = 10_000
# Fractions of a fen are carried along, or a slow average would never move.
_SCALE = 1_000_000


def average_sales_cents(daily_cents: Sequence[int], days: int) -> int:
    """Exponentially weighted mean of daily sales, floored to the fen.

    The weight of a day is 2 / (`days` + 1), the mean begins with the first day.

    Args:
        daily_cents: Settled sales by day, oldest first, without gaps; never negative.
        days: Span of the mean, 30 for EWMA30.

    >>> average_sales_cents([3100, 3100], 30), average_sales_cents([0, 3100], 30)
    (3100, 200)
    """
    if not daily_cents:
        return 0
    mean = daily_cents[0] * _SCALE
    for cents in daily_cents[1:]:
        mean += 2 * (cents * _SCALE - mean) // (days + 1)
    return mean // _SCALE


def required_deposit(
    rule: DepositRule, average_cents: int, points: int, *, risk_bps: int = FULL_BPS, is_natural_person: bool
) -> int:
    """The deposit that is asked for, fen.

    Args:
        rule: P10 of the plan.
        average_cents: As `average_sales_cents` gives it.
        points: Standing violation points.
        risk_bps: Factor of the risk review; 10000 is 1.
        is_natural_person: Persons pay none unless the rule says otherwise.
    """
    if is_natural_person and not rule.natural_person_pays:
        return 0
    # One division at the end: nothing is rounded twice.
    product = rule.sales_rate_bps * average_cents * (FULL_BPS + rule.point_step_bps * points) * risk_bps
    return min(rule.max_cents, max(rule.min_cents, product // FULL_BPS**3))


def top_up_cents(rule: DepositRule, required_cents: int, held_cents: int, released_cents: int) -> int:
    """What a release adds to the deposit, fen: what is missing, at most the rule's share of the release."""
    return max(0, min(required_cents - held_cents, released_cents * rule.top_up_max_bps // FULL_BPS))

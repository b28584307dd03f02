"""Diversion (窜货): an additive integer score from four signals, each with a reason code. Pure.

Every point of a score can be traced to counts: no model, no weight that the plan does not show.

Compensation of the protected agent is a share rule of the waterfall.

Source: P9: hold at most 15 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from serving.settlement.plans.rules import RegionRule

FULL_BPS = 10_000


@dataclass(frozen=True, slots=True)
class DiversionLimits:
    """From when a signal counts; the plan holds weights, these are the smallest samples.

    Attributes:
        min_scans: Fewer scans say nothing.
        min_bulk_orders: Orders to one address from which they count as bulk.
        min_listings: Fewer listings say nothing.
        repeats_for_full: Sales into protected regions that make the signal full.
        source: Where the values come from.
    """

    min_scans: int = 5
    min_bulk_orders: int = 5
    min_listings: int = 1
    repeats_for_full: int = 3
    source: str = "assumed"


@dataclass(frozen=True, slots=True)
class Observations:
    """What was counted of one agent in one period.

    Attributes:
        scans: Package codes that buyers scanned.
        scans_elsewhere: Those scanned in a city outside of the agent's region.
        orders: Orders of the agent.
        orders_to_top_address: Those that went to the most frequent address.
        listings: Public listings found.
        listings_below_floor: Those below the floor price.
        protected_zone_sales: Orders into a region that is protected for another agent.
    """

    scans: int = 0
    scans_elsewhere: int = 0
    orders: int = 0
    orders_to_top_address: int = 0
    listings: int = 0
    listings_below_floor: int = 0
    protected_zone_sales: int = 0


@dataclass(frozen=True, slots=True)
class Contribution:
    """One signal: `strength_bps` x `weight_bps` / 10000 = `points`; `counted` out of `out_of`."""

    reason_code: str
    counted: int
    out_of: int
    strength_bps: int
    weight_bps: int
    points: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """A score with everything it is made of.

    Attributes:
        score: Sum of the points, 0 to 10000.
        is_held: The score reaches the plan's limit.
        contributions: Signals with points, strongest first.
    """

    score: int
    is_held: bool
    contributions: tuple[Contribution, ...]

    @property
    def reason_code(self) -> str:
        """The reasons, strongest first, joined by `+`; empty without any."""
        return "+".join(part.reason_code for part in self.contributions)


def assess(
    observations: Observations, rule: RegionRule, limits: DiversionLimits = DiversionLimits()
) -> Assessment:
    """Score what was counted.

    Args:
        observations: Counts of one agent and period.
        rule: P9 of the plan, with the weights of the signals.
        limits: Smallest samples.

    Raises:
        ValueError: A part is larger than its whole, or a count is negative.
    """
    seen = observations
    samples = (
        ("scan_city_mismatch", seen.scans_elsewhere, seen.scans, limits.min_scans),
        ("bulk_one_address", seen.orders_to_top_address, seen.orders, 0),
        ("sub_floor_listing", seen.listings_below_floor, seen.listings, limits.min_listings),
    )
    parts = []
    for code, counted, out_of, smallest in samples:
        if not 0 <= counted <= out_of:
            raise ValueError(f"{code}: {counted} of {out_of} cannot be; correct the counts")
        is_bulk = code != "bulk_one_address" or counted >= limits.min_bulk_orders
        strength = counted * FULL_BPS // out_of if out_of >= max(1, smallest) and is_bulk else 0
        parts.append(_contribution(code, counted, out_of, strength, rule))
    repeats = seen.protected_zone_sales
    if repeats < 0:
        raise ValueError(f"protected_zone_repeat: {repeats} cannot be; correct the counts")
    full = limits.repeats_for_full
    # One sale across a border happens; only what repeats is a signal.
    strength = min(repeats, full) * FULL_BPS // full if repeats > 1 else 0
    parts.append(_contribution("protected_zone_repeat", repeats, full, strength, rule))
    counting = sorted(
        (part for part in parts if part.points), key=lambda part: (-part.points, part.reason_code)
    )
    score = sum(part.points for part in counting)
    return Assessment(score, bool(counting) and score >= rule.hold_from_score_bps, tuple(counting))


def hold_ends_at(placed_at: datetime, rule: RegionRule) -> datetime:
    """When a diversion hold ends by itself."""
    return placed_at + timedelta(days=rule.hold_max_days)


def _contribution(code: str, counted: int, out_of: int, strength_bps: int, rule: RegionRule) -> Contribution:
    weight = rule.signal_weights_bps.get(code, 0)  # type: ignore[call-overload]
    return Contribution(code, counted, out_of, strength_bps, weight, strength_bps * weight // FULL_BPS)

"""Shares of fees and points that belong to no order line: service fee, slot fee, points earned and burnt.

The waterfall of order lines lives in `waterfall`, clearing between merchants in `waterfall_clearing`.
"""

from __future__ import annotations

from serving.settlement.errors import SnapshotError
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.rules import PointsRule, ServiceFeeRule, ShareRule, SlotFeeRule
from serving.settlement.sharing.leg import Leg, LegKind
from serving.settlement.sharing.rounding import floor_bps
from serving.settlement.sharing.snapshot import Party
from serving.settlement.sharing.waterfall import PLATFORM, not_payable


def service_fee_legs(
    plan: PlanVersion, recognised_cents: int, month_no: int, recruiter: Party | None
) -> tuple[Leg, ...]:
    """Scenario 6: one month's recognised service fee, shared between recruiter and platform.

    Args:
        plan: Carries P4.
        recognised_cents: Service revenue recognised for the month, fen; never what was merely paid in.
        month_no: 1 for the first month of service.
        recruiter: Who brought the company, or None.

    Returns:
        Legs that sum to `recognised_cents`; after the rule's months all goes to the platform. A recruiter
        who may not be paid is recorded with 0 fen.

    Raises:
        SnapshotError: for a negative fee or a month before the first.

    Source: P4.
    """
    if recognised_cents < 0 or month_no < 1:
        raise SnapshotError(
            f"a recognised fee of {recognised_cents} fen in month {month_no}: at least 0 and 1"
        )
    rule = plan.only(ServiceFeeRule)
    party = recruiter if rule is not None and month_no <= rule.months else None
    return _fee_legs("service_fee", 6, recognised_cents, rule, party)


def slot_fee_legs(plan: PlanVersion, slot_fee_cents: int, anchor: Party) -> tuple[Leg, ...]:
    """Scenario 7: a live anchor's slot fee; the platform keeps its service share, the anchor gets the rest.

    Returns:
        Legs that sum to `slot_fee_cents`. Without a rule the whole fee is the anchor's; an anchor
        who may not be paid leaves it with the platform.

    Raises:
        SnapshotError: for a negative fee.
    """
    if slot_fee_cents < 0:
        raise SnapshotError(f"a slot fee of {slot_fee_cents} fen: it cannot be negative")
    rule = plan.only(SlotFeeRule)
    kept = floor_bps(slot_fee_cents, rule.rate_bps or 0) if rule else 0
    why = not_payable(rule, anchor) if rule else None
    legs = []
    if kept:
        rate_bps = rule.rate_bps or 0 if rule else 0
        legs.append(_leg("platform", 7, rule, None, slot_fee_cents, rate_bps, kept, kept, None))
    rest = slot_fee_cents - kept
    if rest:
        paid = 0 if why else rest
        legs.append(_leg("slot_fee", 7, None, anchor, slot_fee_cents, 10_000, rest, paid, why))
        if why:
            legs.append(_leg("platform", 7, None, None, slot_fee_cents, 10_000, rest, rest, None))
    return tuple(legs)


def points_earned(plan: PlanVersion, net_paid_cents: int) -> int:
    """Points (PT) a line earns at release; 0 when the plan has no points.

    Source: P16.
    """
    rule = plan.only(PointsRule)
    return floor_bps(net_paid_cents, rule.earn_rate_bps) if rule else 0


def points_burn_limit(plan: PlanVersion, line_cents: int) -> int:
    """The most points (PT, 1 PT burns as 1 fen) that may pay for a line of `line_cents`.

    Source: P16.
    """
    rule = plan.only(PointsRule)
    return floor_bps(line_cents, rule.burn_max_bps) if rule else 0


def _fee_legs(
    kind: LegKind, scenario: int, fee_cents: int, rule: ShareRule | None, party: Party | None
) -> tuple[Leg, ...]:
    """A party's share of a fee and the platform's rest."""
    legs = []
    paid = 0
    if rule is not None and party is not None:
        rate_bps = rule.rate_for(party.tier)
        wanted = floor_bps(fee_cents, rate_bps)
        why = not_payable(rule, party)
        paid = 0 if why else wanted
        if wanted:
            legs.append(_leg(kind, scenario, rule, party, fee_cents, rate_bps, wanted, paid, why))
    rest = fee_cents - paid
    if rest:
        legs.append(_leg("platform", scenario, None, None, fee_cents, 10_000, rest, rest, None))
    return tuple(legs)


def _leg(
    kind: LegKind,
    scenario: int,
    rule: ShareRule | None,
    party: Party | None,
    fee_cents: int,
    rate_bps: int,
    wanted_cents: int,
    amount_cents: int,
    cut_reason: str | None,
) -> Leg:
    """A leg outside any order line; without a party it is the platform's."""
    return Leg(
        line_no=0,
        supplier_id="",
        kind=kind,
        scenario=scenario,
        rule_id=rule.id if rule else None,
        payee_type=party.party_type if party else "platform",
        payee_id=party.party_id if party else PLATFORM,
        level=0,
        base="service_fee_recognised",
        base_cents=fee_cents,
        rate_bps=rate_bps,
        wanted_cents=wanted_cents,
        left_cents=fee_cents,
        amount_cents=amount_cents,
        cut_reason=cut_reason,
        is_locked=False,
    )

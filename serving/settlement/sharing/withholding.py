"""Tax withheld from the commissions of natural persons: a leg of its own beside the commission. Pure.

The rate is the one that the plan gives for the day of payment. A share that waits for a batch of
three-for-one is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from serving.settlement.plans.rules import WithholdingRule
from serving.settlement.sharing.leg import COMMISSION_KINDS, Leg
from serving.settlement.sharing.rounding import FULL_BPS
from serving.settlement.sharing.snapshot import OrderSnapshot, Parties

WITHHELD = "withheld"


def withhold(
    legs: Sequence[Leg], order: OrderSnapshot, rule: WithholdingRule, zone: tzinfo
) -> tuple[Leg, ...]:
    """The legs with every person's commission split into what is paid and what is withheld.

    Args:
        legs: As the waterfall made them.
        order: Who is a natural person, and when it was paid.
        rule: The plan's rates.
        zone: In which the day of payment is told.

    Returns:
        Legs of the same sum; a withheld leg follows its commission and names its payee.
    """
    rate_bps = rule.rate_on(order.paid_at.astimezone(zone).date())
    if not rate_bps:
        return tuple(legs)
    persons = _persons(order.parties)
    found: list[Leg] = []
    for leg in legs:
        payee = (leg.payee_type, leg.payee_id)
        tax = leg.amount_cents * rate_bps // FULL_BPS
        if leg.kind not in COMMISSION_KINDS or leg.is_locked or payee not in persons or tax <= 0:
            found.append(leg)
            continue
        reason = WITHHELD if leg.cut_reason is None else f"{leg.cut_reason}+{WITHHELD}"
        found.append(leg._replace(amount_cents=leg.amount_cents - tax, cut_reason=reason))
        found.append(
            Leg(
                leg.line_no, leg.supplier_id, "withholding", leg.scenario, rule.id, "platform",
                withheld_for(*payee), leg.level, "commission", leg.amount_cents, rate_bps, tax,
                leg.amount_cents, tax, None, False,
            )
        )  # fmt: skip
    return tuple(found)


def withheld_for(payee_type: str, payee_id: str) -> str:
    """How a withheld leg, which is the platform's, names whose tax it is."""
    return f"{payee_type}/{payee_id}"


def _persons(parties: Parties) -> set[tuple[str, str]]:
    everybody = [
        parties.seller,
        *parties.upline,
        *parties.roles.values(),
        *(party for party in (parties.manager, parties.region_protected) if party is not None),
    ]
    return {(party.party_type, party.party_id) for party in everybody if party.is_natural_person}

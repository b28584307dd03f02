"""The waterfall: a frozen order and a plan version in, the legs of every fen out. Pure and fast.

Order of payment per line: supplier -> channel fee -> tax -> seller (less region compensation) -> upline ->
scene roles -> team -> support fund -> platform. The legs of a line sum to its net_paid, those of a freight to
the freight, all to the captured amount. Service fees, slot fees, points and the guarantee fund belong to no
order line: they live in `waterfall_fees` and `waterfall_clearing`. Nothing here posts or stores.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import NamedTuple

from serving.settlement.errors import SnapshotError
from serving.settlement.plans.plan import PlanVersion, RuleSlot
from serving.settlement.plans.rules import RegionRule, ShareRule
from serving.settlement.sharing.funding import line_shortfalls
from serving.settlement.sharing.leg import Leg, LegBase, LegKind
from serving.settlement.sharing.snapshot import LineSnapshot, OrderSnapshot, Party
from serving.settlement.sharing.withholding import withhold

PLATFORM = "platform"
# One order pays a party once from the pool. Compensation is no pay for selling and stands beside it.
_ONE_SEAT_EACH = frozenset({"upline", "role", "team"})


class _Seat(NamedTuple):
    """A party that may be paid at one stage, and the rules that compete for it."""

    kind: LegKind
    level: int
    scenario: int
    party: Party
    blocked: str | None
    is_locked: bool
    slot: RuleSlot


class _Claim(NamedTuple):
    """A seat with the rule that won, ready to be applied to a line."""

    kind: LegKind
    level: int
    scenario: int
    rule_id: str
    payee_type: str
    payee_id: str
    base: LegBase
    rate_bps: int
    blocked: str | None
    is_locked: bool
    rule: ShareRule


def accrue(order: OrderSnapshot, plan: PlanVersion, zone: tzinfo = UTC) -> tuple[Leg, ...]:
    """All legs of an order, line by line, freight last.

    Legs of 0 fen are left out, except those that a rule wanted to pay and that were cut to 0: they stay as a
    record with `amount_cents` 0 and a `cut_reason`, and post no entry. The rate of a tax is that of the day
    of payment in the given time zone.

    Raises:
        SnapshotError: when the captured amount is not lines plus freight, or the order was frozen with
            another plan version than this one.

    Source: P1-P7, P9, P12, P14; waterfall and bases of the settlement design.
    """
    _check(order, plan)
    seats = _seats(order, plan)
    fund = plan.slots.get(("fund", "support_fund"))
    # A slot without scoped rules has the same winner on every line: decided once an order.
    fixed = None
    if all(seat.slot.everywhere for seat in seats):
        fixed = _claims(seats, order.lines[0])
    pool_cap_bps = plan.pool_cap_bps
    shops = {line.supplier_id for line in order.lines}
    basket = 2 if len(shops) > 1 else 1
    seller = order.parties.seller
    selling_merchant = seller.party_id if seller.party_type == "merchant" else None
    legs: list[Leg] = []
    for line in order.lines:
        claims = fixed if fixed is not None else _claims(seats, line)
        _accrue_line(legs, line, claims, fund, pool_cap_bps, basket, selling_merchant)
    for freight in order.freights:
        if freight.cents:
            shop = freight.supplier_id
            cents = freight.cents
            legs.append(_passed(0, shop, "freight", basket, "supplier", shop, "freight", cents, cents))
    if plan.withholding is not None:
        return withhold(legs, order, plan.withholding, zone)
    return tuple(legs)


def shortfall_of(line: LineSnapshot) -> int:
    """What the platform adds to a line that brings less than supplier, channel and tax take, fen; 0 or more.

    Shares are cut to what is left of the margin, so no plan makes it more; what funders of agreed discounts
    owe makes it less.
    """
    legs: list[Leg] = []
    _accrue_line(legs, line, [], None, 0, 1, None)
    advanced = -sum(leg.amount_cents for leg in legs if leg.kind == "subsidy")
    return max(0, advanced - sum(found.owed_cents for found in line_shortfalls(line, legs)))


def _check(order: OrderSnapshot, plan: PlanVersion) -> None:
    """Refuse an order that does not add up or belongs to another plan version."""
    paid = 0
    for line in order.lines:
        paid += line.net_paid_cents
    for freight in order.freights:
        paid += freight.cents
    if paid != order.captured_cents or not order.lines:
        raise SnapshotError(
            f"order {order.order_id}: captured {order.captured_cents} is not lines plus freight {paid}"
        )
    if order.plan_id is not None and (order.plan_id, order.plan_version) != (plan.plan_id, plan.version):
        raise SnapshotError(
            f"order {order.order_id} was frozen with plan {order.plan_id} version {order.plan_version}; "
            f"it cannot be settled by {plan.plan_id} version {plan.version}"
        )


def _seats(order: OrderSnapshot, plan: PlanVersion) -> list[_Seat]:
    """Everybody who may be paid from the pool, in order of payment."""
    parties = order.parties
    slots = plan.slots
    buyer = order.consumer_id
    seller = parties.seller
    sellers_key = (seller.party_type, seller.party_id)
    seated = {sellers_key}
    seats: list[_Seat] = []

    def seat(kind: LegKind, level: int, scenario: int, party: Party, slot: RuleSlot) -> None:
        why = None
        if buyer in (party.own_consumer_id, party.party_id):
            why = "self_purchase"
        elif kind in _ONE_SEAT_EACH:
            key = (party.party_type, party.party_id)
            if key in seated:
                why = "already_seated"
            seated.add(key)
        locked = level == 1 and why is None and parties.is_first_purchase and plan.three_for_one is not None
        seats.append(_Seat(kind, level, scenario, party, why, locked, slot))

    store = slots.get(("agent_store", "seller"))
    in_store = False
    if parties.seller_scheme == "agent_store" and store is not None:
        # A tier without a rate on the ladder (none, bronze) is paid like any other seller.
        in_store = any(rule.rate_for(seller.tier) for rule in store.rules)
    direct = store if in_store else slots.get(("direct", "seller"))
    if direct is not None:
        scenario = 5 if in_store else 3 if seller.party_type == "agent" else 0
        seat("direct", 0, scenario, seller, direct)
    region = slots.get(("region", "region_protected"))
    protected = parties.region_protected
    if region is not None and protected is not None and protected.party_id != seller.party_id:
        seat("region", 0, 5, protected, region)
    for level, party in enumerate(parties.upline[: plan.max_paid_levels], start=1):
        slot = slots.get(("agent_store" if in_store else "referral", f"upline_{level}"))
        # A seller who referred the buyer himself is no cut worth a record: he is simply paid as seller.
        if slot is not None and (party.party_type, party.party_id) != sellers_key:
            seat("upline", level, 5 if in_store else 3, party, slot)
    for role in sorted(parties.roles) if parties.roles else ():
        slot = slots.get(("scene_role", role))
        if slot is not None:
            seat("role", 0, 7, parties.roles[role], slot)
    team = slots.get(("team", "manager"))
    if team is not None and parties.manager is not None:
        seat("team", 0, 4, parties.manager, team)
    return seats


def _claims(seats: list[_Seat], line: LineSnapshot) -> list[_Claim]:
    """The winning rule of every seat for this line; seats without a rate are left out."""
    claims = []
    for kind, level, scenario, party, blocked, is_locked, slot in seats:
        rule = slot.winner(line)
        if rule is None:
            continue
        rate_bps = rule.rate_for(party.tier)
        if rate_bps == 0:
            continue
        why = blocked or not_payable(rule, party)
        claims.append(
            _Claim(
                kind, level, scenario, rule.id, party.party_type, party.party_id, rule.base, rate_bps, why,
                is_locked and why is None, rule,
            )
        )  # fmt: skip
    return claims


def not_payable(rule: ShareRule, party: Party) -> str | None:
    """Why the rule does not pay this party (a `cut_reason`), or None."""
    if party.is_natural_person and not rule.allows_natural_person:
        return "natural_person"
    if rule.requires_contract and not party.has_contract:
        return "no_contract"
    if rule.requires_verified and not party.is_verified:
        return "not_verified"
    if rule.requires_service_evidence and not party.has_service_evidence:
        return "no_service_evidence"
    return None


def _accrue_line(
    legs: list[Leg],
    line: LineSnapshot,
    claims: list[_Claim],
    fund: RuleSlot | None,
    pool_cap_bps: int,
    basket: int,
    selling_merchant: str | None,
) -> None:
    """Append the legs of one line.

    A discount comes off the leg of its funder as far as that leg goes; what an agreed one leaves is in
    `funding.shortfalls`. What was paid with points counts as if it were money; a leg of the platform advances
    it until who took the points gives it back.
    """
    line_no = line.line_no
    shop = line.supplier_id
    points = sum(discount.cents for discount in line.discounts if discount.is_points)
    net = line.net_paid_cents + points
    supply = line.supply_price_cents
    fee = line.channel_fee_cents
    tax = line.tax_cents
    by_merchant = by_supplier = 0
    is_funded = is_agreed = False
    for discount in line.discounts:
        if discount.is_points:
            is_funded = True
            continue
        if discount.funder == "merchant" and discount.party_id in (None, selling_merchant):
            by_merchant += discount.cents
        elif discount.funder == "supplier" and discount.party_id in (None, shop):
            by_supplier += discount.cents
        is_funded = is_funded or discount.funder != "platform"
        is_agreed = is_agreed or discount.party_id is not None
    plain = 8 if is_funded else basket

    due = supply - by_supplier if by_supplier < supply else 0
    if supply:
        why = "supplier_funded" if due < supply else None
        legs.append(
            _passed(line_no, shop, "supplier", plain, "supplier", shop, "supply_price", supply, due, why)
        )
    if fee:
        legs.append(
            _passed(line_no, shop, "channel_fee", plain, "platform", PLATFORM, "channel_fee", fee, fee)
        )
    if tax:
        legs.append(_passed(line_no, shop, "tax", plain, "platform", PLATFORM, "tax", tax, tax))
    if points:
        legs.append(_passed(line_no, shop, "subsidy", plain, "platform", PLATFORM, "points", points, -points))

    surplus = net - due - fee - tax
    if surplus < 0:
        _share_pool(legs, line, claims, net, 0, 0, by_merchant, is_agreed, plain)
        legs.append(_passed(line_no, shop, "subsidy", plain, "platform", PLATFORM, "net_paid", net, surplus))
        return
    pool = net * pool_cap_bps // 10_000
    if surplus < pool:
        pool = surplus
    retained = (
        surplus - pool + _share_pool(legs, line, claims, net, surplus, pool, by_merchant, is_agreed, plain)
    )
    rest = retained
    rule = fund.winner(line) if fund is not None and retained else None
    if rule is not None:
        rate_bps = rule.rate_bps or 0
        granted = retained * rate_bps // 10_000
        if granted:
            legs.append(
                Leg(
                    line_no, shop, "fund", 4, rule.id, "platform", PLATFORM, 0, "retained", retained,
                    rate_bps, granted, retained, granted, None, False,
                )
            )  # fmt: skip
            rest -= granted
    if rest:
        legs.append(
            _passed(line_no, shop, "platform", plain, "platform", PLATFORM, "retained", retained, rest)
        )


def _passed(
    line_no: int,
    shop: str,
    kind: LegKind,
    scenario: int,
    payee_type: str,
    payee_id: str,
    base: LegBase,
    base_cents: int,
    amount_cents: int,
    cut_reason: str | None = None,
) -> Leg:
    """A leg that no percentage decides."""
    wanted = base_cents if cut_reason else amount_cents
    return Leg(
        line_no, shop, kind, scenario, None, payee_type, payee_id, 0, base, base_cents, 10_000,
        wanted, wanted, amount_cents, cut_reason, False,
    )  # fmt: skip


def _share_pool(
    legs: list[Leg],
    line: LineSnapshot,
    claims: list[_Claim],
    net: int,
    margin: int,
    pool: int,
    by_merchant: int,
    is_agreed: bool,
    plain: int,
) -> int:
    """Append the legs paid from the pool, in order of payment; what is left of the pool, fen."""
    line_no = line.line_no
    shop = line.supplier_id
    left = pool
    carried = 0
    for claim in claims:
        kind, level, scenario, rule_id, payee_type, payee_id, base, rate_bps, blocked, is_locked, _ = claim
        if base == "net_paid":
            base_cents = net
        elif base == "pool":
            base_cents = pool
        elif base == "margin":
            base_cents = margin
        else:
            base_cents = margin - pool + left
        wanted = base_cents * rate_bps // 10_000
        if wanted == 0:
            continue
        if kind == "region":
            _compensate(legs, claim, base_cents, wanted, line_no)
            continue
        amount = wanted
        reason = blocked
        if blocked is not None:
            amount = 0
        elif wanted > left:
            amount = left
            reason = "pool"
        if kind == "direct":
            if not scenario or plain == 8:
                scenario = plain
            if by_merchant and amount:
                carried = min(by_merchant, amount)
                amount -= carried
                reason = "merchant_funded" if reason is None else "pool+merchant_funded"
        legs.append(
            Leg(
                line_no, shop, kind, scenario, rule_id, payee_type, payee_id, level, base, base_cents,
                rate_bps, wanted, left, amount, reason, is_locked,
            )
        )  # fmt: skip
        left -= amount
        if kind == "direct" and is_agreed:
            # What an agreed discount takes is no pool for others: they get what they would without it.
            left -= carried
    return left + carried if is_agreed else left


def _compensate(legs: list[Leg], claim: _Claim, base_cents: int, wanted: int, line_no: int) -> None:
    """P9: move part of the seller's leg of this line to the protected region.

    The pool does not change: what the region gets the seller loses, at most the rule's share of his leg.
    """
    rule = claim.rule
    seller = legs[-1] if legs else None
    if seller is None or seller.kind != "direct" or seller.line_no != line_no or seller.amount_cents == 0:
        return
    if not isinstance(rule, RegionRule):
        raise TypeError(f"rule {rule.id} stands at the region stage but is a {type(rule).__name__}")
    limit = seller.amount_cents * rule.max_share_of_leg_bps // 10_000
    reason = claim.blocked
    amount = wanted
    if reason is not None:
        amount = 0
    elif wanted > limit:
        amount = limit
        reason = "leg_share"
    legs.append(
        Leg(
            line_no, seller.supplier_id, "region", claim.scenario, claim.rule_id, claim.payee_type,
            claim.payee_id, 0, claim.base, base_cents, claim.rate_bps, wanted, limit, amount, reason, False,
        )
    )  # fmt: skip
    if amount:
        cut = f"{seller.cut_reason}+region" if seller.cut_reason else "region"
        legs[-2] = seller._replace(amount_cents=seller.amount_cents - amount, cut_reason=cut)

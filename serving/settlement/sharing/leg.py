"""One leg of a settlement: who gets how much of what, and why. Legs are made by `waterfall`."""

from __future__ import annotations

from typing import Literal, NamedTuple

LegKind = Literal[
    "supplier",
    "freight",
    "channel_fee",
    "tax",
    "direct",
    "upline",
    "team",
    "role",
    "region",
    "fund",
    "platform",
    "subsidy",
    "service_fee",
    "slot_fee",
    "withholding",
]
LegBase = Literal[
    "net_paid",
    "margin",
    "pool",
    "retained",
    "service_fee_recognised",
    "supply_price",
    "freight",
    "channel_fee",
    "tax",
    "commission",
    "points",
]
# Legs that share the pool; what they sum to never exceeds it (L10).
COMMISSION_KINDS: frozenset[str] = frozenset({"direct", "upline", "team", "role", "region"})


class Leg(NamedTuple):
    """One leg. A NamedTuple: bulk replays make millions, and a frozen dataclass costs several times more.

    Attributes:
        line_no: The order line; 0 is the freight of `supplier_id`, or a leg outside any order line.
        supplier_id: Key of the sub-order it is released with.
        kind: What it is.
        scenario: 1..8, see the settlement design.
        rule_id: The plan rule, or None where no rule decides (supplier, fee, tax, platform, subsidy).
        payee_type: `merchant`, `agent`, `supplier` or `platform`. Fee, tax and support fund stand under the
            platform; `kind` tells them apart.
        payee_id: Id inside its type.
        level: Paid upline level 1 or 2; 0 for everybody else.
        base: What the rate applies to.
        base_cents: The base, fen.
        rate_bps: The rate; 10000 where the base itself is passed on.
        wanted_cents: Before any cut, fen.
        left_cents: What was left to pay it from (the pool, or the limit of a compensation), fen.
        amount_cents: What is paid, fen. 0 is a record of a leg cut to nothing and posts no entry; a
            subsidy is negative.
        cut_reason: Why it is less than wanted, joined by "+", or None. `pool`: the pool was used up;
            `merchant_funded`, `supplier_funded`: the payee funds a discount; `region`: compensation went to
            the protected region; `leg_share`: at most a share of the seller's leg; `self_purchase`,
            `already_seated`, `natural_person`, `no_contract`, `not_verified`, `no_service_evidence`: not
            payable.
        is_locked: Waits for a three-for-one batch.
    """

    line_no: int
    supplier_id: str
    kind: LegKind
    scenario: int
    rule_id: str | None
    payee_type: str
    payee_id: str
    level: int
    base: LegBase
    base_cents: int
    rate_bps: int
    wanted_cents: int
    left_cents: int
    amount_cents: int
    cut_reason: str | None
    is_locked: bool


def money(cents: int) -> str:
    """Fen as a decimal text.

    >>> money(-1205)
    '-12.05'
    """
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def percent(rate_bps: int) -> str:
    """Basis points as a percentage text.

    >>> percent(2050)
    '20.50%'
    """
    return f"{rate_bps // 100}.{rate_bps % 100:02d}%"


_WHY = {
    "self_purchase": "the payee bought it himself",
    "already_seated": "the payee already has a share of this order by another role",
    "natural_person": "the rule pays companies only",
    "no_contract": "no contract is on file",
    "not_verified": "the payee is not verified",
    "no_service_evidence": "no service evidence is on file",
}
_FUNDED = {
    "merchant_funded": "discount funded by the merchant",
    "region": "compensation of the protected region",
    "withheld": "tax withheld",
}


def formula(leg: Leg) -> str:
    """The arithmetic of a leg in one line, as the explain endpoint and the statements show it.

    Pool legs: "floor(105.85 x 20.00%) = 21.17; pool left 31.75, not cut".
    """
    if leg.kind in COMMISSION_KINDS:
        return _formula_of_commission(leg)
    if leg.kind == "supplier":
        if leg.cut_reason is None:
            return f"supply price {money(leg.base_cents)}"
        less = leg.base_cents - leg.amount_cents
        return (
            f"supply price {money(leg.base_cents)} - {money(less)} discount funded by the supplier "
            f"= {money(leg.amount_cents)}"
        )
    if leg.kind == "platform" and leg.base == "retained":
        less = leg.base_cents - leg.amount_cents
        return f"retained {money(leg.base_cents)} - {money(less)} support fund = {money(leg.amount_cents)}"
    if leg.base == "points":
        return f"{money(leg.base_cents)} paid with points, owed by who took them = {money(leg.amount_cents)}"
    if leg.kind == "subsidy":
        costs = money(leg.base_cents - leg.amount_cents)
        return f"net paid {money(leg.base_cents)} - {costs} supplier, fee and tax = {money(leg.amount_cents)}"
    if leg.kind == "withholding":
        return f"{_floored(leg)} withheld from the commission"
    if leg.kind == "fund" or leg.base == "service_fee_recognised":
        return _formula_of_fee(leg)
    names = {"freight": "freight passed on", "channel_fee": "share of the channel fee", "tax": "tax borne"}
    return f"{names[leg.kind]} {money(leg.amount_cents)}"


def _formula_of_fee(leg: Leg) -> str:
    """A grant or a share of a fee; whoever has no rule gets the rest."""
    blocked = _WHY.get(leg.cut_reason or "")
    if leg.rule_id is None and blocked:
        return f"fee {money(leg.wanted_cents)}; not paid: {blocked}"
    if leg.rule_id is None:
        less = leg.base_cents - leg.amount_cents
        return f"fee {money(leg.base_cents)} - {money(less)} = {money(leg.amount_cents)}"
    return f"{_floored(leg)}; not paid: {blocked}" if blocked else _floored(leg)


def _floored(leg: Leg) -> str:
    """The plain percentage part of a formula."""
    return f"floor({money(leg.base_cents)} x {percent(leg.rate_bps)}) = {money(leg.wanted_cents)}"


def _formula_of_commission(leg: Leg) -> str:
    """A percentage, what it could be paid from, and every cut."""
    reasons = leg.cut_reason.split("+") if leg.cut_reason else []
    blocked = [_WHY[reason] for reason in reasons if reason in _WHY]
    if blocked:
        return f"{_floored(leg)}; not paid: {blocked[0]}"
    source = "limit by the seller's leg" if leg.kind == "region" else "pool left"
    within = min(leg.wanted_cents, leg.left_cents)
    text = f"{_floored(leg)}; {source} {money(leg.left_cents)}, "
    text += f"cut to {money(within)}" if within < leg.wanted_cents else "not cut"
    funded = [_FUNDED[reason] for reason in reasons if reason in _FUNDED]
    if funded:
        text += f"; less {money(within - leg.amount_cents)} ({', '.join(funded)}) = {money(leg.amount_cents)}"
    return text

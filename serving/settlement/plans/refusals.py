"""What no plan may contain, whoever writes it: legal and arithmetical refusals. No parsing here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from serving.settlement.errors import PlanRefusedError, Refusal
from serving.settlement.plans.plan import MAX_PAID_LEVELS, MAX_POOL_CAP_BPS, PlanVersion
from serving.settlement.plans.rules import (
    FORBIDDEN_TRIGGERS,
    CouponRule,
    DepositRule,
    IncomeRule,
    LevelCapRule,
    RegionRule,
    ReleaseRule,
    RuleCore,
    ServiceFeeRule,
    ShareRule,
    ThreeForOneRule,
    TierRule,
    ViolationRule,
)
from serving.settlement.sharing.rounding import FULL_BPS

NOTICE = timedelta(days=7)
# Adapters that move no real money; everything else is real.
SIMULATED_ADAPTERS = frozenset({"simulated"})
_UPLINE = {"upline_1": 1, "upline_2": 2, "upline_3": 3}
_BASES = {
    "fund": ("retained",),
    "service_fee": ("service_fee_recognised",),
    "slot_fee": ("service_fee_recognised",),
    "region": ("net_paid", "margin", "pool"),
}
_COMMISSION_BASES = ("net_paid", "margin", "pool", "retained")
_PAYEES = {
    "direct": ("seller",),
    "agent_store": ("seller", *_UPLINE),
    "referral": tuple(_UPLINE),
    "scene_role": ("group_leader", "live_anchor", "store_guide", "distributor"),
    "team": ("manager",),
    "fund": ("support_fund",),
    "region": ("region_protected",),
    "service_fee": ("recruiter",),
    "slot_fee": ("live_anchor",),
}


def refusals_of_plan(plan: PlanVersion) -> list[Refusal]:
    """Reasons against a plan's head: notice, pool cap, end, legal review.

    Source: common rules, notice and profiles; the pool cap of the law on pay for selling.
    """
    reasons = []
    if plan.effective_at < plan.published_at + NOTICE:
        message = (
            f"it takes effect at {plan.effective_at.isoformat()}, less than 7 days after its notice at "
            f"{plan.published_at.isoformat()}; move effective_at"
        )
        reasons.append(Refusal("short_notice", None, message))
    if plan.ends_at is not None and plan.ends_at <= plan.effective_at:
        reasons.append(Refusal("ends_before_start", None, "ends_at must be after effective_at"))
    if plan.pool_cap_bps > MAX_POOL_CAP_BPS:
        message = (
            f"pool_cap_bps is {plan.pool_cap_bps}; at most {MAX_POOL_CAP_BPS} of net_paid may be paid out"
        )
        reasons.append(Refusal("pool_cap", None, message))
    if plan.profile == "cn_two_level" and not (plan.legal_review or "").strip():
        message = "profile cn_two_level needs legal_review, the reference of a signed legal review"
        reasons.append(Refusal("no_legal_review", None, message))
    return reasons


def refusals_of_rules(rules: Sequence[RuleCore], plan: PlanVersion | None) -> list[Refusal]:
    """Reasons against the rules; `plan` is the head, or None when it could not be read.

    Source: P1, P2, P4, P6, P8, P10, P12, P13, P17; the rejection of recruiting triggers.
    """
    reasons = []
    for rule_id, times in Counter(rule.id for rule in rules).items():
        if times > 1:
            reasons.append(Refusal("duplicate_id", rule_id, f"{times} rules carry this id; ids are unique"))
    for rule in rules:
        reasons += _of_any(rule)
        if isinstance(rule, ShareRule):
            reasons += _of_share(rule)
        reasons += _of_parameters(rule)
        if plan is not None and plan.profile == "cn_strict" and rule.enabled:
            reasons += _of_strict(rule)
    if plan is not None:
        reasons += _of_levels(rules, plan)
    return reasons


def check_payment_adapter(name: str, profile: str, adapter: str) -> None:
    """Refuse to move real money by a demonstration plan.

    Args:
        name: Plan and version, for the refusal.
        profile: Its profile.
        adapter: What would carry the money.

    Raises:
        PlanRefusedError: for `whitepaper_demo` with any adapter but a simulated one.

    Source: profiles.
    """
    if profile == "whitepaper_demo" and adapter not in SIMULATED_ADAPTERS:
        message = (
            f"profile whitepaper_demo never pays through {adapter!r}; use cn_strict, or a simulated adapter"
        )
        raise PlanRefusedError(name, (Refusal("real_payment_adapter", None, message),))


def _of_any(rule: RuleCore) -> Iterator[Refusal]:
    if rule.trigger in FORBIDDEN_TRIGGERS:
        message = (
            f"its trigger is {rule.trigger!r}: no pay for joining, recruiting or paying a fee; "
            "tie it to a sale or drop it"
        )
        yield Refusal("recruiting_trigger", rule.id, message)
    if (rule.scope.kind == "plan") != (not rule.scope.ids):
        message = (
            f"scope {rule.scope.kind!r} with ids {list(rule.scope.ids)}: name ids exactly when it is narrower"
        )
        yield Refusal("bad_scope", rule.id, message)
    for name in rule.assumed:
        if name.split(".")[0] not in type(rule).model_fields:
            yield Refusal(
                "unknown_assumption", rule.id, f"assumed names {name!r}, which the rule does not have"
            )


def _of_share(rule: ShareRule) -> Iterator[Refusal]:
    allowed = _BASES.get(rule.stage, _COMMISSION_BASES)
    if rule.base not in allowed:
        yield Refusal(
            "wrong_base", rule.id, f"base {rule.base!r} at stage {rule.stage!r}; take one of {allowed}"
        )
    if rule.payee not in _PAYEES[rule.stage]:
        message = f"payee {rule.payee!r} at stage {rule.stage!r}; take one of {_PAYEES[rule.stage]}"
        yield Refusal("wrong_payee", rule.id, message)
    if rule.rate_bps is None and not rule.tier_rates_bps:
        yield Refusal("no_rate", rule.id, "it has neither rate_bps nor tier_rates_bps")
    if rule.stage in ("fund", "service_fee", "slot_fee") and rule.tier_rates_bps:
        yield Refusal("no_tiers_here", rule.id, f"stage {rule.stage!r} knows no tiers; give rate_bps")
    if isinstance(rule, RegionRule) and sum(rule.signal_weights_bps.values()) != FULL_BPS:
        yield Refusal("signal_weights", rule.id, "signal_weights_bps must sum to 10000")


def _of_parameters(rule: RuleCore) -> Iterator[Refusal]:
    if isinstance(rule, CouponRule) and sum(rule.funder_split_bps.values()) != FULL_BPS:
        total = sum(rule.funder_split_bps.values())
        yield Refusal("funder_split", rule.id, f"funder_split_bps sums to {total}; it must be 10000")
    if isinstance(rule, LevelCapRule) and rule.is_overridable:
        message = "is_overridable is true; the level cap is a limit of the law and never configurable"
        yield Refusal("level_cap_overridable", rule.id, message)
    if isinstance(rule, LevelCapRule) and rule.max_relation_depth > 3:
        yield Refusal(
            "relation_depth", rule.id, f"max_relation_depth is {rule.max_relation_depth}; at most 3"
        )
    if isinstance(rule, IncomeRule) and rule.recruit_linked_max_bps:
        yield Refusal("recruit_linked", rule.id, "recruit_linked_max_bps must be 0")
    if isinstance(rule, TierRule) and rule.counts == "recruits":
        message = "it counts recruits; count distinct end customers who hold no selling right"
        yield Refusal("counts_recruits", rule.id, message)
    if isinstance(rule, ReleaseRule) and rule.deadline_days >= rule.channel_unfreeze_days:
        message = (
            f"deadline_days is {rule.deadline_days}, but the channel gives the money free on day "
            f"{rule.channel_unfreeze_days}; the deadline must come before"
        )
        yield Refusal("deadline_too_late", rule.id, message)
    if isinstance(rule, DepositRule) and rule.min_cents > rule.max_cents:
        yield Refusal("deposit_range", rule.id, "min_cents is above max_cents")


def _of_strict(rule: RuleCore) -> Iterator[Refusal]:
    """What the default profile keeps off, whatever the paper says."""
    if isinstance(rule, ShareRule) and rule.top_rate_bps:
        if rule.stage == "agent_store" and rule.payee in _UPLINE:
            message = (
                "a downline leg in the agent store ladder; under cn_strict only the selling agent is paid"
            )
            yield Refusal("downline_leg", rule.id, message)
        if rule.stage == "team":
            yield Refusal("strict_team", rule.id, "the team award is off under cn_strict; set enabled: false")
        if isinstance(rule, ServiceFeeRule) and rule.allows_natural_person:
            message = (
                "under cn_strict service-fee shares go to companies only; set allows_natural_person: false"
            )
            yield Refusal("strict_service_fee", rule.id, message)
    if isinstance(rule, ThreeForOneRule) and rule.requires_own_purchase:
        yield Refusal("strict_own_purchase", rule.id, "three-for-one may not ask for an own purchase")
    if isinstance(rule, IncomeRule) and rule.downline_max_bps:
        yield Refusal("strict_downline", rule.id, "downline_max_bps must be 0 under cn_strict")
    if isinstance(rule, ViolationRule) and not rule.terminate_needs_review:
        message = "under cn_strict a person decides on a termination; set terminate_needs_review: true"
        yield Refusal("strict_termination", rule.id, message)
    if isinstance(rule, DepositRule) and rule.natural_person_pays:
        yield Refusal("strict_deposit", rule.id, "natural persons pay no deposit under cn_strict")


def _of_levels(rules: Sequence[RuleCore], plan: PlanVersion) -> Iterator[Refusal]:
    """P12: paid upline levels against the profile's cap, and the plan's own cap against it."""
    cap = MAX_PAID_LEVELS[plan.profile]
    for rule in rules:
        if isinstance(rule, LevelCapRule) and rule.max_paid_levels > cap:
            message = f"max_paid_levels is {rule.max_paid_levels}; profile {plan.profile} allows {cap}"
            yield Refusal("too_many_levels", rule.id, message)
        if isinstance(rule, ShareRule) and rule.enabled and rule.top_rate_bps:
            level = _UPLINE.get(rule.payee, 0)
            if level > cap:
                message = f"it pays upline level {level}; profile {plan.profile} allows {cap}"
                yield Refusal("too_many_levels", rule.id, message)

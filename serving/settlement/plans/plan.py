"""A validated, immutable plan version, and which version and which rule applies.

Reading and refusing plans lives in `loader`; sharing money out lives in `sharing.waterfall`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import AwareDatetime, Field

from serving.settlement.errors import PlanNotInForceError
from serving.settlement.plans.rules import (
    LevelCapRule,
    PlanPart,
    Rule,
    RuleCore,
    ShareRule,
    ThreeForOneRule,
    WithholdingRule,
)
from serving.settlement.sharing.snapshot import LineSnapshot

Profile = Literal["cn_strict", "cn_two_level", "whitepaper_demo"]
# Hard limits of the law that no plan may raise.
MAX_PAID_LEVELS: dict[Profile, int] = {"cn_strict": 1, "cn_two_level": 2, "whitepaper_demo": 2}
MAX_POOL_CAP_BPS = 3_000
_SPECIFICITY = {"plan": 0, "supplier": 1, "category": 2, "sku": 3}
RuleT = TypeVar("RuleT", bound=RuleCore)


def rule_age(rule_id: str) -> tuple[int, str]:
    """Sort key of rule ids, older first: `P2` before `P10`, `P5` before `P5-gift`.

    >>> sorted(["P10", "P5-gift", "P5", "P2"], key=rule_age)
    ['P2', 'P5', 'P5-gift', 'P10']
    """
    found = re.match(r"P(\d+)(.*)", rule_id)
    return (int(found[1]), found[2]) if found else (0, rule_id)


def covers(rule: RuleCore, line: LineSnapshot) -> bool:
    """Whether the line lies in the rule's scope."""
    kind = rule.scope.kind
    if kind == "plan":
        return True
    if kind == "sku":
        return line.sku_id in rule.scope.ids
    if kind == "supplier":
        return line.supplier_id in rule.scope.ids
    return any(category in rule.scope.ids for category in line.category_ids)


def in_order_of_precedence(rules: Sequence[RuleT]) -> tuple[RuleT, ...]:
    """Rules that compete for one payee, the winner of any line first among those covering it.

    Most specific first (sku, category, supplier, plan), then the larger priority, then the older id.

    Source: common rules, conflict.
    """
    return tuple(sorted(rules, key=lambda r: (-_SPECIFICITY[r.scope.kind], -r.priority, rule_age(r.id))))


class RuleSlot:
    """The enabled rules that compete for one payee at one stage, in order of precedence."""

    __slots__ = ("everywhere", "rules")

    def __init__(self, rules: Sequence[ShareRule]) -> None:
        self.rules = in_order_of_precedence(rules)
        # The common case, settled once a plan instead of once a line.
        self.everywhere = bool(self.rules) and self.rules[0].scope.kind == "plan"

    def winner(self, line: LineSnapshot) -> ShareRule | None:
        """The rule that applies to the line, or None."""
        for rule in self.rules:
            if covers(rule, line):
                return rule
        return None


class PlanVersion(PlanPart):
    """One version of a plan. Built by `loader.load_plan` only, which refuses what the law forbids.

    Attributes:
        plan_id: Groups the versions of one plan.
        version: 1 and up.
        profile: Which set of legal limits it was checked against.
        published_at: Moment of notice, UTC.
        effective_at: From when orders are settled by it, UTC; at least 7 days after notice.
        ends_at: Until when (exclusive), or None: until the next version takes effect.
        pool_cap_bps: Commissions of a line never exceed this share of its net_paid.
        legal_review: Reference of the signed legal review, where the profile needs one.
        rules: All rules, also those that are off.
        content_hash: SHA-256 of the canonical document without this field, hex.
    """

    plan_id: Annotated[str, Field(min_length=1)]
    version: Annotated[int, Field(ge=1)]
    profile: Profile
    published_at: AwareDatetime
    effective_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    pool_cap_bps: Annotated[int, Field(ge=0, le=10_000)]
    legal_review: str | None = None
    rules: tuple[Rule, ...]
    content_hash: str

    @cached_property
    def slots(self) -> dict[tuple[str, str], RuleSlot]:
        """(stage, payee) to the enabled share rules that compete for it."""
        grouped: dict[tuple[str, str], list[ShareRule]] = {}
        for rule in self.rules:
            if isinstance(rule, ShareRule) and rule.enabled:
                grouped.setdefault((rule.stage, rule.payee), []).append(rule)
        return {key: RuleSlot(rules) for key, rules in grouped.items()}

    @cached_property
    def max_paid_levels(self) -> int:
        """Upline levels that may be paid: the plan's own cap, never above the profile's."""
        caps = [r.max_paid_levels for r in self.rules if isinstance(r, LevelCapRule) and r.enabled]
        return min([MAX_PAID_LEVELS[self.profile], *caps])

    @cached_property
    def three_for_one(self) -> ThreeForOneRule | None:
        """The three-for-one rule in force, if any."""
        return self.only(ThreeForOneRule)

    @cached_property
    def withholding(self) -> WithholdingRule | None:
        """The rule by which tax is withheld, if any."""
        return self.only(WithholdingRule)

    def only(self, kind: type[RuleT]) -> RuleT | None:
        """The enabled rule of a kind that takes precedence for the whole plan, or None."""
        found = [r for r in self.rules if isinstance(r, kind) and r.enabled and r.scope.kind == "plan"]
        return in_order_of_precedence(found)[0] if found else None

    def rule(self, rule_id: str) -> RuleCore | None:
        """The rule with this id, or None."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)


class PlanHead(Protocol):
    """What decides which version of a plan is in force; a plan version, or what is stored beside one."""

    @property
    def plan_id(self) -> str:
        """The plan."""

    @property
    def version(self) -> int:
        """1 and up."""

    @property
    def effective_at(self) -> datetime:
        """From when."""

    @property
    def ends_at(self) -> datetime | None:
        """Until when (exclusive), or None: until the next version takes effect."""


HeadT = TypeVar("HeadT", bound=PlanHead)


def version_in_force(versions: Sequence[HeadT], at: datetime) -> HeadT:
    """The version of one plan that settles an order paid at `at`.

    A version is in force from its `effective_at` until its `ends_at` or the next version's `effective_at`.

    Args:
        versions: Versions of one plan, in any order.
        at: tz-aware moment of payment.

    Raises:
        PlanNotInForceError: when versions of several plans are mixed, or none is in force.
    """
    names = {version.plan_id for version in versions}
    if len(names) > 1:
        raise PlanNotInForceError(f"versions of several plans {sorted(names)} are mixed; ask for one plan")
    started = [version for version in versions if version.effective_at <= at]
    if started:
        newest = max(started, key=lambda version: version.effective_at)
        if newest.ends_at is None or at < newest.ends_at:
            return newest
    raise PlanNotInForceError(
        f"no version of plan {next(iter(names), '(none given)')} is in force at {at.isoformat()}; "
        "publish one that takes effect before, 7 days after notice"
    )

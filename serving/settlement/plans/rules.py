"""The shapes of plan rules P1..P17: what a rule may say, one class per kind of rule.

Only types, units and ranges live here. Which combinations are refused lives in `loader`.
Rules of the class `ShareRule` move money per order line; the others are parameters that other rooms read.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serving.settlement.sharing.snapshot import Funder

Base = Literal["net_paid", "margin", "pool", "retained", "service_fee_recognised"]
Trigger = Literal[
    "order_paid",
    "order_released",
    "month_close",
    "service_fee_recognised",
    "violation_found",
    "review",
    "joining",
    "recruiting",
    "fee_paid",
]
# Spelled out so that the refusal can say why, instead of "unknown trigger".
FORBIDDEN_TRIGGERS: tuple[Trigger, ...] = ("joining", "recruiting", "fee_paid")
Tier = Literal["none", "bronze", "silver", "gold", "diamond"]
Payee = Literal[
    "seller",
    "upline_1",
    "upline_2",
    "upline_3",
    "manager",
    "region_protected",
    "recruiter",
    "support_fund",
    "group_leader",
    "live_anchor",
    "store_guide",
    "distributor",
]
Bps = Annotated[int, Field(ge=0, le=10_000)]
Cents = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Days = Annotated[int, Field(ge=0)]
RuleId = Annotated[str, StringConstraints(pattern=r"^P(1[0-7]|[1-9])(-[a-z0-9_]+)*$")]


class PlanPart(BaseModel):
    """Base of everything in a plan: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Scope(PlanPart):
    """Which lines a rule covers; `plan` covers all and names no ids."""

    kind: Literal["plan", "supplier", "category", "sku"] = "plan"
    ids: tuple[str, ...] = ()


class RuleCore(PlanPart):
    """What every rule carries.

    Attributes:
        id: `P1` to `P17`, with a suffix when one paper rule has several parts (`P1-l2`).
        source: Where the rule comes from.
        assumed: Names of the values that are ours although the rule is in a paper.
        enabled: A rule that is off keeps its values and does nothing.
        trigger: The event that makes the rule act.
        scope: The lines it covers.
        priority: Among equally specific rules the larger wins.
    """

    id: RuleId
    source: Literal["paper", "assumed"]
    assumed: tuple[str, ...] = ()
    enabled: bool = True
    trigger: Trigger
    scope: Scope = Scope()
    priority: int = 0


class ShareRule(RuleCore):
    """A share of a base for one payee, in bps; the tier's rate replaces the plain one.

    Attributes:
        stage: The step of the waterfall.
        base: What the rate applies to.
        rate_bps: The rate for tiers without one of their own; 0 when absent.
        tier_rates_bps: Rates by tier.
        payee: Who receives it.
        allows_natural_person: False: only companies are paid.
        requires_contract: The payee must have a contract on file.
        requires_verified: The payee must be verified already at payment.
        requires_service_evidence: The payee must have proof of service on file.
    """

    stage: Literal["direct", "referral", "agent_store", "scene_role", "team", "fund"]
    base: Base
    rate_bps: Bps | None = None
    tier_rates_bps: dict[Tier, Bps] = Field(default_factory=dict)
    payee: Payee
    allows_natural_person: bool = True
    requires_contract: bool = False
    requires_verified: bool = False
    requires_service_evidence: bool = False

    def rate_for(self, tier: str) -> int:
        """The rate in bps for a payee of this tier; 0 when the rule gives none."""
        rate = self.tier_rates_bps.get(tier)  # type: ignore[call-overload]
        if rate is not None:
            return int(rate)
        return self.rate_bps or 0

    @property
    def top_rate_bps(self) -> int:
        """The largest rate that the rule can pay."""
        return max(self.rate_bps or 0, *self.tier_rates_bps.values(), 0)


class RegionRule(ShareRule):
    """P9: compensation of a protected region, taken from the seller's leg, and the diversion score.

    Attributes:
        max_share_of_leg_bps: At most this share of the seller's leg.
        hold_max_days: A diversion hold ends after this.
        hold_from_score_bps: A score from here holds the leg.
        signal_weights_bps: Weight of each signal; they sum to 10000.
    """

    stage: Literal["region"]  # type: ignore[assignment]
    max_share_of_leg_bps: Annotated[int, Field(ge=0, le=5_000)]
    hold_max_days: Annotated[int, Field(ge=0, le=15)]
    hold_from_score_bps: Bps
    signal_weights_bps: dict[
        Literal["scan_city_mismatch", "bulk_one_address", "sub_floor_listing", "protected_zone_repeat"], Bps
    ]


class ServiceFeeRule(ShareRule):
    """P4: the recruiter's share of service revenue as it is recognised, month by month."""

    stage: Literal["service_fee"]  # type: ignore[assignment]
    months: Annotated[int, Field(ge=1, le=12)]


class SlotFeeRule(ShareRule):
    """A live anchor's slot fee: the platform keeps its share, the anchor gets the rest.

    `rate_bps` is the platform's service share of the fee.
    """

    stage: Literal["slot_fee"]  # type: ignore[assignment]


class ThreeForOneRule(RuleCore):
    """P2: level 1 legs of first-time invitees are locked; every full batch unlocks a bounded sum."""

    stage: Literal["three_for_one"]
    batch_size: Annotated[int, Field(ge=1)]
    expires_days: Days
    requires_own_purchase: bool


class TierStep(PlanPart):
    """What one tier asks for within the window."""

    customers: Count
    net_sales_cents: Cents


class TierRule(RuleCore):
    """P8: tiers from distinct settled end customers who hold no selling right, plus net sales."""

    stage: Literal["tier"]
    counts: Literal["end_customers", "recruits"]
    window_days: Days
    steps: dict[Literal["bronze", "silver", "gold", "diamond"], TierStep]
    max_demotion_steps_per_month: Count


class DepositRule(RuleCore):
    """P10: deposit = clamp(min, max, sales_rate x average sales x (1 + point_step x points) x risk)."""

    stage: Literal["deposit"]
    base: Base
    min_cents: Cents
    max_cents: Cents
    sales_rate_bps: Bps
    average_days: Days
    point_step_bps: Bps
    top_up_max_bps: Bps
    natural_person_pays: bool


class ViolationRule(RuleCore):
    """P11: violation points by severity and what follows from their sum."""

    stage: Literal["violation"]
    points_by_severity: tuple[Count, Count, Count, Count]
    expires_days: Days
    warn_from: Count
    hold_from: Count
    hold_days: Days
    demote_from: Count
    terminate_from: Count
    terminate_needs_review: bool


class LevelCapRule(RuleCore):
    """P12: how many upline levels are paid and how deep relations may go, the top payee counted."""

    stage: Literal["level_cap"]
    max_paid_levels: Count
    max_relation_depth: Count
    is_overridable: bool


class IncomeRule(RuleCore):
    """P13: composition of an agent's income; a breach holds payment and opens a review."""

    stage: Literal["income"]
    base: Base
    own_retail_min_bps: Bps
    self_purchase_max_bps: Bps
    downline_max_bps: Bps
    recruit_linked_max_bps: Bps


class SupplierRule(RuleCore):
    """P15: when suppliers are settled."""

    stage: Literal["supplier_settlement"]
    cadence: Literal["weekly", "t_plus"]
    days_after_window: Days
    negative_carries: bool


class PointsRule(RuleCore):
    """P16: points (unit PT, 1 PT = 1 fen when burnt): earned at release, burnt up to a share of a line."""

    stage: Literal["points"]
    base: Base
    earn_rate_bps: Bps
    burn_max_bps: Bps


class CouponThreshold(PlanPart):
    """Buy for this much, get that much off."""

    threshold_cents: Cents
    off_cents: Cents


class CouponRule(RuleCore):
    """P17: who funds order coupons, and how many of each kind may be combined."""

    stage: Literal["coupon"]
    base: Base
    funder_split_bps: dict[Funder, Bps]
    thresholds: tuple[CouponThreshold, ...] = ()
    max_threshold_coupons: Count
    max_percentage_coupons: Count


class ReleaseRule(RuleCore):
    """When a pending leg may be released, the deadlines behind it, and how much of it may go to a debt.

    Attributes:
        auto_receipt_days: From shipping to the receipt that nobody confirmed.
        wait_days_after_receipt: From receipt to release.
        deadline_days: From payment to the deadline job.
        channel_unfreeze_days: From payment to the day on which the channel gives the money free by itself.
        netting_max_bps: At most this share of a release settles what its payee owes; the rest is paid.
    """

    stage: Literal["release"]
    auto_receipt_days: Days
    wait_days_after_receipt: Days
    deadline_days: Days
    channel_unfreeze_days: Days
    netting_max_bps: Bps = 10_000


class DatedRate(PlanPart):
    """A rate from a day on."""

    from_on: date
    rate_bps: Bps


class WithholdingRule(RuleCore):
    """Tax withheld from commissions of natural persons, at the rate of the day of payment.

    No plan that ships has it: a tenant who must withhold puts it into a plan of its own.
    """

    stage: Literal["withholding"]
    rates: Annotated[tuple[DatedRate, ...], Field(min_length=1)]

    def rate_on(self, day: date) -> int:
        """The rate in force on a day, bps; 0 before the first."""
        started = [rate for rate in self.rates if rate.from_on <= day]
        return max(started, key=lambda rate: rate.from_on).rate_bps if started else 0


Rule = Annotated[
    ShareRule
    | RegionRule
    | ServiceFeeRule
    | SlotFeeRule
    | ThreeForOneRule
    | TierRule
    | DepositRule
    | ViolationRule
    | LevelCapRule
    | IncomeRule
    | SupplierRule
    | PointsRule
    | CouponRule
    | ReleaseRule
    | WithholdingRule,
    Field(discriminator="stage"),
]

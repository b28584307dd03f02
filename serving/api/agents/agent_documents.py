"""Bodies and answers of the agents' resources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, Struct

from serving.agents.composition_review import ReviewedMonth
from serving.agents.region_records import DiversionReview, ProtectedRegion
from serving.agents.relations import Agent, Relative
from serving.agents.violation_records import Outcome, RecordedViolation
from serving.agents.violations import Consequence, Severity
from serving.settlement.control.holds import Hold

_PRINTABLE = r"^[^\x00-\x1f\x7f]+(?!\n)$"
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=_PRINTABLE)]
Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+(?!\n)$")]
Day = Annotated[date, Meta(description="A day, UTC.")]


class JoiningBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent who joins. Contract, verification and legal form are the operator's to state."""

    agent_id: Id
    joined_on: Day
    merchant_id: Annotated[Id | None, Meta(description="A merchant's key may leave it out.")] = None
    inviter_agent_id: Annotated[Id | None, Meta(description="Fixed for good; at most three levels.")] = None
    manager_agent_id: Annotated[Id | None, Meta(description="The one manager of record.")] = None
    region_code: Id | None = None
    own_consumer_id: Annotated[
        Id | None, Meta(description="The agent's own consumer account; its purchases earn the agent nothing.")
    ] = None
    runs_store: bool = False
    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=_PRINTABLE)] | None = None
    is_natural_person: bool = True
    has_contract: bool = False
    is_verified: bool = False


class ViolationBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A violation that an operator found."""

    reference: Annotated[Id, Meta(description="Number of the case; the same number counts once.")]
    severity: Severity
    reason_code: Code
    occurred_at: Annotated[datetime, Meta(tz=True)]


class TerminationBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The decision of a review."""

    terminate: bool


class ProtectionBody(Struct, frozen=True, forbid_unknown_fields=True):
    """From when to when (exclusive) a region is protected."""

    protected_from: Day
    protected_to: Day


_Found = Annotated[int, Meta(ge=0, le=10**6)]


class DiversionBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an inspector counted in the last 30 days; a part is never larger than its whole."""

    scans: Annotated[int, Meta(ge=0, le=10**6, description="Package codes that buyers scanned.")] = 0
    scans_elsewhere: _Found = 0
    orders_to_top_address: _Found = 0
    listings: Annotated[int, Meta(ge=0, le=10**6, description="Public listings found.")] = 0
    listings_below_floor: _Found = 0


class SignalLine(Struct, frozen=True):
    """One signal: strength x weight / 10000 = points."""

    reason_code: str
    counted: int
    out_of: int
    strength_bps: int
    weight_bps: int
    points: int


class DiversionAnswer(Struct, frozen=True):
    """A score with everything it is made of, and the orders that it holds."""

    score: int
    is_held: bool
    signals: list[SignalLine]
    held_order_ids: list[str]


class CompositionLine(Struct, frozen=True):
    """What an agent lived on in a month, fen, and the limits passed."""

    month_on: date
    own_retail_cents: int
    self_purchase_cents: int
    downline_cents: int
    breaches: list[str]


class AgentLine(Struct, frozen=True, kw_only=True):
    """An agent."""

    agent_id: str
    merchant_id: str | None
    inviter_agent_id: str | None
    manager_agent_id: str | None
    depth: Annotated[int, Meta(description="Level in the relation; 1 is the top.")]
    tier: str
    region_code: str | None
    runs_store: bool
    joined_on: date | None
    is_natural_person: bool
    has_contract: bool
    is_verified: bool
    is_active: bool


class AgentPage(Struct, frozen=True, kw_only=True):
    """Agents by id."""

    agents: list[AgentLine]
    next_cursor: str | None


class RelativeLine(Struct, frozen=True):
    """An agent above or below, and how many levels away."""

    agent_id: str
    distance: int


class ViolationLine(Struct, frozen=True, kw_only=True):
    """A violation."""

    violation_id: int
    points: int
    reason_code: str
    reference: str
    occurred_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None


class HoldLine(Struct, frozen=True, kw_only=True):
    """A hold on payment, with its reason; an operator can lift it."""

    hold_id: int
    source: str
    reason_code: str
    placed_at: datetime
    expires_at: datetime | None


class RegionLine(Struct, frozen=True):
    """A protected region and its time, the end exclusive."""

    region_code: str
    protected_from: date
    protected_to: date


class AgentDetail(Struct, frozen=True, kw_only=True):
    """An agent with tree, deposit, points, holds and regions."""

    agent: AgentLine
    upline: list[RelativeLine]
    downline: list[RelativeLine]
    points: Annotated[int, Meta(description="Violation points that stand.")]
    violations: list[ViolationLine]
    holds: list[HoldLine]
    deposit_held_cents: int
    deposit_required_cents: int
    protected_regions: list[RegionLine]
    compositions: list[CompositionLine]


class ViolationOutcome(Struct, frozen=True, kw_only=True):
    """What a report or a withdrawal led to."""

    violation: ViolationLine
    points: Annotated[int, Meta(description="Points that stand now.")]
    consequences: list[Consequence]
    is_new: Annotated[bool, Meta(description="False for a repetition, which changed nothing.")]


def agent_line(agent: Agent) -> AgentLine:
    """What is shown of an agent; the own consumer account is not."""
    return AgentLine(**{name: getattr(agent, name) for name in AgentLine.__struct_fields__})


def violation_line(violation: RecordedViolation) -> ViolationLine:
    """What is shown of a violation."""
    return ViolationLine(**{name: getattr(violation, name) for name in ViolationLine.__struct_fields__})


def violation_outcome(outcome: Outcome) -> ViolationOutcome:
    """The answer to a report or a withdrawal."""
    return ViolationOutcome(
        violation=violation_line(outcome.violation),
        points=outcome.points,
        consequences=list(outcome.consequences),
        is_new=outcome.is_new,
    )


def relative_lines(relatives: Sequence[Relative]) -> list[RelativeLine]:
    """What is shown of relatives."""
    return [RelativeLine(*relative) for relative in relatives]


def hold_lines(holds: Sequence[Hold]) -> list[HoldLine]:
    """What is shown of holds."""
    return [HoldLine(**{name: getattr(hold, name) for name in HoldLine.__struct_fields__}) for hold in holds]


def region_lines(regions: Sequence[ProtectedRegion]) -> list[RegionLine]:
    """What is shown of protected regions."""
    return [RegionLine(region.region_code, region.protected_from, region.protected_to) for region in regions]


def diversion_answer(review: DiversionReview) -> DiversionAnswer:
    """The answer to a review of diversion."""
    found = review.assessment
    signals = [
        SignalLine(**{name: getattr(part, name) for name in SignalLine.__struct_fields__})
        for part in found.contributions
    ]
    return DiversionAnswer(found.score, found.is_held, signals, list(review.held_order_ids))


def composition_lines(months: Sequence[ReviewedMonth]) -> list[CompositionLine]:
    """What is shown of reviewed months."""
    return [CompositionLine(*month) for month in months]

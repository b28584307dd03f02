"""Where a run goes next and what it asks for on the way. Pure: everything it needs to know is given.

A treated run and a control take the same way at the same moments: a control's messages are recorded as those
that would have been sent, and its tasks are not made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from serving.journeys.assignment import Arm
from serving.journeys.definition.steps import (
    END,
    Branch,
    Channel,
    HandOver,
    Journey,
    Outcome,
    Reaction,
    Send,
    Wait,
)
from serving.journeys.guards import Known, Policy, Reason, judge

ENDING = frozenset({Reason.ERASED, Reason.NO_CONSENT, Reason.OPEN_COMPLAINT, Reason.CONVERTED})
"""What is in the way of a message and of everything after it; other reasons only leave the message out."""

State = Literal["waiting", "sent", "delivered", "failed", "withheld", "would_send"]


@dataclass(frozen=True)
class Message:
    """The last message of a run.

    Attributes:
        step: The step that sent it.
        decided_at: When the guards let it pass, or withheld it.
        state: What became of it.
        reason: Why it was withheld or failed.
        told_at: When the receipt says it was delivered or failed.
        clicked_at: When its link was first opened.
    """

    step: str
    decided_at: datetime
    state: State
    reason: str | None = None
    told_at: datetime | None = None
    clicked_at: datetime | None = None


@dataclass(frozen=True)
class Run:
    """A consumer in a journey.

    Attributes:
        arm: What happens to it.
        entered_at: When it was assigned.
        step: Where it stands.
        arrived_at: Since when.
        last: Its last message; None: none yet.
    """

    arm: Arm
    entered_at: datetime
    step: str
    arrived_at: datetime
    last: Message | None = None


@dataclass(frozen=True)
class Facts:
    """What is known about the consumer of a run at the moment of its move.

    Attributes:
        known: What the guards ask for.
        reactions: The newest of each kind since the run was assigned.
        segments: Published segments that the consumer is in.
        listed: How many skus of the consumer's own list can be sold now.
        funded: Coupon programmes in force that have a budget left.
    """

    known: Known
    reactions: Mapping[Reaction, datetime]
    segments: frozenset[str] = frozenset()
    listed: int = 0
    funded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Act:
    """What a run asks for: a message of a step, or a task for a person; or what was not done and why."""

    kind: Literal["message", "would_send", "withheld", "deferred", "task", "would_ask"]
    step: str
    reason: str | None = None


@dataclass(frozen=True)
class Advanced:
    """What became of a run.

    Attributes:
        run: Where it stands now; step `end` when it is over.
        due_at: When to look again; None when it is over.
        acts: What it asks for, in order.
        reason: Why it is over; None: it goes on.
        way: The steps that it left, each with the one after it.
    """

    run: Run
    due_at: datetime | None
    acts: tuple[Act, ...]
    reason: str | None = None
    way: tuple[tuple[str, str], ...] = ()


def advance(journey: Journey, run: Run, facts: Facts, now: datetime, policy: Policy) -> Advanced:
    """Move a run as far as it can go now.

    Args:
        journey: The version under which the run was assigned.
        run: Where it stands.
        facts: What is known now.
        now: Business time.
        policy: What the tenant allows.
    """
    over_at = run.entered_at + timedelta(days=journey.ends_after_days)
    acts: list[Act] = []
    way: list[tuple[str, str]] = []
    # Every loop has a wait, so that a run passes a step at most once without time going by.
    for _ in range(len(journey.steps) + 1):
        reason = _over(journey, run, facts, now, over_at)
        step = journey.step(run.step)
        if reason is not None or step is None:
            left = () if step is None else ((step.id, END),)
            return Advanced(replace(run, step=END), None, tuple(acts), reason or "finished", (*way, *left))
        match step:
            case Send():
                moved = _send(step, run, facts, now, journey, policy, acts)
            case Wait():
                moved = _wait(step, run, facts, now)
            case Branch():
                moved = step.then if _branches(step, run, facts) else step.next
            case HandOver():
                acts.append(Act("task" if run.arm is Arm.TREATED else "would_ask", step.id))
                moved = step.next
        match moved:
            case datetime():
                return Advanced(_after(run, acts, now), min(moved, over_at), tuple(acts), way=tuple(way))
            case _Over(why):
                return Advanced(replace(run, step=END), None, tuple(acts), why, (*way, (step.id, END)))
            case str():
                way.append((step.id, moved))
                run = replace(_after(run, acts, now), step=moved, arrived_at=now)
    raise AssertionError(f"journey {journey.journey_id} goes round without a wait")


@dataclass(frozen=True)
class _Over:
    reason: str


_Moved = str | datetime | _Over


def _over(journey: Journey, run: Run, facts: Facts, now: datetime, over_at: datetime) -> str | None:
    if facts.known.erased:
        return Reason.ERASED
    if journey.goal in facts.reactions:
        return Reason.CONVERTED
    return "time_over" if now >= over_at else None


def _send(
    step: Send, run: Run, facts: Facts, now: datetime, journey: Journey, policy: Policy, acts: list[Act]
) -> _Moved:
    last = run.last
    if last is not None and last.step == step.id and last.decided_at >= run.arrived_at:
        deadline = last.decided_at + timedelta(minutes=step.receipt_minutes)
        if last.state in {"delivered", "failed", "withheld", "would_send"} or now >= deadline:
            return step.next
        return deadline
    known = replace(
        facts.known,
        in_stock=facts.listed >= step.items,
        has_budget=step.coupon is None or step.coupon in facts.funded,
        sent=(*facts.known.sent, *_watched_now(acts, journey, now)),
    )
    verdict = judge(known, journey.purpose, step.channel, now, policy)
    if verdict.again_at is not None:
        acts.append(Act("deferred", step.id, verdict.reason))
        return verdict.again_at
    if verdict.reason is not None:
        acts.append(Act("withheld", step.id, verdict.reason))
        return _Over(verdict.reason) if verdict.reason in ENDING else step.next
    if run.arm is not Arm.TREATED:
        acts.append(Act("would_send", step.id))
        return step.next
    acts.append(Act("message", step.id))
    return now + timedelta(minutes=step.receipt_minutes)


def _watched_now(acts: list[Act], journey: Journey, now: datetime) -> Iterator[tuple[datetime, Channel]]:
    """What a control would have got on its way in this move; a treated run rests after each message."""
    for act in acts:
        step = journey.step(act.step)
        if act.kind == "would_send" and isinstance(step, Send):
            yield now, step.channel


def _wait(step: Wait, run: Run, facts: Facts, now: datetime) -> _Moved:
    since = run.arrived_at
    if run.last is not None:
        since = min(since, run.last.decided_at)
    if any(facts.reactions[kind] >= since for kind in step.until if kind in facts.reactions):
        return _Over("reacted")
    begins = run.arrived_at
    if step.since == "delivered" and run.last is not None:
        begins = run.last.told_at or run.last.decided_at
    ends = begins + timedelta(minutes=step.minutes)
    return step.next if now >= ends else ends


def _branches(step: Branch, run: Run, facts: Facts) -> bool:
    if step.segment is not None:
        return step.segment in facts.segments
    return step.outcome in set(_outcomes(run, facts))


def _outcomes(run: Run, facts: Facts) -> Iterator[Outcome]:
    last = run.last
    if last is None:
        return
    # A control is treated as if everything that it would have got had come.
    if last.state in {"delivered", "would_send"}:
        yield "delivered"
    else:
        # Neither delivered nor told to have failed in time is a failure: the run went on from it.
        yield "failed"
    if last.clicked_at is not None:
        yield "clicked"
    if facts.reactions.get("visit", run.entered_at) > last.decided_at:
        yield "visited"
    if facts.reactions.get("order", run.entered_at) > last.decided_at:
        yield "ordered"


def _after(run: Run, acts: list[Act], now: datetime) -> Run:
    """The run with the message that it just asked for as its last one."""
    states: dict[str, State] = {"message": "waiting", "would_send": "would_send", "withheld": "withheld"}
    if not acts or acts[-1].kind not in states:
        return run
    made = Message(acts[-1].step, now, states[acts[-1].kind], acts[-1].reason)
    same = run.last is not None and (run.last.step, run.last.decided_at) == (made.step, made.decided_at)
    return run if same else replace(run, last=made)

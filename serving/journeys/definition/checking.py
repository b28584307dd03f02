"""What a journey is refused for beyond its shape: loops, dead ends, strangers, everybody. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import pairwise

from serving.journeys.definition.steps import (
    END,
    Branch,
    CalendarEntry,
    HandOver,
    Journey,
    SegmentEntry,
    Send,
    Step,
    Wait,
)
from serving.journeys.errors import Refusal
from serving.materials.advertising import forbidden

EVERYBODY_BPS = 9_000
"""A segment above this share of all consumers is everybody, in basis points."""


@dataclass(frozen=True)
class Surroundings:
    """What a journey may refer to.

    Attributes:
        segments: Members by name.
        consumers: All consumers.
        budgets: What is left of each coupon programme in force, in fen; one that ended is not in it.
    """

    segments: Mapping[str, int]
    consumers: int
    budgets: Mapping[str, int]


def ways(step: Step) -> tuple[str, ...]:
    """The steps that may follow."""
    return (step.then, step.next) if isinstance(step, Branch) else (step.next,)


def refusals(journey: Journey, known: Surroundings) -> list[Refusal]:
    """Every reason for which a journey may not run; empty: it may.

    Args:
        journey: Of a good shape.
        known: What it may refer to.
    """
    return [*_names(journey), *_structure(journey), *_references(journey, known)]


def _names(journey: Journey) -> Iterator[Refusal]:
    ids = [step.id for step in journey.steps]
    for one, other in pairwise(sorted(ids)):
        if one == other:
            yield Refusal("step_twice", one, "two steps have this name")
    if END in ids:
        yield Refusal(
            "step_reserved", END, f"`{END}` means that the journey is over; name the step otherwise"
        )


def _structure(journey: Journey) -> Iterator[Refusal]:
    by_id = {step.id: step for step in journey.steps}
    for step in journey.steps:
        for way in ways(step):
            if way != END and way not in by_id:
                yield Refusal("step_unknown", step.id, f"leads to {way}, which is no step")
        if isinstance(step, Branch):
            if (step.outcome is None) == (step.segment is None):
                yield Refusal("branch_condition", step.id, "a branch asks for an outcome or for a segment")
            if step.then == step.next:
                yield Refusal("branch_idle", step.id, "both ways of the branch lead to the same step")
    reached = _reached(journey.steps[0].id, by_id)
    for step in journey.steps:
        if step.id not in reached:
            yield Refusal("step_unreachable", step.id, "no way leads here")
    # Without the waits what is left of the graph must have an end: else a run would go round in one moment.
    for step_id in sorted(
        _on_a_loop({key: step for key, step in by_id.items() if not isinstance(step, Wait)})
    ):
        yield Refusal("loop_without_wait", step_id, "a loop without a wait never ends; put a wait into it")
    if not any(isinstance(step, Send | HandOver) for step in journey.steps):
        yield Refusal("nothing_done", None, "no step sends anything or asks anybody to act")


def _references(journey: Journey, known: Surroundings) -> Iterator[Refusal]:
    entry = journey.entry
    if isinstance(entry, SegmentEntry | CalendarEntry):
        yield from _segment(entry.segment, None, known)
        if known.segments.get(entry.segment, 0) * 10_000 > EVERYBODY_BPS * max(known.consumers, 1):
            yield Refusal(
                "audience_everybody",
                None,
                f"segment {entry.segment} has {known.segments[entry.segment]} of {known.consumers} "
                "consumers: an audience of everybody is refused; name a narrower segment",
            )
    for step in journey.steps:
        if isinstance(step, Branch) and step.segment is not None:
            yield from _segment(step.segment, step.id, known)
        if isinstance(step, Send) and step.coupon is not None and known.budgets.get(step.coupon, 0) <= 0:
            yield Refusal(
                "coupon_without_budget",
                step.id,
                f"coupon programme {step.coupon} is not in force or has no budget left; open one first",
            )
        if isinstance(step, Send):
            yield from _template(step)


def _template(step: Send) -> Iterator[Refusal]:
    for word, is_filled in (("{coupon}", step.coupon is not None), ("{items}", step.items > 0)):
        if (word in step.template) != is_filled:
            what = "is filled in but not named" if is_filled else "is named but never filled in"
            yield Refusal("template", step.id, f"{word} {what}")
    for hit in forbidden(step.template):
        yield Refusal("forbidden_word", step.id, str(hit))


def _segment(name: str, step: str | None, known: Surroundings) -> Iterator[Refusal]:
    if name not in known.segments:
        yield Refusal("segment_unknown", step, f"segment {name} is not among the published ones")


def _reached(first: str, by_id: Mapping[str, Step]) -> Set[str]:
    reached: set[str] = set()
    waiting = [first]
    while waiting:
        step_id = waiting.pop()
        if step_id in by_id and step_id not in reached:
            reached.add(step_id)
            waiting += ways(by_id[step_id])
    return reached


def _on_a_loop(by_id: Mapping[str, Step]) -> Set[str]:
    return {
        step_id
        for step_id, step in by_id.items()
        if any(step_id in _reached(way, by_id) for way in ways(step))
    }

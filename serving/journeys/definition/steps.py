"""The shapes of a journey: entry, steps, goal, control group. Only types, units and ranges live here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Channel = Literal["sms", "wecom", "mini_program", "email"]
Purpose = Literal["marketing", "service"]
Reaction = Literal["visit", "click", "order"]
Outcome = Literal["delivered", "failed", "clicked", "visited", "ordered"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Minutes = Annotated[int, Field(ge=1, le=60 * 24 * 90)]
Days = Annotated[int, Field(ge=1, le=365)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]

END = "end"
"""The step after the last one."""


class Part(BaseModel):
    """Base of everything in a journey: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SegmentEntry(Part):
    """Whoever entered a segment with the last publication, once per spell in it."""

    kind: Literal["segment"]
    segment: Name


class EventEntry(Part):
    """Whoever did something; with `without`, and did not do the other within `after_minutes`."""

    kind: Literal["event"]
    event: Literal["cart_add", "order", "visit"]
    without: Literal["order"] | None = None
    after_minutes: Minutes = 1


class CalendarEntry(Part):
    """Members of a segment on a day of the week at an hour of the shop."""

    kind: Literal["calendar"]
    segment: Name
    weekday: Annotated[int, Field(ge=1, le=7)]
    hour: Annotated[int, Field(ge=0, le=23)]


class ReminderEntry(Part):
    """Whoever the last publication expects to buy a kind of goods again within 14 days, likely enough."""

    kind: Literal["reminder"]
    least_bps: Annotated[int, Field(ge=1, le=10_000)] = 5_000


Entry = Annotated[SegmentEntry | EventEntry | CalendarEntry | ReminderEntry, Field(discriminator="kind")]


class Step(Part):
    """What every step has: its name, and the step after it (`end`: none)."""

    id: Name
    next: Name


class Send(Step):
    """A message.

    Attributes:
        template: Text with `{coupon}` and `{items}`, which the run fills in.
        coupon: Programme of which each gets a code of his own; None: no coupon.
        items: How many skus of the consumer's own list are named.
        receipt_minutes: Without a receipt within this time the message counts as failed, and the run goes on.
    """

    kind: Literal["send"]
    channel: Channel
    template: Text
    coupon: Name | None = None
    items: Annotated[int, Field(ge=0, le=20)] = 0
    receipt_minutes: Minutes = 120


class Wait(Step):
    """Time that passes.

    Attributes:
        minutes: How long.
        since: From the delivery of the last message, or from the moment the run came here.
        until: Reactions that end the run while it waits.
    """

    kind: Literal["wait"]
    minutes: Minutes
    since: Literal["delivered", "arrival"] = "arrival"
    until: tuple[Reaction, ...] = ()


class Branch(Step):
    """Another way for some; `next` is the way of the others.

    Attributes:
        outcome: Taken by runs whose last message had this outcome; or
        segment: taken by members of this segment.
        then: Their next step.
    """

    kind: Literal["branch"]
    outcome: Outcome | None = None
    segment: Name | None = None
    then: Name


class HandOver(Step):
    """A task for a person.

    Attributes:
        task: What is to be done.
        within_minutes: Service level, in opening hours.
        items: How many skus of the consumer's own list it names.
    """

    kind: Literal["task"]
    task: Text
    within_minutes: Minutes
    items: Annotated[int, Field(ge=0, le=20)] = 0


AnyStep = Annotated[Send | Wait | Branch | HandOver, Field(discriminator="kind")]


class Journey(Part):
    """A journey.

    Attributes:
        journey_id: Its name; versions of it follow each other.
        title: For people.
        purpose: `service` messages are exempt from the frequency cap, and need no consent to marketing.
        entry: Who enters.
        again_after_days: Whoever was in it is not assigned again for so long.
        control_bps: Share of those who enter that is only watched, in basis points.
        goal: What counts as success.
        goal_days: Within how many days after the assignment.
        ends_after_days: Whoever is still in it then leaves.
        steps: In any order; the first one is where runs begin.
    """

    journey_id: Name
    title: Text
    purpose: Purpose
    entry: Entry
    again_after_days: Days
    control_bps: Annotated[int, Field(ge=0, le=5_000)] = 1_000
    goal: Literal["order", "visit"] = "order"
    goal_days: Days = 14
    ends_after_days: Days = 14
    steps: Annotated[tuple[AnyStep, ...], Field(min_length=1, max_length=50)]

    def step(self, step_id: str) -> Send | Wait | Branch | HandOver | None:
        """The step of that name; None for `end`."""
        return next((step for step in self.steps if step.id == step_id), None)

"""Whether a message may go out now, asked at the moment of sending, in one order, each with its reason. Pure.

The order matters: the first that says no is the one that is recorded. A control passes the same guards at the
same time and is recorded as "would have been sent".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from serving.journeys.definition.steps import Channel, Purpose
from serving.journeys.quiet_hours import QuietHours


class Reason(StrEnum):
    """Why a message does not go out now."""

    ERASED = "erased"
    OPTED_OUT = "opted_out"
    NO_CONSENT = "no_consent"
    OPEN_COMPLAINT = "open_complaint"
    CONVERTED = "converted"
    CHANNEL_HELD_OUT = "channel_held_out"
    NO_STOCK = "no_stock"
    NO_BUDGET = "no_budget"
    FREQUENCY_CAP = "frequency_cap"
    QUIET_HOURS = "quiet_hours"


class Cap(NamedTuple):
    """At most `messages` within `window`, exactly that long ago no longer counts. 0 messages: no cap."""

    window: timedelta
    messages: int


CAPS = (Cap(timedelta(days=1), 1), Cap(timedelta(days=7), 2), Cap(timedelta(days=30), 6))
"""1 a day, 2 in 7 days, 6 in 30 days; over all channels."""


@dataclass(frozen=True)
class Policy:
    """What a tenant allows.

    Attributes:
        caps: Over all channels together.
        channel_caps: Of a channel alone, beside those over all.
        quiet: Hours in which nobody is written to.
    """

    quiet: QuietHours
    caps: tuple[Cap, ...] = CAPS
    channel_caps: Mapping[Channel, tuple[Cap, ...]] | None = None


@dataclass(frozen=True)
class Known:
    """What is known of a consumer at the moment of sending.

    Attributes:
        erased: The person was erased.
        opted_out: Channels that the consumer wants nothing on.
        marketing: What the consumer said about being contacted; None: nothing.
        open_complaint: A case of after-sales is open.
        converted: The goal is reached.
        held_out: Channels that a running test keeps the consumer out of.
        in_stock: Whether the message can name as many skus as it promises.
        has_budget: Whether its coupon can be paid for.
        sent: When marketing messages went out in the last 30 days, by channel.
    """

    erased: bool = False
    opted_out: frozenset[str] = frozenset()
    marketing: bool | None = None
    open_complaint: bool = False
    converted: bool = False
    held_out: frozenset[str] = frozenset()
    in_stock: bool = True
    has_budget: bool = True
    sent: tuple[tuple[datetime, Channel], ...] = ()


class Verdict(NamedTuple):
    """What the guards say.

    Attributes:
        reason: What is in the way; None: nothing.
        again_at: When to ask again; None: never.
    """

    reason: Reason | None = None
    again_at: datetime | None = None


def judge(known: Known, purpose: Purpose, channel: Channel, now: datetime, policy: Policy) -> Verdict:
    """Whether a message may go out now.

    Args:
        known: Of the consumer, read in the transaction that would send.
        purpose: Messages of service need no consent to marketing, do not count against the cap and reach
            whoever a test of a channel holds out.
        channel: By which it would go.
        now: Business time.
        policy: What the tenant allows.

    Returns:
        Quiet hours and the cap ask again later, with all guards; everything else is final for this message.
    """
    final = _final(known, purpose, channel)
    if final is not None:
        return Verdict(final)
    if purpose == "marketing":
        free = _free_from(known, channel, now, policy)
        if free > now:
            return Verdict(Reason.FREQUENCY_CAP, free)
    opens = policy.quiet.open_from(now)
    return Verdict(Reason.QUIET_HOURS, opens) if opens > now else Verdict()


def _final(known: Known, purpose: Purpose, channel: Channel) -> Reason | None:
    asks = (
        (known.erased, Reason.ERASED),
        (channel in known.opted_out, Reason.OPTED_OUT),
        (purpose == "marketing" and known.marketing is not True, Reason.NO_CONSENT),
        (purpose == "marketing" and known.open_complaint, Reason.OPEN_COMPLAINT),
        (known.converted, Reason.CONVERTED),
        (purpose == "marketing" and channel in known.held_out, Reason.CHANNEL_HELD_OUT),
        (not known.in_stock, Reason.NO_STOCK),
        (not known.has_budget, Reason.NO_BUDGET),
    )
    return next((reason for stands, reason in asks if stands), None)


def _free_from(known: Known, channel: Channel, now: datetime, policy: Policy) -> datetime:
    """From when no cap stands in the way; now or later."""
    own = (policy.channel_caps or {}).get(channel, ())
    everywhere = sorted(at for at, _ in known.sent)
    here = sorted(at for at, by in known.sent if by == channel)
    ends = [_ends(cap, everywhere, now) for cap in policy.caps]
    ends += [_ends(cap, here, now) for cap in own]
    return max(ends, default=now)


def _ends(cap: Cap, sent: list[datetime], now: datetime) -> datetime:
    if not cap.messages:
        return now
    counted = [at for at in sent if at > now - cap.window]
    if len(counted) < cap.messages:
        return now
    # So many must fall out of the window that one less than the cap is left.
    return counted[len(counted) - cap.messages] + cap.window

"""P2, three-for-one: which locked legs a full batch unlocks, and which expire. Pure; knows no ledger.

The waterfall marks level 1 legs of first purchases as locked. Here they are gathered per inviter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from serving.settlement.errors import SettlementError
from serving.settlement.plans.rules import ThreeForOneRule
from serving.settlement.sharing.rounding import largest_remainder


@dataclass(frozen=True, slots=True)
class LockedInvite:
    """What one first-time invitee's order locked for the inviter.

    Attributes:
        order_id: The invitee's first order.
        invitee_id: The invitee; counts once.
        inviter_id: Whose legs are locked.
        leg_ids: The locked level 1 legs of the order.
        leg_cents: What is left of each after refunds, fen, in the same order.
        net_paid_cents: What is left of the order's net_paid after refunds, fen.
        locked_at: When the legs were accrued, UTC.
        released_at: When the order passed its release conditions, or None.
        rule: The P2 of the version that the order was frozen with.
    """

    order_id: str
    invitee_id: str
    inviter_id: str
    leg_ids: tuple[str, ...]
    leg_cents: tuple[int, ...]
    net_paid_cents: int
    locked_at: datetime
    released_at: datetime | None
    rule: ThreeForOneRule

    @property
    def expires_at(self) -> datetime:
        """From when the lock counts for nothing."""
        return self.locked_at + timedelta(days=self.rule.expires_days)


@dataclass(frozen=True, slots=True)
class UnlockedBatch:
    """One full batch.

    Attributes:
        inviter_id: Who is paid.
        order_ids: Orders of the batch, in order of release.
        locked_cents: Sum of the legs, fen.
        limit_cents: Mean net_paid of the orders, floored, fen.
        paid_cents: `min(locked, limit)`, by leg id, fen.
        kept_cents: What the limit leaves to the platform, by leg id, fen.
    """

    inviter_id: str
    order_ids: tuple[str, ...]
    locked_cents: int
    limit_cents: int
    paid_cents: dict[str, int]
    kept_cents: dict[str, int]


@dataclass(frozen=True, slots=True)
class ThreeForOneOutcome:
    """Batches that are full, invites whose legs expired to the platform, and those still waiting."""

    unlocked: tuple[UnlockedBatch, ...]
    expired: tuple[LockedInvite, ...]
    waiting: tuple[LockedInvite, ...]


def unlock(invites: Iterable[LockedInvite], as_of: datetime) -> ThreeForOneOutcome:
    """Full batches of one inviter, as of a moment, whichever plan versions the orders were frozen with.

    Invites are taken in order of release (then order id). An invite released within the `expires_days` of its
    own version counts, once per distinct invitee; one that is not in a full batch by its expiry is expired. A
    batch is as large as the version of its first member says: that was promised first. Invites with nothing
    left after refunds count for nobody.

    Args:
        invites: All invites of one inviter that are still locked.
        as_of: tz-aware moment; later releases are not seen.

    Raises:
        SettlementError: when invites of several inviters are mixed, or an invitee counts twice.

    Source: P2.
    """
    pending = sorted(invites, key=lambda invite: (invite.locked_at, invite.order_id))
    if len({invite.inviter_id for invite in pending}) > 1:
        raise SettlementError("three-for-one takes the invites of one inviter at a time")
    if len({invite.invitee_id for invite in pending}) < len(pending):
        raise SettlementError("an invitee counts once: lock only the legs of first orders")
    # A batch is complete when its last member is released, so members must still be alive at that moment.
    queue: list[LockedInvite] = []
    unlocked: list[UnlockedBatch] = []
    taken: set[str] = set()
    for invite in sorted(pending, key=_release_order):
        released = invite.released_at
        if released is None or released > as_of or released >= invite.expires_at:
            continue
        if sum(invite.leg_cents) == 0:
            continue
        queue = [member for member in queue if released < member.expires_at]
        queue.append(invite)
        if len(queue) >= queue[0].rule.batch_size:
            unlocked.append(_batch(queue))
            taken.update(member.order_id for member in queue)
            queue = []
    rest = [invite for invite in pending if invite.order_id not in taken]
    return ThreeForOneOutcome(
        unlocked=tuple(unlocked),
        expired=tuple(invite for invite in rest if as_of >= invite.expires_at),
        waiting=tuple(invite for invite in rest if as_of < invite.expires_at),
    )


def _release_order(invite: LockedInvite) -> tuple[bool, datetime, str]:
    """Released ones first, by moment, then by order id."""
    return (invite.released_at is None, invite.released_at or invite.locked_at, invite.order_id)


def _batch(members: Sequence[LockedInvite]) -> UnlockedBatch:
    """What a full batch pays: the bounded sum, spread over the legs by largest remainder."""
    leg_ids = [leg_id for member in members for leg_id in member.leg_ids]
    amounts = [cents for member in members for cents in member.leg_cents]
    locked = sum(amounts)
    limit = sum(member.net_paid_cents for member in members) // len(members)
    paid = largest_remainder(min(locked, limit), amounts)
    return UnlockedBatch(
        inviter_id=members[0].inviter_id,
        order_ids=tuple(member.order_id for member in members),
        locked_cents=locked,
        limit_cents=limit,
        paid_cents=dict(zip(leg_ids, paid, strict=True)),
        kept_cents={
            leg_id: amount - share
            for leg_id, amount, share in zip(leg_ids, amounts, paid, strict=True)
            if amount > share
        },
    )

"""Three-for-one batches."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from serving.settlement.errors import SettlementError
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import ThreeForOneRule
from serving.settlement.sharing.three_for_one import LockedInvite, unlock

RULE = load_shipped().only(ThreeForOneRule)
START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number):
    return START + timedelta(days=number)


def invite(number, locked=0, released=10, legs=(1_000,), net=10_000, inviter="a1"):
    ids = tuple(f"leg{number}-{i}" for i in range(len(legs)))
    moment = None if released is None else day(released)
    return LockedInvite(f"o{number}", f"c{number}", inviter, ids, legs, net, day(locked), moment, RULE)


def test_every_third_released_invitee_unlocks_the_sum_of_the_legs():
    found = unlock([invite(n, released=10 + n) for n in range(1, 8)], day(30))
    assert [batch.order_ids for batch in found.unlocked] == [("o1", "o2", "o3"), ("o4", "o5", "o6")]
    assert found.unlocked[0].locked_cents == 3_000
    assert found.unlocked[0].paid_cents == {"leg1-0": 1_000, "leg2-0": 1_000, "leg3-0": 1_000}
    assert found.unlocked[0].kept_cents == {}
    assert [waiting.order_id for waiting in found.waiting] == ["o7"]


def test_the_mean_order_limits_the_batch_and_the_platform_keeps_the_rest():
    # Legs 20.00 + 10.00 + 10.01 = 40.01; orders 10.00, 20.00, 5.01: mean 11.67 floored to the fen.
    batch = unlock(
        [invite(1, legs=(1_500, 500), net=1_000), invite(2, net=2_000), invite(3, legs=(1_001,), net=501)],
        day(30),
    ).unlocked[0]
    assert (batch.locked_cents, batch.limit_cents) == (4_001, 1_167)
    assert batch.paid_cents == {"leg1-0": 437, "leg1-1": 146, "leg2-0": 292, "leg3-0": 292}
    assert sum(batch.paid_cents.values()) == 1_167
    assert sum(batch.kept_cents.values()) == 4_001 - 1_167


def test_unreleased_and_refunded_invites_do_not_count():
    some = [invite(1), invite(2), invite(3, released=None), invite(4, legs=(0,)), invite(5, released=31)]
    assert unlock(some, day(30)).unlocked == ()
    assert [batch.order_ids for batch in unlock(some, day(31)).unlocked] == [("o1", "o2", "o5")]


def test_locks_expire_after_180_days_and_a_full_batch_is_safe():
    old = [invite(n) for n in (1, 2)]
    assert unlock(old, day(179)).expired == ()
    assert unlock(old, day(180)).expired == tuple(old)
    last_moment = invite(3, locked=150, released=179)
    assert len(unlock([*old, last_moment], day(400)).unlocked) == 1
    too_late = invite(3, locked=150, released=180)
    outcome = unlock([*old, too_late], day(200))
    assert outcome.unlocked == ()
    assert outcome.waiting == (too_late,)


def test_running_late_forms_the_same_batches():
    invites = [invite(n, locked=n, released=10 + n) for n in range(1, 7)]
    daily, left = [], invites
    for number in range(40):
        outcome = unlock(left, day(number))
        daily += outcome.unlocked
        left = outcome.waiting
    assert tuple(daily) == unlock(invites, day(40)).unlocked


def test_mixed_inviters_and_repeated_invitees_are_refused():
    with pytest.raises(SettlementError, match="one inviter"):
        unlock([invite(1), invite(2, inviter="a2")], day(1))
    with pytest.raises(SettlementError, match="counts once"):
        unlock([invite(1), invite(1)], day(1))


def test_a_batch_forms_across_versions_and_each_invite_expires_by_its_own():
    later = RULE.model_copy(update={"batch_size": 4, "expires_days": 30})
    # Two under the first version, one under the second: the first member's version asks for three.
    mixed = [invite(1), invite(2), replace(invite(3, released=12), rule=later)]
    assert [batch.order_ids for batch in unlock(mixed, day(30)).unlocked] == [("o1", "o2", "o3")]
    # Under the second version alone three do not fill a batch of four, and expire after 30 days.
    young = [replace(one, rule=later) for one in mixed]
    assert unlock(young, day(29)).unlocked == ()
    assert len(unlock(young, day(30)).expired) == 3
    # One that expired before the third was released does not count with it.
    short = [replace(invite(1), rule=later), invite(2), invite(3, released=31)]
    assert unlock(short, day(40)).unlocked == ()

"""Frozen selections: figures by hand, rows that changed, limits, buckets, one decision."""

import pytest
from decided_things import DAY, NOW

from serving.approvals.errors import (
    BatchRefusedError,
    LostRaceError,
    SuggestionError,
    UnknownApprovalError,
    UnknownBatchError,
)


def test_a_batch_shows_what_it_holds(desk):
    rows = {
        cents: desk.ask(f"s{cents}", cents).approval.approval_id for cents in (500, 100, 300, 200, 900, 50)
    }
    desk.ask("other", 7_000, bucket="above_step")
    frozen = desk.freeze()
    assert (frozen.count, frozen.sum_cents, frozen.beyond) == (6, 2_050, 0)
    assert (frozen.lowest, frozen.highest) == ((rows[50], 50), (rows[900], 900))
    # Places 0, 1, 2, 3 and 5 of 900, 500, 300, 200, 100, 50.
    assert frozen.samples == tuple(rows[cents] for cents in (900, 500, 300, 200, 50))
    done = desk.decide(frozen, "approve")
    assert (done.decided, done.sum_cents, done.left_out) == (6, 2_050, ())
    assert desk.booked() == 2_050
    assert {row.state for row in desk.all(bucket="all")} == {"in_effect"}
    assert {row.state for row in desk.all(bucket="above_step")} == {"pending"}
    assert {one.batch_id for one in desk.log(desk.all(bucket="all")[0])} == {None, frozen.batch_id}


def test_rows_that_changed_are_left_out_and_told(desk):
    same = desk.ask("same", 100).approval
    gone = desk.ask("gone", 100).approval
    other = desk.ask("other", 100).approval
    own = desk.ask("own", 100, by="berta").approval
    bad = desk.ask("bad", 13).approval
    old = desk.ask("old", 100, expires_at=NOW + DAY).approval
    frozen = desk.freeze()
    desk.act("reject", gone, "carla", "too_high")
    desk.act("adjust", other, "carla", {"cents": 60})
    new = desk.ask("new", 100).approval
    done = desk.decide(frozen, "approve", now=NOW + 2 * DAY)
    assert (done.decided, done.sum_cents) == (1, 100)
    assert [(row.approval_id, row.reason) for row in done.left_out] == [
        (gone.approval_id, "changed"),
        (other.approval_id, "changed"),
        (own.approval_id, "own_request"),
        (bad.approval_id, "effect_refused"),
        (old.approval_id, "expired"),
    ]
    assert desk.read(same).state == "in_effect"
    assert desk.read(bad) == bad
    assert desk.read(new) == new
    assert desk.booked() == 100


def test_a_batch_is_decided_once(desk):
    desk.ask("s")
    frozen = desk.freeze()
    desk.decide(frozen, "reject", reason_code="too_high", now=NOW + DAY)
    with pytest.raises(LostRaceError) as lost:
        desk.decide(frozen, "approve", by="carla")
    assert (lost.value.winner.by, lost.value.winner.at, lost.value.winner.what) == (
        "berta",
        NOW + DAY,
        "reject",
    )
    assert desk.log(desk.all()[0])[-1].reason_code == "too_high"


def test_two_halves_of_a_batch_are_two_persons(desk):
    for number in range(3):
        desk.ask(f"s{number}", 2_000, by="job:prices")
    assert desk.decide(desk.freeze(), "approve").decided == 3
    assert {row.state for row in desk.all()} == {"half_approved"}
    second = desk.freeze(state="half_approved")
    assert {row.reason for row in desk.decide(second, "approve").left_out} == {"second_person_needed"}
    third = desk.freeze(state="half_approved")
    assert desk.decide(third, "approve", by="carla").sum_cents == 6_000
    assert desk.booked() == 6_000


def test_buckets_and_kinds_are_never_mixed(desk):
    first = desk.ask("a").approval.approval_id
    second = desk.ask("b", bucket="above_step").approval.approval_id
    with pytest.raises(BatchRefusedError, match="never mixes"):
        desk.freeze(approval_ids=[first, second])
    with pytest.raises(BatchRefusedError):
        desk.freeze(kind="unique_transfer", approval_ids=[first])
    with pytest.raises(UnknownApprovalError):
        desk.freeze(approval_ids=[first, 10**9])
    with pytest.raises(BatchRefusedError):
        desk.freeze(bucket="nothing")
    assert desk.freeze(approval_ids=[first, first]).count == 1


def test_a_batch_of_a_party_holds_that_party(desk):
    mine = desk.ask("a", party=("merchant", "m1")).approval
    desk.ask("b", party=("merchant", "m2"))
    assert desk.freeze(party=("merchant", "m1")).samples == (mine.approval_id,)
    with pytest.raises(BatchRefusedError):
        desk.freeze(party=("merchant", "m2"), approval_ids=[mine.approval_id])


def test_a_wrong_reason_decides_nothing(desk):
    asked = desk.ask().approval
    frozen = desk.freeze()
    for action, more in (("reject", {"reason_code": "mood"}), ("snooze", {}), ("snooze", {"until": NOW})):
        with pytest.raises(SuggestionError):
            desk.decide(frozen, action, **more)
    assert desk.read(asked) == asked
    assert desk.decide(frozen, "snooze", until=NOW + DAY).decided == 1


def test_another_digest_and_another_tenant_decide_nothing(desk, operations):
    desk.ask()
    frozen = desk.freeze()
    with pytest.raises(LostRaceError):
        desk.decide(type(frozen)(**{**_fields(frozen), "digest": "0" * 64}), "approve")
    stranger = type(desk)(operations, f"{desk.tenant}-other")
    with pytest.raises(UnknownBatchError):
        stranger.decide(frozen, "approve")


def _fields(frozen):
    return {name: getattr(frozen, name) for name in frozen.__dataclass_fields__}


def test_a_batch_holds_two_thousand_at_most(desk):
    with desk.transaction() as conn:
        conn.execute(
            "insert into approvals.request (tenant_id, kind, subject_type, subject_id, suggestion, digest,"
            " source, value_cents, bucket, state, asked_by, asked_at, expires_at, approvals_needed,"
            " asker_may_decide)"
            " select %s, 'transfer', 'thing', 's' || n, jsonb_build_object('cents', n, 'most_cents', n),"
            " repeat('0', 64), 'stated', n, 'all', 'pending', 'job:x', %s, %s, 1, false"
            " from generate_series(1, 2003) n",
            (desk.tenant, NOW, NOW + DAY),
        )
    frozen = desk.freeze()
    assert (frozen.count, frozen.beyond) == (2_000, 3)
    # 4 + ... + 2003: those with the most at stake.
    assert (frozen.lowest[1], frozen.highest[1], frozen.sum_cents) == (4, 2_003, 2_007_000)
    with pytest.raises(BatchRefusedError):
        desk.freeze(approval_ids=[row.approval_id for row in desk.all()])

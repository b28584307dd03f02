"""Deciding about one request: halves, own requests, adjustments, races, effects that fail."""

import threading
from dataclasses import replace

import psycopg
import pytest
from decided_things import DAY, NOW, QUIET, UNIQUE, EffectRefusedError

from serving.approvals.errors import (
    ApprovalExpiredError,
    ImpossibleMoveError,
    LostRaceError,
    OwnRequestError,
    RequestConflictError,
    SecondPersonError,
    SuggestionError,
    UnknownApprovalError,
)


def test_one_person_asks_another_approves_and_it_happens(desk):
    asked = desk.ask(cents=500).approval
    assert (asked.state, asked.version, asked.approvals_needed, asked.asked_by) == ("pending", 1, 1, "anna")
    assert desk.booked() == 0
    done = desk.act("approve", asked, "berta")
    assert (done.state, done.first_approver, done.version) == ("in_effect", "berta", 3)
    assert desk.booked() == 500
    log = desk.log(done)
    assert [(one.version, one.action, one.from_state, one.to_state, one.decided_by) for one in log] == [
        (1, "ask", None, "pending", "anna"),
        (2, "approve", "pending", "approved", "berta"),
        (3, "take_effect", "approved", "in_effect", "berta"),
    ]
    assert log[2].details == done.effect
    assert list(done.effect) == ["transaction_id"]


def test_nobody_decides_what_they_asked_for(desk):
    asked = desk.ask().approval
    for name, arguments in (
        ("approve", ()),
        ("adjust", ({"cents": 50},)),
        ("reject", ("too_high",)),
        ("snooze", (NOW + DAY,)),
    ):
        with pytest.raises(OwnRequestError):
            desk.act(name, asked, "anna", *arguments)
    assert desk.read(asked) == asked
    assert desk.act("withdraw", asked, "anna").state == "withdrawn"


def test_what_a_job_asks_above_the_limit_needs_two_persons(desk):
    asked = desk.ask(cents=1_001, by="job:payouts").approval
    assert (asked.asked_by, asked.approvals_needed) == ("job:payouts", 2)
    half = desk.act("approve", asked, "berta")
    assert (half.state, half.first_approver, half.second_approver) == ("half_approved", "berta", None)
    assert desk.booked() == 0
    with pytest.raises(SecondPersonError):
        desk.act("approve", half, "berta")
    done = desk.act("approve", half, "carla")
    assert (done.state, done.second_approver) == ("in_effect", "carla")
    assert desk.booked() == 1_001
    assert desk.act("approve", desk.ask("t", 1_000, by="job:payouts").approval, "berta").state == "in_effect"


def test_the_database_knows_four_eyes_as_well(desk, owner):
    asked = desk.ask(cents=5_000, by="job:payouts").approval
    own = desk.ask("own", 5_000).approval
    number, set_state = own.approval_id, "update approvals.request set state = 'approved', first_approver = "
    for statement, name in (
        (f"{set_state}'x' where approval_id = {asked.approval_id}", "approved_by_enough"),
        (
            f"{set_state}'x', second_approver = 'x' where approval_id = {asked.approval_id}",
            "two_people",
        ),
        (f"{set_state}'anna' where approval_id = {number}", "not_by_the_asker"),
        (
            f"update approvals.request set state = 'approved' where approval_id = {number}",
            "approved_by_enough",
        ),
    ):
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            owner.execute(statement)
        assert refused.value.diag.constraint_name == name


def test_an_adjustment_makes_another_thing_of_it(desk):
    asked = desk.ask(cents=2_000, by="job:payouts").approval
    half = desk.act("approve", asked, "berta")
    adjusted = desk.act("adjust", half, "carla", {"cents": 1_500})
    assert (adjusted.state, adjusted.first_approver) == ("pending", None)
    assert adjusted.digest != asked.digest
    assert adjusted.suggestion == {"cents": 2_000, "most_cents": 2_000}
    assert adjusted.wanted == {"cents": 1_500, "most_cents": 2_000}
    assert desk.log(asked)[-1].details == {"cents": 1_500}
    with pytest.raises(LostRaceError):
        desk.act("approve", half, "carla")  # what was shown is no longer what it is
    again = desk.act("approve", desk.act("approve", adjusted, "berta"), "carla")
    assert (again.state, desk.booked()) == ("in_effect", 1_500)
    with pytest.raises(SuggestionError):
        desk.act("adjust", desk.ask("t", 10).approval, "berta", {"cents": 11})


def test_a_digest_of_something_else_is_refused(desk):
    asked = desk.ask().approval
    for changed in (replace(asked, digest="0" * 64), replace(asked, version=2)):
        with pytest.raises(LostRaceError) as lost:
            desk.act("approve", changed, "berta")
        assert (lost.value.winner.by, lost.value.winner.what) == ("anna", "ask")
    assert desk.read(asked) == asked


def test_of_two_deciders_at_once_one_wins_and_the_other_learns_who_when_and_what(desk):
    for number in range(8):
        asked = desk.ask(f"s{number}").approval
        begin, outcomes = threading.Barrier(2), []

        def decide(name, *arguments, by, asked=asked, begin=begin, outcomes=outcomes):
            begin.wait()
            try:
                outcomes.append((by, desk.act(name, asked, by, *arguments, now=NOW + DAY).state))
            except LostRaceError as lost:
                outcomes.append((by, lost.winner))

        threads = [
            threading.Thread(target=decide, args=("approve",), kwargs={"by": "berta"}),
            threading.Thread(target=decide, args=("reject", "too_high"), kwargs={"by": "carla"}),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ((first, state), (_, winner)) = sorted(outcomes, key=lambda outcome: not isinstance(outcome[1], str))
        assert (winner.by, winner.at) == (first, NOW + DAY)
        assert (state, winner.what) in {("in_effect", "take_effect"), ("rejected", "reject")}
        assert desk.read(asked).state == state
    decided = [row.state for row in desk.all()]
    assert desk.booked() == 100 * decided.count("in_effect")


def test_an_effect_that_fails_leaves_nothing(desk):
    asked = desk.ask(cents=13).approval
    before = desk.audited()
    with pytest.raises(EffectRefusedError):
        desk.act("approve", asked, "berta")
    assert desk.read(asked) == asked
    assert [one.action for one in desk.log(asked)] == ["ask"]
    assert (desk.booked(), desk.audited()) == (0, before)
    good = desk.ask("t").approval
    desk.act("approve", good, "berta")
    assert desk.audited() == [*before, ("approval.approve", str(good.approval_id))]


def test_what_is_over_is_not_decided(desk):
    asked = desk.ask().approval
    with pytest.raises(ApprovalExpiredError):
        desk.act("approve", asked, "berta", now=NOW + 7 * DAY)
    rejected = desk.act("reject", asked, "berta", "too_high")
    assert desk.log(asked)[-1].reason_code == "too_high"
    with pytest.raises(ImpossibleMoveError) as refused:
        desk.act("approve", rejected, "carla")
    assert refused.value.possible == []
    with pytest.raises(SuggestionError):
        desk.act("reject", desk.ask("t").approval, "berta", "bad_mood")


def test_the_same_is_asked_once_and_other_numbers_supersede(desk):
    first = desk.ask(cents=100)
    again = desk.ask(cents=100, by="carla")
    assert (first.is_new, again.is_new, again.approval) == (True, False, first.approval)
    other = desk.ask(cents=120, by="carla")
    old = desk.read(first.approval)
    assert (other.is_new, old.state, old.superseded_by) == (True, "superseded", other.approval.approval_id)
    with pytest.raises(LostRaceError) as lost:
        desk.act("approve", first.approval, "berta")
    assert (lost.value.winner.by, lost.value.winner.what) == ("carla", "supersede")


def test_a_newer_one_in_effect_supersedes_the_older(desk):
    older = desk.act("approve", desk.ask(cents=100).approval, "berta")
    newer = desk.act("approve", desk.ask(cents=110).approval, "berta")
    assert newer.state == "in_effect"
    old = desk.read(older)
    assert (old.state, old.superseded_by) == ("superseded", newer.approval_id)
    assert desk.log(old)[-1].details == {"superseded_by": newer.approval_id}


def test_the_subject_of_a_unique_kind_is_an_idempotency_key(desk):
    asked = desk.ask(kind=UNIQUE).approval
    with pytest.raises(RequestConflictError):
        desk.ask(kind=UNIQUE, cents=101)
    rejected = desk.act("reject", asked, "berta", "too_high")
    assert desk.ask(kind=UNIQUE).approval == rejected


def test_what_was_rejected_is_quiet_unless_it_moves_by_more_than_a_tenth(desk):
    rejected = desk.act("reject", desk.ask(kind=QUIET, cents=1_000).approval, "berta", "too_high")
    later = NOW + 9 * DAY
    assert desk.ask(kind=QUIET, cents=1_100, now=later).approval == rejected
    assert desk.ask(kind=QUIET, cents=1_101, now=later).is_new
    other = desk.act("reject", desk.ask("t", 1_000, kind=QUIET).approval, "berta", "too_high")
    assert not desk.ask("t", 1_000, kind=QUIET, now=NOW + 10 * DAY - DAY / 24).is_new
    assert desk.ask("t", 1_000, kind=QUIET, now=NOW + 10 * DAY).approval != other


def test_two_who_ask_at_once_make_one_request(desk):
    begin, asked = threading.Barrier(4), []

    def ask():
        begin.wait()
        asked.append(desk.ask())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.is_new for one in asked) == [False, False, False, True]
    assert len({one.approval.approval_id for one in asked}) == 1


def test_tenants_are_apart(desk, operations):
    asked = desk.ask().approval
    stranger = type(desk)(operations, f"{desk.tenant}-other")
    assert stranger.all() == []
    for name in ("approve", "withdraw"):
        with pytest.raises(UnknownApprovalError):
            stranger.act(name, asked, "berta")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), stranger.transaction() as conn:
        conn.execute(
            "insert into approvals.decision (tenant_id, approval_id, version, action, to_state, decided_by,"
            " role, decided_at, digest) values (%s, %s, 2, 'approve', 'approved', 'x', 'y', now(), '')",
            (desk.tenant, asked.approval_id),
        )
    assert desk.read(asked) == asked


@pytest.mark.parametrize("table", ["decision", "batch_item", "document"])
def test_what_happened_cannot_be_changed(desk, owner, table):
    desk.ask()
    statements = {
        "update": f"update approvals.{table} set tenant_id = 'x'",
        "delete": f"delete from approvals.{table}",
        "truncate": f"truncate approvals.{table}",
    }
    for statement in statements.values():
        with pytest.raises(psycopg.errors.InsufficientPrivilege), desk.transaction() as conn:
            conn.execute(statement)
        with pytest.raises(psycopg.Error) as refused:
            owner.execute(statement)
        assert refused.value.sqlstate == "MY403"


@pytest.mark.parametrize(
    "change", ["suggestion = '{}'", "value_cents = 0", "asked_by = 'x'", "approvals_needed = 1", "kind = 'x'"]
)
def test_what_was_asked_stays_as_it_was_asked(desk, change):
    desk.ask()
    with pytest.raises(psycopg.errors.InsufficientPrivilege), desk.transaction() as conn:
        conn.execute(f"update approvals.request set {change}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), desk.transaction() as conn:
        conn.execute("delete from approvals.request")


def test_an_erased_consumer_is_nobody_here(desk, owner):
    suggestion = {
        "cents": 1,
        "entries": [
            {"party_type": "consumer", "party_id": "510"},
            {"party_type": "merchant", "party_id": "510"},
            {"consumer_id": "510"},
        ],
    }
    asked = desk.ask(suggestion=suggestion, party=("consumer", "510")).approval
    kept = desk.ask("t", party=("merchant", "510")).approval
    with desk.transaction() as conn:
        assert conn.execute("select approvals.erase('510', 'erased-1')").fetchone() == (1,)
        assert conn.execute("select approvals.erase('510', 'erased-1')").fetchone() == (0,)
    renamed = desk.read(asked)
    assert renamed.party == ("consumer", "erased-1")
    assert renamed.suggestion["entries"] == [
        {"party_type": "consumer", "party_id": "erased-1"},
        {"party_type": "merchant", "party_id": "510"},
        {"consumer_id": "erased-1"},
    ]
    assert desk.read(kept) == kept
    assert desk.act("reject", renamed, "berta", "too_high").state == "rejected"

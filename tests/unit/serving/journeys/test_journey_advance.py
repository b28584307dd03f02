"""The life of a run, minute by minute: the dormant wake-up as printed, controls, deferrals, loops."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from models.experiments.assignment import draw
from models.experiments.hold_out import UNIVERSAL_BPS, quarter
from serving.journeys.assignment import Arm, arm_of
from serving.journeys.definition.loading import load
from serving.journeys.engine.advance import Act, Facts, Message, Run, advance
from serving.journeys.guards import Cap, Known, Policy
from serving.journeys.quiet_hours import STANDARD, QuietHours

ZONE = ZoneInfo("Asia/Shanghai")
POLICY = Policy(QuietHours(*STANDARD, ZONE))
START = datetime(2026, 3, 4, 10, tzinfo=ZONE)
WAKE = load(
    yaml.safe_load("""
journey_id: wake
title: Wake whoever is dormant
purpose: marketing
entry: {kind: segment, segment: dormant}
again_after_days: 90
steps:
  - {id: coupon, kind: send, channel: sms, template: "For you: {coupon}", coupon: cp, next: day}
  - {id: day, kind: wait, minutes: 1440, since: delivered, until: [visit, click, order], next: how}
  - {id: how, kind: branch, outcome: failed, then: call, next: list}
  - {id: list, kind: send, channel: wecom, template: "{items}", items: 5, next: days}
  - {id: days, kind: wait, minutes: 4320, until: [visit, click, order], next: call}
  - {id: call, kind: task, task: Call, within_minutes: 15, items: 5, next: end}
""")
)
WILLING = Known(marketing=True)


def run(arm=Arm.TREATED, step="coupon", **more):
    return Run(arm, START, step, START, **more)


def go(
    one, at=START, known=WILLING, journey=WAKE, policy=POLICY, listed=5, funded=frozenset({"cp"}), **reactions
):
    return advance(journey, one, Facts(known, reactions, listed=listed, funded=funded), at, policy)


def test_the_dormant_wake_up_as_printed():
    first = go(run())
    assert first.acts == (Act("message", "coupon"),)
    assert first.due_at == START + timedelta(minutes=120)
    assert first.run.last == Message("coupon", START, "waiting")

    came = START + timedelta(minutes=3)
    delivered = replace(first.run, last=replace(first.run.last, state="delivered", told_at=came))
    waits = go(delivered, came + timedelta(minutes=1))
    assert (waits.run.step, waits.due_at) == ("day", came + timedelta(hours=24))
    assert waits.acts == ()

    early = go(waits.run, came + timedelta(hours=23, minutes=59))
    assert (early.run.step, early.due_at) == ("day", came + timedelta(hours=24))

    next_day = came + timedelta(hours=24)
    listed = go(waits.run, next_day)
    assert listed.acts == (Act("message", "list"),)
    assert listed.run.step == "list"

    gone = replace(listed.run, last=replace(listed.run.last, state="delivered", told_at=next_day))
    called = go(go(gone, next_day).run, next_day + timedelta(days=3))
    assert called.acts == (Act("task", "call"),)
    assert (called.reason, called.due_at, called.run.step) == ("finished", None, "end")


@pytest.mark.parametrize("kind", ["visit", "click"])
def test_a_reaction_while_it_waits_ends_it(kind):
    sent = go(run()).run
    delivered = replace(sent, last=replace(sent.last, state="delivered", told_at=START))
    ended = go(delivered, START + timedelta(hours=5), **{kind: START + timedelta(hours=4)})
    assert (ended.reason, ended.acts) == ("reacted", ())


def test_what_was_done_before_the_message_is_no_reaction_to_it():
    late = START + timedelta(hours=1)
    sent = go(run(), late).run
    delivered = replace(sent, last=replace(sent.last, state="delivered", told_at=late))
    assert go(delivered, late, visit=START).reason is None
    assert go(delivered, late, visit=late).reason == "reacted"


def test_an_order_ends_it_wherever_it_stands():
    for arm in Arm:
        assert go(run(arm), order=START).reason == "converted"


def test_without_a_receipt_in_two_hours_it_goes_on_as_failed():
    sent = go(run()).run
    still = go(sent, START + timedelta(minutes=119))
    assert (still.run.step, still.due_at) == ("coupon", START + timedelta(minutes=120))
    gone = go(sent, START + timedelta(minutes=120))
    # The day counts from the decision: nothing was delivered.
    assert (gone.run.step, gone.due_at) == ("day", START + timedelta(hours=24))
    called = go(gone.run, START + timedelta(hours=24))
    assert (called.acts, called.reason) == ((Act("task", "call"),), "finished")


def test_quiet_hours_and_caps_put_it_off_and_all_guards_are_asked_again():
    evening = START.replace(hour=21)
    late = Run(Arm.TREATED, evening, "coupon", evening)
    put_off = go(late, evening)
    morning = (evening + timedelta(days=1)).replace(hour=9)
    assert put_off.acts == (Act("deferred", "coupon", "quiet_hours"),)
    assert (put_off.run, put_off.due_at) == (late, morning)
    withdrawn = go(put_off.run, morning, replace(WILLING, marketing=False))
    assert (withdrawn.acts, withdrawn.reason) == ((Act("withheld", "coupon", "no_consent"),), "no_consent")
    assert go(put_off.run, morning).acts == (Act("message", "coupon"),)


def test_consent_withdrawn_at_2059_stops_the_message_at_21():
    shortly = START.replace(hour=20, minute=59)
    assert go(run(), shortly).acts == (Act("message", "coupon"),)
    nine = Policy(QuietHours(time(23), time(7), ZONE))
    ended = go(run(), START.replace(hour=21), replace(WILLING, marketing=False), policy=nine)
    assert ended.reason == "no_consent"


def test_what_the_message_lacks_leaves_the_message_out():
    skipped = go(run(), funded=frozenset({"another"}))
    assert skipped.acts == (Act("withheld", "coupon", "no_budget"),)
    assert (skipped.run.step, skipped.reason) == ("day", None)
    listed = go(run(step="list"), listed=4)
    assert listed.acts == (Act("withheld", "list", "no_stock"),)
    assert go(run(step="list"), listed=5).acts == (Act("message", "list"),)


def test_a_channel_that_is_not_wanted_leaves_its_message_out():
    skipped = go(run(), known=replace(WILLING, opted_out=frozenset({"sms"})))
    assert skipped.acts == (Act("withheld", "coupon", "opted_out"),)
    day = go(skipped.run, START + timedelta(hours=24), replace(WILLING, opted_out=frozenset({"sms"})))
    assert day.acts == (Act("task", "call"),)


def test_it_ends_when_its_time_is_over():
    put_off = go(run(), known=replace(WILLING, sent=((START, "sms"),) * 6))
    assert put_off.due_at == START + timedelta(days=14)
    assert go(put_off.run, START + timedelta(days=14) - timedelta(minutes=1)).reason is None
    assert go(put_off.run, START + timedelta(days=14)).reason == "time_over"


def test_a_control_takes_the_same_way_and_gets_nothing():
    watched = go(run(Arm.CONTROL))
    assert watched.acts == (Act("would_send", "coupon"),)
    assert (watched.run.step, watched.due_at) == ("day", START + timedelta(hours=24))
    listed = go(watched.run, START + timedelta(hours=24))
    assert listed.acts == (Act("would_send", "list"),)
    done = go(listed.run, START + timedelta(hours=24 + 72))
    assert (done.acts, done.reason) == ((Act("would_ask", "call"),), "finished")


def test_a_loop_goes_round_once_a_wait():
    weekly = load(
        yaml.safe_load("""
journey_id: weekly
title: Every week
purpose: service
entry: {kind: segment, segment: s}
again_after_days: 90
ends_after_days: 30
steps:
  - {id: tell, kind: send, channel: email, template: Hello, next: week}
  - {id: week, kind: wait, minutes: 10080, next: tell}
""")
    )
    moment, one, told = START, run(step="tell"), 0
    while True:
        found = go(one, moment, journey=weekly)
        told += sum(act.kind == "message" for act in found.acts)
        if found.reason is not None:
            break
        one = found.run
        if one.last.state == "waiting":
            one = replace(one, last=replace(one.last, state="delivered", told_at=moment))
        moment = min(found.due_at, moment + timedelta(days=1))
    assert (found.reason, told) == ("time_over", 5)


@given(
    st.sampled_from([Arm.TREATED, Arm.CONTROL]),
    st.lists(st.tuples(st.integers(1, 3_000), st.sampled_from(["delivered", "failed", None])), max_size=25),
)
def test_nothing_goes_out_in_quiet_hours_nor_above_a_cap(arm, ticks):
    policy = replace(POLICY, caps=(Cap(timedelta(days=2), 1),))
    one, moment, sent = run(arm), START, []
    for minutes, receipt in ticks:
        found = advance(
            WAKE,
            one,
            Facts(replace(WILLING, sent=tuple(sent)), {}, listed=5, funded=frozenset({"cp"})),
            moment,
            policy,
        )
        for act in found.acts:
            if act.kind in {"message", "would_send"}:
                assert 9 <= moment.astimezone(ZONE).hour < 21
                assert all(moment - at >= timedelta(days=2) for at, _ in sent)
                sent.append((moment, "sms"))
            assert act.kind != ("would_send" if arm is Arm.TREATED else "message")
        if found.reason is not None:
            return
        assert found.due_at > moment
        one = found.run
        if receipt and one.last is not None and one.last.state == "waiting":
            one = replace(one, last=replace(one.last, state=receipt, told_at=moment))
        moment += timedelta(minutes=minutes)


def test_a_control_waits_for_the_cap_between_two_messages_like_the_treated():
    steps = """
steps:
  - {id: coupon, kind: send, channel: sms, template: "One", next: list}
  - {id: list, kind: send, channel: wecom, template: "Two", next: end}
"""
    head = """
journey_id: two
title: Two messages
purpose: marketing
entry: {kind: segment, segment: dormant}
again_after_days: 90
"""
    watched = go(run(Arm.CONTROL), journey=load(head + steps))
    assert watched.acts == (Act("would_send", "coupon"), Act("deferred", "list", "frequency_cap"))
    assert watched.due_at == START + timedelta(days=1)


def test_arms_are_drawn_once_and_in_their_shares():
    day = START.date()
    names = [f"c{number}" for number in range(20_000)]
    arms = [arm_of("t", "wake", name, day, 1_000, marketing=True) for name in names]
    assert arms == [arm_of("t", "wake", name, day, 1_000, marketing=True) for name in names]
    universal = arms.count(Arm.UNIVERSAL) / len(names)
    control = arms.count(Arm.CONTROL) / (len(names) - arms.count(Arm.UNIVERSAL))
    assert abs(universal - UNIVERSAL_BPS / 10_000) < 0.006
    assert abs(control - 0.1) < 0.008
    # Another journey draws anew, service reaches everybody, a new quarter has another hold-out.
    other = [arm_of("t", "other", name, day, 1_000, marketing=True) for name in names]
    both = sum(a == b == Arm.CONTROL for a, b in zip(arms, other, strict=True)) / len(names)
    assert abs(both - 0.0095) < 0.004
    assert Arm.UNIVERSAL not in {arm_of("t", "wake", name, day, 0, marketing=False) for name in names[:999]}
    spring = {name for name in names if draw("t", "universal", "2026Q2", name) < 0.05}
    winter = {name for name, arm in zip(names, arms, strict=True) if arm is Arm.UNIVERSAL}
    assert len(spring & winter) < 0.2 * len(winter)
    assert [quarter(datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 3, 4, 12)] == [
        "2026Q1",
        "2026Q1",
        "2026Q2",
        "2026Q4",
    ]

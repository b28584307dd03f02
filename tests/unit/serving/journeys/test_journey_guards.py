"""Guards: their order, the caps by hand, quiet hours around midnight."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.journeys.guards import CAPS, Cap, Known, Policy, Reason, Verdict, judge
from serving.journeys.quiet_hours import STANDARD, QuietHours

SHANGHAI = ZoneInfo("Asia/Shanghai")
QUIET = QuietHours(*STANDARD, SHANGHAI)
POLICY = Policy(QUIET)
NOON = datetime(2026, 3, 4, 4, tzinfo=UTC)
WILLING = Known(marketing=True)


def at(hour, minute=0, day=4):
    return datetime(2026, 3, day, hour, minute, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        (at(20, 59), at(20, 59)),
        (at(21), at(9, day=5)),
        (at(23, 59), at(9, day=5)),
        (at(0), at(9)),
        (at(8, 59), at(9)),
        (at(9), at(9)),
    ],
)
def test_quiet_hours_end_at_the_next_nine(moment, opens):
    assert QUIET.open_from(moment) == opens


def test_quiet_hours_within_a_day_and_none_at_all():
    siesta = QuietHours(time(12), time(14), SHANGHAI)
    assert siesta.open_from(at(12)) == at(14)
    assert siesta.open_from(at(14)) == at(14)
    assert siesta.open_from(at(2)) == at(2)
    never = QuietHours(time(9), time(9), SHANGHAI)
    assert never.open_from(at(9)) == at(9)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "Europe/Berlin"])
@given(st.integers(0, 10 * 365 * 24 * 60))
def test_whatever_the_zone_the_opening_is_not_quiet_and_not_before(zone, minutes):
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    quiet = QuietHours(*STANDARD, ZoneInfo(zone))
    opens = quiet.open_from(moment)
    assert opens >= moment
    assert 9 <= opens.astimezone(ZoneInfo(zone)).hour < 21
    assert opens - moment <= timedelta(hours=13)


def test_the_first_guard_in_the_way_is_the_one_recorded():
    worst = Known(
        erased=True,
        opted_out=frozenset({"sms"}),
        marketing=False,
        open_complaint=True,
        converted=True,
        held_out=frozenset({"sms"}),
        in_stock=False,
        has_budget=False,
        sent=((NOON, "sms"),) * 9,
    )
    order = [
        ("erased", False),
        ("opted_out", frozenset()),
        ("marketing", True),
        ("open_complaint", False),
        ("converted", False),
        ("held_out", frozenset()),
        ("in_stock", True),
        ("has_budget", True),
        ("sent", ()),
    ]
    found = []
    known = worst
    for field, good in order:
        found.append(judge(known, "marketing", "sms", at(22), POLICY).reason)
        known = Known(**{**known.__dict__, field: good})
    assert found == list(Reason)[:9]
    assert judge(known, "marketing", "sms", at(22), POLICY) == (Reason.QUIET_HOURS, at(9, day=5))
    assert judge(known, "marketing", "sms", at(20, 59), POLICY) == Verdict()


def test_a_test_of_a_channel_keeps_marketing_on_it_away_and_nothing_else():
    held = Known(marketing=True, held_out=frozenset({"sms"}))
    assert judge(held, "marketing", "sms", NOON, POLICY).reason == Reason.CHANNEL_HELD_OUT
    assert judge(held, "marketing", "email", NOON, POLICY).reason is None
    assert judge(held, "service", "sms", NOON, POLICY).reason is None


def test_silence_is_no_consent_and_service_needs_none():
    assert judge(Known(), "marketing", "sms", NOON, POLICY).reason == Reason.NO_CONSENT
    assert judge(Known(marketing=False), "service", "sms", NOON, POLICY).reason is None
    assert (
        judge(Known(opted_out=frozenset({"sms"})), "service", "sms", NOON, POLICY).reason == Reason.OPTED_OUT
    )
    assert (
        judge(Known(opted_out=frozenset({"sms"}), marketing=True), "marketing", "email", NOON, POLICY)[0]
        is None
    )


def sent(*ages, by="sms"):
    return tuple((NOON - age, by) for age in ages)


@pytest.mark.parametrize(
    ("messages", "free"),
    [
        (sent(), NOON),
        (sent(timedelta(hours=23, minutes=59)), NOON + timedelta(minutes=1)),
        (sent(timedelta(days=1)), NOON),
        (sent(timedelta(days=1), timedelta(days=6, hours=23)), NOON + timedelta(hours=1)),
        (sent(timedelta(days=1), timedelta(days=7)), NOON),
        (sent(*[timedelta(days=day) for day in (8, 12, 16, 20, 24, 29)]), NOON + timedelta(days=1)),
        (sent(*[timedelta(days=day) for day in (8, 12, 16, 20, 24, 30)]), NOON),
    ],
)
def test_the_caps_by_hand(messages, free):
    verdict = judge(Known(marketing=True, sent=messages), "marketing", "sms", NOON, POLICY)
    expected = Verdict() if free == NOON else Verdict(Reason.FREQUENCY_CAP, free)
    assert verdict == expected


def test_a_cap_of_a_channel_counts_that_channel_alone():
    policy = Policy(QUIET, caps=(), channel_caps={"sms": (Cap(timedelta(days=1), 1),)})
    known = Known(marketing=True, sent=sent(timedelta(hours=1), by="sms"))
    assert judge(known, "marketing", "sms", NOON, policy).reason == Reason.FREQUENCY_CAP
    assert judge(known, "marketing", "email", NOON, policy).reason is None


def test_a_cap_of_0_is_no_cap():
    policy = Policy(QUIET, caps=(Cap(timedelta(days=1), 0),))
    assert (
        judge(Known(marketing=True, sent=sent(timedelta(0)) * 5), "marketing", "sms", NOON, policy).reason
        is None
    )


def test_service_messages_pass_a_full_cap():
    known = Known(sent=sent(timedelta(0)) * 9)
    assert judge(known, "service", "sms", NOON, POLICY).reason is None


@given(st.lists(st.integers(0, 60 * 24 * 31), max_size=12))
def test_asking_again_when_told_is_early_enough_and_not_too_early(ages):
    known = Known(marketing=True, sent=sent(*[timedelta(minutes=age) for age in ages]))
    always = Policy(QuietHours(time(0), time(0), UTC))
    verdict = judge(known, "marketing", "sms", NOON, always)
    moment = verdict.again_at or NOON
    assert judge(known, "marketing", "sms", moment, always).reason is None
    for cap in CAPS:
        window = [when for when, _ in known.sent if moment - cap.window < when <= moment]
        assert len(window) < cap.messages
    if verdict.again_at is not None:
        assert judge(known, "marketing", "sms", moment - timedelta(seconds=1), always).reason is not None

"""The ladder: up at once, down after period, grace and notice; against a diary that counts days."""

import datetime as dt
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from models.members.ladder import Level, Rules, Standing, cause_of, move

DAY = dt.date(2026, 1, 1)
RULES = Rules(
    {Level.ORDINARY: 0, Level.SILVER: 10, Level.GOLD: 20, Level.DIAMOND: 50},
    period_days=30,
    notice_days=5,
    grace_days=3,
)
growths = st.lists(st.integers(0, 60), min_size=1, max_size=120)


def on(n):
    return DAY + dt.timedelta(days=n)


def live(values, told=None, rules=RULES):
    """Standing after every day; `told` says on which days the member is told, if at risk."""
    held, notice, all_days = None, None, []
    for n, growth in enumerate(values):
        after = move(held, growth, rules, on(n), notice)
        if after.at_risk_since is None or (held is not None and after.at_risk_since != held.at_risk_since):
            notice = None
        if after.at_risk_since is not None and notice is None and (told is None or n in told):
            notice = on(n)
        held = after
        all_days.append(after)
    return all_days


def diary(values, told):
    """The level of each day, by counting days instead of comparing dates."""
    level, left, risk, waits, levels = None, 0, False, None, []
    for n, growth in enumerate(values):
        reached = sum(growth >= least for least in (10, 20, 50))
        if level is None or reached > level:
            level, left, risk, waits = reached, 30, False, None
        else:
            left -= 1
            if waits is not None:
                waits -= 1
            if reached == level:
                risk, waits = False, None
                left = left if left > 0 else 30 - (-left) % 30
            elif left > 5:
                risk, waits = False, None
            else:
                if left <= -3 and risk and waits is not None and waits <= 0:
                    level, left, risk, waits = reached, 30, False, None
                else:
                    risk = True
        if risk and waits is None and n in told:
            waits = 5
        levels.append(level)
    return levels


@given(growths, st.sets(st.integers(0, 119)))
def test_levels_are_those_of_the_diary(values, told):
    assert [int(one.level) for one in live(values, told)] == diary(values, told)


@given(growths)
def test_the_same_day_again_changes_nothing(values):
    held, notice = None, None
    for n, growth in enumerate(values):
        once = move(held, growth, RULES, on(n), notice)
        assert move(once, growth, RULES, on(n), notice) == once
        assert cause_of(once, move(once, growth, RULES, on(n), notice)) is None
        notice = on(n) if once.at_risk_since is not None else None
        held = once


@given(growths)
def test_nobody_who_was_not_told_goes_down(values):
    levels = [one.level for one in live(values, told=set())]
    assert levels == sorted(levels)


@given(growths)
def test_nobody_goes_down_within_a_period_and_its_grace(values):
    days = live(values)
    for n in range(1, len(days)):
        if days[n].level < days[n - 1].level:
            assert on(n) >= days[n - 1].period_ends_on + dt.timedelta(days=3)
            assert days[n - 1].at_risk_since <= on(n - 5)


def test_up_at_once_and_over_several_levels():
    first, second = live([0, 60])
    assert (first.level, second.level) == (Level.ORDINARY, Level.DIAMOND)
    assert (second.spell, second.since, second.period_ends_on) == (2, on(1), on(31))
    assert cause_of(None, first) == "joined"
    assert cause_of(first, second) == "up"


def test_down_after_the_period_the_grace_and_the_notice():
    days = live([20] + [5] * 40)
    at_risk = next(n for n, one in enumerate(days) if one.at_risk_since is not None)
    down = next(n for n, one in enumerate(days) if one.level < Level.GOLD)
    # A period of 30 days, notice within 5 of its end, three days of grace.
    assert (at_risk, down) == (25, 33)
    assert days[down] == Standing(Level.ORDINARY, 5, 2, on(33), on(63), None)


def test_a_notice_that_came_late_puts_the_fall_off():
    days = live([20] + [5] * 60, told={40})
    assert next(n for n, one in enumerate(days) if one.level < Level.GOLD) == 45


def test_who_makes_up_for_it_is_safe_and_the_period_begins_anew():
    days = live([20] + [5] * 31 + [20] * 40)
    assert days[31].at_risk_since is not None
    assert (days[32].level, days[32].at_risk_since, days[32].period_ends_on) == (Level.GOLD, None, on(60))
    assert cause_of(days[31], days[32]) == "safe"


def test_nights_that_did_not_run_lose_no_period():
    every_night = live([20] * 65)[-1]
    one_night = move(live([20])[0], 20, RULES, on(64), None)
    assert one_night == every_night


def test_what_is_missing_to_the_next_level():
    assert RULES.to_next(Level.SILVER, 13) == 7
    assert RULES.to_next(Level.GOLD, 3) == 47
    assert RULES.to_next(Level.DIAMOND, 3) is None


def test_a_programme_that_asks_less_lifts_and_one_that_asks_more_lets_fall_late():
    held = live([20])[0]
    easier = replace(RULES, thresholds={**RULES.thresholds, Level.DIAMOND: 20, Level.GOLD: 15})
    harder = replace(RULES, thresholds={**RULES.thresholds, Level.GOLD: 30})
    assert move(held, 20, easier, on(1), None).level == Level.DIAMOND
    assert move(held, 20, harder, on(1), None) == held

"""The ladder of supervision: scores, every line from both sides, silence, lapses, a word that waits."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.supply.supervision.ladder import (
    WEIGHTS,
    Level,
    Rules,
    Sign,
    Standing,
    due_after,
    level_of,
    next_standing,
    score_of,
)

NOW = datetime(2026, 11, 1, 2, tzinfo=UTC)
# Powers of two and lines at the very scores that they give, so that "at the line" is exact.
HALVES = Rules(
    weights=dict.fromkeys(WEIGHTS, 0.5), ask=0.25, hold=0.625, delist=0.8125, hold_signs=2, delist_signs=3
)
RULES = Rules()


def days(number):
    return NOW + timedelta(days=number)


def signs(*strengths):
    return [Sign(name, strength, {}) for name, strength in zip(WEIGHTS, strengths, strict=False)]


def test_a_score_is_the_chance_that_not_all_signs_are_chance():
    assert score_of([], RULES) == 0
    # By hand: 1 - (1 - .4 x .5)(1 - .5) = 1 - .8 x .5
    found = [Sign("price", 0.5, {}), Sign("authorisation", 1.0, {})]
    assert score_of(found, RULES) == pytest.approx(0.6)


@given(st.lists(st.floats(0, 1), max_size=7))
def test_a_score_is_the_share_of_worlds_in_which_some_sign_holds(strengths):
    """The oracle adds up every combination of signs that hold."""
    found = signs(*strengths)
    chances = [RULES.weights[sign.name] * sign.strength for sign in found]
    total = 0.0
    for world in product([True, False], repeat=len(found)):
        chance = 1.0
        for holds, one in zip(world, chances, strict=True):
            chance *= one if holds else 1 - one
        total += chance if any(world) else 0.0
    assert score_of(found, RULES) == pytest.approx(total)
    assert 0 <= score_of(found, RULES) < 1


def test_every_line_must_be_exceeded():
    def level(*strengths):
        return level_of(signs(*strengths), HALVES)

    assert level() is Level.FREE
    assert level(0.5) is Level.FREE  # exactly .25
    assert level(0.5000001) is Level.ASK
    assert level(1.0, 0.5) is Level.ASK  # exactly .625
    assert level(1.0, 0.5000001) is Level.HOLD
    assert level(1.0, 1.0, 0.5) is Level.HOLD  # exactly .8125
    assert level(1.0, 1.0, 0.5000001) is Level.DELIST


def test_no_single_sign_holds_and_no_pair_takes_off():
    sure = Rules(weights=dict.fromkeys(WEIGHTS, 0.99), ask=0.1, hold=0.5, delist=0.9)
    assert level_of(signs(1.0), sure) is Level.ASK
    assert level_of(signs(1.0, 0.0, 0.0), sure) is Level.ASK  # signs without strength are none
    assert level_of(signs(1.0, 1.0), sure) is Level.HOLD
    assert level_of(signs(1.0, 1.0, 1.0), sure) is Level.DELIST


def test_the_shipped_weights_ask_alone_and_hold_in_pairs():
    for name in WEIGHTS:
        alone = level_of([Sign(name, 1.0, {})], RULES)
        assert alone is (Level.FREE if name == "price" else Level.ASK)
    cheap = [Sign("price", 1.0, {}), Sign("authorisation", 1.0, {})]
    assert level_of(cheap, RULES) is Level.HOLD
    assert level_of([*cheap, Sign("complaints", 1.0, {})], RULES) is Level.DELIST


def test_a_case_rises_at_once_and_has_time_to_answer():
    assert next_standing(Standing(Level.FREE), Level.ASK, NOW, RULES) == (
        Standing(Level.ASK, days(7)),
        "signs",
    )
    assert next_standing(Standing(Level.ASK, days(7)), Level.HOLD, NOW, RULES) == (
        Standing(Level.HOLD, days(14)),
        "signs",
    )
    assert due_after(Level.DELIST, NOW, RULES) is None


def test_silence_holds_at_the_due_moment_and_takes_off_after_that():
    asked = Standing(Level.ASK, days(7))
    just_before = days(7) - timedelta(microseconds=1)
    assert next_standing(asked, Level.ASK, just_before, RULES) == (asked, None)
    held, cause = next_standing(asked, Level.ASK, days(7), RULES)
    assert (held, cause) == (Standing(Level.HOLD, days(21)), "papers_overdue")
    assert next_standing(held, Level.ASK, days(7), RULES) == (held, None)
    assert next_standing(held, Level.ASK, days(21), RULES) == (Standing(Level.DELIST), "unanswered")


def test_nobody_is_punished_for_silence_about_what_is_gone():
    asked = Standing(Level.ASK, days(7))
    clean, cause = next_standing(asked, Level.FREE, days(5), RULES)
    assert (clean, cause) == (Standing(Level.ASK, days(7), days(5)), None)
    assert next_standing(clean, Level.FREE, days(8), RULES) == (clean, None)
    almost = days(19) - timedelta(microseconds=1)
    assert next_standing(clean, Level.FREE, almost, RULES) == (clean, None)
    assert next_standing(clean, Level.FREE, days(19), RULES) == (
        Standing(Level.FREE, None, days(5)),
        "clean_days",
    )
    # The sign comes back: the days begin anew, and the papers are due as they were.
    back, cause = next_standing(clean, Level.ASK, days(6), RULES)
    assert (back, cause) == (asked, None)


def test_what_is_held_stays_until_a_person_decides():
    for level in (Level.HOLD, Level.DELIST):
        standing = Standing(level, None if level is Level.DELIST else days(14))
        after, cause = next_standing(standing, Level.FREE, days(100), RULES)
        assert (after.level, cause) == (level, None)


def test_while_a_word_waits_only_new_signs_move_anything():
    waiting = Standing(Level.ASK, None, None, has_word=True)
    assert next_standing(waiting, Level.ASK, days(100), RULES) == (waiting, None)
    after, cause = next_standing(waiting, Level.HOLD, NOW, RULES)
    assert (after, cause) == (Standing(Level.HOLD, None, None, has_word=True), "signs")


@given(
    st.sampled_from(Level), st.sampled_from(Level), st.booleans(), st.integers(-30, 30), st.integers(0, 30)
)
def test_the_same_finding_at_the_same_moment_changes_nothing_more(level, found, has_word, due, clean):
    due_at = None if has_word or level in (Level.FREE, Level.DELIST) else days(due)
    standing = Standing(level, due_at, days(-clean) if clean else None, has_word)
    once, _ = next_standing(standing, found, NOW, RULES)
    again, cause = next_standing(once, found, NOW, RULES)
    assert (again, cause) == (once, None)
    assert once.level >= min(level, Level.FREE)
    if level >= Level.HOLD:
        assert once.level >= level


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": {"price": 0.5}}, "name each of"),
        ({"weights": {**WEIGHTS, "price": 1.0}}, r"\[0, 1\)"),
        ({"ask": 0.8}, "ask <= hold"),
        ({"hold_signs": 4}, "hold_signs"),
        ({"papers_days": 0}, "days"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Rules(**wrong)

"""Words about arms: by which interval, which way is better, and none where the arms do not fit."""

import pytest
from moments import moments_of
from test_experiment_document import LISTS, arms

from models.experiments.comparison import Moments
from serving.experiments.document import load
from serving.experiments.judging import harmed, judge

THREE = load(
    LISTS
    | {
        "arms": arms(
            ("control", 3_000, {}),
            ("popular", 3_000, {"list": "popular"}),
            ("quiet", 4_000, {"session": False}),
        )
    }
)
TWO = load(LISTS)
EVEN = {"control": 1_000, "popular": 1_000}


def share(size, reached):
    return Moments(size, reached, 0.0, reached, 0.0, 0.0)


@pytest.mark.parametrize(
    ("metric", "reached", "running", "word"),
    [
        ("ordered", 100, True, "not_yet"),
        ("ordered", 135, True, "not_yet"),
        ("ordered", 135, False, "better"),
        ("ordered", 160, True, "better"),
        ("ordered", 50, True, "worse"),
        ("returned", 160, True, "worse"),
        ("returned", 50, True, "better"),
    ],
)
def test_words(metric, reached, running, word):
    moments = {"control": share(1_000, 100), "popular": share(1_000, reached)}
    (found,) = judge(TWO, metric, EVEN, moments, is_running=running).compared
    assert found.word == word
    assert found.always_low < found.low < found.difference < found.high < found.always_high


def test_arms_that_do_not_fit_say_nothing():
    moments = {"control": share(1_000, 100), "popular": share(800, 300)}
    found = judge(TWO, "ordered", {"control": 1_000, "popular": 800}, moments, is_running=False)
    assert (found.is_blocked, found.compared) == (True, ())
    assert [arm.mean for arm in found.arms] == [None, None]
    assert harmed(found) is None


def test_three_arms_have_wider_intervals_than_two():
    moments = {name: share(1_000, 100) for name in ("control", "popular", "quiet")}
    sizes = {"control": 900, "popular": 900, "quiet": 1_200}
    three = judge(THREE, "ordered", sizes, moments, is_running=False).compared
    (two,) = judge(TWO, "ordered", EVEN, moments, is_running=False).compared
    assert [one.arm for one in three] == ["popular", "quiet"]
    assert three[0].high > two.high
    assert three[0].always_high > two.always_high


def test_an_arm_of_a_few_is_not_compared():
    moments = {"control": share(1_000, 100), "popular": share(9, 9)}
    assert judge(TWO, "ordered", EVEN, moments, is_running=False).compared == ()
    assert judge(TWO, "ordered", {}, {}, is_running=False).compared == ()


def test_means_are_less_what_was_before():
    moments = {
        "control": moments_of((2.0 * x, float(x)) for x in range(100)),
        "popular": moments_of((2.0 * x + 1, float(x)) for x in range(50, 150)),
    }
    (found,) = judge(TWO, "margin_cents", EVEN, moments, is_running=True).compared
    assert found.difference == pytest.approx(1.0)


def test_a_guardrail_is_harmed_at_every_look_only():
    def guardrail(returned):
        moments = {"control": share(1_000, 100), "popular": share(1_000, returned)}
        return harmed(judge(TWO, "returned", EVEN, moments, is_running=True))

    assert [guardrail(n) for n in (50, 135, 160)] == [None, None, "popular"]

"""The verdict of a journey: words, arms that do not fit, and no effect that is none."""

import random

import pytest

from feature_store.registry import load_registry
from feature_store.segments.definitions import load_segments
from models.experiments.comparison import Group
from serving.journeys.definition.checking import Surroundings, refusals
from serving.journeys.definition.loading import load, shipped
from serving.journeys.definition.steps import Send
from serving.journeys.verdict import FALSE_STOP, judge


@pytest.mark.parametrize(
    ("treated", "control", "word", "loses"),
    [
        (Group(9_000, 900), Group(1_000, 60), "gain", False),
        (Group(9_000, 540), Group(1_000, 100), "loss", True),
        (Group(9_000, 700), Group(1_000, 98), "loss", False),
        (Group(9_000, 720), Group(1_000, 80), "not_yet", False),
        (Group(9_000, 900), Group(500, 20), "blocked", False),
        (Group(9_000, 540), Group(500, 60), "blocked", False),
        (Group(0, 0), Group(10, 1), "not_yet", False),
        (Group(10, 1), Group(0, 0), "not_yet", False),
    ],
)
def test_words(treated, control, word, loses):
    found = judge(treated, control, 1_000)
    assert (found.word, found.loses) == (word, loses)


def test_without_an_effect_few_are_called_anything():
    draws = random.Random(5)
    called = 0
    for _ in range(400):
        treated, control = (sum(draws.random() < 0.1 for _ in range(size)) for size in (900, 300))
        called += judge(Group(900, treated), Group(300, control), 2_500).word != "not_yet"
    assert 0.02 <= called / 400 <= 0.08


def test_one_lucky_control_stops_nothing():
    assert not judge(Group(60, 3), Group(1, 1), 1_000).loses


def test_looked_at_every_day_of_a_year_hardly_any_journey_without_an_effect_is_stopped():
    draws = random.Random(7)
    stopped = 0
    for _ in range(150):
        sizes, reached = [0, 0], [0, 0]
        for _ in range(365):
            for _ in range(10):
                arm = draws.random() < 0.1
                sizes[arm] += 1
                reached[arm] += draws.random() < 0.05
            if judge(Group(sizes[0], reached[0]), Group(sizes[1], reached[1]), 1_000).loses:
                stopped += 1
                break
    assert stopped <= 150 * 10 * FALSE_STOP


@pytest.mark.parametrize(("name", "text"), shipped().items(), ids=list(shipped()))
def test_what_ships_can_run_where_its_segments_and_coupons_are(name, text):
    journey = load(text)
    assert journey.journey_id == name
    segments = {segment.name: 10 for segment in load_segments(load_registry())}
    coupons = {step.coupon: 1 for step in journey.steps if isinstance(step, Send) and step.coupon}
    assert refusals(journey, Surroundings(segments, 1_000, coupons)) == []

"""Codes and numbers of a price's explanation as sentences; the words stand here alone."""

import pytest

from models.pricing.rules.explanation import STEPS
from pipelines.report.sections.price_steps import _WORDS, sentence


def said(step, **numbers):
    return sentence({"step": step, "before_cents": 1, "after_cents": 2, **numbers}, "CNY")


def test_every_step_has_words():
    assert tuple(_WORDS) == STEPS


@pytest.mark.parametrize(
    ("cause", "limit", "words"),
    [
        ("below_floor", 525, "lies below the floor of 5.25; the next price inside is a move of +5.0%"),
        ("above_ceiling", 480, "lies above the ceiling of 4.80; the next price inside is a move of +5.0%"),
        ("cost_jumped", 525, "the cost went from 3.00 to 5.00: look at the cost first"),
    ],
)
def test_what_asks_says_the_limit_and_the_cost(cause, limit, words):
    numbers = {"cost_cents": 500, "cost_at_change_cents": 300, "current_cents": 500, "move_bps": 500}
    assert words in said("asks", cause=cause, limit_cents=limit, **numbers)


def test_a_slow_sku_says_what_each_cut_costs():
    cut = {"cut_bps": 500, "price_cents": 950, "days_to_clear": 180.5, "margin_cost_cents": 5000}
    ladder = {"cuts": [{**cut, "is_below_floor": True}], "window_days": 30, "on_hand_qty": 100}
    assert said("turnover", turnover_rate=0.1304, days_to_clear_now=200.0, **ladder) == (
        "turnover: turnover 13.0% in 30 days is low, 100 units in stock; they clear in 200 days; "
        "5% off clears in 180 days and gives up 50.00 (below the floor)"
    )
    assert said("turnover", turnover_rate=0.0, days_to_clear_now=None, **ladder).endswith("nothing was sold")


def test_numbers_of_another_release_leave_the_name():
    assert said("week_step") == "week step"
    assert said("new_rail", most_bps=5) == "new rail"

"""Guard rails: hand cases of the order, a scalar oracle written row by row, and the promised properties."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.pricing.config import GuardConfig
from models.pricing.rules.explanation import Step, explain
from models.pricing.rules.guards import NO_LAW_MAX, GuardInputs, apply_guards

PLAIN = GuardConfig(price_endings=(), change_budget_bps=10_000, dwell_days=0)


def inputs(**columns: list) -> GuardInputs:
    count = len(columns["target"])
    current = columns.get("current", [1000] * count)

    def cents(name: str, default: list) -> np.ndarray:
        return np.array(columns.get(name, default), dtype=np.int64)

    return GuardInputs(
        target_cents=cents("target", []),
        current_cents=cents("current", current),
        week_low_cents=cents("week_low", current),
        week_high_cents=cents("week_high", current),
        list_price_cents=cents("list", current),
        cost_cents=cents("cost", [500] * count),
        law_min_cents=cents("law_min", [0] * count),
        law_max_cents=cents("law_max", [NO_LAW_MAX] * count),
        days_since_change=np.array(columns.get("days", [math.inf] * count), dtype=float),
        gain_cents=np.array(columns.get("gain", [0.0] * count), dtype=float),
        is_fixed=np.array(columns.get("fixed", [False] * count), dtype=bool),
        budget_group=cents("group", [0] * count),
    )


def final(config: GuardConfig = PLAIN, **columns: list) -> list[int]:
    return apply_guards(inputs(**columns), config).price_cents.tolist()


def moved(config: GuardConfig = PLAIN, **columns: list) -> list[str]:
    steps = apply_guards(inputs(**columns), config).steps
    return [step.name for step in steps if step.before_cents[0] != step.after_cents[0]]


def test_rails_come_in_the_stated_order() -> None:
    names = [step.name for step in apply_guards(inputs(target=[1000]), PLAIN).steps]
    assert names == ["law", "floor", "ceiling", "step", "week_step", "dwell", "rounding", "change_budget"]


def test_each_rail_by_hand() -> None:
    assert final(target=[1030]) == [1030]
    assert final(target=[100], law_min=[980]) == [980]
    assert final(target=[2000], law_max=[1010]) == [1010]
    assert final(target=[2000], list=[850]) == [1020]
    assert final(target=[2000]) == [1050]
    assert final(target=[10]) == [950]
    assert final(target=[2000], week_low=[900]) == [1035]
    assert final(target=[10], week_high=[1150]) == [978]  # 977.5 rounded towards the safe side
    assert final(replace(PLAIN, dwell_days=7), target=[1030], days=[6.9]) == [1000]
    assert final(replace(PLAIN, dwell_days=7), target=[1030], days=[7.0]) == [1030]


def test_floor_is_rounded_up_and_beats_the_step_limit() -> None:
    # ceil(1201 * 1.05) = ceil(1261.05) = 1262, far more than 5% above 1000.
    assert final(target=[1000], cost=[1201], list=[2000]) == [1262]
    assert moved(target=[1000], cost=[1201], list=[2000]) == ["floor"]


def test_floor_beats_dwell_fixed_and_budget() -> None:
    config = replace(PLAIN, dwell_days=7, change_budget_bps=0)
    assert final(config, target=[1000], cost=[1000], days=[0.0], fixed=[True]) == [1050]


def test_legal_maximum_beats_map_and_floor() -> None:
    result = apply_guards(inputs(target=[900], law_min=[950], law_max=[400]), PLAIN)
    assert (result.price_cents[0], result.floor_cents[0], result.ceiling_cents[0]) == (400, 400, 400)


def test_after_a_wide_swing_the_price_rests() -> None:
    assert final(target=[1040], week_low=[700], week_high=[1400]) == [1000]


def test_fixed_prices_stay() -> None:
    assert final(target=[1040], fixed=[True]) == [1000]


def test_rounding_picks_the_nearest_ending_inside_the_rails() -> None:
    config = replace(PLAIN, price_endings=(5, 9))
    assert final(config, target=[1031]) == [1029]
    assert final(config, target=[1037]) == [1035]  # 1035 and 1039 are equally near: the lower
    assert final(config, target=[2000]) == [1049]  # 1050 is the limit, 1055 is outside
    assert final(config, target=[1000]) == [1000]  # an unchanged price is not rounded
    assert final(config, target=[52], current=[50], cost=[10]) == [52]  # no ending in 50..52: stays
    assert final(config, target=[48], current=[50], cost=[10]) == [49]
    assert final(replace(config, ending_unit_cents=100, price_endings=(0, 99)), target=[1044]) == [1000]


def test_change_budget_serves_the_largest_gain_then_the_first_row() -> None:
    config = replace(PLAIN, change_budget_bps=5000)
    assert final(config, target=[1010] * 4, gain=[1.0, 5.0, 1.0, 0.0]) == [1010, 1010, 1000, 1000]
    # A forced change uses up budget.
    assert final(config, target=[1010] * 4, gain=[1.0, 5.0, 1.0, 0.0], cost=[500, 500, 500, 1000]) == [
        1000,
        1010,
        1000,
        1050,
    ]


def test_each_group_has_a_change_budget_rounded_up() -> None:
    config = replace(PLAIN, change_budget_bps=5000)
    # Two of three in group 7, one of one in group 2; news of group 7 moves nothing in group 2.
    assert final(config, target=[1010] * 4, gain=[1.0, 9.0, 2.0, 3.0], group=[7, 2, 7, 7]) == [
        1000,
        1010,
        1010,
        1010,
    ]
    assert final(replace(config, change_budget_bps=0), target=[1010], group=[2]) == [1000]


def test_no_rows_are_fine() -> None:
    assert final(target=[]) == []


@pytest.mark.parametrize(
    "bad",
    [{"step_bps": 10_000}, {"change_budget_bps": -1}, {"price_endings": (10,)}, {"ending_unit_cents": 0}],
)
def test_impossible_settings_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match="guard rails"):
        GuardConfig(**bad)


def up(value: Fraction) -> int:
    return math.ceil(value)


def scalar_price(row: dict, c: GuardConfig) -> tuple[int, bool]:
    """One row by exact fractions, before the change budget; and whether the change is forced."""
    cur = row["current"]
    top = row["law_max"]
    floor = min(max(row["law_min"], 1, up(Fraction(row["cost"] * (10_000 + c.min_margin_bps), 10_000))), top)
    ceil_ = max(floor, min(top, math.floor(Fraction(row["list"] * (10_000 + c.ceiling_bps), 10_000))))
    hold = min(max(cur, floor), ceil_)
    price = cur if row["fixed"] else row["target"]
    price = min(max(price, floor), ceil_)
    lo, hi = floor, ceil_
    s, w = Fraction(c.step_bps, 10_000), Fraction(c.week_step_bps, 10_000)
    bands = [(up(cur * (1 - s)), math.floor(cur * (1 + s)))]
    band = (up(row["week_high"] * (1 - w)), math.floor(row["week_low"] * (1 + w)))
    bands.append(band if band[0] <= band[1] else (cur, cur))
    for a, b in bands:
        lo, hi = min(max(a, lo), hi), min(max(b, lo), hi)
        price = min(max(price, lo), hi)
    if row["days"] < c.dwell_days:
        price = lo = hi = hold
    if price != cur and c.price_endings:
        lo, hi = (max(lo, cur), hi) if price > cur else (lo, min(hi, cur))
        good = [p for p in range(lo, hi + 1) if p % c.ending_unit_cents in c.price_endings]
        near = [p for p in good if abs(p - price) < c.ending_unit_cents]
        if near:
            price = min(near, key=lambda p: (abs(p - price), p))
    return price, hold != cur


row_strategy = st.fixed_dictionaries(
    {
        "target": st.integers(1, 4000),
        "current": st.integers(1, 3000),
        "week_low_cut": st.integers(0, 300),
        "week_high_add": st.integers(0, 300),
        "list": st.integers(1, 3000),
        "cost": st.integers(0, 3000),
        "law_min": st.sampled_from([0, 0, 0, 500, 1500]),
        "law_max": st.sampled_from([NO_LAW_MAX, NO_LAW_MAX, 800, 2500]),
        "days": st.sampled_from([math.inf, 0.0, 3.0, 7.0, 30.0]),
        "gain": st.integers(-3, 3).map(float),
        "fixed": st.booleans(),
        "group": st.integers(0, 2),
    }
)
config_strategy = st.builds(
    GuardConfig,
    min_margin_bps=st.sampled_from([0, 500, 1234]),
    ceiling_bps=st.sampled_from([0, 2000]),
    step_bps=st.sampled_from([0, 500, 2000]),
    week_step_bps=st.sampled_from([0, 1500]),
    dwell_days=st.sampled_from([0, 7]),
    ending_unit_cents=st.just(10),
    price_endings=st.sampled_from([(), (9,), (5, 9), (0, 5, 9)]),
    change_budget_bps=st.sampled_from([0, 3000, 10_000]),
)


def complete(rows: list[dict]) -> list[dict]:
    return [
        row
        | {
            "week_low": max(row["current"] - row["week_low_cut"], 1),
            "week_high": row["current"] + row["week_high_add"],
        }
        for row in rows
    ]


def columns(rows: list[dict]) -> dict[str, list]:
    return {name: [row[name] for row in rows] for name in rows[0]}


@settings(max_examples=200, deadline=None)
@given(st.lists(row_strategy, min_size=1, max_size=12), config_strategy)
def test_arrays_agree_with_the_scalar_oracle(rows: list[dict], config: GuardConfig) -> None:
    rows = complete(rows)
    expected, forced = zip(*(scalar_price(row, config) for row in rows), strict=True)
    allowed: set[int] = set()
    for group in range(3):
        members = [i for i, row in enumerate(rows) if row["group"] == group]
        left = max(
            math.ceil(Fraction(len(members) * config.change_budget_bps, 10_000))
            - sum(forced[i] for i in members),
            0,
        )
        wanting = [i for i in members if expected[i] != rows[i]["current"] and not forced[i]]
        allowed |= set(sorted(wanting, key=lambda i: (-rows[i]["gain"], i))[:left])
    oracle = [expected[i] if forced[i] or i in allowed else rows[i]["current"] for i in range(len(rows))]
    assert final(config, **columns(rows)) == oracle


@settings(max_examples=200, deadline=None)
@given(st.lists(row_strategy, min_size=1, max_size=12), config_strategy)
def test_prices_keep_their_promises(rows: list[dict], config: GuardConfig) -> None:
    rows = complete(rows)
    given_rows = inputs(**columns(rows))
    result = apply_guards(given_rows, config)
    price, current = result.price_cents, given_rows.current_cents
    assert (price >= result.floor_cents).all()
    assert (price <= result.ceiling_cents).all()
    assert (price <= given_rows.law_max_cents).all()
    fair_law = given_rows.law_max_cents == NO_LAW_MAX
    assert (price * 10_000 >= given_rows.cost_cents * (10_000 + config.min_margin_bps))[fair_law].all()
    inside = (current >= result.floor_cents) & (current <= result.ceiling_cents)
    assert (np.abs(price - current) * 10_000 <= current * config.step_bps)[inside].all()
    lowest, highest, rate = given_rows.week_low_cents, given_rows.week_high_cents, config.week_step_bps

    def keeps_week(cents: np.ndarray) -> np.ndarray:
        return (cents * 10_000 <= lowest * (10_000 + rate)) & (cents * 10_000 >= highest * (10_000 - rate))

    assert keeps_week(price)[inside & keeps_week(current)].all()
    again = apply_guards(replace(given_rows, target_cents=price), config)
    assert again.price_cents.tolist() == price.tolist()
    walked = np.where(given_rows.is_fixed, current, given_rows.target_cents)
    for step in result.steps:
        assert (step.before_cents == walked).all()
        walked = step.after_cents
    assert (walked == price).all()


def test_explanation_lists_shown_steps_as_json() -> None:
    shown = np.array([True, False])
    cents = np.array([1, 2])
    numbers = {
        "cause": 'say "so"',
        "most_bps": 500,
        "days": pl.Series([1.5, None]),
        "ids": pl.Series([["a"], []]),
    }
    text = explain([Step("a", cents, cents + 1, shown, numbers), Step("b", cents, cents, ~shown)], 2)
    assert [json.loads(row) for row in text] == [
        [{"step": "a", "before_cents": 1, "after_cents": 2, "cause": 'say "so"', "most_bps": 500, "days": 1.5,
          "ids": ["a"]}],
        [{"step": "b", "before_cents": 2, "after_cents": 2}],
    ]  # fmt: skip
    assert explain([], 2).to_list() == ["[]", "[]"]

"""Paths and credits against cases worked out by hand, and against oracles that try everything."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import random
from fractions import Fraction

import polars as pl
import pytest

from models.attribution.config import AttributionConfig
from models.attribution.credits import MODELS, UNATTRIBUTED, credits_of, weights
from models.attribution.markov import removal_effects
from models.attribution.paths import STEPS, Paths, paths
from models.attribution.shapley import shapley_values
from models.errors import FrameError

BEGIN = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
CONFIG = AttributionConfig()


def at(days):
    return BEGIN + dt.timedelta(days=days)


def touches(*rows):
    return pl.DataFrame(
        [{"consumer_id": who, "channel": channel, "occurred_at": at(days)} for who, channel, days in rows],
        schema={
            "consumer_id": pl.String,
            "channel": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
        },
    )


def orders(*rows):
    return pl.DataFrame(
        [
            {"order_id": name, "consumer_id": who, "placed_at": at(days), "revenue_cents": cents}
            for name, who, days, cents in rows
        ],
        schema={
            "order_id": pl.String,
            "consumer_id": pl.String,
            "placed_at": pl.Datetime("us", "UTC"),
            "revenue_cents": pl.Int64,
        },
    )


def made_paths(converted, opened):
    """Paths from tuples of channels, all touches of age 0."""

    def steps(rows):
        return pl.DataFrame(
            [
                {"path_id": str(number), "step": step, "channel": channel, "age_days": 0.0}
                for number, row in enumerate(rows)
                for step, channel in enumerate(row)
            ],
            schema=STEPS,
        )

    return Paths(steps(converted), steps(opened))


def credit(frame, model, order="o"):
    rows = frame.filter(pl.col("model") == model, pl.col("order_id") == order)
    return dict(rows.select("channel", "credit_cents").iter_rows())


def test_a_path_holds_the_touches_of_the_window_and_none_of_the_moment_of_the_order():
    found = paths(
        touches(
            ("c", "old", -31), ("c", "edge", -30), ("c", "mail", -2), ("c", "same", 0), ("d", "mail", -1)
        ),
        orders(("o", "c", 0, 100)),
        CONFIG,
    )
    assert found.converted["channel"].to_list() == ["edge", "mail"]
    assert found.converted["age_days"].to_list() == [30.0, 2.0]
    # Open paths: c's old touch, his touch in the moment of the order (31 days later), and d's.
    assert found.open.group_by("path_id").len()["len"].to_list() == [1, 1, 1]


def test_a_touch_stands_before_several_orders_and_open_touches_are_cut_at_the_window():
    found = paths(
        touches(("c", "mail", 0), ("d", "ads", 0), ("d", "ads", 30), ("d", "qr", 61)),
        orders(("o1", "c", 1, 5), ("o2", "c", 2, 5)),
        CONFIG,
    )
    assert found.converted["path_id"].to_list() == ["o1", "o2"]
    assert found.open.select("path_id", "channel").rows() == [("1", "ads"), ("1", "ads"), ("2", "qr")]


def test_guests_unknown_visitors_and_orders_without_touches_are_unattributed():
    revenue = orders(("o", "c", 0, 1999), ("guest", None, 0, 7))
    told = credits_of(paths(touches((None, "ads", -1)), revenue, CONFIG), revenue, CONFIG)
    assert told.height == 2 * len(MODELS)
    assert set(told["channel"]) == {UNATTRIBUTED}
    assert {cents for (cents,) in told.filter(order_id="guest").select("credit_cents").rows()} == {7}


def test_each_simple_model_by_hand():
    # mail 14 days, ads 7 days, mail 0+ days before: 100 fen.
    revenue = orders(("o", "c", 14, 100))
    found = paths(touches(("c", "mail", 0), ("c", "ads", 7), ("c", "qr", 13)), revenue, CONFIG)
    told = credits_of(found, revenue, CONFIG)
    assert credit(told, "first") == {"mail": 100, "ads": 0, "qr": 0}
    assert credit(told, "last") == {"mail": 0, "ads": 0, "qr": 100}
    # Thirds of 100: the fen that is left goes to the first by name.
    assert credit(told, "linear") == {"ads": 34, "mail": 33, "qr": 33}
    assert credit(told, "position") == {"mail": 40, "ads": 20, "qr": 40}
    # 1/4, 1/2 and 0.5 ** (1/7) = 0.9057: shares 15.10, 30.20 and 54.70.
    assert credit(told, "time_decay") == {"mail": 15, "ads": 30, "qr": 55}


def test_the_markov_model_by_hand():
    # start-a-b-order, start-a-none, start-b-none. From the start: a 2/3, b 1/3; a: b 1/2, none 1/2;
    # b: order 1/2, none 1/2. With both: 2/3 * 1/2 * 1/2 + 1/3 * 1/2 = 1/3. Without a: 1/6. Without b: 0.
    found = made_paths([("a", "b")], [("a",), ("b",)])
    assert removal_effects(found) == pytest.approx({"a": 0.5, "b": 1.0})
    told = {row[0]: row[1] for row in weights(found, CONFIG).filter(model="markov")
            .select("channel", "weight").rows()}  # fmt: skip
    assert told == pytest.approx({"a": 1 / 3, "b": 2 / 3})


def test_the_shapley_values_by_hand():
    # a alone: 1 of 2; b alone: 0 of 1; both (and either alone): 2 of 4.
    found = made_paths([("a",), ("a", "b")], [("a",), ("b",)])
    # phi_a = ((1/2 - 0) + (1/2 - 0)) / 2, phi_b = ((0 - 0) + (1/2 - 1/2)) / 2.
    assert shapley_values(found) == pytest.approx({"a": 0.5, "b": 0.0})


def random_paths(rng, channels, n=40):
    def some():
        return tuple(rng.choice(channels) for _ in range(rng.randint(1, 5)))

    return [some() for _ in range(n)], [some() for _ in range(2 * n)]


def walked(converted, opened, removed=None):
    """Chance of an order by following every state for a long time, in fractions turned to floats."""
    moves: dict = {}
    for rows, end in ((converted, "order"), (opened, "none")):
        for row in rows:
            for before, after in itertools.pairwise(("start", *row, end)):
                moves.setdefault(before, {}).setdefault(after, 0)
                moves[before][after] += 1
    here, ordered = {"start": 1.0}, 0.0
    for _ in range(2_000):
        following: dict = {}
        for state, mass in here.items():
            total = sum(moves[state].values())
            for after, times in moves[state].items():
                if after == "order":
                    ordered += mass * times / total
                elif after not in ("none", removed):
                    following[after] = following.get(after, 0.0) + mass * times / total
        here = following
    return ordered


def permuted(converted, opened, channels):
    """Shapley values by every order in which channels could join."""
    worth = {}
    for size in range(len(channels) + 1):
        for subset in itertools.combinations(sorted(channels), size):
            good = sum(set(row) <= set(subset) for row in converted)
            seen = good + sum(set(row) <= set(subset) for row in opened)
            worth[frozenset(subset)] = Fraction(good, seen) if seen else Fraction(0)
    values = dict.fromkeys(channels, Fraction(0))
    for order in itertools.permutations(channels):
        joined: frozenset = frozenset()
        for channel in order:
            values[channel] += worth[joined | {channel}] - worth[joined]
            joined |= {channel}
    return {channel: float(value / math.factorial(len(channels))) for channel, value in values.items()}


@pytest.mark.parametrize("seed", range(6))
def test_markov_and_shapley_equal_the_oracles(seed):
    rng = random.Random(seed)
    channels = list("abcdef")[: rng.randint(1, 6)]
    converted, opened = random_paths(rng, channels)
    found = made_paths(converted, opened)
    names = sorted({channel for row in (*converted, *opened) for channel in row})
    whole = walked(converted, opened)
    wanted = {name: 1 - walked(converted, opened, removed=name) / whole for name in names}
    assert removal_effects(found) == pytest.approx(wanted, abs=1e-9)
    assert shapley_values(found) == pytest.approx(permuted(converted, opened, names), abs=1e-12)


def test_channels_beyond_twelve_play_as_one_and_share_alike():
    channels = [f"ch{number:02d}" for number in range(15)]
    found = made_paths([(channel,) for channel in channels], [(channels[0],)] * 3)
    values = shapley_values(found)
    assert sorted(values) == channels
    assert values["ch13"] == values["ch14"]
    assert sum(values.values()) == pytest.approx(15 / 18)


@pytest.mark.parametrize("seed", range(8))
def test_credits_sum_to_revenue_to_the_fen_under_every_model(seed):
    rng = random.Random(seed)
    who = [f"c{number}" for number in range(30)]
    seen = touches(
        *((rng.choice(who), rng.choice("abcdefg"), rng.uniform(0, 60)) for _ in range(rng.randint(0, 200)))
    )
    revenue = orders(
        *(
            (
                f"o{number}",
                rng.choice([*who, None]),
                rng.uniform(0, 60),
                rng.choice([0, 1, 7, 100, -13, 10**13]),
            )
            for number in range(80)
        )
    )
    told = credits_of(paths(seen, revenue, CONFIG), revenue, CONFIG)
    wanted = revenue.select("order_id", "revenue_cents")
    for model in MODELS:
        sums = told.filter(model=model).group_by("order_id").agg(pl.col("credit_cents").sum())
        both = wanted.join(sums, on="order_id", how="left")
        assert both.filter(pl.col("credit_cents").ne_missing(pl.col("revenue_cents"))).is_empty()


def test_an_order_of_which_half_came_back_credits_half():
    seen = touches(("c", "mail", 0), ("c", "ads", 1))
    whole, half = orders(("o", "c", 2, 1000)), orders(("o", "c", 2, 500))
    assert credit(credits_of(paths(seen, whole, CONFIG), whole, CONFIG), "linear") == {
        "mail": 500,
        "ads": 500,
    }
    assert credit(credits_of(paths(seen, half, CONFIG), half, CONFIG), "linear") == {"mail": 250, "ads": 250}


def test_bad_frames_and_settings_are_named():
    with pytest.raises(FrameError, match="touches lacks channel"):
        paths(touches().drop("channel"), orders(), CONFIG)
    with pytest.raises(FrameError, match="order_id is not unique"):
        paths(touches(), orders(("o", "c", 0, 1), ("o", "c", 0, 1)), CONFIG)
    with pytest.raises(ValueError, match="end_share"):
        AttributionConfig(end_share=0.6)
    with pytest.raises(ValueError, match="window_days"):
        AttributionConfig(window_days=0)

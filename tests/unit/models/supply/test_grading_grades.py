"""Scores, lines, hysteresis, gates and explanations of the grades, against hand-computed values."""

from __future__ import annotations

import datetime as dt
import json
from itertools import pairwise

import polars as pl
import pytest
from grading_rows import AS_OF, TODAY, deliveries, happened, lines, offer
from hypothesis import given, settings
from hypothesis import strategies as st

from models.supply.grading.config import GradingConfig
from models.supply.grading.estimates import ESTIMATES, estimate
from models.supply.grading.evidence import channels_of, evidence_of
from models.supply.grading.gates import supplier_gates, with_frozen, with_gates
from models.supply.grading.grade import STATE_TYPES, grade
from models.supply.grading.ladder import STATE, reached, with_grades
from models.supply.grading.scores import channel_scores, points_of, supplier_scores

CONFIG = GradingConfig()
NOBODY = pl.DataFrame(schema={"supplier_id": pl.String, "gate": pl.String})
NEW = pl.DataFrame(schema=STATE_TYPES)


def belief(signal, mean, sd=0.0, *, count=10, prior=0.0, supplier="s", category="milk"):
    return (
        supplier,
        category,
        signal,
        count,
        float(count),
        mean,
        sd,
        mean - sd,
        mean + sd,
        prior,
        "category",
    )


def points(*rows):
    return points_of(pl.DataFrame(list(rows), schema=ESTIMATES, orient="row"), CONFIG)


def test_the_score_is_the_weighted_sum_of_what_is_believed():
    # fault .05 of a worst of .10 gives half of .40; late .06 of .30 gives 80% of .75 x .35; and so on.
    told = points(
        belief("fault", 0.05, 0.01), belief("late", 0.06), belief("days_late", 1.0), belief("offers", -0.1),
        belief("market", -0.5, prior=-0.6), belief("moves", 0.5),
    )  # fmt: skip
    scored = channel_scores(told, CONFIG).row(0, named=True)
    quality, fulfilment = 0.5, 0.75 * 0.8 + 0.25 * 0.5
    price = 0.60 * 0.75 + 0.25 * 0.25 + 0.15 * 0.0
    assert (scored["quality"], scored["fulfilment"], scored["price"]) == pytest.approx(
        (quality, fulfilment, price)
    )
    assert scored["score"] == pytest.approx(0.40 * quality + 0.35 * fulfilment + 0.25 * price)
    assert scored["score_low"] == pytest.approx(scored["score"] - 1.6448536 * 0.01 / 0.10 * 0.40)
    assert scored["line_count"] == 10


def test_what_nobody_knows_leaves_its_weight_to_the_rest():
    told = points(belief("fault", 0.0), belief("late", 0.30))
    assert dict(told.select("signal", "weight").iter_rows()) == pytest.approx(
        {"fault": 0.40 / 0.75, "late": 0.35 / 0.75}
    )
    scored = channel_scores(told, CONFIG).row(0, named=True)
    assert (scored["score"], scored["price"]) == (pytest.approx(0.40 / 0.75), None)


def test_purchase_orders_and_the_brake_have_their_shares():
    told = points(
        belief("fault", 0.0), belief("held", 0.05), belief("late", 0.0), belief("days_late", 0.0),
        belief("short", 0.15), belief("declined", 0.30),
    )  # fmt: skip
    scored = channel_scores(told, CONFIG).row(0, named=True)
    assert (scored["quality"], scored["fulfilment"]) == pytest.approx((0.85 + 0.15 * 0.5, 0.8 + 0.1 * 0.5))


def test_evidence_of_purchase_orders_is_counted_by_hand():
    month = AS_OF - dt.timedelta(days=60)
    told = evidence_of(
        happened(
            bought=[
                ("s", "milk", AS_OF, True, False),
                ("s", "milk", month, False, False),
                ("s", "milk", month, None, True),
            ],
            held=[("s", "milk", AS_OF, True), ("s", "milk", month, False)],
        ),
        AS_OF,
        CONFIG,
    )
    counted = {row["signal"]: (row["count"], row["n"], row["total"]) for row in told.iter_rows(named=True)}
    # A piece of 60 days ago counts half.
    assert counted == {
        "short": (2, pytest.approx(1.5), pytest.approx(1.0)),
        "declined": (3, pytest.approx(2.0), pytest.approx(0.5)),
        "held": (2, pytest.approx(1.5), pytest.approx(1.0)),
    }


def test_who_delivers_short_stands_lower_all_else_equal():
    def of(supplier, short):
        return [(supplier, "milk", AS_OF, number < short, False) for number in range(40)]

    done = grade(
        happened(
            sold=[*lines("good", 100, 1), *lines("bad", 100, 1)], bought=[*of("good", 0), *of("bad", 20)]
        ),
        NOBODY,
        NEW,
        AS_OF,
        TODAY,
        CONFIG,
    )
    scores = dict(done.supplier_grades.select("supplier_id", "score_low").iter_rows())
    assert scores["good"] > scores["bad"]
    (document,) = done.channel_scores.filter(supplier_id="bad")["explanation"]
    assert {one["signal"]: one["count"] for one in json.loads(document)["signals"]}["short"] == 40


def test_beyond_the_worst_nothing_is_given_and_nothing_taken():
    assert channel_scores(points(belief("fault", 0.5)), CONFIG)["score"].to_list() == [0.0]


def test_a_supplier_is_the_mean_of_its_channels_by_lines():
    told = points(
        belief("fault", 0.0, 0.02, count=9, category="milk"),
        belief("fault", 0.10, 0.02, count=0, category="tea"),
    )
    whole = supplier_scores(channel_scores(told, CONFIG), CONFIG).row(0, named=True)
    assert whole["score"] == pytest.approx((10 * 1.0 + 1 * 0.0) / 11)
    assert whole["score_sd"] == pytest.approx(0.2 * (10**2 + 1) ** 0.5 / 11)
    assert (whole["channels"], whole["line_count"], whole["fulfilment"]) == (2, 9, None)


@pytest.mark.parametrize(
    ("low", "place"),
    [(1.0, 0), (0.75, 0), (0.7499, 1), (0.60, 1), (0.5999, 2), (0.45, 2), (0.4499, 3), (0.0, 3)],
)
def test_a_bound_on_the_line_has_reached_it(low, place):
    assert pl.select(reached(pl.lit(low), CONFIG)).item() == place


def day_by_day(lows, start=NEW):
    """Grades of one channel on days that follow each other."""
    states, grades = start, []
    for number, low in enumerate(lows):
        on = TODAY + dt.timedelta(days=number)
        frame = pl.DataFrame({"supplier_id": ["s"], "category_id": ["milk"], "score_low": [low]})
        done = with_grades(frame, states, on, CONFIG).with_columns(graded_on=pl.lit(on))
        states = pl.concat([states, done.select(pl.col(name).cast(STATE_TYPES[name]) for name in STATE)])
        grades.append(done["grade"].item())
    return "".join(grades)


@pytest.mark.parametrize(
    ("lows", "grades"),
    [
        ([0.8, 0.5, 0.8, 0.5, 0.8], "AAAAA"),  # one bad day is none
        ([0.8, 0.5, 0.5], "AAB"),  # down after two in a row, by one grade
        ([0.8, 0.5, 0.5, 0.5, 0.5], "AABBC"),
        ([0.8, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], "AABBCCDD"),
        ([0.1, 0.8], "DA"),  # up at once
        ([0.8, 0.5, 0.5, 0.62, 0.5], "AABBB"),
    ],
)
def test_a_grade_falls_after_two_periods_below_its_line(lows, grades):
    assert day_by_day(lows) == grades


def test_a_day_that_is_graded_twice_counts_once():
    yesterday = pl.DataFrame(
        [("s", "milk", TODAY - dt.timedelta(days=1), "A", 0), ("s", "milk", TODAY, "A", 1)],
        schema=STATE_TYPES,
        orient="row",
    )
    frame = pl.DataFrame({"supplier_id": ["s"], "category_id": ["milk"], "score_low": [0.1]})
    assert with_grades(frame, yesterday, TODAY, CONFIG)["grade"].to_list() == ["A"]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_no_grade_is_worse_than_the_bound_says_nor_falls_by_two(lows):
    places = ["ABCD".index(letter) for letter in day_by_day(lows)]
    for low, place in zip(lows, places, strict=True):
        assert place <= pl.select(reached(pl.lit(low), CONFIG)).item()
    assert all(later - earlier <= 1 for earlier, later in pairwise(places))


LICENCES = {
    "supplier_id": pl.String, "kind": pl.String, "status": pl.String, "is_contested": pl.Boolean,
    "is_in_force": pl.Boolean,
}  # fmt: skip


def test_each_gate_has_its_reason_and_a_licence_in_force_is_enough():
    licences = pl.DataFrame(
        [
            ("good", "business", "valid", False, True), ("good", "business", "valid", False, False),
            ("over", "business", "valid", False, False),
            ("taken", "business", "revoked", False, False), ("taken", "business", "valid", False, False),
            ("copied", "business", "valid", True, False),
            ("food-only", "food", "valid", False, False),
            (None, "business", "valid", False, False),
        ],
        schema=LICENCES,
        orient="row",
    )  # fmt: skip
    names = ["good", "over", "taken", "copied", "food-only", "states-none", "frozen"]
    suppliers = pl.DataFrame({"supplier_id": names, "is_active": [name != "frozen" for name in names]})
    assert dict(supplier_gates(suppliers, licences).iter_rows()) == {
        "over": "licence_expired", "taken": "licence_revoked", "copied": "licence_contested",
        "frozen": "frozen",
    }  # fmt: skip


def test_who_the_brake_froze_is_gated_and_keeps_another_gate():
    gated = pl.DataFrame({"supplier_id": ["b"], "gate": ["licence_expired"]})
    assert with_frozen(gated, ["c", "b", "a"]).rows() == [
        ("a", "frozen"), ("b", "licence_expired"), ("c", "frozen"),
    ]  # fmt: skip
    assert with_frozen(gated, []).equals(gated)


def test_a_channel_is_gated_where_its_faults_are_surely_above_the_floor():
    channels = pl.DataFrame({"supplier_id": ["a", "b", "c", "d"], "fault_low": [0.3001, 0.30, None, 0.9]})
    gated = pl.DataFrame({"supplier_id": ["d"], "gate": ["licence_expired"]})
    told = with_gates(channels, gated, CONFIG)["gate"].to_list()
    assert told == ["quality_floor", None, None, "licence_expired"]


def market_day(size=1, **more):
    """Ten suppliers of milk from good to bad, each with offers of one sku."""
    sold = [line for n in range(10) for line in lines(f"s{n}", 400 * size, 4 * n * size)]
    sent = [row for n in range(10) for row in deliveries(f"s{n}", 400 * size, 10 * n * size)]
    offered = [offer(f"s{n}", "m1", 100 + n) for n in range(10)]
    return happened([*sold, *more.get("sold", ())], sent, offered)


def graded(what, gated=NOBODY, before=NEW, on=TODAY):
    return grade(what, gated, before, AS_OF, on, CONFIG)


def test_better_suppliers_rank_higher_and_a_gate_comes_last():
    done = graded(market_day(), pl.DataFrame({"supplier_id": ["s0"], "gate": ["licence_expired"]}))
    ranked = done.channel_scores.sort("rank")
    assert ranked["supplier_id"].to_list() == [*(f"s{n}" for n in range(1, 10)), "s0"]
    assert (ranked["rank"] == list(range(1, 11))).all()
    last = done.supplier_grades.filter(supplier_id="s0").row(0, named=True)
    assert (last["grade"], last["gate"]) == ("D", "licence_expired")
    places = ranked.select(reached(pl.col("score_low"), CONFIG)).to_series().to_list()
    assert ranked["grade"].to_list()[:-1] == ["ABCD"[place] for place in places[:-1]]
    assert len(set(places)) > 1


def test_who_was_gated_stands_where_it_stood_when_the_gate_lifts():
    first = graded(market_day(), pl.DataFrame({"supplier_id": ["s0"], "gate": ["licence_expired"]}))
    assert "D" not in first.state.filter(supplier_id="s0")["grade"].to_list()
    later = graded(market_day(), before=first.state, on=TODAY + dt.timedelta(days=1))
    assert later.supplier_grades.filter(supplier_id="s0")["grade"].item() == "A"


def test_one_order_with_one_complaint_is_not_the_last():
    done = graded(market_day(sold=lines("new", 1, 1)))
    row = done.channel_scores.filter(supplier_id="new").row(0, named=True)
    worst = done.channel_scores.filter(supplier_id="s9").row(0, named=True)
    assert row["score"] > worst["score"]
    assert row["gate"] is None
    assert row["score_high"] - row["score_low"] > worst["score_high"] - worst["score_low"]


def test_an_explanation_adds_up_and_its_way_up_reaches_the_line():
    what = market_day(size=5)
    done = graded(what)
    estimates = estimate(channels_of(what), evidence_of(what, AS_OF, CONFIG), CONFIG)
    row, way = next(
        (row, way)
        for row in done.channel_scores.sort("rank").iter_rows(named=True)
        for way in json.loads(row["explanation"])["raise"] or ()
        if way["signal"] in ("fault", "late")
    )
    told = json.loads(row["explanation"])
    assert sum(one["points"] for one in told["signals"]) == pytest.approx(row["score"], abs=1e-3)
    assert sum(one["of"] for one in told["signals"]) == pytest.approx(1, abs=1e-3)
    changed = estimates.with_columns(
        mean=pl.when((pl.col("supplier_id") == row["supplier_id"]) & (pl.col("signal") == way["signal"]))
        .then(pl.lit(way["to"]))
        .otherwise("mean")
    )
    after = channel_scores(points_of(changed, CONFIG), CONFIG).filter(supplier_id=row["supplier_id"])
    assert after["score_low"].item() == pytest.approx(told["next"]["line"], abs=1e-3)
    assert way["to"] < way["from"]


def test_nothing_at_all_gives_no_grades():
    done = graded(happened())
    assert (done.channel_scores.height, done.supplier_grades.height, done.state.height) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"weights": {"quality": 0.5, "fulfilment": 0.5, "price": 0.5}}, "sum to 1"),
        ({"lines": (0.5, 0.6, 0.4)}, "must fall"),
        ({"half_life_days": 0.0}, "half_life_days"),
    ],
)
def test_impossible_settings_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        GradingConfig(**change)

"""The lists: bounds, controls, guards and reminders by hand; the simple rules; empty and tiny input."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from lifecycle_panels import CONSUMER_SCHEMA, SCHEMA, at, lines, people, simulated
from polars.testing import assert_frame_equal

from models.contracts import PUBLISHED_TABLES
from models.errors import BundleError, ModelError
from models.lifecycle.config import WakeupParams
from models.lifecycle.features.history import read_history
from models.lifecycle.features.orders import tags_of_orders
from models.lifecycle.lists.reminders import reminder_rows
from models.lifecycle.lists.rules import recency_curve
from models.lifecycle.lists.wakeup import dormant, in_control, wakeup_rows
from models.lifecycle.scoring import LifecycleScores, score
from models.lifecycle.uplift import offers
from models.lifecycle.uplift.linear import Linear

AS_OF = at(400)
NOBODY = pl.DataFrame(schema=CONSUMER_SCHEMA)
SEED = 11


def ids(count: int, *, control: bool) -> list[str]:
    """Consumer ids that are, or are not, held back at `AS_OF`."""
    found = (f"c{number}" for number in range(10_000))
    return [name for name in found if in_control(name, AS_OF, SEED, 0.1) is control][:count]


def wake(
    orders: pl.DataFrame, consumers: pl.DataFrame, probability: float, params: WakeupParams | None = None
) -> pl.DataFrame:
    params = params or WakeupParams()
    sleepers = dormant(read_history(orders, AS_OF), AS_OF, params)
    chance, told = np.full(sleepers.height, probability), np.ones(sleepers.height, np.bool_)
    return wakeup_rows(sleepers, consumers, chance, told, AS_OF, params, seed=SEED)


def test_thirty_days_to_the_microsecond() -> None:
    tick = timedelta(microseconds=1)
    panel = lines([("a", 370, "milk", 100), ("b", 370, "milk", 100), ("c", 370, "milk", 100)])
    shift = pl.when(pl.col("consumer_id") == "b").then(tick).when(pl.col("consumer_id") == "c").then(-tick)
    panel = panel.with_columns(pl.col("placed_at") + shift.otherwise(timedelta(0)))
    rows = dormant(read_history(panel, AS_OF), AS_OF, WakeupParams())
    assert rows["consumer_id"].to_list() == ["a", "c"]
    assert rows["dormant_days"].to_list() == [30, 30]


def test_high_value_lies_above_the_bound_and_counts_a_year_only() -> None:
    panel = lines(
        [
            ("at", 360, "milk", 500_000), ("above", 360, "milk", 500_001),
            ("old", 34, "milk", 900_000), ("old", 360, "milk", 5),
            ("edge", 35, "milk", 900_000), ("edge", 360, "milk", 5),
        ]
    )  # fmt: skip
    rows = dormant(read_history(panel, AS_OF), AS_OF, WakeupParams())
    # The year is (as_of - 365 d, as_of]: day 35 lies on its open end.
    assert dict(rows.select("consumer_id", "spend_cents").iter_rows()) == {
        "above": 500_001, "at": 500_000, "edge": 5, "old": 5,
    }  # fmt: skip
    listed = wake(panel, NOBODY, 0.5)
    assert dict(listed.select("consumer_id", "is_high_value").iter_rows()) == {
        "above": True, "at": False, "edge": False, "old": False,
    }  # fmt: skip


def test_rows_by_hand() -> None:
    free, rich, silent = ids(3, control=False)
    (held,) = ids(1, control=True)
    panel = lines(
        [
            (free, 300, "milk", 1000), (free, 310, "milk", 1000), (free, 320, "milk", 1001),
            (rich, 350, "milk", 600_000), (silent, 350, "milk", 9000), (held, 350, "milk", 8000),
            ("awake", 380, "milk", 9000),
        ]
    )  # fmt: skip
    consumers = people((free, None, True), (rich, "m9", True), (silent, "m9", False), (held, "m9", True))
    rows = {row["consumer_id"]: row for row in wake(panel, consumers, 0.5).iter_rows(named=True)}
    assert [row["rank"] for row in rows.values()] == [1, 2, 3, 4]
    assert list(rows) == [rich, silent, held, free]
    assert rows[rich]["expected_value_cents"] == 30_000
    # 3001 x 0.5 x 0.1 = 150.05
    assert rows[free]["expected_value_cents"] == 150
    assert rows[rich]["offer_code"] == "coupon-199-50-personal"
    assert rows[free]["offer_code"] == "coupon-199-50"
    for name in (free, rich):
        assert (rows[name]["offer_threshold_cents"], rows[name]["offer_value_cents"]) == (19_900, 5_000)
    for name in (silent, held):
        offer = [rows[name][f"offer_{part}"] for part in ("code", "threshold_cents", "value_cents")]
        assert offer == [None, None, None]
    assert [row["is_control"] for row in rows.values()] == [False, False, True, False]
    assert rows[free]["merchant_id"] == "m1"
    assert rows[rich]["merchant_id"] == "m9"
    reasons = {name: json.loads(row["reason_codes"]) for name, row in rows.items()}
    # free: 80 days of silence against a rhythm of 10 days.
    assert reasons == {
        free: ["dormant_30d", "overdue_against_own_rhythm", "response_assumed", "model"],
        rich: ["dormant_30d", "high_value", "response_assumed", "model"],
        silent: ["dormant_30d", "response_assumed", "model", "no_marketing_consent"],
        held: ["dormant_30d", "response_assumed", "model", "control"],
    }


def test_the_cap_counts_only_those_who_would_get_an_offer() -> None:
    first, second = ids(2, control=False)
    (held,) = ids(1, control=True)
    panel = lines([(held, 350, "a", 9000), (first, 350, "a", 8000), (second, 350, "a", 7000)])
    consumers = people((held, "m", True), (first, "m", True), (second, "m", True))
    rows = wake(panel, consumers, 0.5, WakeupParams(max_offers=1))
    assert rows["offer_code"].to_list() == [None, "coupon-199-50", None]
    assert [json.loads(text)[-1] for text in rows["reason_codes"]] == [
        "control",
        "model",
        "offer_cap_reached",
    ]


def test_consumers_nobody_knows_get_no_offer() -> None:
    row = wake(lines([(ids(1, control=False)[0], 350, "a", 900)]), NOBODY, 0.5).row(0, named=True)
    assert row["offer_code"] is None
    assert json.loads(row["reason_codes"])[-1] == "no_marketing_consent"


def test_the_control_share_depends_on_id_quarter_and_seed_only() -> None:
    names = [f"consumer-{number}" for number in range(20_000)]
    held = np.array([in_control(name, AS_OF, SEED, 0.1) for name in names])
    assert held.mean() == pytest.approx(0.1, abs=0.008)
    # 2025-02-04 and the last day of the same quarter agree; the next quarter and another seed draw anew.
    same = np.array([in_control(name, AS_OF.replace(month=3, day=31), SEED, 0.1) for name in names])
    assert (same == held).all()
    for other in (
        np.array([in_control(name, AS_OF.replace(month=4, day=1), SEED, 0.1) for name in names]),
        np.array([in_control(name, AS_OF, SEED + 1, 0.1) for name in names]),
    ):
        assert (other & held).mean() == pytest.approx(0.01, abs=0.004)


def test_no_guard_and_no_score_moves_the_controls() -> None:
    panel = lines([(f"c{n}", 300 + n % 60, "a", 100 + n) for n in range(300)])
    everyone = [f"c{n}" for n in range(300)]
    lists = [
        wake(panel, people(*((name, "m", True) for name in everyone)), 0.9),
        wake(panel, people(*((name, "z", False) for name in everyone)), 0.1, WakeupParams(max_offers=0)),
        wake(panel.filter(pl.col("consumer_id") != "c7"), NOBODY, 0.5),
    ]
    held = [set(one.filter("is_control")["consumer_id"]) - {"c7"} for one in lists]
    assert held[0] == held[1] == held[2]
    assert 10 < len(held[0]) < 55
    for one in lists:
        assert one.filter("is_control")["offer_code"].null_count() == one["is_control"].sum()


def test_reminders_by_hand() -> None:
    orders = [("u", day, "milk bread tea", 100) for day in (380, 390)] + [("v", 399, "milk", 100)]
    history = read_history(lines(orders), AS_OF)
    pairs = pl.DataFrame(
        {
            "consumer": [0, 0, 0, 1],
            "kind": [0, 1, 2, 1],
            "overdue_ratio": [1.5, 0.75, 0.74, 9.0],
        },
        schema={"consumer": pl.Int32, "kind": pl.Int32, "overdue_ratio": pl.Float32},
    )
    chance = np.array([0.2, 0.4, 0.4, 0.1])
    rows = reminder_rows(pairs, history, chance, top=2, from_model=True)
    assert rows.select("consumer_id", "rank", "category_id", "rebuy_probability", "reason_code").rows() == [
        ("u", 1, "l3-milk", 0.4, "due_now"),
        ("u", 2, "l3-tea", 0.4, "regular"),
        ("v", 1, "l3-milk", 0.1, "overdue"),
    ]
    ruled = reminder_rows(pairs, history, chance, top=3, from_model=False)
    assert ruled["reason_code"].to_list() == ["rule_due_now", "rule_regular", "rule_overdue", "rule_overdue"]


def check_published(scores: LifecycleScores) -> None:
    kinds = {"text": pl.String, "json": pl.String, "int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean}
    for name, frame in (("wakeup_list", scores.wakeup_list), ("rebuy_reminders", scores.rebuy_reminders)):
        table = PUBLISHED_TABLES[name]
        assert dict(frame.schema) == {column.name: kinds[column.type] for column in table.columns}
        for column in table.columns:
            assert column.nullable or frame[column.name].null_count() == 0, column.name
        assert frame.select(table.key).is_duplicated().sum() == 0


@pytest.mark.parametrize(
    "panel",
    [
        pl.DataFrame(schema=SCHEMA),
        lines([("u", 10, "milk", 100)]),
        lines([("u", 10, "milk", 100), ("u", 20, "milk", 100), ("v", 399, "fuel", 100)]),
        lines([("u", 500, "milk", 100)]),
    ],
)
def test_nothing_and_a_handful_of_rows_are_scored(panel: pl.DataFrame) -> None:
    scores = score(panel, NOBODY, AS_OF, None, None, tags=tags_of_orders(panel), seed=SEED)
    check_published(scores)
    expected = panel.filter(pl.col("placed_at") <= AS_OF - timedelta(days=30))["consumer_id"].unique()
    assert set(scores.wakeup_list["consumer_id"]) == set(expected)
    assert all("simple_rule" in text for text in scores.wakeup_list["reason_codes"])


def test_the_simple_rules_serve_rising_curves_and_say_so() -> None:
    panel = simulated()
    scores = score(panel, NOBODY, at(330), None, None, tags=tags_of_orders(panel), seed=SEED)
    check_published(scores)
    by_silence = scores.wakeup_list.sort("dormant_days")["churn_probability"].to_numpy()
    assert by_silence.min() >= 0
    assert by_silence.max() <= 1
    curve = recency_curve(read_history(panel, at(330)), at(330), timedelta(days=28))
    assert (np.diff(curve.apply(np.arange(0.0, 200.0))) >= 0).all()
    assert curve.apply(np.array([80.0]))[0] > curve.apply(np.array([2.0]))[0] + 0.2
    assert scores.rebuy_reminders["reason_code"].str.starts_with("rule_").all()
    assert scores.rebuy_reminders["rank"].max() == 5


def test_rows_after_as_of_change_no_list() -> None:
    panel = simulated(consumers=40)
    before = panel.filter(pl.col("placed_at") <= at(250))
    tags = tags_of_orders(panel)
    whole = score(panel, NOBODY, at(250), None, None, tags=tags, seed=SEED)
    known = score(before, NOBODY, at(250), None, None, tags=tags, seed=SEED)
    assert_frame_equal(whole.wakeup_list, known.wakeup_list)
    assert_frame_equal(whole.rebuy_reminders, known.rebuy_reminders)


def test_bad_input_is_named() -> None:
    rows = lines([("u", 1, "a", 1)])
    with pytest.raises(ModelError, match="consent_marketing"):
        score(rows, NOBODY.drop("consent_marketing"), AS_OF, None, None, tags=tags_of_orders(rows), seed=1)
    with pytest.raises(ValueError, match="control_share"):
        WakeupParams(control_share=0.0)


def test_a_missing_bundle_is_refused(tmp_path: Path) -> None:
    rows = lines([("u", 1, "a", 1)])
    with pytest.raises(BundleError, match="missing or unfinished"):
        score(rows, NOBODY, AS_OF, tmp_path, None, tags=tags_of_orders(rows), seed=1)


def test_a_measured_effect_ranks_and_refuses_offers_that_cost_more_than_they_bring() -> None:
    rich, poor = ids(2, control=False)
    (held,) = ids(1, control=True)
    panel = lines([(rich, 350, "milk", 600_000), (poor, 350, "milk", 1000), (held, 350, "milk", 500_000)])
    consumers = people((rich, "m", True), (poor, "m", True), (held, "m", True))
    sleepers = dormant(read_history(panel, AS_OF), AS_OF, WakeupParams())
    chance, told = np.full(3, 0.5), np.ones(3, np.bool_)
    # An effect of 10 points on everybody, and 10 more on those of high value.
    effect = Linear(np.zeros(4), np.array([0.0, 0.0, 0.1, 0.0]), 0.1)
    rows = wakeup_rows(sleepers, consumers, chance, told, AS_OF, WakeupParams(), seed=SEED, effect=effect)
    # 0.2 x 600,000 x 0.25 - 0.7 x 5,000; 0.1 x 500,000 x 0.25 - 0.6 x 5,000;
    # 0.1 x 1,000 x 0.25 - 0.6 x 5,000.
    assert rows.select("consumer_id", "expected_value_cents").rows() == [
        (rich, 26_500), (held, 9_500), (poor, -2_975),
    ]  # fmt: skip
    assert [code is not None for code in rows["offer_code"]] == [True, False, False]
    assert [json.loads(text)[-2:] for text in rows["reason_codes"]] == [
        ["response_measured", "model"],
        ["model", "control"],
        ["model", "not_worth_the_offer"],
    ]


def past_lists(effect: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two thousand consumers on a list at day 300, and the orders of those who came back."""
    rng = np.random.default_rng(4)
    names = [f"c{number:04d}" for number in range(2000)]
    dormant_days = rng.integers(30, 90, len(names)).astype(float)
    treated = rng.random(len(names)) < 0.9
    chance = 0.1 + effect * (dormant_days < 60) * treated
    came = rng.random(len(names)) < chance
    past = pl.DataFrame(
        {
            "consumer_id": names,
            "dormant_days": dormant_days,
            "churn_probability": 0.5,
            "is_high_value": 0.0,
            "is_overdue": 1.0,
            "is_treated": treated,
            "as_of": at(300),
        }
    )
    orders = pl.DataFrame({"consumer_id": names, "at": at(310)}).filter(came)
    return past, orders


def test_past_lists_are_an_experiment_and_the_gate_decides_whether_it_serves() -> None:
    past, orders = past_lists(0.6)
    found = offers.learnt(past, orders, AS_OF, 0.1)
    assert found is not None
    assert found.weights[0] < 0
    assert offers.learnt(*past_lists(0.0), AS_OF, 0.1) is None
    assert offers.learnt(past.clear(), orders, AS_OF, 0.1) is None
    # A list whose 28 days are not over teaches nothing yet; nor does a second list in the same quarter.
    assert offers.learnt(past, orders, at(327), 0.1) is None
    again = pl.concat([past, past.with_columns(as_of=pl.lit(at(301)).cast(past.schema["as_of"]))])
    assert len(offers.trial(again, orders, AS_OF, 0.1)) == 2000


def test_what_a_list_teaches_leaves_out_whom_the_draw_did_not_decide_about() -> None:
    first, second = ids(2, control=False)
    held, low = ids(2, control=True)
    panel = lines(
        [(first, 350, "a", 8000), (held, 350, "a", 8500), (second, 350, "a", 9000), (low, 350, "a", 10)]
    )
    consumers = people((first, "m", True), (held, "m", True), (second, "m", False), (low, "m", True))
    taught = offers.offered(wake(panel, consumers, 0.5))
    assert dict(taught.select("consumer_id", "is_treated").iter_rows()) == {first: True, held: False}
    assert taught.columns == ["consumer_id", *offers.FEATURES, "is_treated"]
    assert offers.offered(wake(panel, NOBODY, 0.5)).height == 0

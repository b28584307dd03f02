"""Value of customers: rows by hand, money given back, shrinkage, and the whole on drawn customers."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.data import Purchases
from models.errors import BundleError, ModelError
from models.lifecycle.features.history import read_history
from models.lifecycle.value.histories import FEATURES, at_share, at_the_end, purchase_days, repeat_ages
from models.lifecycle.value.measures import bias, poisson_deviance, top_capture
from models.lifecycle.value.model import CustomerValue, ValueParams, load
from models.lifecycle.value.spend import Spend, fit_spend
from models.lifecycle.value.training import train

START = datetime(2024, 1, 1, 9, tzinfo=UTC)


def purchases(*rows):
    """(consumer, day, cents) or (consumer, day, cents, is_purchase)."""
    full = [(who, START + timedelta(days=day), cents, *(more or [True])) for who, day, cents, *more in rows]
    schema = {"consumer_id": pl.String, "at": pl.Datetime("us", "UTC"), "value_cents": pl.Int64}
    return pl.DataFrame(full, schema={**schema, "is_purchase": pl.Boolean}, orient="row")


def test_a_day_counts_once_and_what_came_back_is_money_but_no_purchase():
    rows = purchases(
        ("a", 0, 100), ("a", 0.2, 50), ("a", 14, 300), ("a", 21, -300, False), ("a", 35, 40),
        ("b", 30, -70, False), ("b", 35, 10), ("a", 99, 1),
    )  # fmt: skip
    days = purchase_days(rows, START + timedelta(days=42))
    # The return of b came before her first purchase: nothing of hers begins with it.
    assert days.select("consumer_id", "week", "value_cents", "is_purchase", "age").rows() == [
        ("a", 0.0, 150.0, True, 6.0),
        ("a", 2.0, 300.0, True, 6.0),
        ("a", 3.0, -300.0, False, 6.0),
        ("a", 5.0, 40.0, True, 6.0),
        ("b", 0.0, 10.0, True, 1.0),
    ]
    now = at_the_end(days)
    assert now.ids.to_list() == ["a", "b"]
    assert now.known.repeats.tolist() == [2.0, 0.0]
    assert now.known.last.tolist() == [5.0, 0.0]
    assert now.spend_cents.tolist() == [190.0, 10.0]
    assert repeat_ages(days).tolist() == [2.0, 5.0]
    values = dict(zip(FEATURES, now.values[0].tolist(), strict=True))
    assert values["silence_in_own_gaps"] == pytest.approx((6 - 5) * 2 / 5)
    assert values["last_gap_share"] == pytest.approx((5 - 2) / 6)
    assert values["spend_a_day_cents"] == pytest.approx(190 / 3)


def test_histories_are_cut_where_past_is_to_present_as_present_to_future():
    rows = purchases(("a", 0, 100), ("a", 14, 300), ("a", 35, 40))
    past = at_share(purchase_days(rows, START + timedelta(days=42)), horizon=6.0)
    # Six weeks old, six weeks asked for: cut at three.
    assert past.known.age.tolist() == [3.0]
    assert past.known.repeats.tolist() == [1.0]
    assert (past.later.tolist(), past.later_cents.tolist(), past.weeks_left.tolist()) == (
        [1.0],
        [40.0],
        [3.0],
    )


def test_missing_columns_and_times_without_a_zone_are_named():
    with pytest.raises(ModelError, match="value_cents"):
        purchase_days(pl.DataFrame({"consumer_id": ["a"], "at": [START]}), START)
    with pytest.raises(ValueError, match="no time zone"):
        purchase_days(purchases(("a", 0, 1)), datetime(2024, 1, 1))  # noqa: DTZ001


def test_measures_by_hand():
    actual, expected = np.array([0.0, 2.0]), np.array([0.5, 1.0])
    assert poisson_deviance(actual, expected) == pytest.approx([1.0, 2 * (2 * np.log(2) - 1)])
    assert bias(actual, expected) == pytest.approx(-0.25)
    assert np.isnan(bias(np.zeros(2), expected))
    assert top_capture(np.array([5.0, 1, 0, 0]), np.array([9.0, 1, 2, 3]), share=0.25) == pytest.approx(5 / 6)


def test_own_spend_is_drawn_to_everybodys_by_how_little_is_known():
    spend = Spend(mean_cents=100.0, days=2.0)
    assert spend.a_day(np.array([2.0, 98.0]), np.array([600.0, 98 * 300.0])) == pytest.approx([200.0, 296.0])
    assert spend.a_day(np.array([1.0]), np.array([-900.0])) == [0.0]


def test_the_shrinkage_is_found_again():
    rng = np.random.default_rng(3)
    days = rng.integers(1, 30, 20_000).astype(float)
    own = rng.normal(1000, 100, len(days))
    cents = days * (own + rng.normal(0, 300, len(days)) / np.sqrt(days))
    # Variance inside over variance between: 300^2 / 100^2.
    assert fit_spend(days, cents).days == pytest.approx(9, rel=0.2)
    assert fit_spend(np.ones(5), np.full(5, 70.0)) == Spend(70.0, 1.0)


def drawn_purchases(customers=400, length=52 * 7):
    rng = np.random.default_rng(11)
    rows = []
    for number, (rate, size) in enumerate(
        zip(rng.gamma(0.8, 0.05, customers), rng.lognormal(7, 0.4, customers), strict=True)
    ):
        day, leaves = float(rng.uniform(0, 60)), rng.beta(0.8, 8)
        while day < length:
            rows.append((f"c{number:04d}", int(day), int(size * rng.uniform(0.7, 1.3))))
            if rng.random() < leaves:
                break
            day += float(rng.exponential(1 / rate))
    return purchases(*rows)


def test_what_was_learnt_is_the_same_after_saving_and_near_to_what_came(tmp_path):
    rows, now = drawn_purchases(), START + timedelta(days=270)
    fitted = CustomerValue(ValueParams(horizon_days=90)).fit(rows, now)
    fitted.save(tmp_path / "value")
    said = fitted.predict(rows, now)
    assert load(tmp_path / "value").predict(rows, now).equals(said)
    later = rows.filter((pl.col("at") > now) & (pl.col("at") <= now + timedelta(days=90)))
    assert said["expected_orders"].sum() == pytest.approx(later.height, rel=0.25)
    assert said["value_cents"].sum() == pytest.approx(later["value_cents"].sum(), rel=0.3)
    # What comes after the moment is not looked at.
    assert fitted.predict(rows.filter(pl.col("at") <= now), now).equals(said)
    (tmp_path / "value" / "bundle.json").unlink()
    with pytest.raises(BundleError, match="train again"):
        load(tmp_path / "value")


def test_a_handful_of_customers_is_left_uncorrected():
    rows = purchases(*[(f"c{n}", day, 100) for n in range(8) for day in (0, 20 + n, 60)])
    fitted = CustomerValue().fit(rows, START + timedelta(days=100))
    assert (fitted.booster, fitted.share) == ("", 0.0)
    assert fitted.predict(rows, START + timedelta(days=100)).height == 8


def test_purchases_of_anybody_are_days_and_returns_are_money_alone():
    lines = pl.DataFrame(
        {
            "who": [1, 1, 1],
            "what": ["a", "b", "a"],
            "day": ["2024-01-01", "2024-01-01", "2024-01-15"],
            "pieces": [1, 1, -1],
            "paid": [1000, 500, -1000],
        }
    )
    names = {
        "consumer_id": "who",
        "item_id": "what",
        "at": "day",
        "quantity": "pieces",
        "value_cents": "paid",
    }
    days = purchase_days(Purchases.from_frame(lines, names), START + timedelta(days=60))
    assert days.select("consumer_id", "week", "value_cents", "is_purchase").rows() == [
        ("1", 0.0, 1500.0, True),
        ("1", 2.0, -1000.0, False),
    ]


def test_a_champion_of_another_horizon_is_asked_todays_question(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for customer in range(120):
        day, gap = float(rng.integers(0, 300)), 3 + rng.gamma(1, 20)
        while day < 400:
            rows.append((f"o{len(rows)}", f"c{customer:03d}", START + timedelta(days=day)))
            day += rng.exponential(gap)
    sales = pl.DataFrame(
        rows,
        schema={"order_id": pl.String, "consumer_id": pl.String, "placed_at": pl.Datetime("us", "UTC")},
        orient="row",
    ).with_columns(
        line_no=pl.lit(1), merchant_id=pl.lit("m"), sku_id=pl.lit("s"), category_l2_id=pl.lit("x"),
        category_l3_id=pl.lit("y"), qty=pl.lit(1.0), net_paid_cents=pl.lit(500), is_merchandise=pl.lit(True),
    )  # fmt: skip
    known = sales.with_columns(
        received_at="placed_at", superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    )
    history = read_history(known, START + timedelta(days=400))
    decision = train(history, tmp_path, seed=1, champion=asdict(ValueParams(horizon_days=60))).decision
    # Nothing but the horizon differs: what is found of the candidate holds of the champion.
    assert decision.champion_lift is None
    assert decision.champion_rule_lift == decision.lift

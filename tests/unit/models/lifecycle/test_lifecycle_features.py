"""Features by hand, labels by hand, and nothing from after the origin."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from lifecycle_panels import SCHEMA, at, lines, simulated
from polars.testing import assert_frame_equal

from models.errors import ModelError
from models.lifecycle.features.churn_features import FEATURES as CHURN_FEATURES
from models.lifecycle.features.churn_features import churn_features, churned
from models.lifecycle.features.history import read_history
from models.lifecycle.features.orders import tags_of_orders
from models.lifecycle.features.rebuy_features import FEATURES as REBUY_FEATURES
from models.lifecycle.features.rebuy_features import rebought, rebuy_features

HAND = lines(
    [
        ("u", 90, "milk bread", 100),
        ("u", 96, "milk", 300),
        ("u", 95.75, "fuel", 2000),
        ("u", 98, "milk eggs eggs", 200),
        ("v", 50, "milk", 500),
        ("w", 1, "milk", 500),
        ("u", 105, "milk", 900),
    ]
)


def test_churn_features_by_hand() -> None:
    frame = churn_features(read_history(HAND, at(200)), at(100), 60, tags_of_orders(HAND))
    # w last ordered 99 days before the origin: not active.
    assert frame["consumer"].to_list() == [0, 1]
    assert frame.columns == ["consumer", "recency", "rhythm", *CHURN_FEATURES]
    u = frame.row(0, named=True)
    expected = {
        "recency": 2, "rhythm": 2 / (8 / 3), "recency_days": 2, "orders_7d": 3, "orders_28d": 4,
        "orders_lifetime": 4, "active_days_182d": 3, "active_weeks_112d": 2, "visit_gap_mean_182d": 4.0,
        "visit_gap_median_182d": 4.0, "visit_gap_max_182d": 6.0, "visit_gap_last_182d": 2.0,
        "recency_over_gap_mean": 0.5, "net_spend_30d": 3100, "aov_90d": 775, "home_store_share": 1,
    }  # fmt: skip
    for name, value in expected.items():
        assert u[name] == pytest.approx(value, rel=1e-6), name
    v = frame.row(1, named=True)
    assert v["visit_gap_mean_182d"] is None
    assert (v["recency"], v["rhythm"]) == (50, None)


def test_a_label_is_told_by_what_stands_however_late_it_came() -> None:
    rows = HAND.with_columns(
        received_at=pl.when(pl.col("placed_at") == at(105)).then(pl.lit(at(150))).otherwise("received_at")
    )
    for day, known in ((120, True), (200, False)):
        history = read_history(rows, at(day))
        assert churned(history, pl.Series([0], dtype=pl.Int32), at(100), at(110)).to_list() == [known]
    pairs = rebuy_features(read_history(rows, at(200)), at(100), 2)
    assert rebought(read_history(rows, at(200)), pairs, at(100), at(110)).to_list() == [True]


def test_rebuy_features_by_hand() -> None:
    history = read_history(HAND, at(200))
    frame = rebuy_features(history, at(100), 2)
    # Two lines of eggs in one order are one purchase: only u's milk was bought twice.
    assert frame.height == 1
    row = frame.row(0, named=True)
    assert history.kinds[row["kind"]] == "l3-milk"
    expected = {
        "times": 3, "days_since_last": 2, "days_since_first": 10, "mean_interval_days": 4,
        "last_interval_days": 2, "interval_cv": (8**0.5) / 4, "overdue_ratio": 0.5, "days_until_due": 2,
        "times_14d": 3, "own_rate": 3 / 14, "mean_qty": 1, "last_qty_ratio": 1, "share_of_orders": 3 / 4,
        "order_recency_days": 2, "orders_since_last": 0, "consumer_kinds": 1, "consumer_rebuy_share": 1,
        "kind_buyers": 1, "kind_interval_days": 4, "kind_rebuy_share": 2 / 6, "tenure_days": 10,
        "expected_visits_14d": 4,
    }  # fmt: skip
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-6), name


def test_windows_are_open_at_the_origin_and_closed_at_the_end() -> None:
    history = read_history(HAND, at(200))
    people = pl.Series([0, 1, 2], dtype=pl.Int32)
    assert churned(history, people, at(98), at(105)).to_list() == [False, True, True]
    assert churned(history, people, at(98), at(104.9)).to_list() == [True, True, True]
    pairs = rebuy_features(history, at(98), 2)
    assert pairs.height == 1
    assert rebought(history, pairs, at(98), at(105)).to_list() == [True]
    assert rebought(history, pairs, at(105), at(112)).to_list() == [False]


def test_what_happens_after_the_origin_changes_no_feature() -> None:
    panel = simulated(consumers=40)
    origin = at(200)
    known = panel.filter(pl.col("placed_at") <= origin)
    # The future is another one: shifted, dearer, other kinds. Codes are compared through their names.
    later = panel.filter(pl.col("placed_at") > origin).with_columns(
        pl.col("placed_at", "received_at") + timedelta(days=3),
        pl.col("net_paid_cents") * 50,
        category_l3_id=pl.lit("l3-zz"),
    )
    found = []
    for rows in (known, panel, pl.concat([known, later])):
        history = read_history(rows, at(400))
        churn = churn_features(history, origin, 112, tags_of_orders(rows))
        rebuy = rebuy_features(history, origin, 2)
        found.append(
            (
                churn.with_columns(consumer=history.consumers.gather(churn["consumer"])),
                rebuy.with_columns(
                    consumer=history.consumers.gather(rebuy["consumer"]),
                    kind=history.kinds.gather(rebuy["kind"]),
                ),
            )
        )
    for churn, rebuy in found[1:]:
        assert_frame_equal(churn, found[0][0], check_exact=True)
        assert_frame_equal(rebuy, found[0][1], check_exact=True)


def test_the_order_of_the_lines_changes_nothing() -> None:
    panel = simulated(consumers=30)
    one = read_history(panel, at(300))
    other = read_history(panel.sample(fraction=1.0, shuffle=True, seed=3), at(300))
    tags = tags_of_orders(panel)
    assert_frame_equal(churn_features(one, at(300), 112, tags), churn_features(other, at(300), 112, tags))
    assert_frame_equal(rebuy_features(one, at(300), 2), rebuy_features(other, at(300), 2))


def test_no_lines_give_no_rows() -> None:
    history = read_history(pl.DataFrame(schema=SCHEMA), at(10))
    assert history.earliest is None
    nobody = churn_features(history, at(10), 112, tags_of_orders(pl.DataFrame(schema=SCHEMA)))
    assert nobody.columns == ["consumer", "recency", "rhythm", *CHURN_FEATURES]
    assert rebuy_features(history, at(10), 2).columns == ["consumer", "kind", *REBUY_FEATURES]
    assert nobody.height == rebuy_features(history, at(10), 2).height == 0


def test_a_missing_column_and_a_naive_time_are_named() -> None:
    with pytest.raises(ModelError, match="net_paid_cents"):
        read_history(HAND.drop("net_paid_cents"), at(1))
    with pytest.raises(ValueError, match="no time zone"):
        read_history(HAND, at(1).replace(tzinfo=None))

"""Churn and rebuy on anybody's frame: fit, predict, save, load, and the same answer as the training's."""

from datetime import timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lifecycle_panels import at, simulated

from models.backtest import backtest
from models.data import Purchases
from models.errors import BundleError, InsufficientDataError
from models.lifecycle.bundle import load as load_bundle
from models.lifecycle.config import CHURN, REBUY
from models.lifecycle.families import Churn, OwnRate, Rebuy, Recency, bought_again, load, no_order
from models.lifecycle.features.churn_features import churn_features
from models.lifecycle.features.history import read_history
from models.lifecycle.features.orders import order_lines, tags_of_orders
from models.lifecycle.training import train
from models.measures import auc_of, ece_of
from models.splits import Cut, rolling_cuts

AS_OF = at(330)


def shop(lines=None):
    """The simulated consumers as somebody else's frame, with other names and whole numbers for ids."""
    lines = simulated() if lines is None else lines
    frame = lines.select(
        user=pl.col("consumer_id").str.strip_prefix("c").cast(pl.Int64),
        ticket="order_id", sku="category_l3_id", day="placed_at", units="qty", amount="net_paid_cents",
        where="merchant_id",
    )  # fmt: skip
    names = {
        "consumer_id": "user", "basket_id": "ticket", "item_id": "sku", "at": "day", "quantity": "units",
        "value_cents": "amount", "merchant_id": "where",
    }  # fmt: skip
    return Purchases.from_frame(frame.to_pandas(), names)


@pytest.mark.parametrize(("family", "name"), [(Churn(seed=3), CHURN), (Rebuy(seed=3), REBUY)])
def test_a_family_says_what_the_training_would_say(family, name, tmp_path):
    purchases = shop()
    lines = order_lines(purchases)
    tags = tags_of_orders(lines)
    train(lines, AS_OF, tmp_path / "trained", seed=3, champions={}, tags=tags)
    trained = load_bundle(tmp_path / "trained" / name, name)
    fitted = family.fit(purchases, AS_OF)
    assert fitted.bundle.booster == trained.booster
    assert fitted.bundle.calibration.knots.tolist() == trained.calibration.knots.tolist()

    said = fitted.predict(purchases, AS_OF)
    keys = ["consumer_id"] if name == CHURN else ["consumer_id", "category_id"]
    assert said.columns == [*keys, "probability"]
    assert said.select(keys).is_unique().all()
    assert said["probability"].is_between(0, 1).all()
    fitted.save(tmp_path / "saved")
    assert load(tmp_path / "saved").predict(purchases, AS_OF).equals(said)
    with pytest.raises(BundleError):
        load(tmp_path / "nowhere")


def test_nothing_after_the_moment_is_read():
    purchases = shop()
    fitted = Churn().fit(purchases, at(300))
    assert Churn().fit(purchases.until(at(300)), at(300)).bundle.booster == fitted.bundle.booster
    later = fitted.predict(purchases, at(300))
    assert fitted.predict(purchases.until(at(300)), at(300)).equals(later)


def test_they_beat_their_rules_on_windows_that_came_after():
    """The simulated consumers have rhythms of their own, which recency cannot know."""
    purchases = shop()
    cuts = rolling_cuts(AS_OF, timedelta(days=28), 2)
    metrics = [auc_of(no_order), ece_of(no_order)]
    found = backtest(Churn(), purchases, cuts, metrics, {"recency": Recency()}, draws=50)
    value = {(row["system"], row["metric"]): row["value"] for row in found.leaderboard.iter_rows(named=True)}
    assert value[CHURN, "auc"] > value["recency", "auc"] + 0.03
    assert value[CHURN, "ece"] < 0.1
    again = backtest(
        Rebuy(), purchases, rolling_cuts(AS_OF, timedelta(days=14), 2), [auc_of(bought_again)],
        {"own_rate": OwnRate()}, draws=50,
    )  # fmt: skip
    assert set(again.leaderboard["system"]) == {REBUY, "own_rate"}
    assert (again.leaderboard["value"] > 0.6).all()


def test_the_labels_tell_what_happened_in_the_window():
    frame = pl.DataFrame(
        {"consumer_id": [1, 1, 2], "item_id": ["tea", "pan", "tea"], "at": [at(1), at(9), at(2)]}
    )
    purchases, cut = Purchases.from_frame(frame), Cut(at(5), at(10))
    keys = pl.DataFrame({"consumer_id": ["2", "1", "stranger"]})
    assert no_order(purchases, cut, keys).to_list() == [True, False, True]
    pairs = pl.DataFrame({"consumer_id": ["1", "1", "2"], "category_id": ["pan", "tea", "pan"]})
    assert bought_again(purchases, cut, pairs).to_list() == [True, False, False]


def test_a_return_changes_the_order_from_then_on_and_not_before():
    """Two lines in one order of which one comes back: one order before and since, worth less since."""
    frame = pd.DataFrame(
        {
            "consumer_id": [1, 1, 1], "item_id": ["tea", "pan", "pan"], "basket_id": ["a", "a", "b"],
            "at": [at(1), at(1), at(8)], "quantity": [1, 2, -2], "value_cents": [500, 4000, -4000],
        }
    )  # fmt: skip
    lines = order_lines(Purchases.from_frame(frame))
    history = read_history(lines, at(20))
    before, since = history.known(at(7)).orders, history.known(at(9)).orders
    assert (before.height, before["net_cents"].to_list()) == (1, [4500])
    assert (since.height, since["net_cents"].to_list()) == (1, [500])
    assert history.known(at(9)).purchases.height == 1
    tags = tags_of_orders(lines)
    told = [churn_features(history, at(day), 60, tags)["net_spend_30d"][0] for day in (7, 9)]
    assert told == [4500.0, 500.0]


def test_an_order_that_came_back_wholly_is_none_since():
    frame = pd.DataFrame(
        {"consumer_id": [1, 1], "item_id": ["tea", "tea"], "at": [at(1), at(8)], "quantity": [1, -1]}
    )
    history = read_history(order_lines(Purchases.from_frame(frame)), at(20))
    assert history.known(at(7)).orders.height == 1
    assert history.known(at(9)).orders.height == 0


def test_without_values_categories_and_merchants_it_works_too():
    lines = simulated()
    frame = lines.select("consumer_id", pl.col("category_l3_id").alias("item_id"), at="placed_at")
    said = Churn().fit(Purchases.from_frame(frame), AS_OF).predict(Purchases.from_frame(frame), AS_OF)
    assert np.ptp(said["probability"].to_numpy()) > 0.2


def test_a_short_history_is_named():
    with pytest.raises(InsufficientDataError, match="test cuts of 28 days"):
        Churn().fit(shop(simulated(days=120)), at(120))

"""Churn and rebuy as families: anybody's purchases in, probabilities out, with their simple rules beside.

Features, fit and calibration are those of the product's training; only the purchases are somebody else's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from models.data import Purchases
from models.lifecycle import bundle as bundles
from models.lifecycle.bundle import Bundle
from models.lifecycle.config import CHURN, REBUY, LifecycleConfig
from models.lifecycle.features.churn_features import asked, churned
from models.lifecycle.features.history import History, read_history
from models.lifecycle.features.orders import order_lines, tags_of_orders
from models.lifecycle.features.rebuy_features import rebought, rebuy_features
from models.lifecycle.features.tasks import Task, as_matrix
from models.lifecycle.judging.backtest import backtest, fit_at, plan_cuts
from models.lifecycle.judging.calibration import Calibration
from models.lifecycle.lists.rules import own_rate_curve, recency_curve
from models.metrics import FloatArray
from models.splits import Cut


@dataclass(frozen=True)
class FittedQuestion:
    """A fitted model of one of the two questions.

    Attributes:
        bundle: The booster, its calibration and its settings.
    """

    bundle: Bundle

    def predict(self, purchases: Purchases, at: datetime) -> pl.DataFrame:
        """How likely it is, for everybody (every pair) that is asked about.

        Args:
            purchases: What is known; later ones are not read.
            at: Moment of knowledge, with time zone.

        Returns:
            `consumer_id`, of rebuy `category_id` too, and `probability` (0-1): of no order within the
            horizon, of an order with the category within it. Ordered by the keys.
        """
        task = _task(self.bundle.name, self.bundle.config, purchases, at)
        frame = task.frame(at)
        return _named(task.history, frame, self.bundle.probability(as_matrix(frame, task.features)))

    def save(self, folder: Path) -> None:
        """Write the model into `folder`, made where needed."""
        bundles.save(folder, self.bundle)


@dataclass(frozen=True)
class Churn:
    """The family: who of the lately active will not order within the horizon.

    Attributes:
        config: Settings; those of churn and `active_days` count.
        seed: Seed of every draw.
    """

    config: LifecycleConfig = field(default_factory=LifecycleConfig)
    seed: int = 0
    name: str = CHURN

    def fit(self, purchases: Purchases, until: datetime) -> FittedQuestion:
        """Learn from label windows that had ended by a moment, as they were known then.

        Args:
            purchases: Later ones are not read. Times are UTC, and so are hours and weekdays.
            until: Moment of knowledge, with time zone.

        Raises:
            InsufficientDataError: The history is too short, or there are too few consumers or too few of
                either outcome; the message names what is needed.
        """
        return _fitted(self.name, self.config, purchases, until, self.seed)


@dataclass(frozen=True)
class Rebuy:
    """The family: which categories a consumer buys again within the horizon.

    Attributes:
        config: Settings; those of rebuy and `min_purchases` count.
        seed: Seed of every draw.
    """

    config: LifecycleConfig = field(default_factory=LifecycleConfig)
    seed: int = 0
    name: str = REBUY

    def fit(self, purchases: Purchases, until: datetime) -> FittedQuestion:
        """As `Churn.fit`."""
        return _fitted(self.name, self.config, purchases, until, self.seed)


def load(folder: Path) -> FittedQuestion:
    """Read what `FittedQuestion.save` wrote.

    Raises:
        BundleError: The folder is missing, unfinished, damaged, or of another version.
    """
    return FittedQuestion(bundles.load(folder, bundles.name_of(folder)))


@dataclass(frozen=True)
class FittedRule:
    """What a simple rule says, as a probability."""

    name: str
    config: LifecycleConfig
    curve: Calibration

    def predict(self, purchases: Purchases, at: datetime) -> pl.DataFrame:
        """As `FittedQuestion.predict`, of the same consumers or pairs."""
        history = read_history(order_lines(purchases), at)
        if self.name == Recency.name:
            frame = asked(history, at, self.config.active_days)
            return _named(history, frame, self.curve.apply(frame["recency"].to_numpy()))
        frame = rebuy_features(history, at, self.config.min_purchases)
        return _named(history, frame, self.curve.apply(frame["own_rate"].cast(pl.Float64).to_numpy()))


@dataclass(frozen=True)
class Recency:
    """The simple rule of churn: the longer ago the last order, the likelier that none comes."""

    config: LifecycleConfig = field(default_factory=LifecycleConfig)
    name: str = "recency"

    def fit(self, purchases: Purchases, until: datetime) -> FittedRule:
        """Learn how often each recency was followed by no order."""
        history = read_history(order_lines(purchases), until)
        horizon = timedelta(days=self.config.churn.horizon_days)
        return FittedRule(self.name, self.config, recency_curve(history, until, horizon))


@dataclass(frozen=True)
class OwnRate:
    """The simple rule of rebuy: what was bought often since the first time is bought again."""

    config: LifecycleConfig = field(default_factory=LifecycleConfig)
    name: str = "own_rate"

    def fit(self, purchases: Purchases, until: datetime) -> FittedRule:
        """Learn how often each rate was followed by a purchase."""
        history = read_history(order_lines(purchases), until)
        horizon = timedelta(days=self.config.rebuy.horizon_days)
        curve = own_rate_curve(history, until, horizon, self.config.min_purchases)
        return FittedRule(self.name, self.config, curve)


def no_order(purchases: Purchases, cut: Cut, keys: pl.DataFrame) -> pl.Series:
    """Whether each consumer ordered nothing in the window of a cut: the label of churn for `measures`."""
    history = read_history(order_lines(purchases), cut.end)
    missing = churned(history, _codes(keys["consumer_id"], history.consumers), cut.origin, cut.end)
    return missing.fill_null(value=True)


def bought_again(purchases: Purchases, cut: Cut, keys: pl.DataFrame) -> pl.Series:
    """Whether each consumer bought the category in the window of a cut: the label of rebuy for `measures`."""
    history = read_history(order_lines(purchases), cut.end)
    pairs = pl.DataFrame(
        {
            "consumer": _codes(keys["consumer_id"], history.consumers),
            "kind": _codes(keys["category_id"], history.kinds),
        }
    )
    return rebought(history, pairs, cut.origin, cut.end)


def _task(name: str, config: LifecycleConfig, purchases: Purchases, at: datetime) -> Task:
    lines = order_lines(purchases)
    return Task(name, read_history(lines, at), tags_of_orders(lines), config)


def _fitted(
    name: str, config: LifecycleConfig, purchases: Purchases, until: datetime, seed: int
) -> FittedQuestion:
    task = _task(name, config, purchases, until)
    fit = config.task(name).fit
    newest = plan_cuts(task, until)[-fit.calibration_cuts :]
    calibration = backtest(task, newest, fit, seed).calibration
    return FittedQuestion(Bundle(name, config, fit_at(task, until, fit, seed), calibration))


def _named(history: History, frame: pl.DataFrame, probability: FloatArray) -> pl.DataFrame:
    keys = [history.consumers.gather(frame["consumer"]).alias("consumer_id")]
    if "kind" in frame.columns:
        keys.append(history.kinds.gather(frame["kind"]).alias("category_id"))
    said = pl.DataFrame([*keys, pl.Series("probability", probability, dtype=pl.Float64)])
    return said.sort(one.name for one in keys)


def _codes(ids: pl.Series, known: pl.Series) -> pl.Series:
    """Places of ids among those that are known; null for others."""
    codes = pl.Series(range(len(known)), dtype=pl.Int32)
    return ids.replace_strict(known, codes, default=None, return_dtype=pl.Int32)

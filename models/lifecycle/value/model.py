"""Purchases and net spend to come: BG/NBD in own time, corrected by boosting, by as much as validation bears.

The correction is learnt from the customers' own pasts: each history is cut at the age that stands to its
length as the length to the time asked for, and a Poisson booster learns what came after the cut, over the
expectation of BG/NBD there. How much of it is applied is chosen on customers that it had not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.data import Purchases
from models.lifecycle.value import tempo
from models.lifecycle.value.bgnbd import BgNbd
from models.lifecycle.value.histories import (
    FEATURES,
    Histories,
    at_share,
    at_the_end,
    purchase_days,
    repeat_ages,
)
from models.lifecycle.value.measures import poisson_deviance
from models.lifecycle.value.spend import Spend, fit_spend
from models.metrics import FloatArray
from models.store import bundles

NAME = "lifecycle_value"
FORMAT = 1
_LEAST = 1e-6
_WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_FOLDS = 4


@dataclass(frozen=True)
class ValueParams:
    """How value is learnt.

    Attributes:
        horizon_days: Time to come that is asked for.
        rounds: Boosting rounds.
        leaves: Leaves a tree.
        learning_rate: Shrinkage.
        leaf_share: Least share of the customers in a leaf.
        l2: L2 penalty of the leaf values.
        min_age_days: Younger customers teach the correction nothing.
    """

    horizon_days: int = 90
    rounds: int = 60
    leaves: int = 8
    learning_rate: float = 0.05
    leaf_share: float = 0.01
    l2: float = 5.0
    min_age_days: int = 21

    def __post_init__(self) -> None:
        if self.horizon_days < 1 or self.rounds < 1 or self.leaves < 2:
            raise ValueError("ValueParams: horizon_days and rounds must be at least 1, leaves at least 2")

    @property
    def horizon_weeks(self) -> float:
        """The same in weeks."""
        return self.horizon_days / 7


@dataclass(frozen=True)
class FittedValue:
    """A fitted model.

    Attributes:
        params: How it was learnt.
        base: BG/NBD in own time.
        booster: The correction in LightGBM's text form; empty where none helps.
        share: Share of the correction that is applied, 0-1.
        spend: Net spend of a day of purchase.
    """

    params: ValueParams
    base: tempo.OwnTimeBgNbd
    booster: str
    share: float
    spend: Spend

    def predict(self, purchases: Purchases | pl.DataFrame, at: datetime) -> pl.DataFrame:
        """Value of every customer with a purchase by `at`.

        Args:
            purchases: As for `purchase_days`.
            at: Moment of knowledge, tz-aware UTC.

        Returns:
            `consumer_id`, `expected_orders` and `value_cents` (float64; expected net spend) of the horizon,
            ordered by id.
        """
        known = at_the_end(purchase_days(purchases, at))
        orders = self.expected(known)
        return pl.DataFrame(
            {
                "consumer_id": known.ids,
                "expected_orders": orders,
                "value_cents": orders * self.spend.a_day(known.known.repeats + 1, known.spend_cents),
            },
        )

    def expected(self, known: Histories) -> FloatArray:
        """Days of purchase within the horizon, float64 (n,)."""
        base = np.maximum(self.base.expected(known.known, self.params.horizon_weeks), _LEAST)
        if not self.booster or len(known) == 0:
            return base
        return np.asarray(base * np.exp(self.share * _raw(self.booster, known.values)))

    def save(self, folder: Path) -> None:
        """Write the model into `folder`, made where needed."""
        document = {
            "features": FEATURES,
            "params": asdict(self.params),
            "tempo": asdict(self.base.tempo),
            "bg_nbd": asdict(self.base.plain),
            "staying": self.base.staying,
            "share": self.share,
            "spend": asdict(self.spend),
        }
        bundles.write(folder, NAME, FORMAT, document, texts={"booster": self.booster})


@dataclass(frozen=True)
class CustomerValue:
    """The family: customers' purchases and net spend to come.

    Attributes:
        params: How it is learnt.
        seed: Seed of the booster.
        threads: LightGBM threads; the result does not depend on it.
    """

    params: ValueParams = ValueParams()
    seed: int = 0
    threads: int = 1
    name: str = NAME

    def fit(self, purchases: Purchases | pl.DataFrame, until: datetime) -> FittedValue:
        """Learn from what had happened by `until`.

        Args:
            purchases: As for `purchase_days`.
            until: Moment of knowledge, tz-aware UTC.

        Raises:
            InsufficientDataError: Nobody bought on two days.
        """
        days = purchase_days(purchases, until)
        now = at_the_end(days)
        old = days.filter(pl.col("age") * 7 >= self.params.min_age_days)
        past = at_share(old, self.params.horizon_weeks)
        base = _with_staying(tempo.fit(now.known, repeat_ages(days)), past)
        booster, share = self._correct(past, base)
        return FittedValue(
            self.params, base, booster, share, fit_spend(now.known.repeats + 1, now.spend_cents)
        )

    def _correct(self, past: Histories, base: tempo.OwnTimeBgNbd) -> tuple[str, float]:
        """The booster and the share of it that unseen customers bear."""
        if len(past) < 10 * _FOLDS or not past.later.any():
            return "", 0.0
        offset = np.maximum(base.expected(past.known, past.weeks_left), _LEAST)
        fold = np.arange(len(past)) % _FOLDS
        unseen = np.zeros(len(past))
        for one in range(_FOLDS):
            held, taught = fold == one, fold != one
            booster = self._boost(past.values[taught], past.later[taught], offset[taught])
            unseen[held] = _raw(booster, past.values[held])
        losses = [float(poisson_deviance(past.later, offset * np.exp(s * unseen)).mean()) for s in _SHARES]
        share = _SHARES[int(np.argmin(losses))]
        if share == 0:
            return "", 0.0
        return self._boost(past.values, past.later, offset), share

    def _boost(self, values: npt.NDArray[np.float32], later: FloatArray, offset: FloatArray) -> str:
        import lightgbm as lgb

        settings = {
            "objective": "poisson",
            "num_leaves": self.params.leaves,
            "learning_rate": self.params.learning_rate,
            "min_data_in_leaf": max(5, int(self.params.leaf_share * len(values))),
            "lambda_l2": self.params.l2,
            "max_bin": 63,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "verbose": -1,
        }
        data = lgb.Dataset(values, later, init_score=np.log(offset), free_raw_data=True)
        return str(lgb.train(settings, data, self.params.rounds).model_to_string())


def _with_staying(base: tempo.OwnTimeBgNbd, past: Histories) -> tempo.OwnTimeBgNbd:
    """The weight of staying under which what came after the cuts is likeliest; the smaller of equal ones."""
    if not past.later.any():
        return base
    tried = [replace(base, staying=weight) for weight in _WEIGHTS]
    losses = [
        float(
            poisson_deviance(past.later, np.maximum(one.expected(past.known, past.weeks_left), _LEAST)).mean()
        )
        for one in tried
    ]
    return tried[int(np.argmin(losses))]


def load(folder: Path) -> FittedValue:
    """Read what `save` wrote.

    Raises:
        BundleError: The folder is missing, unfinished, damaged, or of another version.
    """
    return bundles.read(folder, NAME, FORMAT).build(_fitted)


def _fitted(bundle: bundles.Bundle) -> FittedValue:
    document = bundle.document
    if tuple(document["features"]) != FEATURES:
        raise ValueError("fitted on other features than this version builds")
    return FittedValue(
        params_of(document["params"]),
        tempo.OwnTimeBgNbd(
            tempo.Tempo(**document["tempo"]), BgNbd(**document["bg_nbd"]), document["staying"]
        ),
        bundle.text("booster"),
        float(document["share"]),
        Spend(**document["spend"]),
    )


def params_of(document: Mapping[str, Any]) -> ValueParams:
    """Settings from JSON.

    Raises:
        TypeError: A key is unknown.
    """
    return ValueParams(**document)


def _raw(booster: str, values: npt.NDArray[np.float32]) -> FloatArray:
    import lightgbm as lgb

    return np.asarray(
        lgb.Booster(model_str=booster).predict(values, raw_score=True, num_threads=1), dtype=np.float64
    )

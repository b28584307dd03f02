"""Training of the value model: backtest against BG/NBD and each customer's own rate, decide, fit, save.

No tracking here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.contracts import Candidate
from models.errors import InsufficientDataError, ModelError
from models.gate import Keeps, decide
from models.lifecycle.features.history import History
from models.lifecycle.value import bgnbd
from models.lifecycle.value.histories import Histories, at_the_end, purchase_days
from models.lifecycle.value.measures import bias, poisson_deviance, top_capture
from models.lifecycle.value.model import NAME, CustomerValue, ValueParams, params_of
from models.metrics import FloatArray, IntArray
from models.splits import Cut, rolling_cuts

MODEL, BG_NBD, OWN_RATE = "muyun", "bg_nbd", "own_rate"
TEST_CUTS = 3
STEP = timedelta(days=28)
MIN_HISTORY = timedelta(days=90)
MIN_CUSTOMERS = 50
CAPTURE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Forecast:
    """What every system said at one cut.

    Attributes:
        cut: Origin and end of the window.
        ids: Customers known at the origin.
        came: Their days of purchase in the window, float64 (n,).
        came_cents: Their net spend in it, float64 (n,).
        expected: Days of purchase by system, float64 (n,) each.
        value_cents: Net spend by the model, float64 (n,).
    """

    cut: Cut
    ids: pl.Series
    came: FloatArray
    came_cents: FloatArray
    expected: Mapping[str, FloatArray]
    value_cents: FloatArray


def purchases_of(history: History, moment: datetime) -> pl.DataFrame:
    """Orders as known at a moment, as `purchase_days` reads them; net of what was given back by then."""
    known = history.known(moment).orders
    return known.select(
        consumer_id=history.consumers.gather(known["consumer"]), at="at", value_cents="net_cents"
    )


def train(
    history: History,
    work_dir: Path,
    *,
    seed: int,
    champion: Mapping[str, Any] | None,
    params: ValueParams | None = None,
) -> Candidate:
    """Train and judge the value model.

    Args:
        history: Orders up to the moment of knowledge; the last test window ends there.
        work_dir: The bundle is written to its folder `lifecycle_value`.
        seed: Seed of every draw.
        champion: The standing champion's settings; where they differ they are backtested too.
        params: Settings; the defaults when None.

    Raises:
        InsufficientDataError: Too little history or too few customers; BG/NBD or the own rate should serve.
        ModelError: The champion's settings cannot be read.
    """
    params = params or ValueParams()
    family = CustomerValue(params, seed)
    tested = _backtest(history, family)
    other = _family_of(champion, seed, params.horizon_days)
    standing = _backtest(history, other) if other is not None and other.params != params else None
    units = pl.concat([one.ids for one in tested]).unique().sort()
    rows_of = [_places(one.ids, units) for one in tested]

    def metric(system: str, forecasts: list[Forecast]) -> Callable[[IntArray], float]:
        losses = [poisson_deviance(one.came, one.expected[system]) for one in forecasts]

        def drawn(places: IntArray) -> float:
            times = np.bincount(places, minlength=len(units)).astype(np.float64)
            means = [
                float(times[rows] @ loss / max(times[rows].sum(), 1.0))
                for rows, loss in zip(rows_of, losses, strict=True)
            ]
            return float(np.mean(means))

        return drawn

    def captured(system: str) -> Callable[[IntArray], float]:
        return lambda _: float(np.mean([top_capture(one.came, one.expected[system]) for one in tested]))

    decision = decide(
        "poisson_deviance",
        len(units),
        metric(MODEL, tested),
        {rule: metric(rule, tested) for rule in (BG_NBD, OWN_RATE)},
        higher_is_better=False,
        champion=None if standing is None else metric(MODEL, standing),
        champion_is_same=champion is not None and standing is None,
        keeps=[
            Keeps(
                "top_decile_capture",
                captured(MODEL),
                {rule: captured(rule) for rule in (BG_NBD, OWN_RATE)},
                higher_is_better=True,
                tolerance=CAPTURE_TOLERANCE,
            )
        ],
        seed=seed,
    )
    known = purchases_of(history, history.as_of)
    family.fit(known, history.as_of).save(work_dir / NAME)
    leaderboard, metrics = _leaderboard(tested)
    first, last = history.orders["at"].min(), history.orders["at"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return Candidate(
        name=NAME,
        family="lifecycle",
        config=asdict(params),
        decision=decision,
        metrics=metrics | {"test_cuts": float(len(tested)), "consumers": float(len(units))},
        leaderboard=leaderboard,
        bundle_dir=work_dir / NAME,
        data_from=first,
        data_to=last,
        input_rows=history.line_count,
    )


def _backtest(history: History, family: CustomerValue) -> list[Forecast]:
    horizon = timedelta(days=family.params.horizon_days)
    cuts = rolling_cuts(
        history.as_of,
        horizon,
        TEST_CUTS,
        step=min(STEP, horizon),
        earliest=history.earliest,
        min_history=MIN_HISTORY,
    )
    return [_forecast(history, family, cut) for cut in cuts]


def _forecast(history: History, family: CustomerValue, cut: Cut) -> Forecast:
    known = purchases_of(history, cut.origin)
    before = at_the_end(purchase_days(known, cut.origin))
    if len(before) < MIN_CUSTOMERS:
        raise InsufficientDataError(
            f"{NAME}: {len(before)} consumers had bought by {cut.origin:%Y-%m-%d}, {MIN_CUSTOMERS} are "
            "needed; the simple rule serves"
        )
    weeks = family.params.horizon_weeks
    said = family.fit(known, cut.origin).predict(known, cut.origin)
    window = purchases_of(history, history.as_of).filter(cut.window("at"))
    came = window.group_by("consumer_id").agg(
        came=pl.col("at").dt.date().n_unique().cast(pl.Float64),
        came_cents=pl.col("value_cents").sum().cast(pl.Float64),
    )
    rows = said.join(came, on="consumer_id", how="left", maintain_order="left").fill_null(0.0)
    return Forecast(
        cut,
        rows["consumer_id"],
        np.asarray(rows["came"].to_numpy()),
        np.asarray(rows["came_cents"].to_numpy()),
        {
            MODEL: np.asarray(rows["expected_orders"].to_numpy()),
            BG_NBD: np.maximum(bgnbd.fit(before.known).expected(before.known, weeks), 1e-6),
            OWN_RATE: _own_rate(before, weeks),
        },
        np.asarray(rows["value_cents"].to_numpy()),
    )


def _own_rate(known: Histories, weeks: float) -> FloatArray:
    """The rate so far goes on; one purchase in everybody's time is added to each, so that none is 0."""
    rate = known.known.repeats.sum() / max(float(known.known.age.sum()), 1.0)
    weight = 1.0 / max(rate, 1e-6)
    return np.asarray(np.maximum((known.known.repeats + 1.0) / (known.known.age + weight) * weeks, 1e-6))


def _family_of(champion: Mapping[str, Any] | None, seed: int, horizon_days: int) -> CustomerValue | None:
    """The champion's procedure, asked today's question."""
    if champion is None:
        return None
    try:
        return CustomerValue(replace(params_of(champion), horizon_days=horizon_days), seed)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"settings of {NAME} cannot be read by this version ({error}); take the alias champion from the "
            "model that holds them"
        ) from error


def _places(ids: pl.Series, units: pl.Series) -> IntArray:
    return np.searchsorted(units.to_numpy(), ids.to_numpy()).astype(np.int64)


def _leaderboard(tested: list[Forecast]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Every system, metric and cut, and the means over the cuts under flat names."""
    rows: list[dict[str, Any]] = []
    sums: dict[tuple[str, str], list[float]] = {}
    for one in tested:
        for system, expected in one.expected.items():
            measured = {
                "poisson_deviance": float(poisson_deviance(one.came, expected).mean()),
                "bias": bias(one.came, expected),
                "top_decile_capture": top_capture(one.came, expected),
                "mae": float(np.abs(one.came - expected).mean()),
            }
            if system == MODEL:
                measured["value_bias"] = bias(one.came_cents, one.value_cents)
            for metric, value in measured.items():
                level = f"{NAME}, cut {one.cut.origin:%Y-%m-%d}"
                rows.append({"system": system, "metric": metric, "value": value, "level": level})
                sums.setdefault((system, metric), []).append(value)
    means = {key: float(np.mean(values)) for key, values in sums.items()}
    level = f"{NAME}, mean of {len(tested)} cuts"
    rows += [
        {"system": system, "metric": metric, "value": value, "level": level}
        for (system, metric), value in means.items()
    ]
    return rows, {f"{system}_{metric}": value for (system, metric), value in means.items()}

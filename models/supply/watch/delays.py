"""How late parcels under way will be: their newest scan, what was learned of ways, and the time since."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from models.supply.watch.config import WatchConfig
from models.supply.watch.ways import ANY, Floats, Ways, clock_hours, hours, part_of_day


def estimate_delays(
    ways: Ways | None, newest: pl.DataFrame, now: datetime, config: WatchConfig
) -> pl.DataFrame:
    """Estimate the arrival of parcels that have not come.

    Args:
        ways: What was learned; None: a parcel is as late as it is already.
        newest: The newest scan of each parcel, columns of `ways.SCANS`.
        now: Business time, aware UTC.
        config: Settings.

    Returns:
        shipment_id, hours_late (expected, from the promise; infinite where no arrival can be foreseen), and
        probability (of coming more than `rules.late_hours` after the promise), by shipment_id.
    """
    told = newest.with_columns(part_of_day=part_of_day(), now=pl.lit(now, pl.Datetime("us", "UTC")))
    late_already = hours(told["now"], told["promised_at"])
    if ways is None:
        late = late_already
        probability = (late_already > config.rules.late_hours).astype(np.float64)
    else:
        late, probability = _conditional(ways, told, late_already, config)
    return told.select("shipment_id", hours_late=pl.Series(late), probability=pl.Series(probability)).sort(
        "shipment_id"
    )


def _conditional(
    ways: Ways, told: pl.DataFrame, late_already: Floats, config: WatchConfig
) -> tuple[Floats, Floats]:
    clock = clock_hours(told, config)
    expected = ways.expected(told)
    waited = np.maximum(hours(told["now"], told["seen_at"]), 1e-3)
    until_late = hours(told["promised_at"], told["seen_at"]) + config.rules.late_hours
    age = np.log(waited / clock) - expected
    line = np.log(np.maximum(until_late, 1e-3) / clock) - expected
    rest, probability = np.empty(told.height), np.empty(told.height)
    words = told["status"].to_list()
    for status in sorted(set(words)):
        rows = np.array([word == status for word in words])
        spread = ways.spreads.get(status, ways.spreads[ANY])
        alive = spread.survival(age[rows])
        probability[rows] = np.minimum(1.0, spread.survival(line[rows]) / alive)
        rest[rows] = spread.value_at(alive * (1 - config.expected_quantile))
    arrives = np.maximum(clock * np.exp(expected + rest), waited)
    late = arrives - hours(told["promised_at"], told["seen_at"])
    is_over = late_already > config.rules.late_hours
    return np.maximum(late, late_already), np.where(is_over, 1.0, probability)

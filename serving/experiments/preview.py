"""What an experiment could show before it begins: units, how they did lately, what so many show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, LiteralString

import psycopg

from models.experiments.assignment import FULL_BPS
from models.experiments.power import detectable, power_of, units_needed
from serving.experiments.document import Experiment, Surface, Unit
from serving.experiments.metrics import sold_by_unit

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class ArmPower:
    """An arm against the first.

    Attributes:
        arm: The arm.
        units: Units that it would have.
        detectable: Smallest difference of the metric that is shown with power .8; None without units.
        power: Probability with which the difference that was asked about is shown; None: none was.
        units_needed: Units of both arms together that show it with power .8; None: none was asked about.
    """

    arm: str
    units: int
    detectable: float | None
    power: float | None
    units_needed: int | None


@dataclass(frozen=True)
class Preview:
    """What would be tried on whom.

    Attributes:
        units: Units that the arms could act on, of all layers' places.
        baseline: Mean or share of the metric over `metric_days` until now.
        deviation: Its standard deviation.
        arms: All but the first.
    """

    units: int
    baseline: float
    deviation: float
    arms: tuple[ArmPower, ...]


def preview(
    conn: Connection, tenant_id: str, experiment: Experiment, difference: float | None, now: datetime
) -> Preview:
    """Look at what is published and was sold; nothing is written.

    The past is not taken off, so means may show smaller differences than this (CUPED).

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        experiment: A draft or any other.
        difference: A difference of the metric that is asked about, not 0.
        now: Business time.
    """
    past = sold_by_unit(
        conn, tenant_id, experiment, _UNITS[experiment.surface, experiment.unit], now - _days(experiment), now
    )
    deviation = sqrt(past.deviations[0] / max(past.size - 1, 1))
    sizes = {
        arm.name: past.size * experiment.traffic_bps // FULL_BPS * arm.share_bps // FULL_BPS
        for arm in experiment.arms
    }
    first, *others = experiment.arms
    return Preview(
        past.size,
        past.mean,
        deviation,
        tuple(
            _power(name.name, sizes[name.name], sizes[first.name], deviation, difference) for name in others
        ),
    )


def _power(name: str, units: int, first: int, deviation: float, difference: float | None) -> ArmPower:
    if not units or not first or not deviation:
        return ArmPower(name, units, None, None, None)
    return ArmPower(
        name,
        units,
        detectable(deviation, units, first),
        None if difference is None else power_of(difference, deviation, units, first),
        None if difference is None else units_needed(difference, deviation, units / (units + first)),
    )


def _days(experiment: Experiment) -> timedelta:
    return timedelta(days=experiment.metric_days)


def _published(table: LiteralString, column: LiteralString) -> LiteralString:
    return (
        f"select distinct p.{column} as unit_id from scores.{table} p"
        " join scores.publication_table t using (snapshot_id)"
        " join scores.current_publication c using (tenant_id, version)"
        f" where c.tenant_id = %(tenant)s and t.table_name = '{table}'"
    )


_UNITS: dict[tuple[Surface, Unit], LiteralString] = {
    ("recommendations", "consumer"): _published("recommendations", "consumer_id"),
    ("coupons", "consumer"): _published("profiles", "consumer_id"),
    ("prices", "sku"): _published("prices", "sku_id"),
    ("prices", "merchant"): _published("prices", "merchant_id"),
}

"""Exposures: the first moment at which an arm acted on a unit. Only exposed units are judged, as assigned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.consumers.erased import erased_among, hold_erasures
from serving.experiments.document import Unit

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Exposure:
    """A unit on which an arm acted.

    Attributes:
        unit_id: The consumer, sku or merchant.
        arm: Its arm.
        exposed_at: When it acted first.
    """

    unit_id: str
    arm: str
    exposed_at: datetime


def log(
    conn: Connection, tenant_id: str, experiment_id: str, unit: Unit, arms: Mapping[str, str], now: datetime
) -> list[str]:
    """Note that arms act; who was noted before keeps the first moment. Erased consumers are left out.

    Args:
        conn: Inside a transaction of the tenant; erasures wait for its end where the units are consumers.
        tenant_id: The tenant.
        experiment_id: An experiment.
        unit: What its units are.
        arms: Unit to its arm.
        now: Business time.

    Returns:
        Units that were not exposed before, in their order.
    """
    gone: set[str] = set()
    if unit == "consumer":
        hold_erasures(conn)
        gone = erased_among(conn, tenant_id, arms)
    units = sorted(set(arms) - gone)
    rows = conn.execute(
        "insert into experiments.exposure (tenant_id, experiment_id, unit, unit_id, arm, exposed_at)"
        " select %(tenant)s, %(experiment)s, %(unit)s, unit_id, arm, %(now)s"
        " from unnest(%(units)s::text[], %(arms)s::text[]) as n (unit_id, arm)"
        " on conflict do nothing returning unit_id",
        {
            "tenant": tenant_id,
            "experiment": experiment_id,
            "unit": unit,
            "units": units,
            "arms": [arms[one] for one in units],
            "now": now,
        },
    )
    return sorted(row[0] for row in rows)


def page(conn: Connection, tenant_id: str, experiment_id: str, *, after: str, limit: int) -> list[Exposure]:
    """Exposures of an experiment by unit, after one."""
    rows = conn.execute(
        "select unit_id, arm, exposed_at from experiments.exposure where tenant_id = %s"
        " and experiment_id = %s and unit_id > %s order by unit_id limit %s",
        (tenant_id, experiment_id, after, limit),
    )
    return [Exposure(*row) for row in rows]


def among(conn: Connection, tenant_id: str, experiment_id: str, unit_ids: Iterable[str]) -> set[str]:
    """Which of some units were exposed."""
    rows = conn.execute(
        "select unit_id from experiments.exposure where tenant_id = %s and experiment_id = %s"
        " and unit_id = any(%s)",
        (tenant_id, experiment_id, sorted(unit_ids)),
    )
    return {row[0] for row in rows}


def of_unit(conn: Connection, tenant_id: str, experiment_id: str, unit_id: str) -> Exposure | None:
    """The exposure of one unit; None where its arm never acted."""
    row = conn.execute(
        "select unit_id, arm, exposed_at from experiments.exposure where tenant_id = %s"
        " and experiment_id = %s and unit_id = %s",
        (tenant_id, experiment_id, unit_id),
    ).fetchone()
    return None if row is None else Exposure(*row)

"""Stopping an experiment: nobody is assigned any more, and what it held back comes into force."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from serving.db import locks
from serving.experiments.records import Kept, stop
from serving.scores.in_force import record_released

Connection = psycopg.Connection[Any]


def stop_now(conn: Connection, tenant_id: str, experiment_id: str, reason: str, now: datetime) -> Kept:
    """Stop an experiment; prices that it held are in force from this moment.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        experiment_id: Which one.
        reason: Why.
        now: Business time.

    Raises:
        ExperimentUnknownError: There is no such experiment.
        ExperimentStateError: It does not run.
    """
    # A publication that is being recorded ends first: it may still hold a price back.
    locks.prices_in_force(conn, tenant_id)
    stopped = stop(conn, tenant_id, experiment_id, reason, now)
    if stopped.experiment.surface == "prices":
        record_released(conn, tenant_id, experiment_id, now)
    return stopped

"""What came of experiments; those that are over or harm what must not get worse stop by themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from serving.experiments.document import Metric
from serving.experiments.errors import ExperimentStateError
from serving.experiments.judging import Results, harmed, judge
from serving.experiments.metrics import exposed_by_arm, moments_by_arm
from serving.experiments.records import Kept, running
from serving.experiments.stopping import stop_now

Connection = psycopg.Connection[Any]


def results_of(conn: Connection, tenant_id: str, kept: Kept, metric: Metric, now: datetime) -> Results:
    """What an experiment says of a metric now.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        kept: The experiment.
        metric: Its metric or its guardrail.
        now: Business time.
    """
    experiment = kept.experiment
    return judge(
        experiment,
        metric,
        exposed_by_arm(conn, tenant_id, experiment.experiment_id),
        moments_by_arm(conn, tenant_id, experiment, metric, now),
        is_running=kept.state == "running",
    )


def end_due(conn: Connection, tenant_id: str, now: datetime) -> list[tuple[str, str]]:
    """Stop what ran its days, and what harms its guardrail at every look.

    Returns:
        Ids with the reason.
    """
    ended = []
    for kept in running(conn, tenant_id):
        experiment = kept.experiment
        reason = None
        if kept.ends_at is not None and now >= kept.ends_at:
            reason = "over"
        elif experiment.guardrail is not None:
            arm = harmed(results_of(conn, tenant_id, kept, experiment.guardrail, now))
            reason = None if arm is None else f"{arm} harms {experiment.guardrail}"
        if reason is None:
            continue
        try:
            stop_now(conn, tenant_id, experiment.experiment_id, reason, now)
        except ExperimentStateError:
            # Somebody stopped it meanwhile.
            continue
        ended.append((experiment.experiment_id, reason))
    return ended

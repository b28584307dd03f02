"""The day of experiments: those that are over or do harm stop, and what came of each so far."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from serving.db.operations import Operations
from serving.db.tenants import tenants_of
from serving.experiments import records
from serving.experiments.results import end_due, results_of

SHOWN_FOR = timedelta(days=90)
"""How long after its stop an experiment is still told of."""
_PAGE = 500


def day_of(url: str, tenant_id: str, now: datetime) -> dict[str, Any]:
    """End what is due for every tenant, and tell the results of one.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose results are told.
        now: Business time (UTC).

    Returns:
        `ended`: `tenant: experiment: reason`; `experiments`: document, state and results of each.
    """
    ended: list[str] = []
    with Operations(url, size=1) as operations:
        for one in tenants_of(url):
            with operations.transaction(one) as conn:
                ended += [f"{one}: {name}: {reason}" for name, reason in end_due(conn, one, now)]
        with operations.transaction(tenant_id) as conn:
            found = records.page(conn, tenant_id, after="", limit=_PAGE)
            told = [
                _told(conn, tenant_id, kept, now)
                for kept in found
                if kept.started_at is not None
                and (kept.stopped_at is None or kept.stopped_at > now - SHOWN_FOR)
            ]
    return {"ended": ended, "experiments": told}


def blocked(told: dict[str, Any]) -> list[str]:
    """Experiments whose exposed units do not fit the shares that were drawn."""
    return [one["experiment_id"] for one in told["experiments"] if one["metric"]["is_blocked"]]


def _told(conn: Any, tenant_id: str, kept: records.Kept, now: datetime) -> dict[str, Any]:
    experiment = kept.experiment
    guardrail = experiment.guardrail
    return {
        "experiment_id": experiment.experiment_id,
        "title": experiment.title,
        "surface": experiment.surface,
        "unit": experiment.unit,
        "state": kept.state,
        "reason": kept.reason,
        "metric": asdict(results_of(conn, tenant_id, kept, experiment.metric, now)),
        "guardrail": None if guardrail is None else asdict(results_of(conn, tenant_id, kept, guardrail, now)),
    }

"""An experiment starts when another person agrees."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg

from serving.approvals.asking import Ask
from serving.approvals.effects import Done
from serving.approvals.kinds import Kind
from serving.approvals.records import Approval
from serving.experiments.records import Kept, start
from serving.security import Role, Scope

EXPERIMENT = Kind(
    name="experiment",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.EXPERIMENTS_WRITE,
    reasons=frozenset({"too_small", "wrong_metric", "unfair", "not_needed", "other"}),
    validity=timedelta(days=7),
    rails={},
    second_above_cents=None,
)
"""People, skus or merchants are treated differently for a while; the subject is the experiment."""


def ask_of(kept: Kept) -> Ask:
    """What is asked when somebody wants an experiment to start."""
    return Ask(
        kind=EXPERIMENT,
        subject=("experiment", kept.experiment.experiment_id),
        suggestion={
            "experiment_id": kept.experiment.experiment_id,
            "traffic_bps": kept.experiment.traffic_bps,
            "document_digest": kept.digest,
        },
        value_cents=0,
        bucket=kept.experiment.surface,
    )


def start_approved(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    """Start an approved experiment.

    Raises:
        ExperimentError: It cannot start any more.
    """
    found = start(conn, tenant_id, approval.wanted["experiment_id"], now)
    assert found.places is not None
    return {
        "experiment_id": found.experiment.experiment_id,
        "first_bps": found.places.first,
        "end_bps": found.places.end,
    }

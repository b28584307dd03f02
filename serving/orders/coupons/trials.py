"""A programme given to one arm of an experiment: the others are watched, and get none of it meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from models.experiments.hold_out import is_held_out
from serving.consumers.erased import hold_erasures
from serving.db import locks
from serving.db.calendar import local_day, zone_of
from serving.experiments import exposures
from serving.experiments.errors import ExperimentStateError
from serving.experiments.records import find
from serving.orders.coupons.issuing import issue_each

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Given:
    """What a call gave.

    Attributes:
        codes: Consumer to the new code.
        arms: New consumers by arm, those of arms without a coupon among them.
        known: Consumers whose arm had acted before.
        outside: Consumers whom the experiment does not have, who are left alone this quarter, or were erased.
    """

    codes: dict[str, str]
    arms: Counter[str]
    known: int
    outside: int


def give(
    conn: Connection, tenant_id: str, experiment_id: str, consumer_ids: Sequence[str], now: datetime
) -> Given:
    """Let the arms act on consumers: a code for those whose arm has a programme; again changes nothing.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        experiment_id: A running experiment on coupons.
        consumer_ids: Whom it may be about.
        now: Business time.

    Raises:
        ExperimentUnknownError: There is no such experiment.
        ExperimentStateError: It does not run, or is not about coupons.
        ProgrammeStateError: The programme of an arm is not active any more; nothing is given.
    """
    hold_erasures(conn)
    # A stop waits for this, or comes first.
    locks.experiments(conn, tenant_id)
    kept = find(conn, tenant_id, experiment_id)
    if kept.state != "running" or kept.experiment.surface != "coupons":
        raise ExperimentStateError(f"experiment {experiment_id} does not run, or is not about coupons")
    wanted = sorted(set(consumer_ids))
    day = local_day(now, zone_of(conn, tenant_id))
    arms = {
        one: arm
        for one in wanted
        if not is_held_out(tenant_id, one, day) and (arm := kept.arm_of(tenant_id, one)) is not None
    }
    new = exposures.log(conn, tenant_id, experiment_id, "consumer", arms, now)
    known = exposures.among(conn, tenant_id, experiment_id, arms)
    codes: dict[str, str] = {}
    for part in kept.experiment.arms:
        chosen = [one for one in new if arms[one] == part.name]
        if part.programme_id is not None and chosen:
            codes |= issue_each(conn, tenant_id, part.programme_id, chosen, now)
    return Given(codes, Counter(arms[one] for one in new), len(known) - len(new), len(wanted) - len(known))

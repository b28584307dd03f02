"""Experiments in the database: drafted, running, stopped. A document never changes, neither do its arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from models.experiments.assignment import FULL_BPS, Places, arm_of, free_places
from serving.db import locks
from serving.experiments.document import Experiment, Surface, digest, load
from serving.experiments.errors import (
    ExperimentChangedError,
    ExperimentOverlapError,
    ExperimentRefusedError,
    ExperimentStateError,
    ExperimentUnknownError,
)

Connection = psycopg.Connection[Any]
State = Literal["draft", "running", "stopped"]


@dataclass(frozen=True)
class Kept:
    """An experiment as it is kept.

    Attributes:
        experiment: What it says.
        digest: sha256 of what it says.
        state: `draft`, `running` or `stopped`.
        places: Its range of the layer; None before its start.
        made_by: Who put it forward.
        made_at: When.
        started_at: When units began to be assigned.
        ends_at: When it stops by itself.
        stopped_at: When it stopped.
        reason: Why it stopped.
    """

    experiment: Experiment
    digest: str
    state: State
    places: Places | None
    made_by: str
    made_at: datetime
    started_at: datetime | None
    ends_at: datetime | None
    stopped_at: datetime | None
    reason: str | None

    def arm_of(self, tenant_id: str, unit_id: str) -> str | None:
        """The arm of a unit; None before the start, and where another experiment has its place."""
        if self.places is None:
            return None
        one = self.experiment
        return arm_of(tenant_id, one.experiment_id, one.layer, self.places, one.weights, unit_id)


_SELECT = (
    "select document, digest, state, first_bps, end_bps, made_by, made_at, started_at, ends_at, stopped_at,"
    " reason from experiments.experiment where tenant_id = %(tenant)s"
)


def put_forward(
    conn: Connection, tenant_id: str, document: Mapping[str, Any], by: str, now: datetime
) -> Kept:
    """Keep an experiment as a draft; the same words again are the experiment that has them.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        document: Fields of `Experiment`.
        by: Who puts it forward.
        now: Business time.

    Raises:
        ExperimentRefusedError: It cannot run.
        ExperimentChangedError: Other words were kept under its id.
    """
    experiment = load(document)
    locks.experiments(conn, tenant_id)
    known = _find(conn, tenant_id, experiment.experiment_id)
    if known is not None:
        if known.digest != digest(experiment):
            raise ExperimentChangedError(
                f"experiment {experiment.experiment_id} says something else: changed weights or arms would"
                " move units from arm to arm; stop it and put another id forward"
            )
        return known
    conn.execute(
        "insert into experiments.experiment (tenant_id, experiment_id, document, digest, surface, unit,"
        " layer, weights, held_arms, state, made_by, made_at) values (%(tenant)s, %(id)s, %(document)s,"
        " %(digest)s, %(surface)s, %(unit)s, %(layer)s, %(weights)s, %(held)s, 'draft', %(by)s, %(now)s)",
        {
            "tenant": tenant_id,
            "id": experiment.experiment_id,
            "document": Jsonb(experiment.model_dump(mode="json")),
            "digest": digest(experiment),
            "surface": experiment.surface,
            "unit": experiment.unit,
            "layer": experiment.layer,
            "weights": Jsonb(experiment.weights),
            "held": [arm.name for arm in experiment.arms if arm.price == "hold"],
            "by": by,
            "now": now,
        },
    )
    return find(conn, tenant_id, experiment.experiment_id)


def start(conn: Connection, tenant_id: str, experiment_id: str, now: datetime) -> Kept:
    """Begin to assign units, on the first places of the layer that are free.

    Raises:
        ExperimentUnknownError: There is no such experiment.
        ExperimentStateError: It is no draft.
        ExperimentOverlapError: The layer, or what its arms change, is taken.
        ExperimentRefusedError: What an arm names is not there.
    """
    locks.experiments(conn, tenant_id)
    found = find(conn, tenant_id, experiment_id)
    if found.state != "draft":
        raise ExperimentStateError(f"experiment {experiment_id} is {found.state}, not a draft")
    experiment = found.experiment
    others = running(conn, tenant_id)
    for other in others:
        if other.experiment.surface == experiment.surface and other.experiment.layer != experiment.layer:
            raise ExperimentOverlapError(
                f"{experiment.surface} are tested by {other.experiment.experiment_id} in the layer"
                f" {other.experiment.layer}: take that layer, so that no unit is in both, or wait for its end"
            )
        if other.experiment.layer == experiment.layer and other.experiment.unit != experiment.unit:
            raise ExperimentOverlapError(
                f"the layer {experiment.layer} assigns by {other.experiment.unit}"
                f" ({other.experiment.experiment_id}): take another layer"
            )
    taken = [one.places for one in others if one.experiment.layer == experiment.layer and one.places]
    places = free_places(taken, experiment.traffic_bps)
    if places is None:
        names = sorted(
            one.experiment.experiment_id for one in others if one.experiment.layer == experiment.layer
        )
        free = FULL_BPS - sum(one.end - one.first for one in taken)
        raise ExperimentOverlapError(
            f"the layer {experiment.layer} has no {experiment.traffic_bps} basis points in one piece"
            f" ({free} are free beside {', '.join(names)}): take fewer, or stop one of them"
        )
    _require_levers(conn, tenant_id, experiment, now)
    conn.execute(
        "update experiments.experiment set state = 'running', first_bps = %s, end_bps = %s, started_at = %s,"
        " ends_at = %s where tenant_id = %s and experiment_id = %s",
        (
            places.first,
            places.end,
            now,
            now + timedelta(days=experiment.runs_days),
            tenant_id,
            experiment_id,
        ),
    )
    return find(conn, tenant_id, experiment_id)


def stop(conn: Connection, tenant_id: str, experiment_id: str, reason: str, now: datetime) -> Kept:
    """Assign nobody any more; what was exposed is still judged.

    Raises:
        ExperimentUnknownError: There is no such experiment.
        ExperimentStateError: It does not run.
    """
    locks.experiments(conn, tenant_id)
    found = find(conn, tenant_id, experiment_id)
    if found.state != "running":
        raise ExperimentStateError(f"experiment {experiment_id} is {found.state}, it does not run")
    conn.execute(
        "update experiments.experiment set state = 'stopped', stopped_at = %s, reason = %s"
        " where tenant_id = %s and experiment_id = %s",
        (now, reason, tenant_id, experiment_id),
    )
    return find(conn, tenant_id, experiment_id)


def find(conn: Connection, tenant_id: str, experiment_id: str) -> Kept:
    """An experiment.

    Raises:
        ExperimentUnknownError: There is none of that id.
    """
    found = _find(conn, tenant_id, experiment_id)
    if found is None:
        raise ExperimentUnknownError(f"there is no experiment {experiment_id}")
    return found


def running(conn: Connection, tenant_id: str, surface: Surface | None = None) -> list[Kept]:
    """Experiments that assign units now, by id."""
    rows = conn.execute(
        f"{_SELECT} and state = 'running' and (%(surface)s::text is null or surface = %(surface)s)"
        " order by experiment_id".encode(),
        {"tenant": tenant_id, "surface": surface},
    )
    return [_kept(row) for row in rows]


def programmes_tested(conn: Connection, tenant_id: str) -> dict[str, str]:
    """Names of coupon programmes that a running experiment gives to an arm, with the experiment."""
    rows = conn.execute(
        "select p.name, e.experiment_id from experiments.experiment e"
        " cross join jsonb_array_elements(e.document -> 'arms') as a (arm)"
        " join coupons.programme p on p.tenant_id = e.tenant_id and p.programme_id = a.arm ->> 'programme_id'"
        " where e.tenant_id = %s and e.state = 'running' order by 1, 2",
        (tenant_id,),
    )
    return dict(rows.fetchall())


def page(conn: Connection, tenant_id: str, *, after: str, limit: int) -> list[Kept]:
    """Experiments by id, after one."""
    rows = conn.execute(
        f"{_SELECT} and experiment_id > %(after)s order by experiment_id limit %(limit)s".encode(),
        {"tenant": tenant_id, "after": after, "limit": limit},
    )
    return [_kept(row) for row in rows]


def _find(conn: Connection, tenant_id: str, experiment_id: str) -> Kept | None:
    row = conn.execute(
        f"{_SELECT} and experiment_id = %(id)s".encode(), {"tenant": tenant_id, "id": experiment_id}
    ).fetchone()
    return None if row is None else _kept(row)


def _kept(row: tuple[Any, ...]) -> Kept:
    document, found_digest, state, first, end, *rest = row
    places = None if first is None else Places(first, end)
    return Kept(load(document), found_digest, state, places, *rest)


def _require_levers(conn: Connection, tenant_id: str, experiment: Experiment, now: datetime) -> None:
    """What the arms name is there, and nobody else hands it out."""
    for arm in experiment.arms:
        if arm.version is not None and not _is_published(conn, tenant_id, arm.version):
            raise ExperimentRefusedError(f"arm {arm.name}: no version {arm.version} is published")
        if arm.programme_id is None:
            continue
        row = conn.execute(
            "select name from coupons.programme where tenant_id = %s and programme_id = %s"
            " and status = 'active' and valid_to > %s and not exists (select from promotions.promotion p"
            "  where p.tenant_id = %s and p.programme_id = %s)",
            (tenant_id, arm.programme_id, now, tenant_id, arm.programme_id),
        ).fetchone()
        if row is None:
            raise ExperimentRefusedError(
                f"arm {arm.name}: no programme {arm.programme_id} is active, or it is of a promotion"
            )
        # Of a version that was replaced, runs that are under way still send.
        sender = conn.execute(
            "select v.journey_id from journeys.version v where v.tenant_id = %s"
            " and (v.state in ('live', 'paused') or exists (select from journeys.run r"
            "  where r.tenant_id = v.tenant_id and r.journey_id = v.journey_id and r.version = v.version"
            "  and r.due_at is not null))"
            " and jsonb_path_exists(v.document, '$.steps[*].coupon ? (@ == $name)',"
            "  jsonb_build_object('name', %s::text)) order by 1 limit 1",
            (tenant_id, row[0]),
        ).fetchone()
        if sender is not None:
            raise ExperimentOverlapError(
                f"arm {arm.name}: the journey {sender[0]} sends coupons of {row[0]} to every arm, or runs of"
                " it that are under way do; open a programme of another name"
            )
        giver = conn.execute(
            "select level ->> 'level' from members.programme v"
            " cross join jsonb_array_elements(v.document -> 'levels') as l (level) where v.tenant_id = %s"
            " and v.state = 'live' and level -> 'benefits' ->> 'coupon' = %s limit 1",
            (tenant_id, row[0]),
        ).fetchone()
        if giver is not None:
            raise ExperimentOverlapError(
                f"arm {arm.name}: members who reach {giver[0]} get coupons of {row[0]} whatever their arm;"
                " open a programme of another name"
            )


def _is_published(conn: Connection, tenant_id: str, version: str) -> bool:
    query = "select 1 from scores.publication where tenant_id = %s and version = %s"
    return conn.execute(query, (tenant_id, version)).fetchone() is not None

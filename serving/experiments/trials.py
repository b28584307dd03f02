"""Experiments on lists, as the answer to one consumer needs them: which arm, what it means, did it act."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

import msgspec
import psycopg

from models.experiments.assignment import Places, arm_of
from serving.experiments import exposures


class ListArm(msgspec.Struct, frozen=True):
    """What an arm shows; None: as without an experiment."""

    name: str
    list: str | None = None
    session: bool | None = None
    version: str | None = None


class Trial(msgspec.Struct, frozen=True):
    """A running experiment on lists, and whether its arm acted on the consumer before."""

    experiment_id: str
    layer: str
    places: Places
    weights: tuple[tuple[str, int], ...]
    arms: tuple[ListArm, ...]
    is_exposed: bool


class Chosen(msgspec.Struct, frozen=True):
    """The experiment and the arm that a consumer is in."""

    trial: Trial
    arm: ListArm


RUNNING_ON_LISTS: LiteralString = """(
  select jsonb_agg(jsonb_build_object('experiment_id', t.experiment_id, 'layer', t.layer,
      'places', jsonb_build_array(t.first_bps, t.end_bps), 'weights', t.weights, 'arms', t.document -> 'arms',
      'is_exposed', exists (select from experiments.exposure u where u.tenant_id = t.tenant_id
          and u.experiment_id = t.experiment_id and u.unit_id = %(consumer_id)s)
      ) order by t.experiment_id)::text
  from experiments.experiment t
  where t.tenant_id = %(tenant)s and t.surface = 'recommendations' and t.state = 'running')"""
"""The running experiments on lists as a JSON text for `trials_in`; binds `tenant` and `consumer_id`."""

_TRIALS = msgspec.json.Decoder(tuple[Trial, ...])


def trials_in(text: str | None) -> tuple[Trial, ...]:
    """The experiments of `RUNNING_ON_LISTS`."""
    return _TRIALS.decode(text) if text else ()


def chosen_of(tenant_id: str, consumer_id: str, trials: Sequence[Trial]) -> Chosen | None:
    """The experiment that has the consumer, and the arm; None where none has: they share one layer."""
    for trial in trials:
        name = arm_of(tenant_id, trial.experiment_id, trial.layer, trial.places, trial.weights, consumer_id)
        if name is not None:
            return Chosen(trial, next(arm for arm in trial.arms if arm.name == name))
    return None


def note_shown(
    conn: psycopg.Connection[Any], tenant_id: str, consumer_id: str, chosen: Chosen, now: datetime
) -> None:
    """Note that the list of an arm is about to be shown to a consumer."""
    exposures.log(
        conn, tenant_id, chosen.trial.experiment_id, "consumer", {consumer_id: chosen.arm.name}, now
    )

"""Who is treated and who is only watched: drawn by a hash, before anything is known of the treatment. Pure.

By the hash of every experiment (`models.experiments.assignment`): uniform and the same for ever, so that
nobody changes sides between two looks. The universal hold-out is drawn with the quarter as its salt, the
control group by journey: a journey is a layer of its own.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from models.experiments.assignment import FULL_BPS, arm_at, draw
from models.experiments.hold_out import is_held_out


class Arm(StrEnum):
    """What happens to a run."""

    TREATED = "treated"
    CONTROL = "control"
    UNIVERSAL = "universal"


def arm_of(
    tenant_id: str, journey_id: str, consumer_id: str, day: date, control_bps: int, *, marketing: bool
) -> Arm:
    """The arm of a consumer who enters a journey.

    Args:
        tenant_id: Whose consumer.
        journey_id: Versions of a journey share it: an arm outlives a new version.
        consumer_id: Who.
        day: Local day of the entry; its quarter salts the universal hold-out.
        control_bps: Share of the control group, in basis points.
        marketing: Messages of service reach the universal hold-out as well.
    """
    if marketing and is_held_out(tenant_id, consumer_id, day):
        return Arm.UNIVERSAL
    weights = ((Arm.CONTROL.value, control_bps), (Arm.TREATED.value, FULL_BPS - control_bps))
    return Arm(arm_at(draw(tenant_id, "journey", journey_id, consumer_id), weights))

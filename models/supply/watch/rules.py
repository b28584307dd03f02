"""When an alarm opens and when it clears. Standard library only, so that whoever keeps alarms may import it.

Source: a published supply-chain monitor that calls for alternatives when a delivery is more than 24 hours
late or a capacity moves by more than 30%; probability, the lines of clearing and the days are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Rules:
    """Lines of the alarms; a line must be passed.

    Attributes:
        late_hours: A parcel that is expected to come more than so many hours after its promise is an alarm.
        late_probability: So is one that comes that late with more than this probability.
        clear_hours: It clears when the parcel is expected less than so many hours after its promise.
        swing: A capacity that lies further than this share from its median is an alarm.
        calm_swing: It clears when every statement lies nearer than this share,
        calm_days: for so many days.

    Raises:
        ValueError: A line of clearing does not lie below the one of opening, or a share is out of range.
    """

    late_hours: float = 24.0
    late_probability: float = 0.8
    clear_hours: float = 12.0
    swing: float = 0.3
    calm_swing: float = 0.2
    calm_days: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.clear_hours < self.late_hours:
            raise ValueError("watch: 0 <= clear_hours < late_hours must hold")
        if not 0 < self.late_probability < 1:
            raise ValueError("watch: late_probability must lie in (0, 1)")
        if not 0 < self.calm_swing < self.swing or self.calm_days < 1:
            raise ValueError("watch: 0 < calm_swing < swing and calm_days >= 1 must hold")


def is_late(hours_late: float, probability: float, rules: Rules) -> bool:
    """Whether a parcel asks for an alarm.

    Args:
        hours_late: Expected hours from the promise to the arrival, below 0 where it comes before; infinite
            where no arrival can be foreseen.
        probability: That it comes more than `late_hours` after its promise.
        rules: Lines.
    """
    return hours_late > rules.late_hours or probability > rules.late_probability


def is_in_time_again(hours_late: float, probability: float, rules: Rules) -> bool:
    """Whether the alarm of a parcel clears."""
    return hours_late < rules.clear_hours and probability <= rules.late_probability


def is_swinging(swing: float, rules: Rules) -> bool:
    """Whether a stated capacity asks for an alarm."""
    return abs(swing) > rules.swing


def is_calm_again(calm_since: datetime | None, now: datetime, rules: Rules) -> bool:
    """Whether the alarm of a capacity clears.

    Args:
        calm_since: The first statement after the last one that was not calm; None where the newest is not.
        now: Business time.
        rules: Lines.
    """
    return calm_since is not None and now - calm_since >= timedelta(days=rules.calm_days)

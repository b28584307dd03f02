"""Settings of resilience. No logic beyond checking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ResilienceConfig:
    """Settings of resilience.

    Attributes:
        window_days: Days whose units say who supplies what.
        most_main: Largest share of a category that its main supplier may have.
        least_backup: Smallest share of a category that the others must be able to supply.
        horizon_days: Days for which a supplier that failed stays away; stock without a stated capacity is
            assumed to last as long.
        most_trials: Most skus of a category that are named for a trial of new suppliers.

    Raises:
        ValueError: A setting is out of range; the message names it.
    """

    window_days: int = 90
    most_main: float = 0.6
    least_backup: float = 0.3
    horizon_days: int = 28
    most_trials: int = 20

    def __post_init__(self) -> None:
        for name in ("window_days", "horizon_days", "most_trials"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("most_main", "least_backup"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {getattr(self, name)}")

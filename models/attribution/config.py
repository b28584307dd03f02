"""Settings of attribution. No logic beyond checking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AttributionConfig:
    """Settings of attribution.

    Attributes:
        window_days: Touches of so many days before an order stand in its path.
        half_life_days: A touch so much older weighs half, under `time_decay`.
        end_share: Share of the first and of the last touch, under `position`.

    Raises:
        ValueError: A setting is out of range; the message names it.
    """

    window_days: int = 30
    half_life_days: float = 7.0
    end_share: float = 0.4

    def __post_init__(self) -> None:
        for name in ("window_days", "half_life_days"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 < self.end_share <= 0.5:
            raise ValueError(f"end_share must be above 0 and at most 0.5, got {self.end_share}")

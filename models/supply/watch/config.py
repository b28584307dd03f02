"""Settings of the estimates behind the alarms. No logic beyond checking."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.supply.watch.rules import Rules


@dataclass(frozen=True)
class WatchConfig:
    """Settings of the estimates; all are assumptions of ours.

    Attributes:
        learned_days: Parcels that left within so many days tell how long ways take.
        settled_days: Not those that left within so many days: they have not had the time to arrive.
        watched_days: Parcels that left within so many days are watched.
        least_clock_hours: Fewest hours that a way is measured by; a scan after the promise has none left.
        pooled_scans: A lane, supplier or hour counts as much as the rest when it has so many scans.
        least_scans: Scans that a status needs for a spread of its own; others take that of all.
        expected_quantile: Which quantile of the arrival is told as the expected one: at 0.2 an alarm by it is
            as sure as one by `rules.late_probability`.
        median_days: Days whose statements are the usual capacity.
        least_statements: Statements that a median needs.
        rules: Lines of the alarms.

    Raises:
        ValueError: A setting is out of range; the message names it.
    """

    learned_days: int = 90
    settled_days: int = 14
    watched_days: int = 30
    least_clock_hours: float = 12.0
    pooled_scans: float = 30.0
    least_scans: int = 50
    expected_quantile: float = 0.2
    median_days: int = 28
    least_statements: int = 7
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        for name in ("settled_days", "watched_days", "least_scans", "median_days", "least_statements"):
            if getattr(self, name) < 1:
                raise ValueError(f"watch config: {name} must be 1 or more, got {getattr(self, name)}")
        if self.learned_days <= self.settled_days:
            raise ValueError("watch config: learned_days must be more than settled_days")
        if self.least_clock_hours <= 0 or self.pooled_scans <= 0:
            raise ValueError("watch config: least_clock_hours and pooled_scans must be positive")
        if not 0 < self.expected_quantile < 1:
            raise ValueError("watch config: expected_quantile must lie in (0, 1)")

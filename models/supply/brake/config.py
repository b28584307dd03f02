"""Settings of the estimates behind the quality brake. No logic beyond checking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.supply.brake.ladder import QUALITY_REASONS, SAFETY_REASONS, Rules


@dataclass(frozen=True)
class BrakeConfig:
    """Settings of the estimates. All but the window are assumptions of ours.

    Attributes:
        window_days: Deliveries of so many days are judged; a complaint counts within so many days of its
            delivery.
        prior_days: Deliveries of so many days tell what is usual in a category.
        quality_reasons: Reason codes of after-sales that blame the goods.
        safety_reasons: Reason codes that tell of harm; they count as quality as well.
        lines: Alarm line by category, complaints a unit; others are learned.
        line_quantile: A learned line is this quantile of what is usual for the category's skus.
        least_line: No learned line lies below this rate.
        least_units: Matured units that a category needs for a prior of its own.
        least_skus: Skus that it needs.
        least_strength: Units that the spread of a category is told as, at least.
        most_strength: At most.
        watchful_units: Units that the prior weighs at most where the question is whether the rate lies above
            the line: what turned bad is no draw from what is usual, and a heavy prior would talk it down for
            weeks. The expected rate, which limits and stops, is told with the whole prior.
        outlier_probability: A sku whose count is rarer than this in its category does not shape the prior:
            what is bad must not pass for usual.
        outlier_strength: Units that the spread is told as while those are looked for.
        default_rate: Usual rate where the whole platform has too little to learn from.
        default_line: Alarm line of then.
        usual_delay_days: Mean days from delivery to complaint where too few complaints tell.
        least_delays: Complaints that are enough.
        rules: The ladder.
    """

    window_days: int = 30
    prior_days: int = 180
    quality_reasons: frozenset[str] = QUALITY_REASONS
    safety_reasons: frozenset[str] = SAFETY_REASONS
    lines: Mapping[str, float] = field(default_factory=dict)
    line_quantile: float = 0.95
    least_line: float = 0.005
    least_units: float = 500.0
    least_skus: int = 5
    least_strength: float = 50.0
    most_strength: float = 1000.0
    watchful_units: float = 15.0
    outlier_probability: float = 0.01
    outlier_strength: float = 100.0
    default_rate: float = 0.01
    default_line: float = 0.03
    usual_delay_days: float = 5.0
    least_delays: int = 100
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: A setting is out of its range; the message names it.
        """
        if min(self.window_days, self.prior_days, self.least_skus, self.least_delays) < 1:
            raise ValueError("brake config: days, least_skus and least_delays must be at least 1")
        rates = {
            "line_quantile": self.line_quantile,
            "least_line": self.least_line,
            "outlier_probability": self.outlier_probability,
            "default_rate": self.default_rate,
            "default_line": self.default_line,
            **{f"lines[{name}]": line for name, line in self.lines.items()},
        }
        for name, rate in rates.items():
            if not 0 < rate < 1:
                raise ValueError(f"brake config: {name} must lie in (0, 1), got {rate}")
        if not 0 < self.least_strength <= self.most_strength:
            raise ValueError("brake config: 0 < least_strength <= most_strength must hold")
        if min(self.usual_delay_days, self.least_units, self.watchful_units) <= 0:
            raise ValueError(
                "brake config: usual_delay_days, least_units and watchful_units must be positive"
            )

"""What became of promised probabilities: the log of churn predictions against the orders that came after.

A prediction has matured when the window that it spoke of is over. Labels are made from what is known today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import sqrt

import polars as pl

from models.metrics import auc, expected_calibration_error
from pipelines.decisions.log import DecisionLog
from pipelines.steps.state import CheckRecord

CHURN = "churn"
"""Kind of the log: `consumer_id`, `as_of`, `probability`, `model_version`."""
CAME_TRUE = "promised_probabilities_came_true"
"""The asset check; it warns, and a warning asks for a training."""

MOST_GAP = 0.05
"""Largest difference of promised and observed share that is no warning, beyond what chance makes of it."""
MOST_ECE = 0.08
"""Largest calibration error that is no warning."""
FEWEST = 100
"""Consumers of a moment from which on it is judged."""


@dataclass(frozen=True)
class Matured:
    """Predictions of one moment and version whose window is over.

    Attributes:
        as_of: Their moment, ISO 8601.
        model_version: What promised.
        consumers: How many were judged.
        promised: Mean probability.
        observed: Share of whom it came true.
        ece: Expected calibration error over ten equally filled bins.
        auc: Area under the ROC curve; NaN when it came true of all or none.
    """

    as_of: str
    model_version: str
    consumers: int
    promised: float
    observed: float
    ece: float
    auc: float

    @property
    def holds(self) -> bool:
        """Whether the promise was kept, as far as so few consumers can tell."""
        if self.consumers < FEWEST:
            return True
        chance = 2 * sqrt(self.promised * (1 - self.promised) / self.consumers)
        return abs(self.promised - self.observed) <= MOST_GAP + chance and self.ece <= MOST_ECE + chance


def churn_came_true(
    log: DecisionLog, lines: pl.DataFrame, as_of: datetime, horizon_days: int
) -> list[Matured]:
    """Judge every logged moment whose window was over at `as_of`, oldest first.

    Args:
        log: Logged predictions, `CHURN`.
        lines: Sale lines in every known state: `consumer_id`, `placed_at` and `superseded_at` (UTC; null: it
            stands).
        as_of: Business time of today, aware.
        horizon_days: Days without an order that were predicted.
    """
    horizon = timedelta(days=horizon_days)
    standing = lines.filter(pl.col("superseded_at").is_null()).select("consumer_id", "placed_at")
    found = []
    for file in log.files():
        logged = pl.read_parquet(file)
        if logged.is_empty() or (moment := logged["as_of"][0]) + horizon > as_of:
            continue
        inside = pl.col("placed_at").is_between(moment, moment + horizon, closed="right")
        came_back = standing.filter(inside)["consumer_id"].unique()
        label = (~logged["consumer_id"].is_in(came_back.implode())).to_numpy()
        probability = logged["probability"].to_numpy()
        found.append(
            Matured(
                moment.isoformat(),
                str(logged["model_version"][0]),
                logged.height,
                float(probability.mean()),
                float(label.mean()),
                expected_calibration_error(label, probability),
                auc(label, probability),
            )
        )
    return found


def came_true_check(found: Sequence[Matured]) -> CheckRecord:
    """Whether the newest matured predictions were kept; all of them are told.

    Args:
        found: Of `churn_came_true`, oldest first.
    """
    newest = found[-1] if found else None
    facts: dict[str, object] = {"moments": len(found), "matured": [asdict(one) for one in found[-10:]]}
    if newest is None:
        facts["note"] = "no prediction's window is over yet"
    elif newest.consumers < FEWEST:
        facts["note"] = f"{newest.consumers} consumers are too few to judge by, {FEWEST} are needed"
    return CheckRecord(CAME_TRUE, newest is None or newest.holds, facts, is_error=False)

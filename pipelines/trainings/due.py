"""Whether a family must be trained again although its last training still serves. No Dagster here.

A family that was never trained, or whose code, settings, packages or models are not as its training left
them, is trained whatever is said here (`pipelines.steps.memo`), and so is one that a run is told to train.
Otherwise new data alone do not train: they must be a share more or fewer, or go on a week beyond those last
learnt from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import ceil
from typing import Any

from pipelines.console.progress import CURRENT
from pipelines.lake.tables import Lake
from pipelines.steps.state import StateStore, StepRecord

GROWTH = Fraction(1, 10)
"""Share of order lines by which there must be more, or fewer, than at the last training."""
WEEK = timedelta(days=7)
"""By so much the newest order must be newer than at the last training."""
TRAIN_TAG = "muyun/train"
"""`true` on a run that trains every family with anything new: the weekly job, and the sensor's."""

TRAINED = (
    "models/recommendation/lanes",
    "models/demand/forecasters",
    "models/pricing/elasticities",
    "models/lifecycle/churn_and_rebuy",
    "models/supply/assortment",
)
"""The training step of each family."""

_LINES = "raw/order_lines"
_SEEN = "trained_on"


@dataclass(frozen=True)
class Data:
    """What there is to learn from.

    Attributes:
        lines: Accepted order lines.
        newest_on: UTC day of the newest order; None without orders.
    """

    lines: int
    newest_on: date | None

    def to_json(self) -> dict[str, object]:
        """As kept in the record of a training."""
        return {"lines": self.lines, "newest_on": self.newest_on.isoformat() if self.newest_on else None}


def data_now(records: StateStore, lake: Lake) -> Data:
    """What is in the lake."""
    record = records.get(_LINES)
    days = lake.days("orders")
    return Data(int(record.metadata.get("rows") or 0) if record else 0, days[-1] if days else None)


def learnt_from(record: StepRecord) -> Data | None:
    """What a training learnt from, as its record says; None where it does not say."""
    try:
        seen = record.metadata[_SEEN]
        return Data(int(seen["lines"]), date.fromisoformat(seen["newest_on"]) if seen["newest_on"] else None)
    except (KeyError, TypeError, ValueError):
        return None


def facts(records: StateStore, lake: Lake) -> dict[str, object]:
    """What a training writes down of its data, for `learnt_from`."""
    return {_SEEN: data_now(records, lake).to_json()}


def reason(then: Data, now: Data) -> str:
    """Why the models should be trained on the data of now; empty when they can wait.

    >>> day = date(2026, 11, 21)
    >>> reason(Data(1000, day), Data(1099, day)), reason(Data(1000, day), Data(1100, day))
    ('', '1,100 order lines after 1,000')
    >>> reason(Data(1000, day), Data(1001, day + WEEK))
    'orders until 2026-11-28 after those until 2026-11-21'
    """
    change = abs(now.lines - then.lines)
    if change and change >= GROWTH * then.lines:
        return f"{now.lines:,} order lines after {then.lines:,}"
    if now.newest_on and (then.newest_on is None or now.newest_on - then.newest_on >= WEEK):
        return f"orders until {now.newest_on} after those until {then.newest_on or 'none'}"
    return ""


def next_due(then: Data) -> tuple[date | None, int]:
    """Day of the newest order, and number of order lines, at which training is due again.

    >>> next_due(Data(1000, date(2026, 11, 21))), next_due(Data(0, None))
    ((datetime.date(2026, 11, 28), 1100), (None, 1))
    """
    lines = max(ceil(then.lines * (1 + GROWTH)), then.lines + 1)
    return then.newest_on + WEEK if then.newest_on else None, lines


def waits(
    records: StateStore, lake: Lake, tags: Mapping[str, str], *, has_drifted: bool = False
) -> Callable[[StepRecord], str]:
    """What tells of a last training whether it is good enough for a run, and says so.

    Args:
        records: The step records.
        lake: The lake.
        tags: Tags of the run.
        has_drifted: Whether what the family learns from has another distribution than at its training.

    Returns:
        A function of the record of the last training: a line that says when the next one is due, or nothing
        when it is due now.
    """

    def note(record: StepRecord) -> str:
        then = learnt_from(record)
        if then is None or has_drifted or tags.get(TRAIN_TAG) == "true":
            return ""
        return "" if reason(then, data_now(records, lake)) else in_words(record, then)

    return note


def in_words(record: StepRecord, then: Data) -> str:
    """When a family was trained and when it is next, in the language of the progress lines."""
    day, lines = next_due(then)
    return CURRENT.words["waits"].format(at=record.as_of[:10], day=day or "-", lines=lines)


def account(records: StateStore) -> list[dict[str, Any]]:
    """When each family was last trained, on what, and when it is due again; for the summary of a run.

    Returns:
        family, at (business time), lines, newest_on, due_on, due_lines, of families that were trained.
    """
    found = []
    for key in TRAINED:
        record = records.get(key)
        then = learnt_from(record) if record is not None else None
        if record is not None and then is not None:
            day, lines = next_due(then)
            found.append(
                {"family": key.split("/")[1], "at": record.as_of, **then.to_json()}
                | {"due_on": day.isoformat() if day else None, "due_lines": lines}
            )
    return found

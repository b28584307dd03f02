"""When models should be trained again before their week is over. No Dagster here.

Drift of the tags asks once a day, and so do promised probabilities that did not come true. A refused gate
asks when there is something to learn from: a share more or fewer order lines than at the training that was
refused. Other settings alone are no news: whoever tries them until a gate passes has chosen them on its test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from pipelines.decisions.matured import CAME_TRUE
from pipelines.steps.state import StateStore, StepRecord
from pipelines.trainings.due import GROWTH, TRAINED

DRIFT_ASKS_AGAIN_AFTER = timedelta(days=1)
TAGS = "features/consumer_tags"
PROMISES = "published/wakeup_list"
_LINES = "raw/order_lines"


@dataclass(frozen=True)
class Refused:
    """What a refused training saw.

    Attributes:
        version: Data version of the training's record: another one is another training.
        lines: Order lines in the lake when the refusal was first seen, or when it last asked.
    """

    version: str
    lines: int


@dataclass(frozen=True)
class Memory:
    """What a sensor remembers between two looks.

    Attributes:
        refused: By training step.
        drift_asked_at: When drift last asked; None when it never did.
    """

    refused: Mapping[str, Refused]
    drift_asked_at: datetime | None = None

    @classmethod
    def read(cls, text: str | None) -> Memory:
        """A memory as written; an empty one for nothing, or for what an earlier release wrote."""
        try:
            found = json.loads(text or "")
            asked = found["drift_asked_at"]
            return cls(
                {key: Refused(**value) for key, value in found["refused"].items()},
                datetime.fromisoformat(asked) if asked else None,
            )
        except (ValueError, TypeError, KeyError):
            return cls({})

    def write(self) -> str:
        """The memory as text."""
        asked = self.drift_asked_at.isoformat() if self.drift_asked_at else None
        refused = {key: asdict(value) for key, value in self.refused.items()}
        return json.dumps({"refused": refused, "drift_asked_at": asked}, sort_keys=True)


def wanted(records: StateStore, memory: Memory, now: datetime | None = None) -> tuple[list[str], Memory]:
    """Why the models should be trained again, and what to remember of it.

    Args:
        records: The step records.
        memory: What was remembered at the last look.
        now: The present; the wall clock when left out.

    Returns:
        Reasons, empty when training can wait for its week; the memory for the next look.
    """
    now = now or datetime.now(UTC)
    reasons: list[str] = []
    asked_at = memory.drift_asked_at
    strayed = [
        f"{key}: {check} did not pass"
        for key, told in ((TAGS, None), (PROMISES, CAME_TRUE))
        for check in _failed(records.get(key))
        if told in (None, check)
    ]
    if strayed and (asked_at is None or now - asked_at >= DRIFT_ASKS_AGAIN_AFTER):
        reasons += strayed
        asked_at = now
    lines = _lines(records)
    refused: dict[str, Refused] = {}
    for key in TRAINED:
        record = records.get(key)
        checks = _failed(record)
        if record is None or not checks:
            continue
        present = Refused(record.version, lines)
        before = memory.refused.get(key)
        if before is None or before.version != record.version:
            refused[key] = present
            continue
        why = _news(before, present)
        refused[key] = present if why else before
        reasons += [f"{key}: {check} did not pass, and there {why}" for check in checks if why]
    return reasons, Memory(refused, asked_at)


def has_drifted(records: StateStore) -> bool:
    """Whether the tags were seen to drift away from those of the last training."""
    return bool(_failed(records.get(TAGS)))


def _news(before: Refused, present: Refused) -> str:
    change = abs(present.lines - before.lines)
    if change and change >= GROWTH * before.lines:
        return f"are {present.lines:,} order lines after {before.lines:,}"
    return ""


def _failed(record: StepRecord | None) -> list[str]:
    checks = record.checks if record is not None else []
    return [check.name for check in checks if not check.passed and not check.is_error]


def _lines(records: StateStore) -> int:
    record = records.get(_LINES)
    return int(record.metadata.get("rows") or 0) if record is not None else 0

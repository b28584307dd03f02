"""What a generation of the live store starts from: the last good warehouse and how far its rows go.

Written beside the good warehouse when it is published, read by the live loop. No Dagster here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from pipelines.lake.files import atomic_path
from pipelines.steps.state import StepRecord

RECORDED_CURSOR = "recorded_cursor"
"""In the record of a raw table: every transaction of the operational database before it has been read."""


@dataclass(frozen=True)
class Seed:
    """What is known of a good warehouse.

    Attributes:
        version: Hash of its rows.
        as_of: Business time it was built for (UTC).
        recorded_cursor: Transactions of the operational database before this are in it, later ones may be.
        database: Which operational database that was; empty when none was read.
        source: Fingerprint of the source whose rows it holds.
    """

    version: str
    as_of: datetime
    recorded_cursor: int
    database: str
    source: str

    def write(self, file: Path) -> None:
        """Keep it, whole or not at all."""
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps({**asdict(self), "as_of": self.as_of.isoformat()}, indent=1))


def read_seed(file: Path) -> Seed | None:
    """The seed beside a good warehouse; None before the first one."""
    if not file.exists():
        return None
    found = json.loads(file.read_text())
    return Seed(**{**found, "as_of": datetime.fromisoformat(found["as_of"])})


def least_cursor(records: Iterable[StepRecord | None]) -> int:
    """The cursor that every raw table has reached: what is read again from there on replaces itself by key.

    Args:
        records: Of the raw tables that recorded rows come into; a table without a record has reached nothing.
    """
    return min(
        (int(record.metadata.get(RECORDED_CURSOR, 0)) if record else 0 for record in records), default=0
    )

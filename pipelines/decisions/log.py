"""The log of decisions: the tags that each one was made from, as Parquet in the lake.

One file a decision step and moment, `lake/decisions/<name>/<moment>.parquet`. Files are kept for 90 days of
business time. What the columns are is up to whoever writes; `consumer_id` and `as_of` are always there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from pipelines.lake.tables import Lake

RETENTION = timedelta(days=90)
_MOMENT = "%Y%m%dT%H%M%S%fZ"


class DecisionLog:
    """Logged vectors of one kind of decision.

    Args:
        lake: Where they lie.
        name: Kind of decision, such as `wakeup_list`.
    """

    def __init__(self, lake: Lake, name: str) -> None:
        self._folder = lake.root / "decisions" / name

    def write(self, frame: pl.DataFrame, as_of: datetime) -> Path:
        """Keep the vectors of a moment, replacing those of the same moment; drop what is past its retention.

        Args:
            frame: `consumer_id`, `as_of` (UTC) and whatever the decision was made from.
            as_of: The moment of the vectors, aware.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{as_of.astimezone(UTC).strftime(_MOMENT)}.parquet"
        _replace(frame, path)
        oldest = (as_of.astimezone(UTC) - RETENTION).strftime(_MOMENT)
        for file in self.files():
            if file.stem < oldest:
                file.unlink()
        return path

    def files(self) -> list[Path]:
        """The files, oldest moment first."""
        return sorted(self._folder.glob("*.parquet"))

    def read(self) -> pl.DataFrame | None:
        """All files under one another, oldest moment first; None without any."""
        frames = [pl.read_parquet(file) for file in self.files()]
        return pl.concat(frames, how="vertical_relaxed") if frames else None

    def consumers(self) -> set[str]:
        """Everybody who is in any file."""
        return {
            consumer
            for file in self.files()
            for consumer in pl.read_parquet(file, columns=["consumer_id"])["consumer_id"].unique()
        }

    def forget(self, consumers: Iterable[str]) -> int:
        """Take persons out of every file.

        Returns:
            Rows taken out.
        """
        gone, taken = pl.Series(sorted(set(consumers)), dtype=pl.String), 0
        for file in self.files():
            frame = pl.read_parquet(file)
            kept = frame.filter(~pl.col("consumer_id").is_in(gone.implode()))
            if kept.height < frame.height:
                _replace(kept, file)
                taken += frame.height - kept.height
        return taken


def _replace(frame: pl.DataFrame, path: Path) -> None:
    """Write beside and rename, so that no reader sees half a file."""
    beside = path.with_suffix(".tmp")
    frame.write_parquet(beside)
    os.replace(beside, path)

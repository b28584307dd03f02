"""Where a home keeps rows of consumers: the one list. A test walks a finished run and finds none elsewhere.

What is not here: PostgreSQL, where a person is erased first (`serving.consumers`), the live store, which only
ticks write (`pipelines.live.erasing`), the source's own folder, which is the shop's, and homes set aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["text", "arrays", "rows", "quarantine", "duckdb"]


@dataclass(frozen=True)
class Place:
    """Files of one kind.

    Attributes:
        pattern: Below the home, for `Path.glob`.
        kind: How they are written anew.
        table: Part of the path, from the file upwards, that names the table of the rows; 0 is the file.
    """

    pattern: str
    kind: Kind
    table: int = 0


PLACES: tuple[Place, ...] = (
    *(Place(f"**/*.{suffix}", "text") for suffix in ("json", "jsonl", "html", "csv", "txt", "log", "md")),
    Place("work/**/*.npz", "arrays"),
    Place("mlflow/artifacts/**/*.npz", "arrays"),
    Place("work/**/*.parquet", "rows"),
    Place("mlflow/artifacts/**/*.parquet", "rows"),
    Place("warehouse/*.duckdb", "duckdb"),
    Place("lake/published/*/*.parquet", "rows"),
    Place("lake/derived/**/*.parquet", "rows"),
    Place("lake/decisions/**/*.parquet", "rows"),
    Place("lake/staging/**/*.parquet", "rows", 1),
    Place("lake/quarantine/*/*.parquet", "quarantine", 1),
    Place("lake/history/*/*.parquet", "rows", 1),
    Place("lake/history/*/*/*.parquet", "rows", 2),
    Place("lake/operational/*/*/*.parquet", "rows", 1),
    Place("lake/accepted/*/*/*.parquet", "rows", 2),
    # The consumers last: their ids are searched in texts for as long as any table names them.
    Place("lake/accepted/*/*.parquet", "rows", 1),
)
"""In the order in which they are cleared."""

_APART = ("postgres", "live", "aside", "dagster")


def files_of(home: Path, place: Place) -> Iterator[Path]:
    """Files of a place, but those that others write: the database, the live store, homes set aside."""
    for file in sorted(home.glob(place.pattern)):
        if file.relative_to(home).parts[0] in _APART or not file.is_file():
            continue
        if place.kind == "text" and file.name == "erasures.json":
            continue
        yield file


def table_of(file: Path, place: Place) -> str:
    """The table of a file's rows."""
    return file.stem if place.table == 0 else file.parents[place.table - 1].name

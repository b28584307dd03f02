"""Rows of one file, whatever its kind, under the names of its columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from pipelines.sources.files.csv_rows import read_csv
from pipelines.sources.files.form import Dialect, Found
from pipelines.sources.files.json_rows import read_json
from pipelines.sources.files.parquet_rows import read_parquet
from pipelines.sources.files.xlsx_rows import read_xlsx
from pipelines.sources.protocol import Chunk


def read_rows(
    path: Path, name: str, found: Found, hints: Dialect, expected: Collection[str]
) -> Iterator[Chunk]:
    """Raw rows of a file.

    Args:
        path: The file.
        name: What to call it in messages and in the quarantine.
        found: What it turned out to be.
        hints: What is known already.
        expected: Names of columns that the header may have.

    Raises:
        SourceError: If the file cannot be read at all.
    """
    if found.kind == "csv":
        return read_csv(path, name, found)
    if found.kind == "xlsx":
        return read_xlsx(path, name, hints, expected)
    if found.kind == "json":
        return read_json(path, name, str(found.encoding))
    return read_parquet(path, name)

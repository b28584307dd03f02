"""A look at every file of a folder: what it is, what its columns are called, its first rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipelines.check_data.headers import known_headers
from pipelines.sources.contract import TABLES, SourceError
from pipelines.sources.files.dialect import sniff
from pipelines.sources.files.form import Dialect, Found, kind_of_file, stem_of_file
from pipelines.sources.files.listing import why_not_read
from pipelines.sources.files.rows import read_rows
from pipelines.sources.mapping.document import FILE_NAME
from pipelines.sources.protocol import LINE_COLUMN


@dataclass(frozen=True)
class Look:
    """What one file turned out to be.

    Attributes:
        path: The file.
        name: Its name inside the folder.
        table: Contract table that its name says; None if it says none.
        found: What it is; None if that cannot be told.
        problem: Why it cannot be read; None if it can.
        sample: Its first rows.
    """

    path: Path
    name: str
    table: str | None
    found: Found | None = None
    problem: str | None = None
    sample: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns; none if it cannot be read."""
        return self.found.columns if self.found is not None else ()


def look_at(folder: Path, hints: Dialect, words: tuple[str, ...] = ()) -> tuple[Look, ...]:
    """Looks at every file of a folder that could hold rows, by name.

    Args:
        folder: The folder.
        hints: What its document says of every text file.
        words: Names of files that say how to read, beside the document.
    """
    looks = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or path.name.startswith(FILE_NAME) or name in words:
            continue
        table, why = _table(path, folder), why_not_read(path)
        looks.append(_look(path, name, table, hints) if why is None else Look(path, name, table, problem=why))
    return tuple(looks)


def _table(path: Path, folder: Path) -> str | None:
    parts = path.relative_to(folder).parts
    name = parts[0].lower() if len(parts) > 1 else stem_of_file(path)
    return name if name in TABLES else None


def _look(path: Path, name: str, table: str | None, hints: Dialect) -> Look:
    if kind_of_file(path) is None:
        return Look(path, name, table, problem="no kind of file that can be read")
    try:
        found = sniff(path, hints, known_headers(), name)
        return Look(path, name, table, found, None, _sample(path, name, found, hints))
    except SourceError as error:
        return Look(path, name, table, problem=str(error))


def _sample(path: Path, name: str, found: Found, hints: Dialect) -> pl.DataFrame:
    for chunk in read_rows(path, name, found, hints, known_headers()):
        if chunk.frame.height:
            return chunk.frame.drop(LINE_COLUMN, strict=False)
    return pl.DataFrame()

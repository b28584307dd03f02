"""Landed files as chunks of a contract table, read as a user's own files are.

A row without a field that the declaration uses is refused here, with the row itself: mend the declaration,
and the same rows are read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from pipelines.sources.connectors.declaration import Connector, Stream, load_connectors
from pipelines.sources.connectors.drift import split_lacking
from pipelines.sources.files.json_rows import read_json
from pipelines.sources.loading.versions import FILE_COLUMN
from pipelines.sources.mapping.document import load_mapping
from pipelines.sources.protocol import LINE_COLUMN, Chunk, with_lines
from pipelines.sources.refused.quarantine import row_json

FOLDER = "feeds"
"""What names of landed files begin with."""


@dataclass(frozen=True)
class LandedStream:
    """What was landed of one stream.

    Attributes:
        connector: Name of the connector.
        name: Name of the stream.
        stream: The declaration.
        folder: Where its files lie.
        currency: ISO code of every amount; None where nobody says it.
        only: Names of the files that count; None: all.
    """

    connector: str
    name: str
    stream: Stream
    folder: Path
    currency: str | None = None
    only: frozenset[str] | None = None

    @property
    def table(self) -> str:
        """The table that it feeds."""
        return self.stream.table

    def files(self) -> dict[str, Path]:
        """Landed files by name, oldest first; half a pull is none."""
        found = {self.name_of(path): path for path in sorted(self.folder.glob("*.jsonl"))}
        return {name: path for name, path in found.items() if self.only is None or name in self.only}

    def name_of(self, path: Path) -> str:
        """What a file is called in the quarantine and in reports."""
        return f"{FOLDER}/{self.connector}/{self.name}/{path.name}"

    def says(self) -> str:
        """The declaration as a text that changes when the reading of the files does."""
        return json.dumps(self.stream.model_dump(mode="json"), sort_keys=True, default=str)

    def chunks(self, time_zone: str, changed_at: str | None) -> Iterator[Chunk]:
        """The rows, file by file.

        Args:
            time_zone: Zone of times without an offset where the declaration names none.
            changed_at: What the column is to be called that says when a row was changed.

        Raises:
            SourceError: A file cannot be read.
        """
        mapping = self.stream.mapping(self.currency)
        rules = replace(mapping.rules_for(self.table, time_zone), day_first=self.stream.day_first)
        mapped = mapping.table(self.table)
        for name, path in self.files().items():
            for raw in read_json(path, name, "utf-8"):
                chunk = mapped.apply(replace(self._whole(raw), rules=rules))
                yield self._with_change(chunk, changed_at or FILE_COLUMN)

    def _whole(self, raw: Chunk) -> Chunk:
        """The rows that have what the declaration uses; the others refused."""
        if not raw.frame.height:
            return raw
        is_lacking, reasons = split_lacking(raw.frame, self.stream.needed)
        if not is_lacking.any():
            return raw
        rows = with_lines(raw)
        lacking = rows.filter(is_lacking)
        refused = pl.DataFrame(
            {
                "line": lacking[LINE_COLUMN],
                "column": [None] * lacking.height,
                "value": [None] * lacking.height,
                "reason": reasons.filter(is_lacking),
                "row_json": row_json(lacking),
            },
            schema=raw.refused.schema,
        )
        return replace(raw, frame=rows.filter(~is_lacking), refused=pl.concat([raw.refused, refused]))

    def _with_change(self, chunk: Chunk, name: str) -> Chunk:
        said = self.stream.changed_at
        if said is None or said == name or said not in chunk.frame.columns:
            return chunk
        frame = chunk.frame.drop(name, strict=False).rename({said: name})
        return replace(chunk, frame=frame)


def connectors_of(folder: Path) -> tuple[Connector, ...]:
    """The connectors that the `muyun.yaml` of a folder names.

    Raises:
        SourceError: It, or a declaration, is wrong.
    """
    return load_connectors(folder, load_mapping(folder).document.connectors)


def landed_beside(folder: Path, root: Path) -> tuple[LandedStream, ...]:
    """The streams of those connectors, in the order of their names.

    Args:
        folder: The user's folder.
        root: Folder of all feeds.

    Raises:
        SourceError: `muyun.yaml` or a declaration is wrong.
    """
    document = load_mapping(folder).document
    return tuple(
        LandedStream(connector.connector, name, stream, root / connector.connector / name, document.currency)
        for connector in sorted(connectors_of(folder), key=lambda one: one.connector)
        for name, stream in sorted(connector.streams.items())
    )

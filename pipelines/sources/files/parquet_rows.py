"""Parquet files to rows of typed columns."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.contract import SourceError
from pipelines.sources.files.opened import opened
from pipelines.sources.protocol import Chunk

_PARQUET_ROWS = 250_000


def read_parquet(path: Path, name: str) -> Iterator[Chunk]:
    """Rows of a Parquet file; its texts are trimmed like those of other files.

    Args:
        path: The file.
        name: What to call it in the quarantine.

    Raises:
        SourceError: If it is no readable Parquet file.
    """
    first_line = 1
    with _parquet(path, name) as file:
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
            frame = pl.DataFrame(pl.from_arrow(batch))
            yield Chunk(frame, name, first_line=first_line, is_text=True)
            first_line += frame.height


def columns_of(path: Path, name: str) -> tuple[str, ...]:
    """Names of the columns of a Parquet file.

    Raises:
        SourceError: If it is no readable Parquet file.
    """
    with _parquet(path, name) as file:
        return tuple(file.schema_arrow.names)


@contextmanager
def _parquet(path: Path, name: str) -> Iterator[pq.ParquetFile]:
    """The opened file; whatever is wrong inside it is one error that names it."""
    with opened(path, name) as raw:
        content = io.BytesIO(raw.read()) if path.name.lower().endswith(".gz") else path
    try:
        with pq.ParquetFile(content) as file:
            yield file
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise SourceError(f"{name} is not a readable Parquet file ({error}); write it again") from error

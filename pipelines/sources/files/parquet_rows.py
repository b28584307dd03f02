"""Parquet files to rows of typed columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.contract import SourceError
from pipelines.sources.protocol import Chunk

_PARQUET_ROWS = 250_000


def read_parquet(path: Path, name: str) -> Iterator[Chunk]:
    """Rows of a Parquet file.

    Args:
        path: The file.
        name: What to call it in the quarantine.

    Raises:
        SourceError: If it is no readable Parquet file.
    """
    first_line = 1
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                frame = pl.DataFrame(pl.from_arrow(batch))
                yield Chunk(frame, name, first_line=first_line)
                first_line += frame.height
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{name} is not a readable Parquet file ({error}); write it again") from error

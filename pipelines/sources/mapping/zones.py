"""Times of merchants with a time zone of their own: local times without an offset become UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from pipelines.sources.contract import contract_table
from pipelines.sources.mapping.columns import as_text
from pipelines.sources.protocol import Chunk
from pipelines.sources.values.columns import parse_column

_UTC_FORM = "%Y-%m-%dT%H:%M:%S%.6fZ"
_MERCHANT = "merchant_id"


def with_zones(table: str, frame: pl.DataFrame, zones: Mapping[str, str], chunk: Chunk) -> pl.DataFrame:
    """The frame with UTC texts for the times of merchants that have a zone of their own.

    What cannot be read stays as it is, to be refused with its own text.

    Args:
        table: Contract table.
        frame: Mapped rows.
        zones: Zone of each merchant that has its own.
        chunk: The chunk they are of, which knows how its values are read.
    """
    if not zones or _MERCHANT not in frame.columns:
        return frame
    dtypes = contract_table(table).dtypes
    times = [
        name for name, dtype in dtypes.items() if isinstance(dtype, pl.Datetime) and name in frame.columns
    ]
    zone = as_text(frame[_MERCHANT]).replace_strict(dict(zones), default=None, return_dtype=pl.String)
    if not zone.is_not_null().any():
        return frame
    columns = []
    for name in times:
        text = frame[name].cast(pl.String, strict=False)
        for own in zone.drop_nulls().unique():
            raw = text.set((zone != own).fill_null(True), None)
            parsed = parse_column(
                raw, dtypes[name], is_text=True, rules=replace(chunk.rules_of(name), time_zone=own)
            )
            text = parsed.values.dt.strftime(_UTC_FORM).fill_null(text)
        columns.append(text.alias(name))
    return frame.with_columns(columns)

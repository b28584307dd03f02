"""Parquet and NumPy files without erased persons: written anew beside, then renamed, or left as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.erasure.rules import (
    ARRAYS,
    DOCUMENT,
    NAMED,
    OWNERS,
    VISITOR,
    cleared,
    mentioned,
    names_one,
    others_of,
)
from pipelines.erasure.tombstones import Tombstones
from pipelines.lake.files import atomic_path

_SEARCHED = (*OWNERS, *NAMED, VISITOR, DOCUMENT)


@dataclass(frozen=True)
class Rewritten:
    """What became of a file.

    Attributes:
        removed: Rows that went.
        renamed: Rows, or values of an array, that stay under a pseudonym.
    """

    removed: int = 0
    renamed: int = 0


def clear_parquet(file: Path, table: str, tombstones: Tombstones) -> Rewritten:
    """Take erased persons out of a Parquet file; one that names none is not touched.

    Args:
        file: The file.
        table: What its rows are, for the rule.
        tombstones: Who was erased.
    """
    columns = [name for name in pl.read_parquet_schema(file) if name in _SEARCHED]
    if not columns:
        return Rewritten()
    searched = pl.read_parquet(file, columns=columns, hive_partitioning=False)
    visitors = [name for name in (VISITOR, "visitor_id") if name in columns]
    is_named = any(
        tombstones.among(mentioned(searched[name]) if name == DOCUMENT else searched[name])
        for name in columns
        if searched.schema[name] == pl.String()
    ) or any(tombstones.erased_until(searched[name]).is_not_null().any() for name in visitors)
    if not is_named:
        return Rewritten()
    done = cleared(table, pl.read_parquet(file, hive_partitioning=False), tombstones)
    if done.is_changed:
        _write(done.frame, file)
    return Rewritten(done.removed, done.renamed)


def clear_quarantine(file: Path, table: str, tombstones: Tombstones) -> Rewritten:
    """Take refused rows of erased persons out of a quarantine file.

    Args:
        file: The file.
        table: Contract table whose rows were refused.
        tombstones: Who was erased.
    """
    rows = pl.read_parquet(file, hive_partitioning=False)
    if "row_json" not in rows.columns or not rows.height:
        return Rewritten()
    others = others_of(table)
    gone = rows["row_json"].map_elements(
        lambda row: names_one(row, others, tombstones), return_dtype=pl.Boolean, skip_nulls=False
    )
    if gone.any():
        _write(rows.filter(~gone), file)
    return Rewritten(removed=int(gone.sum()))


def clear_arrays(file: Path, tombstones: Tombstones) -> Rewritten:
    """Put pseudonyms into an `.npz` file's arrays of consumers, whose places mean rows of other arrays."""
    with np.load(file, allow_pickle=False) as stored:
        arrays: dict[str, np.ndarray] = {name: stored[name] for name in stored.files}
    renamed = 0
    for name, array in arrays.items():
        if name not in ARRAYS or array.dtype.kind != "U":
            continue
        found: Mapping[str, str] = tombstones.among(pl.Series([str(one) for one in np.unique(array)]))
        if found:
            texts = [found.get(str(one), str(one)) for one in array.ravel()]
            arrays[name] = np.array(texts, dtype=np.str_).reshape(array.shape)
            renamed += int(np.isin(array, list(found)).sum())
    if renamed:
        with atomic_path(file) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]
    return Rewritten(renamed=renamed)


def _write(rows: pl.DataFrame, file: Path) -> None:
    mode = file.stat().st_mode
    with atomic_path(file) as temporary:
        rows.write_parquet(temporary, compression="zstd", compression_level=3, statistics=True)
        temporary.chmod(mode)

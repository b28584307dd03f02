"""Versions of a row: which of the rows with one key is the newest, and what was known before. Pure.

The newest version by source time wins: the time at which the source says it changed, else the date in the
name of its file, else the order of the files. A row that repeats the version before it is the same version.
In one file, rows with one key and one time are no versions but duplicates: the first stays.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pipelines.sources.contract import ContractTable
from pipelines.sources.protocol import Chunk, TableReading
from pipelines.sources.values.columns import parse_column

if TYPE_CHECKING:
    from pipelines.sources.loading.validation import Rejections

CHANGED_AT = "_changed_at"
IS_DELETED = "_is_deleted"
FILE = "_file"
SOURCE_AT = "_source_at"
"""When the source wrote this version, as far as it says so."""
ORDER = "_order"
"""Position of a row in its load."""
CONTENT = "_content"

FILE_COLUMN = "changed_at"
"""Column of a file that says when a row changed, where its owner names no other."""

_INSTANT = pl.Datetime("us", "UTC")
_FILE_DATE = (
    r"(?:^|\D)((?:19|20)\d{2})[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
    r"(?:[-_T ]?([01]\d|2[0-3])[-_:]?([0-5]\d)[-_:]?([0-5]\d)?)?(?:\D|$)"
)


def changed_column(chunk: Chunk, reading: TableReading) -> str | None:
    """The column of a chunk that says when a row changed."""
    name = reading.changed_at or FILE_COLUMN
    return name if name in chunk.frame.columns else None


def changed_times(chunk: Chunk, reading: TableReading, as_of: dt.datetime, found: Rejections) -> pl.Series:
    """When each row of a chunk changed, null where it does not say; unreadable times are recorded."""
    column = changed_column(chunk, reading)
    if column is None:
        return pl.Series(CHANGED_AT, [None], dtype=_INSTANT).new_from_index(0, chunk.frame.height)
    parsed = parse_column(
        chunk.frame[column], _INSTANT, is_text=chunk.is_text, rules=chunk.rules_of(column), kind="plain"
    )
    for mask, reason in parsed.problems:
        found.add(mask.arg_true(), column, reason)
    late = (parsed.values > as_of).fill_null(False)
    found.add(late.arg_true(), column, "in the future")
    return parsed.values.alias(CHANGED_AT)


def deletions(chunk: Chunk, reading: TableReading) -> pl.Series:
    """Which rows of a chunk say that they were deleted."""
    marks = [
        chunk.frame[column].cast(pl.String, strict=False).str.strip_chars().str.to_lowercase()
        .is_in([value.strip().lower() for value in values])
        .fill_null(False)
        for column, values in reading.deleted_when.items()
        if column in chunk.frame.columns
    ]  # fmt: skip
    none = pl.Series(IS_DELETED, [False], dtype=pl.Boolean).new_from_index(0, chunk.frame.height)
    for mark in marks:
        none = none | mark
    return none.alias(IS_DELETED)


def file_times(files: pl.Series) -> pl.Series:
    """The date, with the time if there is one, in the name of each file (UTC); null where there is none.

    >>> file_times(pl.Series(["orders_20261105.csv", "orders.csv"]))[0].isoformat()
    '2026-11-05T00:00:00+00:00'
    """
    names = files.cast(pl.String)
    found = {}
    for name in names.unique().drop_nulls():
        parts = pl.Series([name]).str.extract_groups(_FILE_DATE).struct.unnest().row(0)
        numbers = [int(part) if part else 0 for part in parts]
        try:
            found[name] = dt.datetime(*numbers, tzinfo=dt.UTC) if parts[0] else None  # type: ignore[arg-type,misc]
        except ValueError:
            found[name] = None
    return names.replace_strict(found, default=None, return_dtype=_INSTANT)


@dataclass(frozen=True)
class Resolved:
    """The rows of a load by what they are; every row is in exactly one of these.

    Attributes:
        versions: Distinct versions, oldest first within a key, with `_source_at` and `_content`.
        repeats: Rows that repeat the version before them: known already.
        duplicates: Rows whose key and time an earlier row of their file has.
    """

    versions: pl.DataFrame
    repeats: pl.DataFrame
    duplicates: pl.DataFrame


def with_order(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of a load with their position and the source time of their version."""
    return rows.with_columns(
        pl.int_range(pl.len()).alias(ORDER),
        pl.coalesce(CHANGED_AT, file_times(rows[FILE])).alias(SOURCE_AT),
    )


def resolve(table: ContractTable, rows: pl.DataFrame) -> Resolved:
    """Tells versions, repeats and duplicates of rows apart.

    Args:
        table: The contract of the rows.
        rows: Contract columns, `_file`, `_changed_at`, `_is_deleted`, in the order of the load.
    """
    key = list(table.key)
    ordered = with_order(rows)
    is_first = ordered.select(
        pl.struct([*key, FILE, SOURCE_AT, IS_DELETED]).is_first_distinct().alias("is_first")
    )
    mask = is_first["is_first"]
    duplicates = ordered.filter(~mask)
    sorted_ = ordered.filter(mask).sort(*key, SOURCE_AT, ORDER, nulls_last=False)
    told = _with_what_was_known(table, sorted_)
    told = told.with_columns(content(table).alias(CONTENT))
    is_repeat = (pl.col(CONTENT) == pl.col(CONTENT).shift().over(key)).fill_null(False)
    marked = told.with_columns(is_repeat.alias("_is_repeat"))
    return Resolved(
        marked.filter(~pl.col("_is_repeat")).drop("_is_repeat"),
        marked.filter("_is_repeat").drop("_is_repeat"),
        duplicates,
    )


def content(table: ContractTable) -> pl.Expr:
    """A number that tells the content of a row: what the source says of it, deletion included."""
    names = [name for name in table.columns if name not in ("received_at", "origin")]
    return pl.struct([*names, IS_DELETED]).hash(0)


def _with_what_was_known(table: ContractTable, rows: pl.DataFrame) -> pl.DataFrame:
    """Deletions with the columns that they do not say, as the version before had them."""
    if not rows[IS_DELETED].any():
        return rows
    others = [name for name in table.columns if name not in table.key]
    return rows.with_columns(
        pl.when(IS_DELETED)
        .then(pl.coalesce(pl.col(name), pl.col(name).forward_fill().over(table.key)))
        .otherwise(pl.col(name))
        .alias(name)
        for name in others
    )


def without_ground(table: ContractTable, versions: pl.DataFrame) -> pl.Series:
    """Mask of deletions of rows that never came: they lack what the contract requires."""
    required = [name for name in table.columns if name not in table.nullable and name != "received_at"]
    lacks = versions.select(pl.any_horizontal(pl.col(name).is_null() for name in required).alias("lacks"))
    return versions[IS_DELETED] & lacks["lacks"]


def newest(versions: pl.DataFrame, key: tuple[str, ...]) -> pl.Series:
    """Mask of the newest version of each key; `versions` is sorted oldest first within a key."""
    marks = versions.select(pl.struct(key).is_last_distinct().alias("is_newest"))
    return marks["is_newest"]


def unversioned(table: ContractTable, rows: pl.DataFrame) -> pl.Series:
    """Mask of rows whose key is there once and that are not deleted: nothing is to be resolved."""
    single = rows.select(pl.struct(table.key).is_unique().alias("is_unique"))["is_unique"]
    return single & ~rows[IS_DELETED]

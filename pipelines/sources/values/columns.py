"""Raw columns to contract types. A present but unreadable value is reported, never turned into a null.

What lives here: which reader a column needs. What does not: the readers (`text`, `numbers`, `flags`,
`times`) and whether a value is allowed (`validation`).
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from pipelines.sources.contract import ContractTable
from pipelines.sources.protocol import Chunk
from pipelines.sources.values.flags import read_flag
from pipelines.sources.values.numbers import read_float, read_integer, read_money, read_quantity
from pipelines.sources.values.problems import Parsed
from pipelines.sources.values.rules import UTC_RULES, Kind, ValueRules
from pipelines.sources.values.text import read_id, read_text, typed_as_text
from pipelines.sources.values.times import read_date, read_time


def kind_of(table: ContractTable, name: str) -> Kind:
    """What a column of a table means, beside its type."""
    column = table.schema.columns()[name]
    if (column.metadata or {}).get("scale"):
        return "quantity"
    if name.endswith("_cents"):
        return "money"
    is_id = column.dtype == pl.String and getattr(column, "min_length", None)
    return "id" if is_id else "plain"


def file_column(table: ContractTable, name: str) -> str:
    """Name under which files write a contract column, such as `qty` for `qty_milli`."""
    return str((table.schema.columns()[name].metadata or {}).get("file_column", name))


def has_column(chunk: Chunk, table: ContractTable, name: str) -> bool:
    """Whether a chunk carries a contract column, under either of its names."""
    return name in chunk.frame.columns or file_column(table, name) in chunk.frame.columns


def read_column(chunk: Chunk, table: ContractTable, name: str) -> Parsed:
    """One contract column of a chunk that has it.

    A column under its contract name is in contract units; under its file name it is as people write it.
    """
    dtype = table.dtypes[name]
    rules = chunk.rules_of(name)
    if name in chunk.frame.columns:
        kind = kind_of(table, name)
        kind = "plain" if kind == "quantity" and file_column(table, name) != name else kind
        return parse_column(chunk.frame[name], dtype, is_text=chunk.is_text, rules=rules, kind=kind)
    raw = chunk.frame[file_column(table, name)].alias(name)
    return parse_column(raw, dtype, is_text=chunk.is_text, rules=rules, kind=kind_of(table, name))


def read_columns(chunks: Iterable[Chunk], table: ContractTable, names: tuple[str, ...]) -> pl.DataFrame:
    """Some contract columns of the chunks that have them all, or defaults for them; unreadable: null."""
    parts = [pl.DataFrame(schema={name: table.dtypes[name] for name in names})]
    parts += [
        pl.DataFrame([_read_or_filled(chunk, table, name) for name in names])
        for chunk in chunks
        if all(has_column(chunk, table, name) or name in table.constants for name in names)
    ]
    return pl.concat(parts)


def _read_or_filled(chunk: Chunk, table: ContractTable, name: str) -> pl.Series:
    if has_column(chunk, table, name):
        return read_column(chunk, table, name).values.alias(name)
    one = pl.Series(name, [table.constants[name]], dtype=table.dtypes[name])
    return one.new_from_index(0, chunk.frame.height)


def parse_column(
    raw: pl.Series,
    dtype: pl.DataType,
    *,
    is_text: bool,
    rules: ValueRules = UTC_RULES,
    kind: Kind = "plain",
) -> Parsed:
    """Turns a raw column into a contract type.

    Args:
        raw: Strings or typed values.
        dtype: One of the types of the contract: String, Int32, Int64, Float64, Boolean, Date, Datetime UTC.
        is_text: Whether to trim strings and read the empty string as null.
        rules: How to read what the value alone does not say.
        kind: What the column means.
    """
    is_scaled = kind == "quantity" or (kind == "money" and rules.money == "major")
    if raw.dtype == dtype and not (is_text or is_scaled or raw.dtype.is_float()):
        return Parsed(raw)
    if isinstance(raw.dtype, pl.Categorical | pl.Enum):
        raw = raw.cast(pl.String)
    if raw.dtype == pl.String and (is_text or dtype != pl.String):
        raw = raw.str.strip_chars()
        raw = raw.set((raw == "").fill_null(False), None)
    if raw.dtype.is_float() and not dtype.is_float():
        raw = raw.fill_nan(None)  # the way a data frame writes a missing id or count
    if raw.dtype == pl.Null:
        return Parsed(raw.cast(dtype))
    return _read(raw, dtype, rules, kind)


def _read(raw: pl.Series, dtype: pl.DataType, rules: ValueRules, kind: Kind) -> Parsed:
    if dtype == pl.String:
        if raw.dtype != pl.String:
            return typed_as_text(raw)
        return read_id(raw) if kind == "id" else read_text(raw)
    if kind == "money":
        return read_money(raw, rules)
    if kind == "quantity":
        return read_quantity(raw)
    if dtype.is_integer():
        return read_integer(raw, dtype)
    if dtype.is_float():
        return read_float(raw)
    if dtype == pl.Boolean:
        return read_flag(raw)
    return read_date(raw, rules) if dtype == pl.Date else read_time(raw, rules)

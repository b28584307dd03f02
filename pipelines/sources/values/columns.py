"""Raw columns to contract types. A present but unreadable value is reported, never turned into a null.

What lives here: which reader a column needs. What does not: the readers (`text`, `numbers`, `times`) and
whether a value is allowed (`validation`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from pipelines.sources.contract import ContractTable
from pipelines.sources.protocol import Chunk
from pipelines.sources.values.rules import UTC_RULES, Kind, ValueRules

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.f%z"


@dataclass(frozen=True)
class Parsed:
    """One column in its contract type.

    Attributes:
        values: The parsed values; null where the raw value was null or unreadable.
        problems: Masks of raw values that are present and unreadable, each with the reason in plain English;
            no two masks overlap.
        remarks: What was decided about readable values, with the number of values.
    """

    values: pl.Series
    problems: tuple[tuple[pl.Series, str], ...] = ()
    remarks: tuple[tuple[str, int], ...] = ()


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
    """Some contract columns of the chunks that have them all; unreadable values are nulls."""
    parts = [pl.DataFrame(schema={name: table.dtypes[name] for name in names})]
    parts += [
        pl.DataFrame([read_column(chunk, table, name).values for name in names])
        for chunk in chunks
        if all(has_column(chunk, table, name) for name in names)
    ]
    return pl.concat(parts)


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
    if kind == "quantity":
        return _thousandths(raw, is_text=is_text)
    if raw.dtype == dtype and not is_text and not raw.dtype.is_float():
        return Parsed(raw)
    if isinstance(raw.dtype, pl.Categorical | pl.Enum):
        raw = raw.cast(pl.String)
    if raw.dtype == pl.String and (is_text or dtype != pl.String):
        raw = raw.str.strip_chars()
        raw = raw.set((raw == "").fill_null(False), None)
    if raw.dtype.is_float() and not dtype.is_float():
        raw = raw.fill_nan(None)  # the way pandas writes a missing id or count
    values, reason = _to_type(raw, dtype)
    unreadable = values.is_null() & raw.is_not_null()
    return Parsed(values, ((unreadable, reason),) if unreadable.any() else ())


def _thousandths(raw: pl.Series, *, is_text: bool) -> Parsed:
    """Quantities with up to three decimals as whole thousandths."""
    number = parse_column(raw, pl.Float64(), is_text=is_text)
    thousandths = number.values * 1000
    whole = thousandths.round().cast(pl.Int64, strict=False)
    is_near = ((thousandths - whole).abs() <= 1e-9 * (1 + thousandths.abs())).fill_null(False)
    coarse = ~is_near & number.values.is_not_null()
    problems = ((coarse, "more than three decimals"),) if coarse.any() else ()
    return Parsed(whole.set(~is_near, None), (*number.problems, *problems))


def _to_type(raw: pl.Series, dtype: pl.DataType) -> tuple[pl.Series, str]:
    if dtype == pl.String:
        return _to_text(raw), "not a text"
    if dtype.is_integer():
        return _to_integer(raw, dtype), "not a whole number in range"
    if dtype.is_float():
        return _to_number(raw), "not a finite number"
    if dtype == pl.Boolean:
        return _to_flag(raw), "not true or false"
    if dtype == pl.Date:
        return _to_date(raw), "not a date (YYYY-MM-DD)"
    return _to_time(raw), "not a time (ISO 8601, such as 2026-11-01T09:30:00Z)"


def _nulls(raw: pl.Series, dtype: pl.DataType) -> pl.Series:
    return pl.Series(raw.name, [None], dtype=dtype).new_from_index(0, len(raw))


def _to_text(raw: pl.Series) -> pl.Series:
    if raw.dtype == pl.String or raw.dtype.is_integer() or raw.dtype.is_temporal():
        return raw.cast(pl.String)
    if raw.dtype.is_float():
        # Ids that met a null in pandas arrive as 1095275.0; they are still the id 1095275.
        whole = raw.cast(pl.Int64, strict=False)
        is_whole = (whole.cast(pl.Float64) == raw.cast(pl.Float64)).fill_null(False)
        return whole.cast(pl.String).zip_with(is_whole, raw.cast(pl.String))
    return _nulls(raw, pl.String())


def _to_integer(raw: pl.Series, dtype: pl.DataType) -> pl.Series:
    if raw.dtype == pl.String:
        return (
            raw.str.replace(r"^([+-]?\d+)\.0*$", "$1").cast(pl.Int64, strict=False).cast(dtype, strict=False)
        )
    if raw.dtype.is_integer():
        return raw.cast(dtype, strict=False)
    if raw.dtype.is_float() or raw.dtype.is_decimal():
        number = raw.cast(pl.Float64)
        whole = number.cast(pl.Int64, strict=False)
        is_whole = (whole.cast(pl.Float64) == number).fill_null(False)
        return whole.set(~is_whole, None).cast(dtype, strict=False)
    return _nulls(raw, dtype)


def _to_number(raw: pl.Series) -> pl.Series:
    if raw.dtype != pl.String and not raw.dtype.is_numeric():
        return _nulls(raw, pl.Float64())
    number = raw.cast(pl.Float64, strict=False)
    return number.set(~number.is_finite().fill_null(True), None)


def _to_flag(raw: pl.Series) -> pl.Series:
    if raw.dtype == pl.Boolean:
        return raw
    if raw.dtype != pl.String and not raw.dtype.is_integer():
        return _nulls(raw, pl.Boolean())
    word = raw.cast(pl.String).str.to_lowercase()
    flag = word.is_in(_TRUE)
    return flag.set(~(flag | word.is_in(_FALSE)).fill_null(True), None)


def _to_time(raw: pl.Series) -> pl.Series:
    dtype = pl.Datetime("us", "UTC")
    if isinstance(raw.dtype, pl.Datetime):
        return (raw.dt.replace_time_zone("UTC") if raw.dtype.time_zone is None else raw).cast(dtype)
    if raw.dtype == pl.Date:
        return raw.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if raw.dtype != pl.String:
        return _nulls(raw, dtype)
    text = raw.str.replace(" ", "T", literal=True)
    time = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us").dt.replace_time_zone(
        "UTC"
    )
    rest = time.is_null() & raw.is_not_null()
    if not rest.any():
        return time
    # The fast form covers times without offset; the rest is brought into one form with seconds and an offset.
    odd = (
        raw.filter(rest)
        .str.to_uppercase()
        .str.replace(r"^(\d{4}-\d{2}-\d{2}) +", "${1}T")
        .str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00:00")
        .str.replace(r"T\s*(\d{2}:\d{2})([Z+-]|$)", "T${1}:00${2}")
        .str.replace(r"\s*Z$", "+0000")
        .str.replace(r"\s*([+-]\d{2}):?(\d{2})$", "${1}${2}")
        .str.replace(r"(T\d{2}:\d{2}:\d{2}(?:\.\d+)?)([+-]\d{2})$", "${1}${2}00")
        .str.replace(r"(T\d{2}:\d{2}:\d{2}(?:\.\d+)?)$", "${1}+0000")
    )
    parsed = odd.str.to_datetime(_TIME_FORMAT, strict=False, time_unit="us", time_zone="UTC")
    return time.scatter(rest.arg_true(), parsed)


def _to_date(raw: pl.Series) -> pl.Series:
    if isinstance(raw.dtype, pl.Datetime):
        return raw.dt.date()
    if raw.dtype != pl.String:
        return _nulls(raw, pl.Date())
    date = raw.str.to_date("%Y-%m-%d", strict=False)
    rest = date.is_null() & raw.is_not_null()
    if not rest.any():
        return date
    return date.scatter(rest.arg_true(), _to_time(raw.filter(rest)).dt.date())

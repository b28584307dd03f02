"""Which rows are accepted: raw columns to contract types, then the rules of the contract.

Two stages. Parse: a value that is present but unreadable rejects its row. Rules: the dataframely schema
(nulls, ranges, enums, rules between columns), times after `as_of`, foreign keys, and last, among rows with
nothing else against them, a key that was seen before. Every received row is either accepted or rejected,
never both. No file is touched here.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import dataframely as dy
import polars as pl

from pipelines.sources.contract import ContractTable, ForeignKey
from pipelines.sources.protocol import LINE_COLUMN, Chunk
from pipelines.sources.quarantine import clipped, row_json
from pipelines.sources.states import UNKNOWN, states
from pipelines.sources.values.columns import file_column, has_column, read_column

ROW = "_row"
"""Position of a row in its chunk, while the chunk is checked."""

DUPLICATE = "duplicate key: an earlier row of this load has the same {key}"
DUPLICATE_ELSEWHERE = "duplicate key: a row of another day has the same {key}"

_ROW_RULES: Mapping[str, tuple[str, str]] = {
    "agent_does_not_invite_itself": ("inviter_agent_id", "an agent cannot be its own inviter"),
    "consumer_does_not_invite_itself": ("inviter_id", "a consumer cannot be its own inviter"),
    "paid_after_placed": ("paid_at", "paid before it was placed"),
    "quantity_is_not_zero": ("qty_milli", "a line of nothing"),
    "amounts_have_the_sign_of_the_quantity": (
        "net_paid_cents",
        "an amount has not the sign of the quantity: on a return every amount is negative or zero",
    ),
    "net_within_list": ("net_paid_cents", "more than the list amount less promotions"),
    "delivered_after_shipped": ("delivered_at", "delivered before it was shipped"),
    "resolved_after_opened": ("resolved_at", "closed before it was opened"),
    "starts_before_end": ("ends_at", "ends before it starts"),
    "reversal_within_amount": ("reversed_cents", "more taken back than was accrued"),
}
"""Rules between columns: the column to name and what to say when the rule fails."""


@dataclass(frozen=True)
class Checked:
    """What became of one chunk.

    Attributes:
        accepted: Contract columns without `received_at` filled, plus `_row`, `__line__`.
        rejected: Quarantine columns without table and loaded_at, one row a rejected row.
        remarks: What was decided about values that were read, and how many of them.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    remarks: Counter[str]


class Rejections:
    """Reasons found against rows of one frame, kept in the order in which they are found."""

    def __init__(self) -> None:
        self._found: list[pl.DataFrame] = []
        self.remarks: Counter[str] = Counter()
        """What was decided about values that were read, and how many of them."""

    def add(self, rows: pl.Series, column: str, reason: str) -> None:
        """Records one reason against some rows (positions)."""
        if len(rows):
            self._found.append(
                pl.DataFrame({ROW: rows.cast(pl.UInt32)}).with_columns(
                    pl.lit(column).alias("column"), pl.lit(reason).alias("reason")
                )
            )

    def rows(self) -> pl.Series:
        """Positions with a reason against them, each once."""
        if not self._found:
            return pl.Series(ROW, [], dtype=pl.UInt32)
        return pl.concat(self._found)[ROW].unique()

    def to_quarantine(self, raw: pl.DataFrame, file: pl.Series | str, line: pl.Series) -> pl.DataFrame:
        """One quarantine row per rejected row, in row order.

        Args:
            raw: The rows as received; their position is what `add` was given.
            file: File of each row of `raw`, or the one file of all.
            line: Line of each row of `raw`.
        """
        if not self._found:
            return empty_rejections()
        grouped = (
            pl.concat(self._found)
            .group_by(ROW, maintain_order=True)
            .agg(pl.col("column").first(), pl.col("reason").first(), pl.col("reason").alias("reasons"))
            .sort(ROW)
        )
        positions = grouped[ROW]
        rows = raw[positions]
        value = pl.Series("value", [None] * rows.height, dtype=pl.String)
        for column in grouped["column"].unique():
            if column in rows.columns:
                text = rows.select(clipped(_as_text(rows, column)).alias("value"))["value"]
                value = text.zip_with(grouped["column"] == column, value)
        files = file if isinstance(file, str) else file[positions]
        return grouped.select(
            pl.lit(files).alias("file"),
            line[positions].cast(pl.Int64).alias("line"),
            "column",
            value,
            "reason",
            "reasons",
            row_json(rows),
        )


def empty_rejections() -> pl.DataFrame:
    """Quarantine columns (without table and loaded_at) and no rows."""
    return pl.DataFrame(
        schema={
            "file": pl.String,
            "line": pl.Int64,
            "column": pl.String,
            "value": pl.String,
            "reason": pl.String,
            "reasons": pl.List(pl.String),
            "row_json": pl.String,
        }
    )


def _as_text(rows: pl.DataFrame, column: str) -> pl.Expr:
    if rows.schema[column].is_nested():
        return pl.struct(column).struct.json_encode()
    return pl.col(column).cast(pl.String, strict=False)


@cache
def _loading_schema(schema: type[dy.Schema]) -> type[dy.Schema]:
    """The schema with the row's position and with `received_at` still open, as it stands while loading."""
    return type(
        f"Loading{schema.__name__}",
        (schema,),
        {
            ROW: dy.UInt32(nullable=False),
            "received_at": dy.Datetime(nullable=True, time_zone="UTC", time_unit="us"),
        },
    )


def lines_of(chunk: Chunk) -> pl.Series:
    """Line of each row of the chunk's frame."""
    if LINE_COLUMN in chunk.frame.columns:
        return chunk.frame[LINE_COLUMN].cast(pl.Int64)
    return pl.int_range(chunk.first_line, chunk.first_line + chunk.frame.height, eager=True, dtype=pl.Int64)


def parse_chunk(table: ContractTable, chunk: Chunk, origin: str, found: Rejections) -> pl.DataFrame:
    """The chunk in contract types plus `_row`; unreadable values are recorded in `found`.

    Nullable columns may be missing; another missing column is recorded against every row. `origin` is never
    read from the source: it is what the load says it is.
    """
    columns: list[pl.Series] = []
    height = chunk.frame.height
    everything = pl.int_range(0, height, eager=True, dtype=pl.UInt32)
    for name, dtype in table.dtypes.items():
        if name == "origin":
            columns.append(pl.Series(name, [origin], dtype=dtype).new_from_index(0, height))
        elif has_column(chunk, table, name):
            parsed = read_column(chunk, table, name)
            for mask, reason in parsed.problems:
                found.add(mask.arg_true(), file_column(table, name), reason)
            for remark, count in parsed.remarks:
                found.remarks[f"{file_column(table, name)}: {remark}"] += count
            columns.append(parsed.values.alias(name))
        elif name == "state" and table.name == "orders":
            columns.append(_states({column.name: column for column in columns}["status"], found))
        else:
            if name not in table.nullable and name != "received_at":
                found.add(everything, name, "the column is missing from the source")
            columns.append(pl.Series(name, [None], dtype=dtype).new_from_index(0, height))
    return pl.DataFrame([*columns, everything.alias(ROW)])


def _states(status: pl.Series, found: Rejections) -> pl.Series:
    state = states(status, {})
    found.add((state.is_null() & status.is_not_null()).arg_true(), "status", UNKNOWN)
    return state


def record_rules(table: ContractTable, rows: pl.DataFrame, as_of: dt.datetime, found: Rejections) -> None:
    """Records in `found` what breaks the schema or lies after `as_of`."""
    if not rows.height:
        return
    schema = _loading_schema(table.schema)
    passed, failure = schema.filter(rows)
    if passed.height < rows.height:
        details = failure.details()
        for rule in [name for name in details.columns if name not in rows.columns]:
            broken = details.filter(pl.col(rule) == "invalid")[ROW]
            if len(broken):
                column, reason = _explain(schema, rule)
                found.add(broken, file_column(table, column), reason)
    for name in table.past_columns:
        # A local calendar day may be one ahead of the UTC day.
        limit = as_of if rows.schema[name] != pl.Date else as_of.date() + dt.timedelta(days=1)
        found.add(rows.filter(pl.col(name) > limit)[ROW], name, "in the future")


def _explain(schema: type[dy.Schema], rule: str) -> tuple[str, str]:
    if "|" not in rule:
        return _ROW_RULES[rule]
    name, kind = rule.split("|", 1)
    column = schema.columns()[name]
    if kind == "nullability":
        return name, "missing value"
    if kind == "min":
        lowest = getattr(column, "min", None)
        if isinstance(lowest, dt.date):
            return name, f"an unset clock: before {lowest:%Y-%m-%d}"
        return name, "negative" if lowest == 0 else f"less than {lowest:,}"
    if kind == "max":
        return name, f"more than {getattr(column, 'max', None):,}"
    if kind == "min_length":
        return name, "empty"
    if kind == "check__known_value":
        return name, f"not one of {', '.join((column.metadata or {})['values'])}"
    return name, f"not a finite number ({kind})"


def record_orphans(
    rows: pl.DataFrame, parents: list[tuple[ForeignKey, pl.DataFrame]], found: Rejections
) -> None:
    """Records in `found` the rows with a foreign key that does not exist.

    Args:
        rows: Typed rows with `_row`.
        parents: Each foreign key with the keys of its parent table, under the parent's column names.
        found: Where rejections are recorded.
    """
    for key, known in parents:
        orphans = rows.select(ROW, *key.columns).drop_nulls()
        orphans = orphans.join(known, left_on=key.columns, right_on=key.parent_columns, how="anti")
        found.add(orphans[ROW], key.columns[0], f"unknown key: not in {key.parent}")


def _without(rows: pl.DataFrame, dropped: pl.Series) -> pl.DataFrame:
    return rows.filter(~pl.col(ROW).is_in(dropped.implode())) if len(dropped) else rows


def repeated(rows: pl.DataFrame, key: tuple[str, ...]) -> pl.Series:
    """Mask of rows whose key an earlier row has."""
    values = rows[key[0]] if len(key) == 1 else rows.select(pl.struct(key).alias("key"))["key"]
    return ~values.is_first_distinct()


def check_chunk(
    table: ContractTable,
    chunk: Chunk,
    *,
    origin: str,
    as_of: dt.datetime,
    parents: list[tuple[ForeignKey, pl.DataFrame]],
) -> Checked:
    """Parses and checks one chunk by everything that can be said of a row alone or by its parents.

    Returns:
        Accepted rows (contract columns, `_row`, `__line__`) and rejected rows with the reader's own refusals.
    """
    found = Rejections()
    parsed = parse_chunk(table, chunk, origin, found)
    lines = lines_of(chunk)
    readable = _without(parsed, found.rows())
    record_rules(table, readable, as_of, found)
    record_orphans(readable, parents, found)
    rows = _without(readable, found.rows())
    rejected = found.to_quarantine(chunk.frame, chunk.file, lines)
    refused = chunk.refused.select(
        pl.lit(chunk.file).alias("file"),
        "line",
        "column",
        clipped("value").alias("value"),
        "reason",
        pl.concat_list("reason").alias("reasons"),
        "row_json",
    )
    accepted = rows.with_columns(lines[rows[ROW]].alias(LINE_COLUMN))
    rejected = pl.concat([rejected, refused]).sort("line", maintain_order=True)
    return Checked(accepted, rejected, found.remarks)

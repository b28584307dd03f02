"""Which rows are accepted: raw columns to contract types, then the rules of the contract.

Two stages. Parse: a value that is present but unreadable rejects its row. Rules: the dataframely schema
(nulls, ranges, enums, rules between columns), times after `as_of`, foreign keys, and last, among rows with
nothing else against them, a key that was seen before. Every received row is either accepted or rejected,
never both. No file is touched here.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import dataframely as dy
import polars as pl

from pipelines.sources.contract import ContractTable, ForeignKey
from pipelines.sources.loading.defaults import filled, note
from pipelines.sources.loading.versions import CHANGED_AT, IS_DELETED, changed_times, deletions
from pipelines.sources.protocol import LINE_COLUMN, Chunk, TableReading
from pipelines.sources.refused.quarantine import NO_LINE, clipped, refused_parent, row_json
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
    "orders_something": ("ordered_qty", "an order of nothing"),
    "confirmed_within_ordered": ("confirmed_qty", "more than was ordered"),
    "arrived_after_placed": ("arrived_at", "arrived before it was ordered"),
    "resolved_after_opened": ("resolved_at", "closed before it was opened"),
    "coordinates_come_together": ("longitude", "one of latitude and longitude without the other"),
    "gtin_has_its_check_digit": (
        "gtin",
        "no barcode: 8, 12, 13 or 14 digits of which the last is the check digit; leave own codes out",
    ),
    "goes_by_a_known_clock": ("time_zone", "no time zone that IANA names, such as Asia/Shanghai"),
    "works_on_some_days_of_the_week": ("working_days", "not days of the week: digits from 1 to 7, rising"),
    "says_what_its_kind_needs": (
        "kind",
        "lacks what its kind needs: a parcel_scan shipment_id and status; a capacity qty and supplier_id or"
        " warehouse_id; a stock_level these and sku_id; a device device_id and reading",
    ),
    "has_one_holder": ("supplier_id", "held by nobody or by two: name a supplier or a merchant"),
    "authorisation_names_a_brand": ("brand_id", "an authorisation of no brand"),
    "holds_before_it_ends": ("ends_on", "ends before it starts"),
    "produced_before_it_expires": ("expires_on", "expires before it was made"),
    "starts_before_end": ("ends_at", "ends before it starts"),
    "reversal_within_amount": ("reversed_cents", "more taken back than was accrued"),
}
"""Rules between columns: the column to name and what to say when the rule fails."""


@dataclass(frozen=True)
class Checked:
    """What became of one chunk.

    Attributes:
        accepted: Contract columns without `received_at` filled, plus `_row`, `__line__` and what tells its
            version: `_changed_at` and `_is_deleted`.
        rejected: Quarantine columns without table and loaded_at, one row a rejected row.
        remarks: What was decided about values that were read or lacking, and how many of them.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    remarks: Counter[str]


@dataclass(frozen=True)
class Parent:
    """A table that rows name, as far as it is known.

    Attributes:
        key: The foreign key.
        known: Keys that the parent has, under its own column names, with the time that rows may not precede.
        refused: Gives the keys of the parent that were refused: `key_0`, ... and `reason`.
    """

    key: ForeignKey
    known: pl.DataFrame
    refused: Callable[[], pl.DataFrame]


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

    def to_quarantine(
        self, raw: pl.DataFrame, file: pl.Series | str, line: pl.Series, key: pl.Series
    ) -> pl.DataFrame:
        """One quarantine row per rejected row, in row order.

        Args:
            raw: The rows as received; their position is what `add` was given.
            file: File of each row of `raw`, or the one file of all.
            line: Line of each row of `raw`.
            key: Key of each row of `raw`, a list of texts.
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
            key[positions].alias("key"),
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
            "key": pl.List(pl.String),
        }
    )


def key_texts(table: ContractTable, rows: pl.DataFrame) -> pl.Series:
    """The key of each row as a list of texts."""
    parts = [pl.col(name).cast(pl.String) for name in table.key]
    return rows.select(pl.concat_list(parts).alias("key"))["key"]


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


def parse_chunk(
    table: ContractTable, chunk: Chunk, origin: str, reading: TableReading, found: Rejections
) -> pl.DataFrame:
    """The chunk in contract types plus `_row`; unreadable values are recorded in `found`.

    Nullable columns may be missing, and those with a default; another missing column is recorded against
    every row. `origin` is never read from the source: it is what the load says it is.
    """
    height = chunk.frame.height
    everything = pl.int_range(0, height, eager=True, dtype=pl.UInt32)
    columns: dict[str, pl.Series] = {}
    for name in table.columns:
        if name != "origin" and has_column(chunk, table, name):
            parsed = read_column(chunk, table, name)
            for mask, reason in parsed.problems:
                found.add(mask.arg_true(), file_column(table, name), reason)
            for remark, count in parsed.remarks:
                found.remarks[f"{file_column(table, name)}: {remark}"] += count
            columns[name] = parsed.values.alias(name)
    for name, dtype in table.dtypes.items():
        if name in columns:
            continue
        value = filled(table, name, columns, height)
        if name == "origin":
            columns[name] = pl.Series(name, [origin], dtype=dtype).new_from_index(0, height)
        elif name == "state" and table.name == "orders" and "status" in columns:
            columns[name] = _states(columns["status"], reading, found)
        elif value is not None:
            columns[name] = value
            found.remarks.update({note(table, name): height} if height else {})
        else:
            if name not in table.nullable and name not in ("received_at", "state"):
                found.add(everything, file_column(table, name), "the column is missing from the source")
            columns[name] = pl.Series(name, [None], dtype=dtype).new_from_index(0, height)
    return pl.DataFrame([*(columns[name] for name in table.columns), everything.alias(ROW)])


def _states(status: pl.Series, reading: TableReading, found: Rejections) -> pl.Series:
    state = states(status, reading.status_words)
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
        rules = [name for name in details.columns if name not in rows.columns]
        # What is wrong with one column says more than what is wrong between two.
        for rule in sorted(rules, key=lambda name: "|" not in name):
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


def record_orphans(rows: pl.DataFrame, parents: Iterable[Parent], found: Rejections) -> None:
    """Records in `found` the rows with a foreign key that does not exist, and why if its row was refused.

    Args:
        rows: Typed rows with `_row`.
        parents: What is known of each foreign key.
        found: Where rejections are recorded.
    """
    incomplete: list[tuple[pl.Series, str, str]] = []
    for parent in parents:
        key = parent.key
        orphans = rows.select(ROW, *key.columns).drop_nulls()
        orphans = orphans.join(parent.known, left_on=key.columns, right_on=key.parent_columns, how="anti")
        if not orphans.height:
            continue
        refused = parent.refused()
        names = [name for name in refused.columns if name != "reason"]
        texts = orphans.select(ROW, *(pl.col(name).cast(pl.String) for name in key.columns))
        told = texts.join(refused, left_on=key.columns, right_on=names, how="left", maintain_order="left")
        for (reason,), part in told.partition_by("reason", as_dict=True, maintain_order=True).items():
            cause = (
                f"unknown key: not in {key.parent}" if reason is None else refused_parent(key.parent, reason)
            )
            if reason == NO_LINE:
                # Each line of such an order has a fault of its own; that one comes first.
                incomplete.append((part[ROW], key.columns[0], cause))
            else:
                found.add(part[ROW], key.columns[0], cause)
    for rows_of, column, cause in incomplete:
        found.add(rows_of, column, cause)


def record_early(rows: pl.DataFrame, parents: Iterable[Parent], found: Rejections) -> None:
    """Records in `found` the rows that are of a time before the one of their parent; where both are known.

    Args:
        rows: Typed rows with `_row`.
        parents: What is known of each foreign key.
        found: Where rejections are recorded.
    """
    for parent in parents:
        if parent.key.not_before is None:
            continue
        own, since = parent.key.not_before
        times = rows.select(ROW, *parent.key.columns, pl.col(own).alias("_own")).join(
            parent.known, left_on=parent.key.columns, right_on=parent.key.parent_columns
        )
        early = times.filter(pl.col("_own") < pl.col(since))[ROW]
        found.add(early, own, f"before the {since} of its row in {parent.key.parent}")


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
    parents: Sequence[Parent],
    reading: TableReading | None = None,
) -> Checked:
    """Parses and checks one chunk by everything that can be said of a row alone or by its parents.

    Of a row that says it was deleted only the key must be right: the rest is what was known before.
    """
    reading = reading or TableReading()
    found = Rejections()
    parsed = parse_chunk(table, chunk, origin, reading, found)
    lines = lines_of(chunk)
    changed_at = changed_times(chunk, reading, as_of, found)
    is_deleted = deletions(chunk, reading)
    readable = _without(parsed, found.rows())
    gone = readable.filter(is_deleted[readable[ROW]])
    for name in table.key:
        found.add(gone.filter(pl.col(name).is_null())[ROW], name, "missing value")
    standing = readable if not gone.height else readable.filter(~is_deleted[readable[ROW]])
    record_rules(table, standing, as_of, found)
    record_orphans(standing, parents, found)
    record_early(standing, parents, found)
    rows = _without(readable, found.rows())
    rejected = found.to_quarantine(chunk.frame, chunk.file, lines, key_texts(table, parsed))
    refused = chunk.refused.select(
        pl.lit(chunk.file).alias("file"),
        "line",
        "column",
        clipped("value").alias("value"),
        "reason",
        pl.concat_list("reason").alias("reasons"),
        "row_json",
        pl.lit(None, dtype=pl.List(pl.String)).alias("key"),
    )
    accepted = rows.with_columns(
        lines[rows[ROW]].alias(LINE_COLUMN),
        changed_at[rows[ROW]].alias(CHANGED_AT),
        is_deleted[rows[ROW]].alias(IS_DELETED),
    )
    rejected = pl.concat([rejected, refused]).sort("line", maintain_order=True)
    return Checked(accepted, rejected, found.remarks)

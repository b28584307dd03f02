"""Root causes of the quarantine, most rows first: a pure function over the refused rows.

A row whose parent was refused is not a cause of its own: it counts with what was wrong with the parent, so
that "3,710 orders without consumer" is told with the 133,359 lines which that orphaned. An order that was
refused because none of its lines was accepted counts with what was wrong with its lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from pipelines.sources.contract import INGEST_ORDER, TABLES, ForeignKey
from pipelines.sources.refused.quarantine import NO_LINE, refused_parent
from pipelines.sources.refused.remedies import remedy

CHILDLESS: Mapping[str, str] = {NO_LINE: "order_lines"}
"""What the door says of a row that was refused because of its children, and the table of those."""

_CAUSE = "_cause"
_GUARDS = " \t\u00a0\ufeff'\"="


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong with a source.

    Attributes:
        table: Table whose rows are wrong.
        column: The column that was named.
        reason: What is wrong.
        rows: Rows of the table refused for it.
        orphaned: Rows of other tables refused because of those, by table.
        file: File of the first such row.
        line: Its line.
        value: The offending value, as written.
        remedy: What to do.
    """

    table: str
    column: str
    reason: str
    rows: int
    orphaned: Mapping[str, int] = field(default_factory=dict)
    file: str = ""
    line: int | None = None
    value: str | None = None
    remedy: str = ""

    @property
    def total(self) -> int:
        """All rows that are missing because of it."""
        return self.rows + sum(self.orphaned.values())

    @property
    def place(self) -> str:
        """File and line of the first row."""
        return f"{self.file}:{self.line}" if self.line is not None else self.file

    def __str__(self) -> str:
        text = ": ".join(filter(None, (f"{self.rows:,} {self.table}", self.column, self.reason)))
        if self.orphaned:
            others = ", ".join(f"{count:,} {table}" for table, count in self.orphaned.items())
            text += f", which orphaned {others}"
        return text


def root_causes(quarantine: Mapping[str, pl.DataFrame]) -> list[Cause]:
    """What is wrong with a source, ranked by all the rows that are missing because of it.

    Args:
        quarantine: Refused rows by contract table, in the quarantine's columns.

    Returns:
        Causes, most rows first, then by the order in which tables are loaded.
    """
    own = [
        _with_own_cause(table, quarantine[table])
        for table in INGEST_ORDER
        if table in quarantine and quarantine[table].height
    ]
    if not own:
        return []
    rows = pl.concat(own).with_row_index("_row")
    roots = rows["_row"].to_list()
    for row, parent in _links(rows):
        roots[row] = parent
    rows = rows.with_columns(pl.Series("_root", _followed(roots), dtype=pl.UInt32))
    causes = rows.select("_row", pl.col(_CAUSE).alias("_root_cause"))
    rows = rows.join(causes, left_on="_root", right_on="_row", maintain_order="left")
    return _ranked(rows)


def _with_own_cause(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("file", "line", maintain_order=True).select(
        pl.lit(table).alias("table"),
        *("file", "line", "column", "value", "reason", "row_json"),
        pl.concat_str(pl.lit(table), "column", "reason", separator="\u0000", ignore_nulls=True).alias(_CAUSE),
    )


def _links(rows: pl.DataFrame) -> list[tuple[int, int]]:
    """Rows with the refused row that is the reason for their own refusal."""
    found: list[tuple[int, int]] = []
    tables = rows["table"].unique().to_list()
    for table in (name for name in INGEST_ORDER if name in tables):
        mine = rows.filter(pl.col("table") == table)
        for key in TABLES[table].foreign_keys:
            orphans = mine.filter(_is_orphan(key.parent))
            parents = rows.filter(pl.col("table") == key.parent)
            found += _joined(orphans, key.columns, parents, key.parent_columns)
        for reason, child in CHILDLESS.items():
            childless = mine.filter(pl.col("reason") == reason)
            for key in _keys_to(child, table):
                lines = rows.filter((pl.col("table") == child) & ~_is_orphan(table))
                found += _joined(childless, key.parent_columns, lines, key.columns)
    return found


def _is_orphan(parent: str) -> pl.Expr:
    """Rows refused for a key that the parent lacks, or for what was wrong with the parent's row."""
    reason = pl.col("reason")
    return (reason == f"unknown key: not in {parent}") | reason.str.starts_with(refused_parent(parent))


def _keys_to(child: str, parent: str) -> list[ForeignKey]:
    return [key for key in TABLES[child].foreign_keys if key.parent == parent]


def _joined(
    rows: pl.DataFrame, columns: tuple[str, ...], others: pl.DataFrame, other_columns: tuple[str, ...]
) -> list[tuple[int, int]]:
    """Rows with the first of the others that has the same key."""
    if not rows.height or not others.height:
        return []
    names = [f"_key{number}" for number in range(len(columns))]
    left = rows.select("_row", *_values(columns, names)).drop_nulls()
    right = others.select(pl.col("_row").alias("_other"), *_values(other_columns, names)).drop_nulls()
    pairs = left.join(right.unique(names, keep="first", maintain_order=True), on=names)
    return [(row, other) for row, other in pairs.select("_row", "_other").iter_rows() if row != other]


def _values(columns: tuple[str, ...], names: list[str]) -> list[pl.Expr]:
    """Values of a refused row, as the door compares them: without spaces and spreadsheet guards."""
    return [
        pl.col("row_json").str.json_path_match(f"$.{column}").str.strip_chars(_GUARDS).alias(name)
        for column, name in zip(columns, names, strict=True)
    ]


def _followed(parents: list[int]) -> list[int]:
    """Each row's root: the end of its chain; a row in a circle is its own root."""
    roots = []
    for start in range(len(parents)):
        row, seen = start, {start}
        while parents[row] != row:
            row = parents[row]
            if row in seen:
                row = start
                break
            seen.add(row)
        roots.append(row)
    return roots


def _ranked(rows: pl.DataFrame) -> list[Cause]:
    causes = []
    for (_,), group in rows.group_by(["_root_cause"], maintain_order=True):
        root = group.filter(pl.col(_CAUSE) == pl.col("_root_cause"))
        first = root.row(0, named=True)
        others = group.filter(pl.col(_CAUSE) != pl.col("_root_cause"))
        counts = dict(others["table"].value_counts().iter_rows())
        causes.append(
            Cause(
                table=first["table"],
                column=first["column"] or "",
                reason=first["reason"],
                rows=root.height,
                orphaned={table: counts[table] for table in INGEST_ORDER if table in counts},
                file=first["file"] or "",
                line=first["line"],
                value=first["value"],
                remedy=remedy(first["table"], first["column"] or "", first["reason"]),
            )
        )
    order = {table: number for number, table in enumerate(INGEST_ORDER)}
    return sorted(causes, key=lambda cause: (-cause.total, order[cause.table], cause.column, cause.reason))

"""DuckDB's SQL as Spark's, to the bit: what the translator leaves, or gets wrong, is put right on the tree.

The registry and the compiler know DuckDB's SQL only, so that no tag has a second definition. Each rule here
is tested by execution on both engines (`tests/spark`), because a statement that parses may still count wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlglot
from sqlglot import exp

_RENAMED = {"EPOCH_US": "UNIX_MICROS"}

_QUANTILE = """
    TRANSFORM(
      ARRAY(SORT_ARRAY(COLLECT_LIST(CAST(:value AS DOUBLE)))),
      v -> CASE WHEN SIZE(v) > 0 THEN
        v[CAST(FLOOR((SIZE(v) - 1) * CAST(:fraction AS DOUBLE)) AS INT)]
          * (CAST(1 AS DOUBLE)
             - ((SIZE(v) - 1) * CAST(:fraction AS DOUBLE) - FLOOR((SIZE(v) - 1) * CAST(:fraction AS DOUBLE))))
        + v[CAST(CEIL((SIZE(v) - 1) * CAST(:fraction AS DOUBLE)) AS INT)]
          * ((SIZE(v) - 1) * CAST(:fraction AS DOUBLE) - FLOOR((SIZE(v) - 1) * CAST(:fraction AS DOUBLE)))
      END)[0]
"""
"""DuckDB's continuous quantile, `lo * (1 - d) + hi * d`. Spark's PERCENTILE rounds otherwise, and not in the
same way in every release: `lo + (hi - lo) * d` in 4.3, and `lo` as it is where both are equal."""


@dataclass(frozen=True)
class Step:
    """One part of a statement, to be run in order and written down; later steps read it by its name.

    Attributes:
        name: Name of the table that it makes; empty for the last step, which is the answer.
        sql: Spark SQL.
    """

    name: str
    sql: str


def for_spark(sql: str) -> tuple[Step, ...]:
    """A DuckDB statement as steps of Spark SQL that mean the same in a session whose time zone is UTC.

    Spark works a CTE out anew for every reader, and plans a statement as one tree: that of every consumer tag
    fits no memory. Steps that are written down give it one small tree after the other.

    Raises:
        ValueError: Not a query, or a quantile over a window reads a join or a filtered relation.
    """
    tree = sqlglot.parse_one(sql, read="duckdb")
    if not isinstance(tree, exp.Query):
        raise ValueError(f"no query: {sql[:60]}")
    for rule in (_medians, _windowed_quantiles, _quantiles, _iso_weekdays, _renamed, _local_times):
        rule(tree)
    parts = [(cte.alias, cte.this) for cte in tree.ctes]
    tree.set("with_", None)
    return tuple(Step(name, part.sql("spark", pretty=True)) for name, part in [*parts, ("", tree)])


def _medians(tree: exp.Expression) -> None:
    for node in list(tree.find_all(exp.Median)):
        node.replace(exp.PercentileCont(this=node.this, expression=exp.Literal.number("0.5")))


def _windowed_quantiles(tree: exp.Expression) -> None:
    """A quantile over a window as a sub-query over the same relation.

    Spark cannot work on a collected list inside a window, and would carry the whole list in every row.
    """
    for window in list(tree.find_all(exp.Window)):
        if not isinstance(_without_filter(window.this), exp.PercentileCont):
            continue
        select = window.find_ancestor(exp.Select)
        source = select.args["from_"].this if select is not None else None
        if select is None or source is None or select.args.get("joins") or select.args.get("where"):
            raise ValueError(f"Spark has no quantile over a window of a join: {window.sql()}")
        outer = source.alias_or_name
        same = [
            exp.NullSafeEQ(
                this=exp.column(column.name, table="same"), expression=exp.column(column.name, table=outer)
            )
            for column in window.args.get("partition_by") or []
        ]
        value = window.this.copy()
        for column in [c for c in value.find_all(exp.Column) if c.table == outer]:
            column.set("table", exp.to_identifier("same"))
        inner = exp.select(value).from_(exp.alias_(source.copy(), "same", table=True))
        window.replace(exp.Subquery(this=inner.where(*same) if same else inner))


def _without_filter(node: exp.Expression) -> exp.Expression:
    return node.this if isinstance(node, exp.Filter) else node


def _quantiles(tree: exp.Expression) -> None:
    for node in list(tree.find_all(exp.PercentileCont)):
        quantile = sqlglot.parse_one(_QUANTILE, read="spark")
        for placeholder in list(quantile.find_all(exp.Placeholder)):
            placeholder.replace((node.this if placeholder.name == "value" else node.expression).copy())
        parent = node.parent
        if isinstance(parent, exp.Filter):
            collected = next(iter(quantile.find_all(exp.ArrayAgg)))
            collected.replace(exp.Filter(this=collected.copy(), expression=parent.expression.copy()))
            parent.replace(quantile)
        else:
            node.replace(quantile)


def _iso_weekdays(tree: exp.Expression) -> None:
    """Monday is 1: the translator's own spelling is off by two days (sqlglot's issue 8021)."""
    for node in list(tree.find_all(exp.DayOfWeekIso)):
        weekday = exp.Anonymous(this="WEEKDAY", expressions=[node.this])
        node.replace(exp.paren(exp.Add(this=weekday, expression=exp.Literal.number(1))))


def _renamed(tree: exp.Expression) -> None:
    for call in tree.find_all(exp.Anonymous):
        if call.name.upper() in _RENAMED:
            call.set("this", _RENAMED[call.name.upper()])


def _local_times(tree: exp.Expression) -> None:
    """`x AT TIME ZONE 'UTC' AT TIME ZONE zone` of a naive UTC time."""
    for local in list(tree.find_all(exp.AtTimeZone)):
        instant = local.this.unnest()
        if isinstance(instant, exp.AtTimeZone):
            arguments = [instant.this, local.args["zone"]]
            local.replace(exp.Anonymous(this="FROM_UTC_TIMESTAMP", expressions=arguments))

"""Sums that depend on the order of rows: adding floating-point numbers, which no two runs do in one order.

A tag is the same to the bit wherever and in whichever slice it is computed, so what is added or averaged must
be whole numbers or decimals. Pure functions over syntax trees.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sqlglot import exp

from feature_store.language.expressions import parse

if TYPE_CHECKING:
    from feature_store.registry import Registry

_INEXACT = (exp.Div, exp.Avg, exp.Median, exp.PercentileCont, exp.Sqrt, exp.Ln, exp.Log, exp.Exp, exp.Pow)
_EXACT_TYPES = ("DECIMAL", "BIGINT", "INT", "HUGEINT", "BOOLEAN", "TEXT", "VARCHAR", "DATE", "TIMESTAMP")


def order_problems(registry: Registry) -> list[str]:
    """Definitions that add floating-point numbers, one sentence each."""
    problems: list[str] = []
    floating = {
        source.name: {name for name, kind in source.columns.items() if kind == "DOUBLE"}
        | {name for join in source.joins for name, kind in join.columns.items() if kind == "DOUBLE"}
        for source in registry.sources.values()
    }

    def look(at: str, text: str | None, columns: Collection[str]) -> bool:
        """Notes sums of floating-point numbers; whether the value is one itself."""
        if text is None:
            return False
        tree = parse(text)
        problems.extend(
            f"{at}: {node.sql(dialect='duckdb')!r} adds floating-point numbers, whose order is not fixed; "
            "add CAST(... AS DECIMAL(18, 6)) or whole numbers"
            for node in tree.find_all(exp.Sum, exp.Avg)
            if _is_floating(node.this, columns)
        )
        return _is_floating(tree, columns)

    for rollup in registry.rollups.values():
        at, rows = f"rollup {rollup.name}", set(floating[rollup.source])
        rows |= {n for n, text in rollup.compute.items() if look(f"{at}.compute.{n}", text, rows)}
        offered = set(rows) if not rollup.measures else rows & set(rollup.group_by)
        for name, measure in rollup.measures.items():
            offered |= {name} if look(f"{at}.measures.{name}", measure.value, rows) else set()
        for layer in rollup.layers:
            offered |= {n for n, text in layer.columns.items() if look(f"{at}.layers.{n}", text, offered)}
        floating[rollup.name] = offered
    for tag in registry.tags.values():
        if tag.definition.source is not None:
            look(f"tag {tag.name}.definition.value", tag.definition.value, floating[tag.definition.source])
    return problems


def _is_floating(tree: exp.Expression, columns: Collection[str]) -> bool:
    match tree:
        case exp.Cast():
            target = tree.to.sql(dialect="duckdb").upper()
            return not target.startswith(_EXACT_TYPES)
        case exp.Column():
            return tree.name in columns
        case exp.Count() | exp.Predicate() | exp.Connector() | exp.Not():
            return False
        case exp.Case():
            values = [branch.args["true"] for branch in tree.args["ifs"]]
            values += [tree.args["default"]] if tree.args.get("default") is not None else []
            return any(_is_floating(value, columns) for value in values)
        case exp.Filter() | exp.Window() | exp.ArgMin() | exp.ArgMax():
            return _is_floating(tree.this, columns)
        case exp.Anonymous():
            name = tree.name.lower()
            if name == "ratio":
                return True
            return name not in ("money", "whole_days", "days_us") and _any(tree, columns)
        case _ if isinstance(tree, _INEXACT):
            return True
        case _:
            return _any(tree, columns)


def _any(tree: exp.Expression, columns: Collection[str]) -> bool:
    return any(_is_floating(child, columns) for child in tree.iter_expressions())

"""SQL snippets of the registry: parsing, the small function language, checks, and window filters.

Snippets are DuckDB SQL plus the functions of `FUNCTIONS` and named parameters (`:high_value_minor`).
What a whole tag or source looks like lives in `feature_store.registry`; whole queries in `.compiler`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlglot
from sqlglot import exp

from feature_store.language.zones import fixed_offset_minutes

DAY_US = 86_400_000_000
ParameterValue = int | float | str


def parse(snippet: str) -> exp.Expression:
    """A snippet as a syntax tree.

    Raises:
        ValueError: Not one SQL expression.
    """
    try:
        tree = sqlglot.parse_one(snippet, read="duckdb", into=exp.Condition)
    except sqlglot.errors.ParseError as error:
        raise ValueError(f"not a SQL expression: {snippet!r} ({error.errors[0]['description']})") from error
    if tree.find(exp.Query, exp.Table) is not None:
        raise ValueError(f"a sub-query or table has no place here: {snippet!r}")
    return tree


def columns_of(tree: exp.Expression) -> set[str]:
    """Names of all columns the expression reads."""
    return {column.name for column in tree.find_all(exp.Column)}


def placeholders_of(tree: exp.Expression) -> set[str]:
    """Names of all parameters the expression reads."""
    return {str(node.this) for node in tree.find_all(exp.Placeholder)}


def unknown_functions(tree: exp.Expression) -> set[str]:
    """Functions that are neither SQL that the translator knows nor part of the function language."""
    return {node.name.lower() for node in tree.find_all(exp.Anonymous) if node.name.lower() not in FUNCTIONS}


def has_aggregate(tree: exp.Expression) -> bool:
    """Whether an aggregate is used outside a window function."""
    return any(not _is_windowed(node) for node in tree.find_all(exp.AggFunc))


def has_window(tree: exp.Expression) -> bool:
    """Whether a window function is used."""
    return tree.find(exp.Window) is not None


def columns_outside_aggregates(tree: exp.Expression) -> set[str]:
    """Columns read outside every aggregate: an aggregate tag may read only `as_of` there."""
    return {
        column.name
        for column in tree.find_all(exp.Column)
        if column.find_ancestor(exp.AggFunc, exp.Filter) is None
    }


def _is_windowed(node: exp.Expression) -> bool:
    parent = node.parent
    if isinstance(parent, exp.Filter):
        parent = parent.parent
    return isinstance(parent, exp.Window)


def filtered(tree: exp.Expression, condition: exp.Expression | None) -> exp.Expression:
    """The expression with `condition` added as FILTER to every aggregate.

    An aggregate that already has a FILTER keeps it: both conditions must hold.
    """
    if condition is None:
        return tree
    tree = tree.copy()
    for node in list(tree.find_all(exp.AggFunc)):
        parent = node.parent
        if isinstance(parent, exp.Filter):
            where = parent.expression
            where.set("this", exp.and_(where.this, condition.copy()))
            continue
        wrapped = exp.Filter(this=node.copy(), expression=exp.Where(this=condition.copy()))
        if node is tree:
            tree = wrapped
        else:
            node.replace(wrapped)
    return tree


def partitioned(tree: exp.Expression, column: str) -> exp.Expression:
    """The expression with `column` in front of the PARTITION BY of every window."""
    tree = tree.copy()
    for window in tree.find_all(exp.Window):
        window.set("partition_by", [exp.column(column), *(window.args.get("partition_by") or [])])
    return tree


def _ratio(arguments: list[exp.Expression], _: str) -> exp.Expression:
    top, bottom = arguments
    return exp.Div(this=exp.cast(top, "DOUBLE"), expression=exp.func("NULLIF", bottom, exp.Literal.number(0)))


def _money(arguments: list[exp.Expression], _: str) -> exp.Expression:
    half = exp.Literal.number("0.5")
    return exp.cast(exp.func("FLOOR", exp.Add(this=exp.paren(arguments[0]), expression=half)), "BIGINT")


def _whole_days(arguments: list[exp.Expression], _: str) -> exp.Expression:
    return exp.paren(exp.IntDiv(this=exp.paren(arguments[0]), expression=exp.Literal.number(DAY_US)))


def _days_us(arguments: list[exp.Expression], _: str) -> exp.Expression:
    days = exp.cast(arguments[0], "BIGINT")
    return exp.paren(exp.Mul(this=days, expression=exp.Literal.number(DAY_US)))


def _local_time(arguments: list[exp.Expression], time_zone: str) -> exp.Expression:
    """Plain arithmetic where the zone has one offset; a look-up costs half a microsecond a row."""
    offset = fixed_offset_minutes(time_zone)
    if offset is not None:
        shift = exp.Interval(this=exp.Literal.string(str(offset)), unit=exp.var("MINUTE"))
        return exp.paren(exp.Add(this=exp.paren(arguments[0]), expression=shift))
    instant = exp.AtTimeZone(this=exp.paren(arguments[0]), zone=exp.Literal.string("UTC"))
    return exp.paren(exp.AtTimeZone(this=exp.paren(instant), zone=exp.Literal.string(time_zone)))


def _local_date(arguments: list[exp.Expression], time_zone: str) -> exp.Expression:
    return exp.cast(_local_time(arguments, time_zone), "DATE")


def _local_hour(arguments: list[exp.Expression], time_zone: str) -> exp.Expression:
    return exp.Extract(this=exp.var("HOUR"), expression=_local_time(arguments, time_zone))


def _micros(arguments: list[exp.Expression], _: str) -> exp.Expression:
    return exp.Anonymous(this="EPOCH_US", expressions=[arguments[0]])


FUNCTIONS: dict[str, tuple[int, str, Callable[[list[exp.Expression], str], exp.Expression]]] = {
    "ratio": (2, "a / b as a decimal, null where b is 0", _ratio),
    "money": (1, "rounded half up to a whole minor unit", _money),
    "whole_days": (1, "microseconds as completed days of 24 hours", _whole_days),
    "days_us": (1, "days as microseconds", _days_us),
    "micros": (1, "a UTC time as microseconds since 1970", _micros),
    "local_time": (1, "the local wall-clock time of a UTC time", _local_time),
    "local_date": (1, "the local day of a UTC time", _local_date),
    "local_hour": (1, "the local hour (0-23) of a UTC time", _local_hour),
}
"""The function language: name to number of arguments, meaning, and expansion (second argument: time zone)."""


def wrong_arguments(tree: exp.Expression) -> list[str]:
    """A sentence for each call of the function language with the wrong number of arguments."""
    sentences = []
    for node in tree.find_all(exp.Anonymous):
        name = node.name.lower()
        if name in FUNCTIONS and len(node.expressions) != FUNCTIONS[name][0]:
            sentences.append(f"{name} takes {FUNCTIONS[name][0]} argument(s), got {len(node.expressions)}")
    return sentences


def expanded(
    tree: exp.Expression, parameters: Mapping[str, ParameterValue], time_zone: str
) -> exp.Expression:
    """The expression in plain SQL: parameters filled in, the function language written out.

    Args:
        tree: A checked expression.
        parameters: Value of every named parameter.
        time_zone: IANA zone of local times.
    """
    root = exp.paren(tree.copy())
    for node in list(root.find_all(exp.Placeholder)):
        value = parameters[str(node.this)]
        node.replace(exp.Literal.string(value) if isinstance(value, str) else exp.convert(value))
    while (call := _next_call(root)) is not None:
        expand = FUNCTIONS[call.name.lower()][2]
        call.replace(expand([argument.copy() for argument in call.expressions], time_zone))
    return root.this


def _next_call(root: exp.Expression) -> exp.Anonymous | None:
    return next((n for n in root.find_all(exp.Anonymous) if n.name.lower() in FUNCTIONS), None)

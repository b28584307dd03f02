"""Rollups of which only the leading group can change a tag while time passes.

While no row comes, a count of rows within a window, or a sum of weights that get smaller with age, never
grows. So the group that leads keeps the lead until a row of its own leaves or weighs less; which of the
others weighs less meanwhile changes nothing. Without this a step in the weight of any row would make its
entity due.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from feature_store.due.rules import Wait
from feature_store.language.definitions import Rollup, Tag
from feature_store.language.expressions import columns_of, parse

if TYPE_CHECKING:
    from feature_store.registry import Registry

ROWS_WAIT = "rows_wait_us"
"""Column of a rollup: microseconds until a row of the group leaves, or weighs less."""

_CLOCK = frozenset({"age_us", "as_of"})


@dataclass(frozen=True)
class _Shape:
    """What of a rollup never grows, and which rank it orders."""

    keys: frozenset[str]
    declining: frozenset[str]
    ranks: frozenset[str]


def leader_waits(registry: Registry, tags: list[Tag]) -> dict[str, dict[str, Wait]]:
    """Rollups that are read only through their leading group.

    Args:
        registry: The registry.
        tags: All tags that are computed, with everything they are derived from.

    Returns:
        Rollup to (tag that reads it to its wait, which reads the column `rows_wait_us` of the rollup).
    """
    readers: dict[str, list[Tag]] = {}
    inner: set[str] = set()
    for tag in tags:
        if tag.definition.source in registry.rollups:
            readers.setdefault(tag.definition.source, []).append(tag)
            inner |= {rollup.source for rollup in registry.lineage(tag.definition.source)[1]}
    found: dict[str, dict[str, Wait]] = {}
    for name, reading in readers.items():
        shape = _shape(registry.rollups[name]) if name not in inner else None
        if shape is None or registry.rollups[name].source not in registry.sources:
            continue
        waits = {tag.name: _wait(tag, shape) for tag in reading}
        known = {tag: wait for tag, wait in waits.items() if wait is not None}
        if len(known) == len(waits):
            found[name] = known
    return found


def _wait(tag: Tag, shape: _Shape) -> Wait | None:
    """When a tag of the leading group may change; None when it reads more than that group's key or count."""
    value = parse(tag.definition.value or "")
    where = parse(tag.definition.where) if tag.definition.where is not None else None
    match where:
        case exp.EQ(this=exp.Column() as rank, expression=exp.Literal(this="1")) if rank.name in shape.ranks:
            if columns_of(value) <= shape.keys:
                return Wait(exp.column(ROWS_WAIT), (where.copy(),))
        case None:
            match value:
                case exp.Max(this=exp.Column() as most) if most.name in shape.declining:
                    # Of groups as large as the largest, the one that stays so for longest.
                    return Wait(parse(f"ARG_MAX({ROWS_WAIT}, ({most.name}, {ROWS_WAIT}))"))
    return None


def _shape(rollup: Rollup) -> _Shape | None:
    computed = {name: parse(text) for name, text in rollup.compute.items()}
    if any(columns_of(tree) & _CLOCK for tree in computed.values()):
        return None
    if rollup.where is not None and columns_of(parse(rollup.where)) & _CLOCK:
        return None
    declining = {
        name
        for name, measure in rollup.measures.items()
        if measure.within is None and _declines(parse(measure.value))
    }
    if not declining or len(declining) < len(rollup.measures):
        return None
    keys, ranks = frozenset(rollup.group_by), set()
    for layer in rollup.layers:
        for name, text in layer.columns.items():
            if layer.scope != "entity" or not _ranks_by(parse(text), declining, keys):
                return None
            ranks.add(name)
    return _Shape(keys, frozenset(declining), frozenset(ranks))


def _declines(tree: exp.Expression) -> bool:
    """It gets smaller, or stays, when rows get older and leave."""
    if isinstance(tree, exp.Count):
        return not columns_of(tree) & _CLOCK
    return isinstance(tree, exp.Sum) and isinstance(tree.this, exp.Case) and _weighs_less(tree.this)


def _weighs_less(case: exp.Case) -> bool:
    """`CASE WHEN age_us < a THEN 8 WHEN age_us < b THEN 4 ELSE 1 END`: weights from 0 on that never grow."""
    if case.this is not None or case.args.get("default") is None:
        return False
    branches = case.args["ifs"]
    weights = [*(branch.args["true"] for branch in branches), case.args["default"]]
    if not all(isinstance(weight, exp.Literal) and weight.is_int for weight in weights):
        return False
    numbers = [int(weight.name) for weight in weights]
    ages_only = all(
        isinstance(branch.this, exp.LT)
        and isinstance(branch.this.this, exp.Column)
        and branch.this.this.name == "age_us"
        and not columns_of(branch.this.expression)
        for branch in branches
    )
    return ages_only and numbers == sorted(numbers, reverse=True)


def _ranks_by(tree: exp.Expression, declining: set[str], keys: frozenset[str]) -> bool:
    """`ROW_NUMBER() OVER (ORDER BY declining DESC, keys)`."""
    if not isinstance(tree, exp.Window) or not isinstance(tree.this, exp.RowNumber):
        return False
    order = tree.args.get("order")
    if order is None or tree.args.get("partition_by"):
        return False
    first, *ties = order.expressions
    leads = isinstance(first.this, exp.Column) and first.this.name in declining and first.args.get("desc")
    return bool(leads) and all(isinstance(tie.this, exp.Column) and tie.this.name in keys for tie in ties)

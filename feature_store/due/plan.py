"""Where in a statement the due times of tags are read: for each source, rollup layer and derived tag.

`feature_store.due.rules` knows one expression; here the expressions of a registry are put in their place: a
tag's window and condition belong to every aggregate of its value, a rollup's to its measures, a layer sees
rolled-up rows. Population layers and tags are left out: what compares entities is computed for all anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from feature_store.due.leaders import leader_waits
from feature_store.due.rules import (
    ClockUseError,
    Kind,
    Wait,
    lasting_conditions,
    settled_waits,
    waits_of,
)
from feature_store.language.definitions import Rollup, Tag, duration_us
from feature_store.language.expressions import columns_of, filtered, parse

if TYPE_CHECKING:
    from feature_store.registry import Registry

_ROW = {"as_of": Kind.MOMENT}
_SOURCE_ROW = _ROW | {"age_us": Kind.AGE}


@dataclass
class DuePlan:
    """Waits by the place where they are read.

    Attributes:
        grouped: Source or rollup to the waits read while its rows are grouped by entity.
        rows: Rollup of which only the leading group counts to the waits of its rows, which become the column
            `rows_wait_us` of each group.
        layers: Rollup and number of a layer to the waits that become columns of that layer.
        derived: Derived tag to the waits read beside it.
        problems: `rollup r.layers.x: ...`: definitions that no rule understands.
    """

    grouped: dict[str, list[Wait]] = field(default_factory=dict)
    rows: dict[str, list[Wait]] = field(default_factory=dict)
    layers: dict[tuple[str, int], list[Wait]] = field(default_factory=dict)
    derived: dict[str, list[Wait]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def due_plan(registry: Registry, tags: list[Tag]) -> DuePlan:
    """The waits of some tags and of all they are computed from.

    Args:
        registry: The registry.
        tags: Tags with everything they are derived from; none may compare entities.
    """
    planner = _Planner(registry, tags)
    for tag in tags:
        planner.tag(tag)
    return planner.plan


def clock_problems(registry: Registry) -> list[str]:
    """Definitions that use the clock in a way that nobody could follow, one sentence each."""
    singly = [tag for tag in registry.tags.values() if not registry.is_population_relative(tag)]
    planner = _Planner(registry, singly)
    for tag in singly:
        planner.tag(tag)
    for rollup in registry.rollups.values():
        planner.kinds(rollup.name)
    for source in registry.sources.values():
        planner.source_filter(source.name, source.where)
    return planner.plan.problems


def has_age(registry: Registry, relation: str) -> bool:
    """Whether rows still carry their own age: not after grouping, unless a measure keeps it."""
    rollup = registry.rollups.get(relation)
    if rollup is None:
        return True
    return "age_us" in rollup.measures if rollup.measures else has_age(registry, rollup.source)


class _Planner:
    def __init__(self, registry: Registry, tags: list[Tag]) -> None:
        self.plan = DuePlan()
        self._registry = registry
        self._leaders = leader_waits(registry, tags)
        self._kinds: dict[str, dict[str, Kind]] = {}

    def kinds(self, relation: str) -> Mapping[str, Kind]:
        """How the columns of a source or rollup move; works the rollup out at first use."""
        if relation not in self._registry.rollups:
            return _SOURCE_ROW
        if relation not in self._kinds:
            self._kinds[relation] = self._rollup(self._registry.rollups[relation])
        return self._kinds[relation]

    def tag(self, tag: Tag) -> None:
        """Adds the waits of one tag."""
        definition, at = tag.definition, f"tag {tag.name}.definition"
        if definition.source is None:
            text = definition.derived or ""
            waits = self._waits(f"{at}.derived", parse(text), _ROW)
            if waits:
                self.plan.derived[tag.name] = waits
            return
        kinds = self.kinds(definition.source)
        window = tag.window if has_age(self._registry, definition.source) else None
        tree = filtered(parse(definition.value or ""), row_condition(window, definition.where))
        self._group(definition.source, self._waits(f"{at}.value", tree, kinds))
        if definition.source in self.plan.rows:
            self._group(definition.source, [self._leaders[definition.source][tag.name]])

    def source_filter(self, name: str, where: str | None) -> None:
        """Which rows a source has may not depend on the moment: rows that it drops are looked at no more."""
        if where is not None and columns_of(parse(where)) & _SOURCE_ROW.keys():
            self.plan.problems.append(
                f"source {name}.where: reads the clock; put that into the where of its tags or rollups"
            )

    def _waits(self, at: str, tree: exp.Expression, kinds: Mapping[str, Kind]) -> list[Wait]:
        try:
            return settled_waits(tree, kinds)
        except ClockUseError as error:
            self.plan.problems.append(f"{at}: {error}")
            return []

    def _kind(self, at: str, tree: exp.Expression, kinds: Mapping[str, Kind]) -> tuple[Kind, list[Wait]]:
        try:
            return waits_of(tree, kinds)
        except ClockUseError as error:
            self.plan.problems.append(f"{at}: {error}")
            return Kind.STILL, []

    def _group(self, relation: str, waits: list[Wait]) -> None:
        """Adds waits that are read while a source or rollup is grouped by entity."""
        self._add(self.plan.grouped.setdefault(relation, []), waits)

    def _rows(self, rollup: Rollup, waits: list[Wait]) -> None:
        """Adds waits of the rows of a rollup: asked of each group, or of all rows of its source."""
        if rollup.name in self._leaders and waits:
            self._add(self.plan.rows.setdefault(rollup.name, []), waits)
        else:
            self._group(rollup.source, waits)

    @staticmethod
    def _add(known: list[Wait], waits: list[Wait]) -> None:
        """Adds waits, but none that comes with every condition of another that is there already."""
        for wait in waits:
            if any(other.covers(wait) for other in known):
                continue
            known[:] = [other for other in known if not wait.covers(other)]
            known.append(wait)

    def _rollup(self, rollup: Rollup) -> dict[str, Kind]:
        at, rows = f"rollup {rollup.name}", self.kinds(rollup.source)
        condition = row_condition(rollup.window if "age_us" in rows else None, rollup.where)
        computed = {name: parse(text) for name, text in rollup.compute.items()}
        if condition is not None:
            self._rows(rollup, self._waits(f"{at}.where", condition, rows))
        offered = dict(_ROW) if rollup.measures else dict(rows)
        lasting = () if condition is None else lasting_conditions(condition, rows)
        for name, tree in computed.items():
            kind, waits = self._kind(f"{at}.compute.{name}", tree, rows)
            if not rollup.measures or name in rollup.group_by:
                self._rows(rollup, [wait.guarded(lasting) for wait in waits])
                offered[name] = kind
        for name in rollup.group_by:
            offered[name] = offered.get(name, rows.get(name, Kind.STILL))
            if offered[name] is not Kind.STILL:
                self.plan.problems.append(f"{at}.group_by: {name!r} moves with the clock all the time")
        for name, measure in rollup.measures.items():
            tree = _inlined(parse(measure.value), computed)
            if measure.within is not None:
                tree = filtered(tree, row_condition(measure.within, None))
            kind, waits = self._kind(f"{at}.measures.{name}", filtered(tree, condition), rows)
            if any(wait.is_aggregate for wait in waits):
                self.plan.problems.append(
                    f"{at}.measures.{name}: reads the clock after grouping; keep MIN(age_us) or MAX(age_us) "
                    "as the measure and read the clock in a layer or in the tag"
                )
                continue
            self._rows(rollup, waits)
            offered[name] = kind
        for number, layer in enumerate(rollup.layers):
            if layer.scope == "population":
                continue
            added: dict[str, Kind] = {}
            for name, text in layer.columns.items():
                added[name], waits = self._kind(f"{at}.layers.{name}", parse(text), offered)
                if waits:
                    self.plan.layers.setdefault((rollup.name, number), []).extend(waits)
            offered |= added
        return offered


def row_condition(window: str | None, where: str | None) -> exp.Expression | None:
    """Which rows count: a window and a where as one condition; event time <= t holds for every row."""
    us = duration_us(window) if window is not None else None
    parts = [parse(f"age_us < {us}")] if us is not None else []
    parts += [parse(where)] if where is not None else []
    return exp.and_(*parts) if parts else None


def _inlined(tree: exp.Expression, computed: Mapping[str, exp.Expression]) -> exp.Expression:
    """The expression with computed columns written out."""
    root = exp.paren(tree.copy())
    for column in list(root.find_all(exp.Column)):
        if column.name in computed:
            column.replace(exp.paren(computed[column.name].copy()))
    return root.this

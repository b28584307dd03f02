"""What registry entries must satisfy together: known sources and columns, no duplicates, no cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from feature_store.contracts import RefreshClass
from feature_store.language import expressions
from feature_store.language.definitions import Parameter, Rollup, Source, Tag, duration_us

if TYPE_CHECKING:
    from feature_store.registry import Registry

SCAN_NAMES = {"row_id", "as_of", "event_at", "age_us", "known_at", "replaced_at"}


def check_registry(
    entity: str,
    parameters: Sequence[Parameter],
    sources: Sequence[Source],
    rollups: Sequence[Rollup],
    tags: Sequence[Tag],
) -> list[str]:
    """Every problem as one sentence that names the entry and the field; empty when all is well."""
    problems = [
        f"{kind} {name}.name: defined {count} times"
        for kind, names in (
            ("parameter", [p.name for p in parameters]),
            ("source", [s.name for s in sources] + [r.name for r in rollups]),
            ("tag", [t.name for t in tags]),
        )
        for name, count in sorted(Counter(names).items())
        if count > 1
    ]
    known = {parameter.name for parameter in parameters}
    columns: dict[str, set[str]] = {}
    for source in sources:
        columns[source.name] = source.readable
        problems += _source_problems(source, known, f"{entity}_id")
    for rollup in rollups:
        columns[rollup.name], found = _rollup_columns(rollup, columns, known)
        problems += found
    windows: dict[str, set[str]] = {}
    for rollup in rollups:
        windows[rollup.name] = _windows(rollup) | windows.get(rollup.source, set())
    for tag in tags:
        problems += _tag_problems(
            tag, columns, windows, known, {t.name for t in tags}, {"as_of", f"{entity}_id"}
        )
    return problems + _cycles(tags)


def _snippet(where: str, text: str | None, readable: set[str], parameters: set[str]) -> list[str]:
    """Unknown columns and parameters of one snippet."""
    if text is None:
        return []
    tree = expressions.parse(text)
    problems = [
        f"{where}: unknown column {name!r}" for name in sorted(expressions.columns_of(tree) - readable)
    ]
    unknown = expressions.placeholders_of(tree) - parameters
    return problems + [f"{where}: unknown parameter {name!r}" for name in sorted(unknown)]


def _source_problems(source: Source, parameters: set[str], id_column: str) -> list[str]:
    problems = _snippet(f"source {source.name}.where", source.where, source.readable, parameters)
    seen = set(source.columns) | SCAN_NAMES | {id_column}
    for join in source.joins:
        if join.key not in source.columns:
            problems.append(f"source {source.name}.joins: unknown column {join.key!r}")
        problems += [
            f"source {source.name}.joins: column {name!r} of {join.table} hides another"
            for name in sorted(seen & set(join.columns))
        ]
        seen |= set(join.columns)
    return problems


def _rollup_columns(
    rollup: Rollup, columns: Mapping[str, set[str]], parameters: set[str]
) -> tuple[set[str], list[str]]:
    """Columns that a rollup offers, and what is wrong with it."""
    at = f"rollup {rollup.name}"
    if rollup.source not in columns:
        return set(), [f"{at}.source: unknown source {rollup.source!r} (sources come before their rollups)"]
    rows = set(columns[rollup.source])
    problems = []
    if duration_us(rollup.window) is not None and "age_us" not in rows:
        problems.append(f"{at}.window: {rollup.source!r} has no age_us to apply {rollup.window!r} to")
    problems += _snippet(f"{at}.where", rollup.where, rows, parameters)
    rows |= set(rollup.explode)
    for name, text in rollup.compute.items():
        problems += _snippet(f"{at}.compute.{name}", text, rows, parameters)
    rows |= set(rollup.compute)
    problems += [f"{at}.group_by: unknown column {name!r}" for name in rollup.group_by if name not in rows]
    for name, measure in rollup.measures.items():
        problems += _snippet(f"{at}.measures.{name}", measure.value, rows, parameters)
        if measure.within is not None and "age_us" not in rows:
            problems.append(f"{at}.measures.{name}: no age_us to apply {measure.within!r} to")
    offered = {"as_of", *rollup.group_by, *rollup.measures} if rollup.measures else rows
    for layer in rollup.layers:
        for name, text in layer.columns.items():
            problems += _snippet(f"{at}.layers.{name}", text, offered, parameters)
        offered = offered | set(layer.columns)
    return offered, problems


def _windows(rollup: Rollup) -> set[str]:
    """The windows a rollup applies itself; those of the rollups it reads hold as well."""
    return {rollup.window, *(m.within for m in rollup.measures.values() if m.within is not None)}


def _tag_problems(
    tag: Tag,
    columns: Mapping[str, set[str]],
    windows: Mapping[str, set[str]],
    parameters: set[str],
    names: set[str],
    row_names: set[str],
) -> list[str]:
    at, definition = f"tag {tag.name}.definition", tag.definition
    problems: list[str] = []
    if tag.name in row_names | {"row_id"}:
        problems.append(f"tag {tag.name}.name: the name is taken by the row itself")
    if definition.source is None:
        field = "derived" if definition.derived else "population"
        readable = names | row_names
        return problems + _snippet(
            f"{at}.{field}", definition.derived or definition.population, readable, parameters
        )
    if definition.source not in columns:
        return [*problems, f"{at}.source: unknown source {definition.source!r}"]
    readable = columns[definition.source]
    problems += _snippet(f"{at}.value", definition.value, readable, parameters)
    problems += _snippet(f"{at}.where", definition.where, readable, parameters)
    if duration_us(tag.window) is not None and "age_us" not in readable:
        allowed = windows[definition.source]
        if tag.window not in allowed:
            problems.append(
                f"tag {tag.name}.window: {tag.window!r} is not a window of rollup "
                f"{definition.source!r} ({', '.join(sorted(allowed))})"
            )
    return problems


def _cycles(tags: Iterable[Tag]) -> list[str]:
    """Tags that are derived from themselves."""
    inputs = {tag.name: tag.inputs for tag in tags}
    settled: set[str] = set()
    while ready := {
        name
        for name, needs in inputs.items()
        if name not in settled and not (needs & inputs.keys()) - settled
    }:
        settled |= ready
    looped = sorted(inputs.keys() - settled)
    return [f"tag {name}.definition: derived from itself through other tags" for name in looped]


def frequency_problems(registry: Registry) -> list[str]:
    """Tags that would be refreshed more often than what they are computed from."""
    problems = []
    rank = {refresh: position for position, refresh in enumerate(RefreshClass)}
    for tag in registry.tags.values():
        at = f"tag {tag.name}.refresh"
        if tag.refresh is not RefreshClass.DAY and registry.is_population_relative(tag):
            problems.append(f"{at}: compares entities, which is done once a day: must be '1d'")
        problems += [
            f"{at}: reads {name!r}, which is refreshed every {registry.tags[name].refresh.value} only; take "
            "the same or a rarer class"
            for name in sorted(tag.inputs & registry.tags.keys())
            if rank[registry.tags[name].refresh] > rank[tag.refresh]
        ]
    return problems

"""Files generated from the registries: a tag catalogue an entity and the schema serving reads.

Run `python -m feature_store.registry.catalogue` in the repository after a change of the registry; a test
fails while the committed files are not current.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from feature_store.language.definitions import Tag, Valid
from feature_store.language.expressions import FUNCTIONS
from feature_store.online import SCHEMA_FILE
from feature_store.predicted import PREDICTED
from feature_store.registry import CONSUMER, Registry, entities, load_registry

PACKAGE = Path(__file__).resolve().parents[1]
DOCS = PACKAGE.parent / "docs"


def catalogue_file(entity: str) -> Path:
    """The catalogue page of an entity: `docs/tags.md` of consumers, `docs/tags/<entity>.md` of others."""
    return DOCS / "tags.md" if entity == CONSUMER else DOCS / "tags" / f"{entity}.md"


def catalogue(registry: Registry) -> str:
    """The tag catalogue as Markdown: every tag by group, then sources, rollups and parameters."""
    tags = list(registry.tags.values())
    observed = sum(registry.origin(tag) == "observed" for tag in tags)
    out = [
        f"# Tags of {registry.entity}s",
        "",
        f"Generated from `feature_store/tags/{registry.entity}/*.yaml` by "
        "`python -m feature_store.registry.catalogue`; do not edit.",
        "",
        f"{len(tags)} tags: {observed} rest on sources that the embedded data observes, "
        f"{len(tags) - observed} on sources that are generated there (origin `overlay`).",
        "",
        "Money is a whole number of minor units of the configured currency (unit `minor`); shares are "
        "fractions 0-1 (unit `fraction`). A tag whose source has never reported anything by the moment is "
        "null, whatever its null rule.",
        "",
    ]
    for group in dict.fromkeys(tag.group for tag in tags):
        members = [tag for tag in tags if tag.group == group]
        out += [f"## {group} ({len(members)})", ""]
        for tag in members:
            out += _tag(registry, tag)
    if registry.entity == CONSUMER:
        out += _predicted()
    return "\n".join([*out, *_sources(registry), *_rollups(registry), *_parameters(registry), *_functions()])


def _tag(registry: Registry, tag: Tag) -> list[str]:
    sources = ", ".join(f"`{source.name}`" for source in registry.base_sources(tag))
    definition = tag.definition
    text = definition.value or definition.derived or definition.population
    if definition.source is not None:
        text = f"{text}  -- over {definition.source}"
        text += f" where {definition.where}" if definition.where is not None else ""
    compared = "; compares consumers" if registry.is_population_relative(tag) else ""
    return [
        f"### {tag.name}",
        "",
        tag.description,
        "",
        f"- {tag.type.value}, unit {tag.unit}, window {tag.window}, {valid_text(tag.valid)}; "
        f"without rows: {tag.null_rule}",
        f"- sources {sources} ({registry.origin(tag)}){compared}",
        f"- owner {tag.owner}, refresh {tag.refresh.value}, privacy {tag.privacy}, purpose {tag.consent}",
        "",
        "```sql",
        text or "",
        "```",
        "",
    ]


def _predicted() -> list[str]:
    out = [
        f"## predicted ({len(PREDICTED)})",
        "",
        "What the champions say, in profiles beside the tags above (origin `predicted`); they have no "
        "definition in SQL and no training set. `no_source` where no champion serves; withheld as soon as "
        "any purpose is withdrawn.",
        "",
    ]
    for tag in PREDICTED:
        out += [
            f"### {tag.name}",
            "",
            tag.description,
            "",
            f"- {tag.type.value}, unit {tag.unit}, {tag.valid}",
            f"- model `{tag.model}` (predicted)",
            f"- owner {tag.owner}, refresh {tag.field.refresh.value}, privacy {tag.privacy}, "
            f"purpose {tag.field.consent}",
            "",
        ]
    return out


def valid_text(valid: Valid) -> str:
    """What a value may be, in words."""
    if valid.values is not None:
        return f"one of {', '.join(valid.values)}"
    if valid.pattern is not None:
        return f"matching `{valid.pattern}`"
    if valid.min is None and valid.max is None:
        return "any value"
    low = "" if valid.min is None else f"{valid.min:.16g}"
    high = "" if valid.max is None else f"{valid.max:.16g}"
    return f"range {low}..{high}"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _sources(registry: Registry) -> list[str]:
    rows = [
        (s.name, s.table, s.time, s.received or s.time, s.embedded_origin, s.description)
        for s in registry.sources.values()
    ]
    header = ("source", "table", "event time", "receive time", "embedded data", "rows")
    return ["## Sources", "", *_table(header, rows), ""]


def _rollups(registry: Registry) -> list[str]:
    rows = [(r.name, r.source, r.window, r.description) for r in registry.rollups.values()]
    return ["## Rollups", "", *_table(("rollup", "over", "window", "rows"), rows), ""]


def _parameters(registry: Registry) -> list[str]:
    rows = [(p.name, f"`{p.value}`", str(p.version), p.description) for p in registry.parameters.values()]
    return ["## Parameters", "", *_table(("parameter", "value", "version", "meaning"), rows), ""]


def _functions() -> list[str]:
    rows = [(f"`{name}`", meaning) for name, (_, meaning, _) in FUNCTIONS.items()]
    return ["## Functions of the definitions", "", *_table(("function", "meaning"), rows), ""]


def schema_text(registry: Registry) -> str:
    """The profile schema of all tags as JSON, as `feature_store.online` reads it."""
    return registry.profile_schema().model_dump_json(indent=1) + "\n"


def write_files() -> None:
    """Writes every generated file."""
    for entity in entities():
        registry = load_registry(entity=entity)
        page = catalogue_file(entity)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(catalogue(registry), encoding="utf-8")
    (PACKAGE / SCHEMA_FILE).write_text(schema_text(load_registry()), encoding="utf-8")


if __name__ == "__main__":
    write_files()

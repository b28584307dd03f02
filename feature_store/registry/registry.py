"""The tag registry: reads `tags/<entity>/*.yaml`, checks every entry, and answers questions about tags.

One folder an entity (consumer, merchant, ...). `sources.yaml` holds parameters, sources (tables with an
entity, an event time and a receive time) and rollups (a source regrouped before it is aggregated).
Every other file holds tags of one group. Adding a tag or a source is a change of YAML alone.
No query is built here; see `feature_store.compiler`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from feature_store.contracts import ProfileSchema, TagField
from feature_store.due.plan import clock_problems
from feature_store.errors import RegistryError, UnknownTagError
from feature_store.language.definitions import Parameter, Rollup, Source, Tag
from feature_store.predicted import predicted_fields
from feature_store.registry.checks import check_registry, frequency_problems
from feature_store.registry.exact_sums import order_problems

SOURCES_FILE = "sources.yaml"
CONSUMER = "consumer"
Entry = TypeVar("Entry", Parameter, Source, Rollup, Tag)


class Registry:
    """A checked set of parameters, sources, rollups and tags of one entity.

    Args:
        entity: Whose tags these are, such as `consumer`; its id column is `<entity>_id`.
        parameters: Named numbers and patterns of the definitions.
        sources: Tables that tags may read.
        rollups: Regroupings of sources.
        tags: The tags, in catalogue order.

    Raises:
        RegistryError: Something does not fit together; every problem is listed.
    """

    def __init__(
        self,
        entity: str,
        parameters: Sequence[Parameter],
        sources: Sequence[Source],
        rollups: Sequence[Rollup],
        tags: Sequence[Tag],
    ) -> None:
        problems = check_registry(entity, parameters, sources, rollups, tags)
        if problems:
            raise RegistryError(problems)
        self.entity = entity
        self.parameters = {parameter.name: parameter for parameter in parameters}
        self.sources = {source.name: source for source in sources}
        self.rollups = {rollup.name: rollup for rollup in rollups}
        self.tags = {tag.name: tag for tag in tags}
        if problems := [*frequency_problems(self), *clock_problems(self), *order_problems(self)]:
            raise RegistryError(problems)

    @property
    def id_column(self) -> str:
        """The column that holds the entity's id, such as `consumer_id`."""
        return f"{self.entity}_id"

    def tag(self, name: str) -> Tag:
        """One tag by name.

        Raises:
            UnknownTagError: The registry does not define it.
        """
        try:
            return self.tags[name]
        except KeyError:
            raise UnknownTagError(
                f"There is no tag {name!r} of {self.entity}s{self.nearest(name)}; docs/tags.md lists them."
            ) from None

    def nearest(self, name: str) -> str:
        """Which tag was probably meant, as the end of a sentence; empty when none is near."""
        near = difflib.get_close_matches(name, self.tags, n=1)
        return f"; the nearest is {near[0]!r}" if near else ""

    def select(self, names: Iterable[str] | None) -> list[Tag]:
        """Tags by name in the order asked (duplicates dropped); all tags when `names` is None."""
        if names is None:
            return list(self.tags.values())
        return [self.tag(name) for name in dict.fromkeys(names)]

    def closure(self, tags: Iterable[Tag]) -> list[Tag]:
        """The tags and everything they are derived from, dependencies first."""
        ordered: dict[str, Tag] = {}

        def visit(tag: Tag) -> None:
            if tag.name in ordered:
                return
            for name in sorted(tag.inputs & self.tags.keys()):
                visit(self.tags[name])
            ordered[tag.name] = tag

        for tag in tags:
            visit(tag)
        return list(ordered.values())

    def lineage(self, relation: str) -> tuple[Source, list[Rollup]]:
        """The base source of a source or rollup, and the rollups on the way, nearest the source first."""
        chain: list[Rollup] = []
        while relation in self.rollups:
            chain.append(self.rollups[relation])
            relation = self.rollups[relation].source
        return self.sources[relation], chain[::-1]

    def base_sources(self, tag: Tag) -> list[Source]:
        """Every source the tag finally reads, by name order."""
        names = {
            self.lineage(part.definition.source)[0].name
            for part in self.closure([tag])
            if part.definition.source is not None
        }
        return [self.sources[name] for name in sorted(names)]

    def origin(self, tag: Tag) -> str:
        """`overlay` when any source of the tag is generated in the embedded data, else `observed`."""
        origins = {source.embedded_origin for source in self.base_sources(tag)}
        return "overlay" if "overlay" in origins else "observed"

    def is_population_relative(self, tag: Tag) -> bool:
        """Whether the value of one entity depends on the other entities at that moment."""
        for part in self.closure([tag]):
            if part.definition.population is not None:
                return True
            if part.definition.source is not None:
                _, chain = self.lineage(part.definition.source)
                if any(layer.scope == "population" for rollup in chain for layer in rollup.layers):
                    return True
        return False

    def population_sources(self) -> list[Source]:
        """The sources whose entities make up the population."""
        return [source for source in self.sources.values() if source.defines_population]

    def profile_schema(self, names: Iterable[str] | None = None) -> ProfileSchema:
        """The schema of a profile document with these tags, predicted ones last.

        Args:
            names: Tags of the registry, and predicted tags of consumers; all by default.

        Raises:
            UnknownTagError: A name is neither.
        """
        foreseen = predicted_fields(names) if self.entity == CONSUMER else []
        apart = {field.name for field in foreseen}
        own = None if names is None else [name for name in names if name not in apart]
        return ProfileSchema(
            fields=(
                *(
                    TagField(
                        name=tag.name,
                        type=tag.type,
                        unit=tag.unit,
                        refresh=tag.refresh,
                        consent=tag.consent,
                        is_predicted=tag.group == "predicted",
                    )
                    for tag in self.select(own)
                ),
                *foreseen,
            )
        )


def entities() -> list[str]:
    """The entities that have a packaged registry, by name."""
    root = files("feature_store").joinpath("tags")
    return sorted(path.name for path in root.iterdir() if path.joinpath(SOURCES_FILE).is_file())


@cache
def load_registry(folder: Path | None = None, *, entity: str = CONSUMER) -> Registry:
    """The registry of a folder of YAML files; the packaged one of the entity by default. Read once a process.

    Raises:
        RegistryError: There is no such folder or file, a file is not valid YAML, an entry is not valid, or
            entries do not fit together.
    """
    root: Traversable = folder if folder is not None else files("feature_store").joinpath("tags", entity)
    if not root.is_dir():
        raise RegistryError([f"{root}: there is no registry of the entity {entity!r}"])
    paths = sorted((p for p in root.iterdir() if p.name.endswith(".yaml")), key=lambda p: p.name)
    if not any(path.name == SOURCES_FILE for path in paths):
        raise RegistryError([f"{root}: {SOURCES_FILE} is missing"])
    problems: list[str] = []
    files_of: dict[str, str] = {}
    parameters: list[Parameter] = []
    sources: list[Source] = []
    rollups: list[Rollup] = []
    tags: list[Tag] = []
    for path in paths:
        document = _document(path, problems)
        if path.name == SOURCES_FILE:
            parameters += _entries(Parameter, document, "parameters", path.name, problems)
            sources += _entries(Source, document, "sources", path.name, problems)
            rollups += _entries(Rollup, document, "rollups", path.name, problems)
        else:
            found = _entries(Tag, document, "tags", path.name, problems)
            files_of |= {tag.name: path.name for tag in found}
            tags += found
    if problems:
        raise RegistryError(problems)
    try:
        return Registry(entity, parameters, sources, rollups, tags)
    except RegistryError as error:
        raise RegistryError([_with_file(problem, files_of) for problem in error.problems]) from None


def _with_file(problem: str, files_of: Mapping[str, str]) -> str:
    """The problem with the file its entry stands in: that of the tag, else the file of sources."""
    kind, _, rest = problem.partition(" ")
    file = files_of.get(re.split(r"[.:]", rest)[0], SOURCES_FILE) if kind == "tag" else SOURCES_FILE
    return f"{file}: {problem}"


def _document(path: Traversable, problems: list[str]) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        problems.append(f"{path.name}: not valid YAML: {error}")
        return {}
    if not isinstance(document, dict):
        problems.append(f"{path.name}: the file must hold a mapping")
        return {}
    return document


def _entries(
    model: type[Entry], document: dict[str, Any], key: str, file: str, problems: list[str]
) -> list[Entry]:
    defaults = document.get("defaults", {}) if key == "tags" else {}
    entries: list[Entry] = []
    for position, raw in enumerate(document.get(key) or []):
        if not isinstance(raw, dict):
            problems.append(f"{file}: {key}[{position}]: must be a mapping")
            continue
        name = raw.get("name", f"{key}[{position}]")
        try:
            entries.append(model.model_validate({**defaults, **raw}))
        except ValidationError as error:
            for detail in error.errors():
                field = ".".join(str(part) for part in detail["loc"]) or "entry"
                problems.append(f"{file}: {name}.{field}: {detail['msg']}")
    return entries

"""The entries of the catalogue: every tag of every entity with its registry entry, its values and its age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from feature_store.contracts import RefreshClass
from feature_store.errors import SourceTableError
from feature_store.explain.definition import DefinitionText, definition_of
from feature_store.language.definitions import Tag
from feature_store.offline import tags_without_source
from feature_store.point_in_time import check_tables
from feature_store.predicted import PREDICTED, PredictedTag, silent
from feature_store.registry import CONSUMER, Registry, entities, load_registry
from feature_store.registry.catalogue import valid_text
from pipelines.lake.tables import Lake
from pipelines.live.advance import CLASSES
from pipelines.live.log import TickLog
from pipelines.report.catalogue.values import Values, values_of
from pipelines.scoring.predicted import TABLE
from pipelines.settings import Settings
from pipelines.warehouse.reading import connect

PEOPLE = (CONSUMER, "agent")
"""Entities that are persons."""


@dataclass(frozen=True)
class Entry:
    """A tag as the catalogue shows it.

    Attributes:
        entity: Whose tag.
        tag: The registry's entry.
        definition: How it is computed.
        valid: Admitted values in words.
        origin: `observed` or `overlay`, in the embedded data.
        sources: Names of the sources that it finally reads.
        status: `computed`; `no_source` when a source of it has never reported; `not computed`.
        values: What its values look like.
        as_of: The moment that its values describe (UTC); None when they were not computed.
    """

    entity: str
    tag: Tag
    definition: DefinitionText
    valid: str
    origin: str
    sources: tuple[str, ...]
    status: str
    values: Values
    as_of: datetime | None


@dataclass(frozen=True)
class PredictedEntry:
    """A tag that a model says, as the catalogue shows it.

    Attributes:
        tag: Its entry in the list of predicted tags.
        status: `computed`; `no_source` when no model said anything of anybody; `not computed`.
        values: What its values look like.
        as_of: The moment that its values describe (UTC); None when they were not computed.
    """

    tag: PredictedTag
    status: str
    values: Values
    as_of: datetime | None


def predicted_entries(settings: Settings) -> list[PredictedEntry]:
    """Every tag of consumers that a model says, as the nightly scoring left them."""
    lake = Lake(settings.lake_dir)
    file, tags = lake.derived_path(TABLE), lake.derived_path("features/consumer_tags")
    said = pl.read_parquet(file) if file.exists() else None
    mute = silent(said) if said is not None else []
    as_of = _moment(pl.read_parquet(tags, columns=["as_of"])) if said is not None and tags.exists() else None
    return [
        PredictedEntry(
            tag=tag,
            status="not computed" if said is None else "no_source" if tag.name in mute else "computed",
            values=values_of(tag, None if said is None else said[tag.name], are_people=True),
            as_of=as_of,
        )
        for tag in PREDICTED
    ]


def all_entries(settings: Settings) -> list[Entry]:
    """Every tag of every entity, in the order of the registries, as the home has them now."""
    lake = Lake(settings.lake_dir)
    found: list[Entry] = []
    for entity in sorted(entities(), key=lambda name: (name != CONSUMER, name)):
        registry = load_registry(entity=entity)
        file = lake.derived_path(f"features/{entity}_tags")
        table = pl.read_parquet(file) if file.exists() else None
        built = _moment(table)
        silent = _silent(settings, registry, built)
        ticked = _ticked(settings) if entity == CONSUMER and built is not None else {}
        for tag in registry.tags.values():
            column = table[tag.name] if table is not None and tag.name in table.columns else None
            moment = None if built is None else max(built, ticked.get(tag.refresh, built))
            status = "not computed" if column is None else "no_source" if tag.name in silent else "computed"
            found.append(
                Entry(
                    entity=entity,
                    tag=tag,
                    definition=definition_of(registry, tag),
                    valid=valid_text(tag.valid),
                    origin=registry.origin(tag),
                    sources=tuple(source.name for source in registry.base_sources(tag)),
                    status=status,
                    values=values_of(tag, column, are_people=entity in PEOPLE),
                    as_of=moment,
                )
            )
    return found


def _moment(table: pl.DataFrame | None) -> datetime | None:
    moment = table["as_of"].max() if table is not None else None
    return moment.astimezone(UTC) if isinstance(moment, datetime) else None


def _silent(settings: Settings, registry: Registry, as_of: datetime | None) -> set[str]:
    """Tags of which a source has never reported; none where no warehouse of this release tells."""
    if as_of is None or not settings.warehouse_good.exists():
        return set()
    connection = connect(settings.warehouse_good)
    try:
        check_tables(connection, list(registry.sources.values()))
        return set(tags_without_source(connection, as_of, registry=registry))
    except SourceTableError:
        return set()
    finally:
        connection.close()


def _ticked(settings: Settings) -> dict[RefreshClass, datetime]:
    """Up to when the live loop has kept the classes that it keeps."""
    last = TickLog(settings.live_dir).last()
    return {} if last is None else dict.fromkeys(CLASSES, last.as_of.astimezone(UTC))

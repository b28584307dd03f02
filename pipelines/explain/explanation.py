"""Puts together what is served about an entity and the rows that made it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb

from feature_store.contracts import RefreshClass, TagStatus
from feature_store.explain.definition import DefinitionText, definition_of
from feature_store.explain.explained import Computed, compute, is_member
from feature_store.language.definitions import Tag
from feature_store.registry import CONSUMER, Registry, load_registry
from pipelines.explain.live_copy import looked_at
from pipelines.explain.predictions import ExplainedPrediction, is_predicted, predictions
from pipelines.explain.served import ExplainError, Served, ServedTag, served_consumer, served_other
from pipelines.lake.tables import Lake
from pipelines.live.store import LiveStore
from pipelines.settings import Settings
from pipelines.warehouse.reading import connect
from serving.settings import Settings as ServingSettings

Store = Literal["warehouse", "live store"]
_COMPARED = (TagStatus.PRESENT, TagStatus.NULL, TagStatus.NO_SOURCE)


@dataclass(frozen=True)
class ExplainedTag:
    """One tag of the entity.

    Attributes:
        tag: The registry's entry.
        definition: How it is computed.
        status: What a reader may do with it.
        value: The value that readers get, or the one at the moment asked for.
        as_of: The moment that the value describes (UTC).
        store: Where its rows were read.
        computed: What the rows give; None for a withheld tag.
        agrees: Whether that is what readers get; None where it was not compared.
        inputs: Values of the tags that it is derived from, as far as they may be told.
    """

    tag: Tag
    definition: DefinitionText
    status: TagStatus
    value: Any
    as_of: datetime
    store: Store
    computed: Computed | None
    agrees: bool | None
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Explanation:
    """An entity's tags and where they come from.

    Attributes:
        entity: Kind of the entity.
        entity_id: Which one.
        served: What readers get.
        as_of: The moment asked for; None explains what is served now.
        tags: The tags in registry order.
        predictions: What models say of a consumer; nothing at a past moment.
    """

    entity: str
    entity_id: str
    served: Served
    as_of: datetime | None
    tags: tuple[ExplainedTag, ...]
    predictions: tuple[ExplainedPrediction, ...] = ()


def explain(
    settings: Settings,
    entity: str,
    entity_id: str,
    *,
    url: str,
    tag: str | None = None,
    as_of: datetime | None = None,
    rows: int | None = 20,
) -> Explanation:
    """Why an entity has its tags.

    Args:
        settings: The installation's settings.
        entity: Kind of the entity, such as `consumer`.
        entity_id: Which one, as the source writes it.
        url: The serving database.
        tag: One tag; all when left out.
        as_of: A past moment instead of now, timezone-aware: values are then computed as they could have been
            known.
        rows: Most rows listed of each source and group; None lists all.

    Raises:
        ExplainError: The entity is unknown or was erased, or nothing was built or published yet.
        UnknownTagError: There is no such tag.
        LiveStoreBusyError: Ticks wrote to the live store all the time.
    """
    registry = load_registry(entity=entity)
    is_said = entity == CONSUMER and is_predicted(tag)
    if is_said and as_of is not None:
        raise ExplainError(
            f"{tag} is said by a model, not computed from rows; only what is served now can be told: leave "
            "--as-of out"
        )
    tags = [] if is_said else registry.select(None if tag is None else [tag])
    if entity == CONSUMER:
        served = served_consumer(url, ServingSettings(), entity_id)
    else:
        served = served_other(Lake(settings.lake_dir), registry, entity_id)
    if as_of is not None and as_of > served.newest:
        raise ExplainError(
            f"{as_of.astimezone(UTC).isoformat()} lies after {served.newest.isoformat()}, up to which values "
            "are served; ask for an earlier moment"
        )
    found: list[ExplainedTag] = []
    is_known = bool(served.tags) and as_of is None
    with _stores(settings) as stores:
        for store, moment, members in _readings(served, tags, as_of):
            read, connection = stores.of(store)
            is_known = is_known or is_member(connection, registry, entity_id, moment)
            computed = compute(
                connection,
                registry,
                members,
                entity_id=entity_id,
                as_of=moment,
                time_zone=settings.zone,
                rows=rows,
                compare=as_of is not None,
                hidden=served.withheld(registry),
            )
            found += [
                _explained(registry, one, served, computed.get(one.name), moment, read, as_of is None)
                for one in members
            ]
    if not is_known:
        raise ExplainError(
            _unknown(registry, entity_id, as_of or served.newest, is_now_known=bool(served.tags))
        )
    order = {one.name: position for position, one in enumerate(tags)}
    is_asked = entity == CONSUMER and as_of is None and (tag is None or is_said)
    return Explanation(
        entity,
        entity_id,
        served,
        as_of,
        tuple(sorted(found, key=lambda one: order[one.tag.name])),
        predictions(served, tag) if is_asked else (),
    )


def _readings(
    served: Served, tags: Sequence[Tag], as_of: datetime | None
) -> Iterable[tuple[Store, datetime, list[Tag]]]:
    """Which tags are read where and at which moment."""
    if as_of is not None:
        return [("live store", as_of, list(tags))]
    groups: dict[tuple[Store, datetime], list[Tag]] = {}
    for tag in tags:
        store: Store = "live store" if tag.refresh in served.live else "warehouse"
        groups.setdefault((store, served.as_of[tag.refresh]), []).append(tag)
    return [(store, moment, members) for (store, moment), members in groups.items()]


def _explained(
    registry: Registry,
    tag: Tag,
    served: Served,
    computed: Computed | None,
    as_of: datetime,
    store: Store,
    is_now: bool,
) -> ExplainedTag:
    told = served.tags.get(tag.name) if is_now else None
    if computed is None:
        told = ServedTag(TagStatus.WITHHELD, None)
    elif told is None:
        told = _of_rows(computed)
    elif told.status is TagStatus.NULL and not computed.has_source:
        told = replace(told, status=TagStatus.NO_SOURCE)
    agrees = None
    if is_now and computed is not None and computed.is_known and tag.name in served.tags:
        agrees = told.value == computed.value if told.status in _COMPARED else None
    definition = definition_of(registry, tag)
    served_now = served.tags if is_now else {}
    inputs = {name: served_now[name].value for name in definition.inputs if name in served_now}
    inputs |= computed.inputs if computed is not None else {}
    return ExplainedTag(tag, definition, told.status, told.value, as_of, store, computed, agrees, inputs)


def _of_rows(computed: Computed) -> ServedTag:
    if not computed.has_source:
        return ServedTag(TagStatus.NO_SOURCE, None)
    return ServedTag(TagStatus.NULL if computed.value is None else TagStatus.PRESENT, computed.value)


def _unknown(registry: Registry, entity_id: str, as_of: datetime, *, is_now_known: bool) -> str:
    moment = f"{as_of.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    sources = ", ".join(source.table for source in registry.population_sources())
    if is_now_known:
        return (
            f"{registry.entity} {entity_id!r} was not known at {moment}: no row of it in {sources} was "
            "visible then; ask for a later moment"
        )
    return (
        f"there is no {registry.entity} {entity_id!r} at {moment}: it has no profile and no visible row in "
        f"{sources}; ids are compared exactly as the source writes them"
    )


class _Stores:
    """The stores of a home, opened when first asked for."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._live: duckdb.DuckDBPyConnection | None = None
        self._warehouse: duckdb.DuckDBPyConnection | None = None

    def of(self, store: Store) -> tuple[Store, duckdb.DuckDBPyConnection]:
        """A store; the warehouse where there is no live store."""
        if store == "live store":
            if self._live is None:
                self._live = self._stack.enter_context(looked_at(LiveStore(self._settings.live_dir)))
            if self._live is not None:
                return "live store", self._live
        if self._warehouse is None:
            if not self._settings.warehouse_good.exists():
                raise ExplainError("there is no warehouse yet; run `make run` once")
            self._warehouse = connect(self._settings.warehouse_good, threads=2, memory="2GB")
            self._stack.callback(self._warehouse.close)
        return "warehouse", self._warehouse


@contextmanager
def _stores(settings: Settings) -> Iterator[_Stores]:
    with ExitStack() as stack:
        yield _Stores(settings, stack)


def classes_of(served: Served) -> dict[str, datetime]:
    """Refresh class to the moment that its values describe."""
    return {refresh.value: served.as_of[refresh] for refresh in RefreshClass}

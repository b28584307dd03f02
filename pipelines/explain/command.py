"""`muyun explain <entity> <id>` prints why an entity has its tags."""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.explain.explanation import explain
from pipelines.explain.served import ExplainError
from pipelines.explain.text import as_json, as_text
from pipelines.messages import Texts
from pipelines.settings import Settings
from serving.db.connect import database_url
from serving.settings import Settings as ServingSettings

ROWS_OF_ONE_TAG = 20
ROWS_OF_ALL_TAGS = 3


def explained(
    settings: Settings,
    entity: str,
    entity_id: str,
    *,
    tag: str | None,
    as_of: str | None,
    rows: int | None,
    json: bool,
) -> str:
    """The explanation as text or JSON.

    Args:
        settings: The installation's settings; the database runs.
        entity: Kind of the entity.
        entity_id: Which one.
        tag: One tag; all when left out.
        as_of: ISO 8601; without an offset it is UTC.
        rows: Most rows listed of each source and group; some when left out.
        json: For machines.

    Raises:
        ExplainError: There is nothing to explain, or `as_of` is no time.
    """
    most = rows if rows is not None else ROWS_OF_ALL_TAGS if tag is None else ROWS_OF_ONE_TAG
    found = explain(
        settings,
        entity,
        entity_id,
        url=database_url(ServingSettings()),
        tag=tag,
        as_of=None if as_of is None else _moment(as_of),
        rows=most,
    )
    return as_json(found) if json else as_text(found, Texts(settings.lang))


def _moment(written: str) -> datetime:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise ExplainError(
            f"--as-of {written!r} is no time; write it like 2026-01-31T12:00:00+08:00 (UTC without an offset)"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

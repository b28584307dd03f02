"""What readers still see when a run did not finish."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pipelines.lake.tables import LakeError
from pipelines.settings import Settings
from pipelines.sources.contract import SourceError
from serving.errors import ServingError

T = TypeVar("T")


def still_served(settings: Settings) -> str:
    """The version that serves and its time, in one line."""
    from serving.db.connect import database_url
    from serving.scores import loader

    try:
        current = loader.current(database_url(settings.serving), tenant_id=settings.tenant)
    except ServingError as error:
        return f"PostgreSQL does not say ({error}); the API answers 503 until it runs again, then as before"
    if current is None:
        return "nothing was published yet"
    return (
        f"version {current.version}, published {current.created_at:%Y-%m-%d %H:%M} UTC, "
        f"as of {current.as_of:%Y-%m-%d %H:%M} UTC, {len(current.row_counts)} tables"
    )


def told_with_what_serves(settings: Settings, work: Callable[[], T]) -> T:
    """Do work; an error that ends it also says what readers still see."""
    try:
        return work()
    except (SourceError, LakeError, ServingError, OSError) as error:
        error.add_note(f"still served: {still_served(settings)}")
        raise

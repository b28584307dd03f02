"""Whether everything that the last whole run left still stands, so that a run has nothing to do.

Decided without Dagster, dbt and MLflow, whose imports cost more than the answer. Whatever is in doubt counts
as news: then the graph runs, and each step decides for itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.clock import Clock
from pipelines.lake.tables import Lake, atomic_path
from pipelines.limits.document import load_limits
from pipelines.settings import Settings
from pipelines.sources.contract import SourceError
from pipelines.sources.recorded.extraction import database_identity
from pipelines.steps.closure import closure_of, package_version
from pipelines.steps.evidence import recorded_still_holds
from pipelines.steps.state import StateStore, fingerprint
from pipelines.stores.models import ModelStore
from pipelines.stores.publication import is_published
from pipelines.stores.sources import Sources
from pipelines.warehouse.files import DBT_PACKAGES, project_version
from serving.scores import loader

_FILE = "whole_run.json"
_PUBLICATION = "published/publication"
_PLACES = {
    "home", "data", "as_of", "executor", "progress_begins",
    "dagster_port", "mlflow_port", "docs_port", "postgres_port",
}  # fmt: skip
"""Settings that say where, when and how, not what."""


def remember_whole_run(settings: Settings, summary: Mapping[str, Any], url: str) -> None:
    """Write down what a run left in which every step and check passed.

    Args:
        settings: The installation's settings.
        summary: The account of the run.
        url: Address of the database.
    """
    lake = Lake(settings.lake_dir)
    sources = Sources(settings, lake)
    mark = _mark(settings, sources, summary, url)
    with atomic_path(settings.state_dir / _FILE) as temporary:
        temporary.write_text(json.dumps({"mark": mark, "at": summary["started_at"]}, indent=1))


def forget_whole_run(settings: Settings) -> None:
    """A run begins: until it has ended well, nothing is whole."""
    (settings.state_dir / _FILE).unlink(missing_ok=True)


def has_whole_run(settings: Settings) -> bool:
    """Whether a run ended well here, so that it is worth a look whether it still stands."""
    return (settings.state_dir / _FILE).exists()


def standing_run(settings: Settings, url: str) -> dict[str, Any] | None:
    """The account of the last whole run if a run now would change nothing; None when it might.

    Args:
        settings: The installation's settings.
        url: Address of the running, migrated database.
    """
    try:
        remembered = json.loads((settings.state_dir / _FILE).read_text())
        summary: dict[str, Any] = json.loads(settings.summary_file.read_text())
        if not settings.report_file.exists():
            return None
    except (OSError, ValueError):
        return None
    lake = Lake(settings.lake_dir)
    sources = Sources(settings, lake)
    try:
        stands = (
            remembered.get("mark") == _mark(settings, sources, summary, url)
            and _records_stand(settings, sources)
            and not sources.recorded_feeds.has_news(url)
            and not sources.recorded_books.has_news(url)
            and _is_served(settings, lake, url)
        )
    except SourceError:
        return None  # the run that follows meets it as well and says what serves meanwhile
    return {**summary, "stands_since": remembered["at"]} if stands else None


def _mark(settings: Settings, sources: Sources, summary: Mapping[str, Any], url: str) -> dict[str, str]:
    """Everything that decides a run, by name; what a run makes of it is in the records."""
    chosen = settings.model_dump(mode="json", exclude=_PLACES)
    names = [model["name"] for model in summary["models"]]
    return {
        "source": sources.source.fingerprint(),
        "settings": fingerprint({**chosen, "zone": settings.zone, "embedded": settings.embedded}),
        "limits": fingerprint({"limits": repr(load_limits(settings.home))}),
        "code": closure_of("pipelines.cli").version,
        "dbt": fingerprint(
            {"files": project_version(), **{name: package_version(name) for name in DBT_PACKAGES}}
        ),
        "records": _records_version(settings.state_dir),
        "champions": fingerprint(_models(settings).champions(names)),
        "database": database_identity(url),
        "served": _served(url),
    }


def _served(url: str) -> str:
    """What readers see, and whether a rollback holds them there."""
    current = loader.current(url)
    return f"{current.version}, pinned: {current.is_pinned}" if current is not None else "nothing"


def _models(settings: Settings) -> ModelStore:
    return ModelStore(settings.mlflow_dir, settings.home / "work")


def _record_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.json") if file.name != _FILE)


def _records_version(folder: Path) -> str:
    return fingerprint({file.name: file.read_text() for file in _record_files(folder)})


def _records_stand(settings: Settings, sources: Sources) -> bool:
    """Whether time has not outdated any record and every output is as its step left it."""
    store, clock = StateStore(settings.state_dir), Clock(settings, sources)
    now: datetime = clock.now()
    records = [store.get(file.stem.replace("__", "/")) for file in _record_files(settings.state_dir)]
    return all(
        record is not None
        and (record.key.startswith("checks/") or clock.stands(record, now))
        and recorded_still_holds(record.evidence, settings.home)
        for record in records
    )


def _is_served(settings: Settings, lake: Lake, url: str) -> bool:
    record = StateStore(settings.state_dir).get(_PUBLICATION)
    return record is not None and is_published(lake, url, str(record.metadata["version"]))

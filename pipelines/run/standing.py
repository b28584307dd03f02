"""Whether everything that the last whole run left still stands, so that a run has nothing to do.

Decided without Dagster, dbt and MLflow, whose imports cost more than the answer, and without the embedded
PostgreSQL where its files say that it stands as the last look left it. Whatever is in doubt counts as news:
then the graph runs, and each step decides for itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.clock import Clock
from pipelines.erasure.tombstones import has_new_erasures
from pipelines.lake.tables import Lake
from pipelines.limits.document import load_limits
from pipelines.run.code import code_version
from pipelines.run.whole_run import FILE, IN_DATABASE, read_whole_run, write_whole_run
from pipelines.settings import Settings
from pipelines.sources.contract import TABLES, SourceError, contract_table
from pipelines.sources.recorded.extraction import database_identity
from pipelines.steps.evidence import recorded_still_holds
from pipelines.steps.state import StateStore, fingerprint
from pipelines.stores.brake import newest_change
from pipelines.stores.models import ModelStore
from pipelines.stores.sources import Sources
from pipelines.stores.versions import is_whole_in_lake
from pipelines.warehouse.files import project_version
from serving.db.at_rest import next_transaction
from serving.feedback.records import any_waits

_PUBLICATION = "published/publication"
_PLACES = {
    "home", "data", "as_of", "executor", "progress_begins",
    "dagster_port", "mlflow_port", "docs_port", "postgres_port",
    "celery_broker", "celery_backend", "k8s_image", "k8s_namespace", "k8s_claim", "k8s_config",
}  # fmt: skip
"""Settings that say where, when and how, not what."""
_OWN_OUTPUT = frozenset(f"raw/{name}" for name in TABLES if contract_table(name).is_own_output)
"""What the platform itself published: a run reads it, but is not made new by it."""


def remember_whole_run(settings: Settings, summary: Mapping[str, Any], url: str) -> None:
    """Write down what a run left in which every step and check passed.

    Args:
        settings: The installation's settings.
        summary: The account of the run.
        url: Address of the database.
    """
    number = next_transaction(url)  # before the look: who writes during it is not missed
    sources = Sources(settings, Lake(settings.lake_dir))
    mark = _mark(settings, sources, summary) | _database_mark(settings, url)
    found: dict[str, Any] = {"mark": mark, "at": summary["started_at"]}
    if not _has_recorded(settings, sources, url):
        found["next_transaction"] = number
    write_whole_run(settings, found)


def standing_run(settings: Settings, url: str | None) -> dict[str, Any] | None:
    """The account of the last whole run if a run now would change nothing; None when it might.

    Args:
        settings: The installation's settings.
        url: Address of the running, migrated database; None when it is at rest (`whole_run.is_at_rest`).
    """
    remembered = read_whole_run(settings)
    try:
        summary: dict[str, Any] = json.loads(settings.summary_file.read_text())
    except (OSError, ValueError):
        return None
    if remembered is None or not settings.report_file.exists():
        return None
    lake = Lake(settings.lake_dir)
    sources = Sources(settings, lake)
    number = next_transaction(url) if url is not None else None
    try:
        mark = _mark(settings, sources, summary)
        mark |= (
            _database_mark(settings, url)
            if url is not None
            else {n: remembered["mark"][n] for n in IN_DATABASE}
        )
        stands = (
            remembered["mark"] == mark
            and _records_stand(settings, sources)
            and (url is None or not _has_recorded(settings, sources, url))
            and _is_served(settings, lake, url)
        )
    except SourceError:
        return None  # the run that follows meets it as well and says what serves meanwhile
    if not stands:
        return None
    if number is not None and number != remembered.get("next_transaction"):
        write_whole_run(settings, {**remembered, "next_transaction": number})
    return {**summary, "stands_since": remembered["at"]}


def _mark(settings: Settings, sources: Sources, summary: Mapping[str, Any]) -> dict[str, str]:
    """What decides a run outside the database, by name; what a run makes of it is in the records."""
    chosen = settings.model_dump(mode="json", exclude=_PLACES)
    names = [model["name"] for model in summary["models"]]
    models = _models(settings)
    return {
        "source": sources.source.fingerprint(),
        "settings": fingerprint({**chosen, "zone": settings.zone, "embedded": settings.embedded}),
        "limits": fingerprint({"limits": repr(load_limits(settings.home))}),
        "code": code_version(),
        "dbt": project_version(),
        "records": _records_version(settings.state_dir),
        "champions": fingerprint(models.champions(names)),
        "registered": fingerprint(
            {name: [one.parts[-3:] for one in models.bundles([name])] for name in names}
        ),
    }


def _database_mark(settings: Settings, url: str) -> dict[str, str]:
    """What the database adds to the mark."""
    return {
        "database": database_identity(url, settings.tenant),
        "served": _served(url, settings.tenant),
        "held": str(newest_change(url, settings.tenant)),
    }


def _has_recorded(settings: Settings, sources: Sources, url: str) -> bool:
    """Whether the API recorded what nothing extracted or sorted yet, or erased who is still in files."""
    return (
        sources.recorded_feeds.has_news(url)
        or sources.recorded_observations.has_news(url)
        or sources.recorded_books.has_news(url)
        or any_waits(url)
        or has_new_erasures(sources.lake_root, url, settings.tenant)
    )


def _served(url: str, tenant_id: str) -> str:
    """What readers see, and whether a rollback holds them there."""
    from serving.scores import loader  # brings much that a run on a database at rest need not import

    current = loader.current(url, tenant_id=tenant_id)
    return f"{current.version}, pinned: {current.is_pinned}" if current is not None else "nothing"


def _models(settings: Settings) -> ModelStore:
    return ModelStore(settings.mlflow_dir, settings.home / "work")


def _record_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.json") if file.name != FILE)


def _records_version(folder: Path) -> str:
    return fingerprint({file.name: file.read_text() for file in _record_files(folder)})


def _records_stand(settings: Settings, sources: Sources) -> bool:
    """Whether time has not outdated any record and every output is as its step left it."""
    store, clock = StateStore(settings.state_dir), Clock(settings, sources)
    now: datetime = clock.now()
    records = [store.get(file.stem.replace("__", "/")) for file in _record_files(settings.state_dir)]
    return all(
        record is not None
        and (record.key.startswith("checks/") or record.key in _OWN_OUTPUT or clock.stands(record, now))
        and recorded_still_holds(record.evidence, settings.home)
        for record in records
    )


def _is_served(settings: Settings, lake: Lake, url: str | None) -> bool:
    record = StateStore(settings.state_dir).get(_PUBLICATION)
    if record is None:
        return False
    version = str(record.metadata["version"])
    if url is None:
        return is_whole_in_lake(lake, version)
    from pipelines.stores.publication import is_published

    return is_published(lake, url, version, tenant_id=settings.tenant)

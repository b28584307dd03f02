"""The machine-readable account of a run, the twin of the report."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipelines.run.graph import GraphRun
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.report.questions import Answer


def summarize(
    settings: Settings,
    graph: GraphRun,
    answers: list[Answer],
    started: datetime,
    wall_s: float,
    peak_rss_mb: float,
) -> dict[str, Any]:
    """The machine-readable account of a run, the twin of the report."""
    from pipelines.lake.tables import Lake
    from pipelines.sources.contract import INGEST_ORDER
    from pipelines.sources.loading.ingest import read_report
    from pipelines.steps.state import StateStore
    from pipelines.trainings import due
    from serving.scores import loader

    lake = Lake(settings.lake_dir)
    journal = settings.home / "runs" / f"{graph.run_id}.jsonl"
    steps = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    tables = [report for name in INGEST_ORDER if (report := read_report(lake, name)) is not None]
    models = [
        row
        for family in ("recommendation", "demand", "pricing", "lifecycle")
        for row in (lake.read_report(f"models/{family}") or {"models": []})["models"]
    ]
    published: list[dict[str, Any]] = []
    pinned = None
    if not graph.failed:
        from serving.db.connect import ready_database
        from serving.settings import Settings as ServingSettings

        current = loader.current(ready_database(ServingSettings()), tenant_id=settings.tenant)
        if current is not None:
            published = [
                {"name": name, "rows": rows, "version": current.version}
                for name, rows in sorted(current.row_counts.items())
            ]
            pinned = current.version if current.is_pinned else None
    return {
        "run_id": graph.run_id,
        "started_at": started.isoformat(),
        "fixed_as_of": settings.as_of.isoformat() if settings.as_of else None,
        "wall_s": round(wall_s, 1),
        "peak_rss_mb": round(peak_rss_mb, 1),
        "failed": graph.failed,
        "failed_checks": graph.failed_checks,
        "steps": [{k: step[k] for k in ("name", "wall_s", "peak_rss_mb")} for step in steps],
        "tables": [
            {
                "name": report.table,
                "origin": report.origin,
                "received": report.received,
                "accepted": report.accepted,
                "quarantined": report.quarantined,
            }
            for report in tables
        ],
        "settlement": {
            name: lake.read_report(f"operations/{name}") or {} for name in ("replay", "settlement_day")
        },
        "models": [
            {k: row[k] for k in ("name", "metric", "value", "baseline", "baseline_value", "promoted")}
            for row in models
        ],
        "trainings": due.account(StateStore(settings.state_dir)),
        "published": published,
        "pinned": pinned,
        "api": [{"request": a.request, "status": a.status, "ms": a.ms} for a in answers],
    }

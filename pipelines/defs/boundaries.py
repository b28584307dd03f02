"""The three boundaries where plausibility limits stop implausible batches: feeds, features, scores.

Each check blocks what lies downstream of its asset in the same run. A pass is remembered by the asset's data
version, and the steps behind a boundary ask for it, so that a job that starts behind it is stopped as well.
"""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl

from pipelines.lake.tables import Lake
from pipelines.limits.boundaries import Boundaries
from pipelines.limits.judging import Batch
from pipelines.limits.suites import (
    FEATURE_BOUNDARY,
    FEED_BOUNDARIES,
    SAMPLE_ROWS,
    SCORE_BOUNDARIES,
    SCORED_BY,
    Boundary,
)
from pipelines.sources.contract import contract_table
from pipelines.sources.loading.ingest import read_report
from pipelines.steps.results import as_metadata
from pipelines.stores import publication

ReadBatch = Callable[[Lake], Batch]


def definitions() -> dg.Definitions:
    """Every boundary check."""
    checks = [
        _boundary_check(boundary, "feed_is_plausible", _feed(boundary.table)) for boundary in FEED_BOUNDARIES
    ]
    checks.append(_boundary_check(FEATURE_BOUNDARY, "features_are_whole", _frame("features/consumer_tags")))
    for boundary in SCORE_BOUNDARIES:
        table = boundary.table
        name = f"{table}_are_safe_to_serve" if table in SCORED_BY else "scores_are_safe_to_serve"
        checks.append(_boundary_check(boundary, name, _frame(publication.score_key(table))))
    return dg.Definitions(asset_checks=checks)


def _feed(table: str) -> ReadBatch:
    """An accepted table."""
    return lambda lake: Batch(
        newest=lambda: newest_rows(lake.accepted_files(table)),
        whole=lambda: _dated(lake, table),
        quarantined_share=lambda: _quarantined_share(lake, table),
    )


def _frame(key: str) -> ReadBatch:
    """A frame between steps."""
    return lambda lake: Batch(newest=lambda: lake.get(key), whole=lambda: lake.scan_key(key))


def newest_rows(files: list[Path]) -> pl.DataFrame:
    """The newest rows of files in partition order, at most `SAMPLE_ROWS`."""
    rows, chosen = 0, []
    for file in reversed(files):
        chosen.append(file)
        rows += pl.scan_parquet(file).select(pl.len()).collect().item()
        if rows >= SAMPLE_ROWS:
            break
    return pl.scan_parquet(chosen[::-1]).tail(SAMPLE_ROWS).collect() if chosen else pl.DataFrame()


def _dated(lake: Lake, table: str) -> pl.LazyFrame:
    """An accepted table, with the column `day` where it is kept by day."""
    contract = contract_table(table)
    if not contract.is_partitioned or contract.is_weekly:
        return lake.scan(table)
    return pl.scan_parquet(lake.accepted_files(table), hive_partitioning=True, glob=False)


def _quarantined_share(lake: Lake, table: str) -> float | None:
    report = read_report(lake, table)
    return report.quarantined / report.received if report is not None and report.received else None


def _boundary_check(boundary: Boundary, name: str, read: ReadBatch) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(boundary.asset.split("/")),
        name=name,
        blocking=True,
        pool="quality",  # Great Expectations keeps one project
        description=f"Plausibility limits of {boundary.suite} (pipelines/limits/defaults.yaml).",
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        boundaries: dg.ResourceParam[Boundaries],
        lake: dg.ResourceParam[Lake],
    ) -> dg.AssetCheckResult:
        outcome = boundaries.judge(boundary, read(lake))
        return dg.AssetCheckResult(
            passed=outcome.passed,
            severity=dg.AssetCheckSeverity.ERROR if outcome.is_error else dg.AssetCheckSeverity.WARN,
            metadata=as_metadata(outcome.metadata),
        )

    return check

"""The three boundaries where Great Expectations stops implausible batches: feeds, features, scores.

Each check blocks what lies downstream of its asset in the same run. A pass is remembered by the asset's data
version, and the steps behind a boundary ask for it, so that a job that starts behind it is stopped as well.
"""

from collections.abc import Callable

import dagster as dg
import polars as pl

from pipelines import publication
from pipelines.boundaries import Boundaries
from pipelines.lake import Lake
from pipelines.steps.results import as_metadata
from pipelines.suites import (
    FEATURE_BOUNDARY,
    FEED_BOUNDARIES,
    SAMPLE_ROWS,
    SCORE_BOUNDARIES,
    SCORED_BY,
    Boundary,
)

Read = Callable[[Lake], pl.DataFrame]


def definitions() -> dg.Definitions:
    """Every boundary check."""
    checks = [
        _boundary_check(boundary, "feed_is_plausible", _newest(boundary.asset.removeprefix("raw/")))
        for boundary in FEED_BOUNDARIES
    ]
    checks.append(
        _boundary_check(
            FEATURE_BOUNDARY,
            "features_are_whole",
            lambda lake: lake.get("features/consumer_tags"),
        )
    )
    for boundary in SCORE_BOUNDARIES:
        table = boundary.suite.removeprefix("published_")
        name = f"{table}_are_safe_to_serve" if table in SCORED_BY else "scores_are_safe_to_serve"
        checks.append(_boundary_check(boundary, name, _scores(table)))
    return dg.Definitions(asset_checks=checks)


def _newest(table: str) -> Read:
    """The newest rows of an accepted table, at most `SAMPLE_ROWS`."""

    def read(lake: Lake) -> pl.DataFrame:
        files = lake.accepted_files(table)
        rows, chosen = 0, []
        for file in reversed(files):
            chosen.append(file)
            rows += pl.scan_parquet(file).select(pl.len()).collect().item()
            if rows >= SAMPLE_ROWS:
                break
        return pl.scan_parquet(chosen[::-1]).tail(SAMPLE_ROWS).collect() if chosen else pl.DataFrame()

    return read


def _scores(table: str) -> Read:
    return lambda lake: lake.get(publication.score_key(table))


def _boundary_check(boundary: Boundary, name: str, read: Read) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(boundary.asset.split("/")),
        name=name,
        blocking=True,
        description=f"Great Expectations suite {boundary.suite}: {len(boundary.expectations)} expectations.",
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        boundaries: dg.ResourceParam[Boundaries],
        lake: dg.ResourceParam[Lake],
    ) -> dg.AssetCheckResult:
        outcome = boundaries.judge(boundary, lambda: read(lake))
        return dg.AssetCheckResult(
            passed=outcome.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=as_metadata(outcome.metadata),
        )

    return check

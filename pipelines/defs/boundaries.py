"""The three boundaries where Great Expectations stops implausible batches: feeds, features, scores.

Each check blocks what lies downstream of its asset. Outcomes are remembered by the asset's data version.
"""

from collections.abc import Callable

import dagster as dg
import polars as pl

from models.contracts import PUBLISHED_TABLES
from pipelines import publication
from pipelines.platform import Platform, as_metadata
from pipelines.suites import ACCEPTED_FEEDS, FEATURES, PUBLISHED, SAMPLE_ROWS, Expectation

Read = Callable[[Platform], pl.DataFrame]

_SCORED_BY = {
    "popular_items": "recommendations",
    "reorder_merchant_shares": "reorder_suggestions",
    "rebuy_reminders": "wakeup_list",
}
"""Published tables that another table's asset writes."""


@dg.definitions
def defs() -> dg.Definitions:
    """Every boundary check."""
    checks = [
        _boundary_check(["raw", table], "feed_is_plausible", f"accepted_{table}", _newest(table), suite)
        for table, suite in ACCEPTED_FEEDS.items()
    ]
    checks.append(
        _boundary_check(
            ["features", "consumer_tags"],
            "features_are_whole",
            "features_consumer_tags",
            lambda platform: platform.lake.get("features/consumer_tags"),
            FEATURES,
        )
    )
    checks += [
        _boundary_check(
            ["published", _SCORED_BY.get(table, table)],
            f"{table}_are_safe_to_serve" if table in _SCORED_BY else "scores_are_safe_to_serve",
            f"published_{table}",
            _scores(table),
            PUBLISHED[table],
        )
        for table in PUBLISHED_TABLES
    ]
    return dg.Definitions(asset_checks=checks)


def _newest(table: str) -> Read:
    """The newest rows of an accepted table, at most `SAMPLE_ROWS`."""

    def read(platform: Platform) -> pl.DataFrame:
        files = platform.lake.accepted_files(table)
        rows, chosen = 0, []
        for file in reversed(files):
            chosen.append(file)
            rows += pl.scan_parquet(file).select(pl.len()).collect().item()
            if rows >= SAMPLE_ROWS:
                break
        return pl.scan_parquet(chosen[::-1]).tail(SAMPLE_ROWS).collect() if chosen else pl.DataFrame()

    return read


def _scores(table: str) -> Read:
    return lambda platform: platform.lake.get(publication.score_key(table))


def _boundary_check(
    asset: list[str], name: str, suite: str, read: Read, expectations: tuple[Expectation, ...]
) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(asset),
        name=name,
        blocking=True,
        description=f"Great Expectations suite {suite}: {len(expectations)} expectations.",
    )
    def check(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        outcome = platform.boundary(suite, "/".join(asset), lambda: read(platform), expectations)
        return dg.AssetCheckResult(
            passed=outcome.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=as_metadata(outcome.metadata),
        )

    return check

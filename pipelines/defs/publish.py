"""Publish: profiles, and the switch of every reader to a new immutable version."""

from datetime import UTC, timedelta

import dagster as dg

from models.contracts import PUBLISHED_TABLES
from pipelines import publication, reading
from pipelines.conventions import Group, Owner
from pipelines.platform import Outcome, Platform
from pipelines.state import CheckRecord
from pipelines.suites import FEATURE_BOUNDARY, SCORE_BOUNDARIES

SCORED = ("recommendations", "prices", "demand_forecasts", "reorder_suggestions", "wakeup_list", "profiles")
"""Assets that score; some of them write a second table (`popular_items` and the like)."""

_FRESH = "newest_order_is_recent"
_MAX_AGE = timedelta(days=3)


@dg.asset(
    key=["published", "profiles"],
    group_name=Group.PUBLISH,
    owners=[Owner.DATA_SCIENCE],
    kinds={"parquet"},
    deps=[dg.AssetKey(["features", "consumer_tags"])],
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=26), warn_window=timedelta(hours=2)
    ),
)
def profiles(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """The tags of each consumer as one document with the fingerprint of the tag schema.

    Read by the storefront. One row per consumer.
    """
    return platform.step(
        context,
        lambda: _profiles(context, platform),
        code=("feature_store",),
        outputs=platform.score_files("profiles"),
    )


def _profiles(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from feature_store.offline import profile_documents

    platform.require_passed([FEATURE_BOUNDARY])
    tags = platform.lake.get("features/consumer_tags")
    platform.save_scores("profiles", profile_documents(tags))
    return Outcome(rows=tags.height, metadata={"tags": tags.width - 1})


@dg.asset(
    key=["published", "publication"],
    group_name=Group.PUBLISH,
    owners=[Owner.PLATFORM],
    kinds={"postgres", "parquet"},
    pool="publication",
    deps=[dg.AssetKey(["published", name]) for name in SCORED],
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=26), warn_window=timedelta(hours=2)
    ),
    check_specs=[
        dg.AssetCheckSpec(
            _FRESH,
            asset=["published", "publication"],
            description="The newest order is at most 3 days older than the business time of the scores.",
        )
    ],
)
def publication_(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """The immutable version that the API serves: scores, data range, model versions, counts, hash.

    Written to the lake, then to PostgreSQL, where readers are switched in one transaction; a failure leaves
    the last good version serving. One row per published row of any table.
    """
    return platform.step(
        context,
        lambda: _publish(context, platform),
        code=("pipelines/publication.py", "serving/scores", "models/contracts.py"),
        settings={"database": platform.database_identity()},
    )


def _publish(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    platform.require_passed(SCORE_BOUNDARIES)
    as_of = platform.as_of(context)
    with platform.warehouse() as connection:
        span = reading.order_time_range(connection) or (as_of, as_of)
    data_from, data_to = (moment.astimezone(UTC) for moment in span)
    versions: dict[str, str] = {}
    for family in ("recommendation", "demand", "pricing", "lifecycle"):
        versions |= platform.lake.read_report(f"model_versions/{family}") or {}
    done = publication.publish(
        platform.lake,
        platform.database_url(),
        as_of=as_of,
        data_from=data_from,
        data_to=data_to,
        model_versions=versions,
        keep_versions=platform.settings.keep_versions,
    )
    tables = done.manifest.tables
    age = as_of - data_to
    return Outcome(
        rows=sum(entry.rows for entry in tables.values()),
        metadata={
            "version": done.manifest.version,
            "is_new": done.is_new,
            "content_hash": done.manifest.content_hash,
            "data_from": data_from.isoformat(),
            "data_to": data_to.isoformat(),
            "models": versions,
            "tables_md": "| table | rows | carried from |\n|---|---|---|\n"
            + "\n".join(
                f"| {name} | {tables[name].rows:,} | {tables[name].carried_from or ''} |"
                for name in PUBLISHED_TABLES
            ),
        },
        checks=[
            CheckRecord(
                _FRESH, age <= _MAX_AGE, {"age_days": round(age.total_seconds() / 86400, 2)}, is_error=False
            )
        ],
        version=done.manifest.content_hash,
    )

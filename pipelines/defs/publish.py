"""Publish: profiles, and the switch of every reader to a new immutable version."""

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import dagster as dg

from feature_store.predicted import SCHEMA
from pipelines.clock import Clock
from pipelines.conventions import PUBLICATION_TAG, Group, Owner
from pipelines.defs.features import WITHOUT_SOURCE
from pipelines.lake.tables import Lake
from pipelines.limits.boundaries import Boundaries
from pipelines.limits.suites import FEATURE_BOUNDARY, SCORE_BOUNDARIES
from pipelines.scoring.predicted import TABLE
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome
from pipelines.stores import publication
from pipelines.stores.database import Database
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.warehouse import reading

SCORED = (
    "recommendations",
    "prices",
    "demand_forecasts",
    "reorder_suggestions",
    "supplier_grades",
    "supply_resilience",
    "assortment_suggestions",
    "party_reviews",
    "agent_suggestions",
    "wakeup_list",
    "profiles",
    "segments",
)
"""Assets that score; some of them write a second table (`popular_items` and the like)."""

_FRESH = "newest_order_is_recent"
_STEADY = "segments_moved_within_their_limits"
_MAX_AGE = timedelta(days=3)


@dg.asset(
    key=["published", "profiles"],
    group_name=Group.PUBLISH,
    owners=[Owner.DATA_SCIENCE],
    kinds={"parquet"},
    deps=[dg.AssetKey(["features", "consumer_tags"]), dg.AssetKey(["published", "wakeup_list"])],
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=26), warn_window=timedelta(hours=2)
    ),
)
def profiles(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    boundaries: dg.ResourceParam[Boundaries],
    lake: dg.ResourceParam[Lake],
    scores: dg.ResourceParam[Scores],
) -> dg.MaterializeResult:
    """The tags of each consumer, predicted ones included, as one document with the fingerprint of the schema.

    Read by the storefront. One row per consumer.
    """
    return steps.run(
        context,
        lambda: _profiles(boundaries, lake, scores),
        outputs=scores.files("profiles"),
        clock="none",
    )


def _profiles(boundaries: Boundaries, lake: Lake, scores: Scores) -> Outcome:
    from feature_store.offline import profile_documents

    boundaries.require_passed([FEATURE_BOUNDARY])
    tags = lake.get("features/consumer_tags")
    silent = lake.get(WITHOUT_SOURCE)["tag"].to_list()
    predicted = lake.get(TABLE) if lake.derived_path(TABLE).exists() else SCHEMA.to_frame()
    scores.save("profiles", profile_documents(tags, without_source=silent, predicted=predicted))
    return Outcome(
        rows=tags.height,
        metadata={
            "tags": tags.width - 2,
            "predicted_tags": len(SCHEMA) - 1,
            "predicted_of": predicted.height,
        },
    )


@dg.asset(
    key=["published", "segments"],
    group_name=Group.PUBLISH,
    owners=[Owner.DATA_SCIENCE],
    kinds={"parquet"},
    deps=[dg.AssetKey(["features", "consumer_tags"])],
    check_specs=[
        dg.AssetCheckSpec(
            _STEADY,
            asset=["published", "segments"],
            description="No segment changed its size, or lost members, by more than `segments` of the "
            "plausibility limits admits since the day before.",
        )
    ],
)
def segments(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    boundaries: dg.ResourceParam[Boundaries],
    lake: dg.ResourceParam[Lake],
    scores: dg.ResourceParam[Scores],
) -> dg.MaterializeResult:
    """Named groups of consumers by conditions over their tags, with who entered and who left.

    Read by operators and campaigns. One row per segment; the members stand in a table of their own.
    """
    return steps.run(
        context,
        lambda: _segments(settings, clock.as_of(context), boundaries, lake, scores),
        settings={"time_zone": settings.zone, "limits": boundaries.limits.segments.model_dump()},
        outputs=scores.files("segments", "segment_members"),
        clock="day",
    )


def _segments(
    settings: Settings, as_of: datetime, boundaries: Boundaries, lake: Lake, scores: Scores
) -> Outcome:
    import polars as pl

    from feature_store.registry import load_registry
    from feature_store.segments.definitions import load_segments
    from feature_store.segments.members import members, overlaps, sizes, with_edges
    from pipelines.segments.drift import movements

    boundaries.require_passed([FEATURE_BOUNDARY])
    registry = load_registry()
    defined = load_segments(registry)
    now = members(lake.get("features/consumer_tags"), registry, defined, time_zone=settings.zone)
    known = scores.files("segment_members")[0].exists()
    before = scores.get("segment_members") if known else None
    today = as_of.astimezone(ZoneInfo(settings.zone)).date()
    edges = with_edges(now, before, today)
    scores.save("segment_members", edges)
    scores.save("segments", sizes(now, defined))
    drifted = [line for one in movements(edges, today) for line in one.drifted(boundaries.limits.segments)]
    shared = overlaps(now).sort("share", descending=True).head(20)
    return Outcome(
        rows=edges.height,
        metadata={
            "members_md": _table(sizes(now, defined).select("segment", "member_count").rows()),
            "entered_today": edges.filter(pl.col("left_on").is_null(), entered_on=today).height,
            "left_today": edges.filter(left_on=today).height,
            "overlaps_md": _table([(a, b, n, f"{part:.0%}") for a, b, n, part in shared.rows()]),
        },
        checks=[CheckRecord(_STEADY, not drifted, {"drifted": drifted}, is_error=False)],
    )


def _table(rows: list[tuple[object, ...]]) -> str:
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


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
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    boundaries: dg.ResourceParam[Boundaries],
    lake: dg.ResourceParam[Lake],
    warehouse: dg.ResourceParam[Warehouse],
    scores: dg.ResourceParam[Scores],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """The immutable version that the API serves: scores, data range, model versions, counts, hash.

    Written to the lake, then to PostgreSQL, where readers are switched in one transaction; a failure leaves
    the last good version serving. One row per published row of any table.
    """
    url = database.url()
    kind: Literal["full", "refresh"] = (
        "full" if context.run.tags.get(PUBLICATION_TAG) == "full" else "refresh"
    )
    return steps.run(
        context,
        lambda: _publish(settings, clock.as_of(context), boundaries, lake, warehouse, scores, url, kind),
        settings={"database": database.number(url)},
        clock="day",
        holds=lambda record: (
            publication.is_published(lake, url, record.metadata["version"], tenant_id=settings.tenant)
            and kind in ("refresh", record.metadata["kind"])
        ),
    )


def _publish(
    settings: Settings,
    as_of: datetime,
    boundaries: Boundaries,
    lake: Lake,
    warehouse: Warehouse,
    scores: Scores,
    database_url: str,
    kind: Literal["full", "refresh"],
) -> Outcome:
    boundaries.require_passed(SCORE_BOUNDARIES)
    with warehouse.open() as connection:
        span = reading.order_time_range(connection) or (as_of, as_of)
    data_from, data_to = (moment.astimezone(UTC) for moment in span)
    versions: dict[str, str] = {}
    for family in ("recommendation", "demand", "pricing", "lifecycle", "supply"):
        versions |= scores.model_versions(family)
    done = publication.publish(
        lake,
        database_url,
        tenant_id=settings.tenant,
        as_of=as_of,
        data_from=data_from,
        data_to=data_to,
        model_versions=versions,
        keep_versions=settings.keep_versions,
        keep_refreshes=settings.keep_refreshes,
        kind=kind,
    )
    tables = done.manifest.tables
    age = as_of - data_to
    return Outcome(
        rows=sum(entry.rows for entry in tables.values()),
        metadata={
            "version": done.manifest.version,
            "is_new": done.is_new,
            "kind": done.manifest.kind,
            "served": done.served,
            "is_held_back_by_a_rollback": done.is_held_back,
            "content_hash": done.manifest.content_hash,
            "data_from": data_from.isoformat(),
            "data_to": data_to.isoformat(),
            "models": versions,
            "tables_md": "| table | rows | carried from |\n|---|---|---|\n"
            + "\n".join(
                f"| {name} | {tables[name].rows:,} | {tables[name].carried_from or ''} |" for name in tables
            ),
        },
        checks=[
            CheckRecord(
                _FRESH, age <= _MAX_AGE, {"age_days": round(age.total_seconds() / 86400, 2)}, is_error=False
            )
        ],
        version=done.manifest.content_hash,
    )

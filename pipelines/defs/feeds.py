"""Feeds over HTTP: what the connectors of the user's folder bring lands before the raw tables are loaded."""

import os
from datetime import UTC, datetime

import dagster as dg

from pipelines.conventions import Group, Owner
from pipelines.defs.schedules import running_schedule
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.sources.connectors.pull import PullReport
from pipelines.sources.connectors.rounds import pull_round
from pipelines.sources.files.landed import landed_beside
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, fingerprint
from pipelines.stores.sources import Sources

PULLED = dg.AssetKey(["operations", "pulled_feeds"])
_ANSWERED = "every_feed_answered"
_AS_DECLARED = "every_feed_is_as_declared"


def definitions(settings: Settings) -> dg.Definitions:
    """The asset with its job and schedule; nothing on the embedded panel, which has no connectors."""
    if settings.embedded:
        return dg.Definitions()
    job = dg.define_asset_job(
        "feeds_pull",
        selection=dg.AssetSelection.assets(PULLED),
        description="Pull what is new at every connector; the sensor of new files starts the ingest.",
    )
    return dg.Definitions(
        assets=[pulled_feeds], jobs=[job], schedules=[running_schedule(job, "*/15 * * * *")]
    )


@dg.asset(
    key=PULLED,
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_ENGINEERING],
    kinds={"json"},
    pool="feeds",
    check_specs=[
        dg.AssetCheckSpec(
            _ANSWERED,
            asset=PULLED,
            description="Every feed was pulled to its end. What one brought before stays where it failed.",
        ),
        dg.AssetCheckSpec(
            _AS_DECLARED,
            asset=PULLED,
            description="No feed has new fields, none lacks one; rows that lack one are quarantined.",
        ),
    ],
)
def pulled_feeds(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    sources: dg.ResourceParam[Sources],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """What the connectors named in `muyun.yaml` have new, landed beside the user's files.

    A feed that does not answer stops nothing: what it brought before stands. Read by the raw tables. One row
    per landed row of this pull.
    """
    named = [connector.connector for connector in sources.connectors()]
    if named:
        # Only the other side knows whether there is news.
        steps.records.forget(context.asset_key.to_user_string())
    return steps.run(
        context,
        lambda: _pull(settings, sources, lake),
        settings={"connectors": named},
        clock="none",
    )


def _pull(settings: Settings, sources: Sources, lake: Lake) -> Outcome:
    connectors = sources.connectors()
    reports = list(pull_round(connectors, settings.feeds_dir, os.environ, now=lambda: datetime.now(UTC)))
    sources.landed_anew()
    lake.write_report("operations/pulled_feeds", {"streams": [report.to_json() for report in reports]})
    unanswered = [report for report in reports if report.status in ("failed", "outdated")]
    drifted = [report for report in reports if report.drift]
    return Outcome(
        rows=sum(report.rows for report in reports),
        metadata={
            "connectors": [connector.connector for connector in connectors],
            "streams_md": _table(reports),
        },
        checks=[
            CheckRecord(
                _ANSWERED,
                not unanswered,
                {"problems": [f"{report.stream}: {report.problem}" for report in unanswered]},
                is_error=False,
            ),
            CheckRecord(
                _AS_DECLARED,
                not drifted,
                {"drift": [f"{report.stream}: {line}" for report in drifted for line in report.drift]},
                is_error=False,
            ),
        ],
        version=fingerprint({"files": _landed(settings)}),
    )


def _landed(settings: Settings) -> list[str]:
    streams = landed_beside(settings.data, settings.feeds_dir) if settings.data is not None else ()
    return [name for stream in streams for name in stream.files()]


def _table(reports: list[PullReport]) -> str:
    lines = [
        f"| {one.stream} | {one.status} | {one.rows:,} | {one.repeated:,} | {one.problem or ''} |"
        for one in reports
    ]
    return "\n".join(["| stream | status | rows | repeated | problem |", "|---|---|---|---|---|", *lines])

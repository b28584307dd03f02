"""Communities: how each fares by week, for analysts and the report. With a check."""

from datetime import datetime

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome
from pipelines.stores.communities import WEEKS
from pipelines.stores.database import Database

_WEEKS = ["operations", "community_weeks"]
_FOLLOW = "members_follow_from_the_week_before"


@dg.asset(
    key=_WEEKS,
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["quality", "feedback"]), dg.AssetKey(["operations", "settlement_day"])],
    check_specs=[
        dg.AssetCheckSpec(
            _FOLLOW,
            asset=_WEEKS,
            description="Members at the end of a week are those of the week before, and who joined, less "
            "who left.",
        )
    ],
)
def community_weeks(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Communities by week: members, orders, margin, what promotions cost, texts and complaints.

    The figures of `GET /v1/communities/{id}/health`, of orders that the API recorded. Read by analysts and
    by the report. One row per community and week.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _read(settings, clock.as_of(context), lake, url),
        settings={"database": database.number(url)},
        outputs=[lake.derived_path(WEEKS)],
        clock="day",
    )


def _read(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    from pipelines.community_weeks import broken, weeks_frame

    weeks = weeks_frame(url, settings.tenant, as_of)
    lake.put(WEEKS, weeks)
    wrong = broken(weeks)
    return Outcome(
        rows=weeks.height,
        metadata={"communities": weeks["community_id"].n_unique()},
        checks=[CheckRecord(_FOLLOW, not wrong, {"weeks": wrong[:20]}, is_error=False)],
    )

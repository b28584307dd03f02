"""Members: the close of a day: growth value, levels, notices, coupons of levels. With checks."""

from datetime import datetime

import dagster as dg
import polars as pl

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, fingerprint
from pipelines.stores.database import Database
from pipelines.stores.members import COST_COLUMNS, COSTS, REPORT, state_of
from pipelines.stores.warehouse import Warehouse

_KEY = ["operations", "member_levels"]
_GIVEN = "every_level_gave_its_coupon"
_TOLD = "every_member_at_risk_is_told"


@dg.asset(
    key=_KEY,
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["warehouse", "published"]), dg.AssetKey(["quality", "feedback"])],
    check_specs=[
        dg.AssetCheckSpec(
            _GIVEN,
            asset=_KEY,
            description="Nobody who went up waits for the coupon of the level: its programme is in force and "
            "has a budget.",
        ),
        dg.AssetCheckSpec(
            _TOLD,
            asset=_KEY,
            description="Every member who is at risk of going down was told; who was not keeps the level.",
        ),
    ],
)
def member_levels(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """The close of a day of members: growth out of settled spend and interactions, and levels that follow.

    Up at once, down after the period and days of grace and only who was told; a coupon for whoever went up,
    once a stay. One transaction; the same day again moves only whom other facts move. Read by the API, by
    tags and the mart with the next run, by the report. One row per member whom the close moved.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _close(settings, clock.as_of(context), warehouse, lake, url),
        settings={"database": database.number(url), "zone": settings.zone},
        outputs=[lake.derived_path(COSTS)],
        clock="day",
        holds=lambda record: record.metadata["state"] == state_of(url, settings.tenant),
    )


def _close(settings: Settings, as_of: datetime, warehouse: Warehouse, lake: Lake, url: str) -> Outcome:
    from pipelines.members_night import close_night

    if settings.embedded and settings.days_to_replay:
        _open_programme(settings, as_of, url)
    with warehouse.open() as connection:
        night = close_night(connection, url, settings.tenant, settings.zone, as_of)
    closed, waiting = night.closed, night.closed.given.waiting
    told = {
        "programme_version": closed.version,
        "closed_on": night.today.isoformat(),
        "with_growth": night.growth,
        "members": {level: count for level, (count, _, _) in night.levels.items()},
        "at_risk": {level: risk for level, (_, risk, _) in night.levels.items() if risk},
        "moved": dict(closed.moved),
        "notices": closed.notices,
        "coupons": closed.given.codes,
        "a_later_day_was_closed": closed.is_outdated,
    }
    lake.write_report(REPORT, {**told, "levels": night.rows()})
    lake.put(COSTS, pl.DataFrame(night.costs, schema=COST_COLUMNS, orient="row"))
    return Outcome(
        rows=sum(closed.moved.values()),
        metadata={**told, "state": night.state},
        checks=[
            CheckRecord(_GIVEN, waiting == 0, {"waiting": waiting}, is_error=False),
            CheckRecord(_TOLD, night.not_told == 0, {"not_told": night.not_told}, is_error=False),
        ],
        version=fingerprint({"state": night.state, "closed_on": told["closed_on"]}),
    )


def _open_programme(settings: Settings, as_of: datetime, url: str) -> None:
    from pipelines.replay.members import open_programme
    from serving.db.operations import Operations

    with (
        Operations(url, size=1) as operations,
        operations.transaction(settings.tenant) as connection,
    ):
        open_programme(connection, as_of)

"""Experiments: those that are over or do harm stop, and what came of each. With a check."""

from datetime import datetime
from typing import Any

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, fingerprint
from pipelines.stores.database import Database

_DAY = ["operations", "experiments_day"]
_FIT = "exposed_units_fit_the_shares"


def definitions() -> dg.Definitions:
    """The asset; between two runs the worker of `make ui` stops what is due."""
    return dg.Definitions(assets=[experiments_day])


@dg.asset(
    key=_DAY,
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_SCIENCE],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["published", "publication"])],
    check_specs=[
        dg.AssetCheckSpec(
            _FIT,
            asset=_DAY,
            description="No experiment has exposed units that the shares drawn hardly ever give (p < .001): "
            "nothing may be said of such a one.",
        )
    ],
)
def experiments_day(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """What came of experiments on lists, prices and coupons; those that are over or do harm stop.

    The results are those of `GET /v1/experiments/{id}/results`, of units exposed long enough ago, as they
    were assigned. Read by the report. One row per experiment that runs or stopped within 90 days.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _live(settings, clock.as_of(context), lake, url),
        settings={"database": database.number(url)},
        clock="day",
    )


def _live(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    from pipelines.experiments_day import blocked, day_of
    from pipelines.stores.experiments import REPORT

    told = day_of(url, settings.tenant, as_of)
    lake.write_report(REPORT, told)
    unfit = blocked(told)
    return Outcome(
        rows=len(told["experiments"]),
        metadata={"ended": told["ended"], "running": _running(told["experiments"])},
        checks=[CheckRecord(_FIT, not unfit, {"experiments": unfit}, is_error=False)],
        version=fingerprint(told),
    )


def _running(experiments: list[dict[str, Any]]) -> int:
    return sum(one["state"] == "running" for one in experiments)

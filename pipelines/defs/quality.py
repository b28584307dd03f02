"""Quality: the brake judges every sku and holds those whose complaints lie above their category's line."""

from collections import Counter
from datetime import datetime

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, content_version
from pipelines.stores.brake import ESTIMATES, FROZEN, LEVELS, newest_change
from pipelines.stores.database import Database
from pipelines.stores.warehouse import Warehouse

_HELD = "no_level_is_below_its_finding"
_PRIORS = "every_category_has_a_prior_of_its_own"


@dg.asset(
    key=["quality", "brake"],
    group_name=Group.QUALITY,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["warehouse", "published"]), dg.AssetKey(["quality", "feedback"])],
    check_specs=[
        dg.AssetCheckSpec(
            _HELD,
            asset=["quality", "brake"],
            blocking=True,
            description="The database holds no sku lower than the newest estimate asks for.",
        ),
        dg.AssetCheckSpec(
            _PRIORS,
            asset=["quality", "brake"],
            description="No category is judged by what is usual elsewhere for want of deliveries of its own.",
        ),
    ],
)
def brake(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """How hard each sku is held: watched, limited, stopped, recalled; with the numbers behind it.

    Complaints of quality a delivered unit over 30 days, cases and what buyers wrote, corrected for those that
    have not come yet, against the alarm line of the category. Put into force in one transaction; orders,
    listings and lists read it there, scored lists, prices and reorders here. One row per sku that is held.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _judge(settings, clock.as_of(context), warehouse, lake, url),
        settings={
            "database": database.number(url),
            "lines": dict(settings.quality_lines),
            "reasons": [sorted(settings.quality_reasons), sorted(settings.safety_reasons)],
        },
        outputs=[lake.derived_path(key) for key in (LEVELS, FROZEN, ESTIMATES)],
        clock="day",
        holds=lambda record: record.metadata["newest_change"] == newest_change(url, settings.tenant),
    )


def _judge(settings: Settings, as_of: datetime, warehouse: Warehouse, lake: Lake, url: str) -> Outcome:
    from models.supply.brake.config import BrakeConfig
    from pipelines.quality_night import judge_night, keep_night

    config = BrakeConfig(
        lines=settings.quality_lines,
        quality_reasons=settings.quality_reasons,
        safety_reasons=settings.safety_reasons,
    )
    with warehouse.open() as connection:
        night = judge_night(connection, url, settings.tenant, config, as_of)
    keep_night(lake, night)
    judged = night.judged
    return Outcome(
        rows=len(night.in_force),
        metadata={
            "judged": night.estimates["batch_id"].null_count(),
            "judged_batches": night.estimates["batch_id"].count(),
            "raised": judged.raised,
            "released": judged.released,
            "ended_overrides": judged.ended_overrides,
            "judged_later_already": judged.outdated,
            "held_by_level": dict(sorted(Counter(str(int(one.level)) for one in night.in_force).items())),
            "frozen_suppliers": night.frozen,
            "newest_change": night.newest_change,
        },
        checks=[
            CheckRecord(_HELD, not night.too_low, {"skus": night.too_low[:20]}),
            CheckRecord(
                _PRIORS, not night.without_prior, {"categories": night.without_prior[:20]}, is_error=False
            ),
        ],
        version=content_version([lake.derived_path(key) for key in (LEVELS, FROZEN)]),
    )

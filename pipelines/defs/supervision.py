"""Supervision: signs of counterfeits against listings and offers, and what is done about them."""

from collections import Counter
from datetime import datetime

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, content_version
from pipelines.stores.database import Database
from pipelines.stores.supervision import CASES, newest_change
from pipelines.stores.warehouse import Warehouse

_HELD = "no_case_is_below_its_signs"


@dg.asset(
    key=["quality", "supervision"],
    group_name=Group.QUALITY,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=[
        dg.AssetCheckSpec(
            _HELD,
            asset=["quality", "supervision"],
            blocking=True,
            description="The database holds no listing and no offer lower than its newest signs ask for.",
        ),
    ],
)
def supervision(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """What is held against listings of merchants and offers of suppliers: asked for papers, held, taken off.

    Prices below the supply market, brands without papers, copied titles and pictures, complaints that say
    counterfeit, batch codes that nobody stated, invoices that others stated or with fewer units than were
    sold. Put into force in one transaction; orders, listings, lists and purchase orders read it there. One
    row per open case.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _judge(settings, clock.as_of(context), warehouse, lake, url),
        settings={
            "database": database.number(url),
            "words": list(settings.supervision_words),
            "lines": list(settings.supervision_lines),
        },
        outputs=[lake.derived_path(CASES)],
        clock="day",
        holds=lambda record: record.metadata["newest_change"] == newest_change(url, settings.tenant),
    )


def _judge(settings: Settings, as_of: datetime, warehouse: Warehouse, lake: Lake, url: str) -> Outcome:
    from pipelines.supervision_night import judge_night, keep_night

    with warehouse.open() as connection:
        night = judge_night(connection, url, settings.tenant, settings.supervision, as_of)
    keep_night(lake, night)
    judged = night.judged
    return Outcome(
        rows=len(night.cases),
        metadata={
            "signs": dict(night.signs),
            "opened": judged.opened,
            "raised": judged.raised,
            "lapsed": judged.lapsed,
            "judged_later_already": judged.outdated,
            "open_by_level": dict(
                sorted(Counter(str(int(one.level)) for one in night.cases.values()).items())
            ),
            "newest_change": night.newest_change,
        },
        checks=[
            CheckRecord(
                _HELD, not night.too_low, {"listings": ["/".join(one) for one in night.too_low[:20]]}
            ),
        ],
        version=content_version([lake.derived_path(CASES)]),
    )

"""Attribution: revenue shared among marketing channels, and what their tests say that they cause."""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome
from pipelines.stores.channel_tests import standing_tests, version_of
from pipelines.stores.database import Database
from pipelines.stores.warehouse import Warehouse

_EXACT = "credits_equal_revenue_to_the_fen"


@dg.asset(
    key=["growth", "channel_credits"],
    group_name=Group.GROWTH,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=[
        dg.AssetCheckSpec(
            _EXACT,
            asset=["growth", "channel_credits"],
            blocking=True,
            description="Each model gives each order its revenue, and all orders that of the marts.",
        )
    ],
)
def channel_credits(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    warehouse: dg.ResourceParam[Warehouse],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """The revenue of each order shared among the channels that touched its consumer, under seven models.

    With what the newest finished test of each channel says that it causes; only that is an effect. Read by
    the marts of channels. One row per order, model and channel.
    """
    from pipelines.channel_credits import CREDITS_KEY, EFFECTS_KEY

    url = database.url()
    return steps.run(
        context,
        lambda: _attribute(settings, clock.as_of(context), warehouse, lake, url),
        settings={"database": database.number(url), "time_zone": settings.zone},
        outputs=[lake.derived_path(CREDITS_KEY), lake.derived_path(EFFECTS_KEY)],
        clock="day",
        holds=lambda record: record.metadata["tests"] == version_of(standing_tests(url, settings.tenant)),
    )


def _attribute(settings: Settings, as_of: datetime, warehouse: Warehouse, lake: Lake, url: str) -> Outcome:
    from models.attribution.config import AttributionConfig
    from pipelines.channel_credits import CREDITS_KEY, EFFECTS_KEY, attribute, attributed_share

    tests = standing_tests(url, settings.tenant)
    today = as_of.astimezone(ZoneInfo(settings.zone)).date()
    with warehouse.open() as connection:
        day = attribute(connection, tests, settings.tenant, today, AttributionConfig())
    lake.put(CREDITS_KEY, day.credits)
    lake.put(EFFECTS_KEY, day.effects)
    return Outcome(
        rows=day.credits.height,
        metadata={
            "revenue_cents": day.revenue_cents,
            "attributed_share_of_orders": round(attributed_share(day.credits), 4),
            "channels_with_a_finished_test": day.effects.height,
            "tests": version_of(tests),
        },
        checks=[
            CheckRecord(
                _EXACT,
                day.is_exact,
                {"revenue_cents": day.revenue_cents, "wrong_orders": day.wrong_orders, **day.sums},
            )
        ],
    )

"""Resilience of supply: dependence on main suppliers, what a failure would cost, what should change."""

import dagster as dg

from pipelines.conventions import Group, Owner
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.warehouse import reading


@dg.asset(
    key=["published", "supply_resilience"],
    group_name=Group.SUPPLY,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["warehouse", "published"])],
)
def supply_resilience(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    warehouse: dg.ResourceParam[Warehouse],
    scores: dg.ResourceParam[Scores],
) -> dg.MaterializeResult:
    """How far each category leans on one supplier, what the failure of any would cost, what should change.

    Without offers nobody could stand in: every category is for a trial. One row per category.
    """
    return steps.run(
        context,
        lambda: _resilience(warehouse, scores),
        outputs=scores.files("supply_resilience", "supply_proposals", "supply_failures"),
        clock="none",
    )


def _resilience(warehouse: Warehouse, scores: Scores) -> Outcome:
    from models.supply.resilience.config import ResilienceConfig
    from models.supply.resilience.coverage import coverage
    from models.supply.resilience.failures import failures
    from models.supply.resilience.supply import daily_supply

    config = ResilienceConfig()
    with warehouse.open() as connection:
        supplied = reading.units_supplied(connection)
        offers = reading.current_offers(connection).rename({"category_l2_id": "category_id"})
    supply = daily_supply(supplied, offers, config)
    found, failed = coverage(supply, config), failures(supply, config)
    scores.save("supply_resilience", found.categories)
    scores.save("supply_proposals", found.proposals)
    scores.save("supply_failures", failed)
    return Outcome(
        rows=found.categories.height,
        metadata={
            "main_too_large": int(found.categories["is_main_too_large"].sum()),
            "backup_too_small": int(found.categories["is_backup_too_small"].sum()),
            "proposals": found.proposals.height,
            "suppliers": failed.height,
            "lose_something": failed.filter(failed["lost_units"] > 0).height,
        },
    )

"""Features: the tag tables of consumers and of the other entities, checked against their registries."""

from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome
from pipelines.stores.warehouse import Warehouse
from pipelines.trainings import drift

if TYPE_CHECKING:
    import polars as pl

    from feature_store.offline import TagViolation

WITHOUT_SOURCE = "features/tags_without_source"
"""Where the names of the tags lie of which a source has never reported."""


@dg.asset(
    key=["features", "consumer_tags"],
    group_name=Group.FEATURES,
    owners=[Owner.DATA_SCIENCE],
    kinds={"duckdb", "parquet"},
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=[
        dg.AssetCheckSpec(
            "tags_stay_inside_their_registered_ranges",
            asset=["features", "consumer_tags"],
            blocking=True,
            description="Every value fits the type, range and allowed values of the tag registry.",
        ),
        dg.AssetCheckSpec(
            "tags_have_not_drifted_since_training",
            asset=["features", "consumer_tags"],
            description="Population stability index of each tag that a champion reads, against the last "
            "training: below 0.25, or below what chance explains in a small shop.",
        ),
    ],
)
def consumer_tags(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """The tags of every consumer as of now, from the tag registry compiled to one scan a source.

    Read by the lifecycle models, the profiles and the segment reports. One row per consumer.
    """
    return steps.run(
        context,
        lambda: _build(settings, clock.as_of(context), warehouse, lake),
        settings={"time_zone": settings.zone},
        outputs=[lake.derived_path("features/consumer_tags"), lake.derived_path(WITHOUT_SOURCE)],
        clock="day",
    )


def _build(settings: Settings, as_of: datetime, warehouse: Warehouse, lake: Lake) -> Outcome:
    import polars as pl

    from feature_store.offline import build_tags, tags_without_source, validate_tags

    with warehouse.open() as connection:
        frame = build_tags(connection, as_of, time_zone=settings.zone)
        silent = tags_without_source(connection, as_of)
    violations = validate_tags(frame)
    lake.put("features/consumer_tags", frame)
    lake.put(WITHOUT_SOURCE, pl.DataFrame({"tag": silent}, schema={"tag": pl.String}))
    shift = drift.against_training(lake, frame)
    return Outcome(
        rows=frame.height,
        metadata=_size(frame) | {"tags_without_source": len(silent)},
        checks=[
            _inside(violations),
            CheckRecord(
                "tags_have_not_drifted_since_training",
                shift.is_stable,
                {
                    "tags": shift.tags,
                    "worst_tag": shift.worst_tag,
                    "stability_index": shift.worst_index,
                    "note": shift.note,
                },
                is_error=False,
            ),
        ],
    )


def _size(frame: "pl.DataFrame") -> dict[str, int | float]:
    """How many tags a table has, and how full it is."""
    cells = max(1, frame.height * frame.width)
    return {
        "tags": len(frame.columns) - 2,
        "filled_share": round(1 - sum(frame.null_count().row(0)) / cells, 3),
    }


def _inside(violations: "list[TagViolation]") -> CheckRecord:
    found = [f"{v.tag}: {v.rule} ({v.rows} rows)" for v in violations[:20]]
    return CheckRecord("tags_stay_inside_their_registered_ranges", not violations, {"violations": found})


def _tags_of(entity: str, readers: str) -> dg.AssetsDefinition:
    """The asset with the tags of an entity other than the consumer."""
    key = ["features", f"{entity}_tags"]

    @dg.asset(
        key=key,
        group_name=Group.FEATURES,
        owners=[Owner.DATA_SCIENCE],
        kinds={"duckdb", "parquet"},
        deps=[dg.AssetKey(["warehouse", "published"])],
        description=f"The tags of every {entity} as of now, from the registry of the entity. {readers} "
        f"One row per {entity}.",
        check_specs=[
            dg.AssetCheckSpec(
                "tags_stay_inside_their_registered_ranges",
                asset=key,
                blocking=True,
                description="Every value fits the type, range and allowed values of the tag registry.",
            )
        ],
    )
    def tags(
        context: dg.AssetExecutionContext,
        steps: dg.ResourceParam[Steps],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
        warehouse: dg.ResourceParam[Warehouse],
        lake: dg.ResourceParam[Lake],
    ) -> dg.MaterializeResult:
        return steps.run(
            context,
            lambda: _build_of(entity, settings, clock.as_of(context), warehouse, lake),
            settings={"time_zone": settings.zone},
            outputs=[lake.derived_path(f"features/{entity}_tags")],
            clock="day",
        )

    return tags


def _build_of(entity: str, settings: Settings, as_of: datetime, warehouse: Warehouse, lake: Lake) -> Outcome:
    from feature_store.offline import build_tags, validate_tags
    from feature_store.registry import load_registry

    registry = load_registry(entity=entity)
    with warehouse.open() as connection:
        frame = build_tags(connection, as_of, time_zone=settings.zone, registry=registry)
    violations = validate_tags(frame, registry)
    lake.put(f"features/{entity}_tags", frame)
    return Outcome(rows=frame.height, metadata=_size(frame), checks=[_inside(violations)])


merchant_tags = _tags_of("merchant", "For grading merchants and comparing shops.")
agent_tags = _tags_of("agent", "For grading agents and rules of commission.")
sku_tags = _tags_of("sku", "For prices, stock and listings.")
supplier_tags = _tags_of("supplier", "For grading suppliers and choosing one.")

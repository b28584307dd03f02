"""Supply: how good suppliers are, by category, whose offers route no orders, and where parcels leave."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome, fingerprint
from pipelines.stores.brake import held_back
from pipelines.stores.database import Database
from pipelines.stores.grades import GATES, STATES, gates
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse

_KEPT = timedelta(days=14)
_HALF_LIVES = 8
"""Evidence older than this weighs less than half a percent."""


@dg.asset(
    key=["published", "supplier_grades"],
    group_name=Group.SUPPLY,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["warehouse", "published"]), dg.AssetKey(["quality", "brake"])],
)
def supplier_grades(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    warehouse: dg.ResourceParam[Warehouse],
    scores: dg.ResourceParam[Scores],
) -> dg.MaterializeResult:
    """Grades A to D of suppliers, and scores of each supplier and category, by the lower bound.

    With what they are made of and what would raise them, and the suppliers that a gate stops. Read by
    operators, by each supplier its own. One row per supplier; the channels stand in a table of their own.
    """
    return steps.run(
        context,
        lambda: grade_suppliers(settings, clock.as_of(context), lake, warehouse, scores),
        settings={
            "time_zone": settings.zone,
            "weights": settings.grade_weights,
            "lines": list(settings.grade_lines),
            "half_life_days": settings.grade_half_life_days,
        },
        outputs=[
            *scores.files("supplier_grades", "channel_scores"),
            lake.derived_path(STATES),
            lake.derived_path(GATES),
        ],
        clock="day",
    )


def grade_suppliers(
    settings: Settings, as_of: datetime, lake: Lake, warehouse: Warehouse, scores: Scores
) -> Outcome:
    """Grade from the published warehouse, and keep what is published, enforced and compared tomorrow."""
    import polars as pl

    from models.supply.grading.gates import supplier_gates, with_frozen
    from models.supply.grading.grade import STATE_TYPES, grade
    from pipelines.warehouse import supply

    config = settings.grading
    today = as_of.astimezone(ZoneInfo(settings.zone)).date()
    held = held_back(lake)
    with warehouse.open() as connection:
        what = supply.happened(
            connection,
            since=as_of - timedelta(days=config.half_life_days * _HALF_LIVES),
            as_of=as_of,
            today=today,
            fault_reasons=config.fault_reasons,
            held_skus=held.unpromoted,
        )
        suppliers, licences = supply.suppliers_and_licences(connection)
    gated = supplier_gates(suppliers, licences)
    known = lake.derived_path(STATES).exists()
    before = lake.get(STATES) if known else pl.DataFrame(schema=STATE_TYPES)
    stopped = with_frozen(gated, held.frozen)
    done = grade(what, stopped, before, as_of, today, config)
    kept = before.filter(pl.col("graded_on") < today, pl.col("graded_on") >= today - _KEPT)
    scores.save("supplier_grades", done.supplier_grades.with_columns(graded_on=pl.lit(today)))
    scores.save("channel_scores", done.channel_scores.with_columns(graded_on=pl.lit(today)))
    lake.put(GATES, gated)
    lake.put(STATES, pl.concat([kept, done.state]))
    counted = dict(done.supplier_grades["grade"].value_counts().sort("grade").iter_rows())
    return Outcome(
        rows=done.supplier_grades.height,
        metadata={
            "channels": done.channel_scores.height,
            "gated_suppliers": gated.height,
            "frozen_by_the_brake": stopped.height - gated.height,
            **{f"grade_{name}": counted.get(name, 0) for name in "ABCD"},
        },
    )


@dg.asset(
    key=["operations", "supplier_gates"],
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    deps=[dg.AssetKey(["published", "supplier_grades"])],
)
def enforced_gates(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """The hard gates of suppliers in the database: what ordering reads in its own transaction.

    Put whole in one transaction, so that a gate that no longer holds is lifted. One row per gated supplier.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _put(clock.as_of(context), lake, url, database.tenant_id),
        settings={"database": database.number(url)},
        clock="none",
        holds=lambda _: _in_force(url, database.tenant_id) == gates(lake),
    )


def _put(as_of: datetime, lake: Lake, url: str, tenant_id: str) -> Outcome:
    import psycopg

    from serving.db.urls import libpq_url
    from serving.supply.gates import put_gates

    wanted = gates(lake)
    with psycopg.connect(libpq_url(url)) as connection:
        changed = put_gates(connection, tenant_id, wanted, as_of)
    return Outcome(rows=len(wanted), metadata={"changed": changed}, version=fingerprint(wanted))


@dg.asset(
    key=["operations", "grade_history"],
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    deps=[dg.AssetKey(["published", "supplier_grades"])],
)
def kept_grades(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    clock: dg.ResourceParam[Clock],
    scores: dg.ResourceParam[Scores],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """From when on suppliers and channels hold which grade: one row a change, never taken away.

    The next run reads it back, for the tags of suppliers, skus and merchants. One row per grade of the day.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _keep(clock.as_of(context), scores, url, database.tenant_id),
        settings={"database": database.number(url)},
        clock="none",
    )


def _keep(as_of: datetime, scores: Scores, url: str, tenant_id: str) -> Outcome:
    import psycopg

    from serving.db.urls import libpq_url
    from serving.supply.grade_history import HeldGrade, keep_grades

    shown = ("supplier_id", "category_id", "grade", "gate", "score_low")
    suppliers = scores.get("supplier_grades")
    held = [
        HeldGrade(supplier, "", *rest)
        for supplier, *rest in suppliers.select("supplier_id", "grade", "gate", "score_low").iter_rows()
    ] + [HeldGrade(*row) for row in scores.get("channel_scores").select(shown).iter_rows()]
    with psycopg.connect(libpq_url(url)) as connection:
        changed = keep_grades(connection, tenant_id, held, as_of)
    return Outcome(rows=len(held), metadata={"changed": changed}, version=fingerprint({"of": str(held)}))


def _in_force(url: str, tenant_id: str) -> dict[str, str]:
    import psycopg

    from serving.db.urls import libpq_url
    from serving.supply.gates import gates_in_force

    with psycopg.connect(libpq_url(url)) as connection:
        return gates_in_force(connection, tenant_id)


@dg.asset(
    key=["operations", "warehouses"],
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    deps=[dg.AssetKey(["raw", "warehouses"]), dg.AssetKey(["raw", "warehouse_closures"])],
)
def enforced_warehouses(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Warehouses with their cut-offs, calendars and limits in the database: from which of them a line leaves.

    Put whole in one transaction, so that a warehouse that is stated no more ships nothing. Read by orders in
    the transaction that reserves. One row per warehouse.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _put_warehouses(lake, url, database.tenant_id),
        settings={"database": database.number(url)},
        clock="none",
    )


def _put_warehouses(lake: Lake, url: str, tenant_id: str) -> Outcome:
    import psycopg

    from serving.db.urls import libpq_url
    from serving.supply.warehouses import StatedWarehouse, put_warehouses

    closed = dict(
        lake.read("warehouse_closures", ("warehouse_id", "closed_on"))
        .group_by("warehouse_id")
        .agg("closed_on")
        .iter_rows()
    )
    names = [name for name in StatedWarehouse.__dataclass_fields__ if name != "closed_on"]
    stated = [
        StatedWarehouse(**row, closed_on=tuple(sorted(closed.get(row["warehouse_id"], ()))))
        for row in lake.read("warehouses", tuple(names)).sort("warehouse_id").iter_rows(named=True)
    ]
    with psycopg.connect(libpq_url(url)) as connection:
        changed = put_warehouses(connection, tenant_id, stated)
    placed = sum(one.latitude is not None for one in stated)
    return Outcome(
        rows=len(stated),
        metadata={"changed": changed, "with_coordinates": placed},
        version=fingerprint({one.warehouse_id: str(one) for one in stated}),
    )

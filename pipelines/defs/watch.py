"""The supply watch: late parcels and swinging capacities become alarms, every quarter hour and on arrival."""

from datetime import datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job

from pipelines.clock import Clock
from pipelines.conventions import FORCE_TAG, Group, Owner
from pipelines.defs.ingest import FED, OBSERVED_BY_API
from pipelines.defs.schedules import running_schedule
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, content_version
from pipelines.stores.database import Database
from pipelines.stores.sources import Sources

_KEY = ["operations", "supply_watch"]
_PROVEN = "the_record_of_a_parcel_is_proven"
_READ = ("orders", "shipments", "supply_observations")


def definitions() -> dg.Definitions:
    """The asset, the job that looks every quarter hour, and the sensor that looks when something came."""
    watch = dg.define_asset_job(
        "supply_watch",
        selection=dg.AssetSelection.assets(
            ["operations", "erasures"],
            ["operations", "recorded_feeds"],
            ["operations", "recorded_observations"],
            ["operations", "recorded_prices"],
            *(["raw", table] for table in sorted(FED | OBSERVED_BY_API)),
            _KEY,
        ),
        tags={FORCE_TAG: "/".join(_KEY)},
        description="What the API was told comes in; late parcels and swinging capacities become alarms.",
    )
    return dg.Definitions(
        assets=[supply_watch],
        jobs=[watch],
        schedules=[running_schedule(watch, "*/15 * * * *")],
        sensors=[observations_arrived(watch)],
    )


@dg.asset(
    key=_KEY,
    group_name=Group.SUPPLY,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "postgres"},
    pool="ledger",
    deps=[
        dg.AssetKey(["operations", "replayed_orders"]),
        *(dg.AssetKey(["raw", table]) for table in _READ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            _PROVEN,
            asset=_KEY,
            description="What was recorded of the parcel with most steps leads to its blocks, these to "
            "their anchors.",
        )
    ],
)
def supply_watch(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Alarms of parcels that will be more than a day late, and of capacities that moved by more than 30%.

    How long ways take is learned from the parcels that had the time to arrive; what is under way is judged by
    its newest scan. Read by operators, suppliers and merchants (`/v1/supply-alarms`, webhooks). One row per
    alarm that nobody has closed.
    """
    from pipelines.supply_watch import ALARMS

    url = database.url()
    return steps.run(
        context,
        lambda: _look(settings, clock.as_of(context), lake, url),
        settings={"database": database.number(url)},
        outputs=[lake.derived_path(ALARMS)],
        clock="day",
    )


def _look(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    from models.supply.watch.config import WatchConfig
    from pipelines.supply_watch import ALARMS, keep_look, look
    from pipelines.watch_told import ALARM_FIGURES, PARCEL_PROOF, alarm_figures, parcel_proof
    from serving.ledger.chain import anchor
    from serving.orders.assortment.losses import LossRules
    from serving.orders.routing.contracts import CostParameters
    from serving.watch.record.sealing import anchors_of

    cost = CostParameters(grade_penalty_bps=settings.routing_grade_bps)
    rules = LossRules(settings.channel_fee_bps)
    looked = look(lake, url, settings.tenant, WatchConfig(), as_of, cost, rules)
    keep_look(lake, looked)
    anchors = anchors_of(settings.home, settings.tenant)
    anchor(looked.head, anchors)
    proof = parcel_proof(url, settings.tenant, anchors)
    lake.write_report(PARCEL_PROOF, proof)
    lake.write_report(ALARM_FIGURES, alarm_figures(url, settings.tenant, as_of))
    done = {
        "parcels_watched": looked.watched,
        "capacities_watched": looked.capacities,
        "opened": len(looked.judged.opened),
        "cleared": looked.judged.cleared,
        "judged_later_already": looked.judged.outdated,
        "with_alternatives": looked.answered.alarms,
        "with_two_alternatives": looked.answered.with_two,
        "slowest_alternatives_s": round(looked.answered.slowest_s, 3),
        "blocks_of_the_record": looked.head.block_no,
        "lines_rerouted": looked.answered.carried_out.moved,
        "open_by_kind": {
            kind: sum(alarm.kind == kind for alarm in looked.open_alarms) for kind in ("capacity", "delay")
        },
    }
    lake.write_report("operations/supply_watch", done)
    return Outcome(
        rows=len(looked.open_alarms),
        metadata=done,
        checks=[
            CheckRecord(
                _PROVEN,
                proof["broken"] is None,
                {"parcel": proof["shipment_id"], "records": proof["proven"], "broken": proof["broken"] or ""},
            )
        ],
        version=content_version([lake.derived_path(ALARMS)]),
    )


def observations_arrived(watch: Job) -> dg.SensorDefinition:
    """Look when the API was told something, at most once a minute."""

    @dg.sensor(
        name="observations_arrived",
        job=watch,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the supply watch when the API took in observations that no look has seen.",
    )
    def sense(
        context: dg.SensorEvaluationContext,
        sources: dg.ResourceParam[Sources],
        database: dg.ResourceParam[Database],
    ) -> dg.SensorResult | dg.SkipReason:
        extraction = sources.recorded_observations
        if not extraction.has_news(database.url()):
            return dg.SkipReason("nothing was observed since the last look")
        manifest = extraction.manifest()
        # One run for all that came since an extraction: the next one moves the cursor.
        seen = str(manifest.cursor if manifest else 0)
        if seen == context.cursor:
            return dg.SkipReason("a look was asked for")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"observed-{seen}")], cursor=seen)

    return sense

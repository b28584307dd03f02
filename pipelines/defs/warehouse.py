"""The warehouse: the dbt project as assets, and the published DuckDB file for analysts.

The dbt step is the only writer of the build file. Readers get a copy by atomic rename, so that a failed or
half-finished build never shows.
"""

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

from pipelines.clock import Clock
from pipelines.console.progress import announce, report, stage_of
from pipelines.conventions import Group, Owner
from pipelines.defs.ingest import FED
from pipelines.lake.tables import Lake, atomic_path
from pipelines.limits.boundaries import Boundaries
from pipelines.limits.suites import FEED_BOUNDARIES
from pipelines.live.seed import Seed, least_cursor
from pipelines.settings import Settings
from pipelines.steps.closure import package_version
from pipelines.steps.evidence import evidence_of
from pipelines.steps.memo import Steps
from pipelines.steps.results import as_metadata, materialize_result
from pipelines.steps.state import CheckRecord, Outcome, StateStore, StepRecord, fingerprint, measured
from pipelines.stores.scores import Scores
from pipelines.stores.sources import Sources
from pipelines.stores.supervision import CASES
from pipelines.warehouse.compiled import compiled_beside, compiled_of, read_compiled
from pipelines.warehouse.files import (
    DBT_PACKAGES,
    PROJECT_DIR,
    dbt_environment,
    dbt_program,
    environment_of_dbt,
    project_version,
)
from pipelines.warehouse.translator import WarehouseTranslator

if TYPE_CHECKING:
    import duckdb

BUILD = "dbt_build"
"""Name of the op that builds every dbt model."""

_READ_ONLY = 0o444
_WRITABLE = 0o644
_STEP = f"warehouse/{BUILD}"
_READ = ("core", "intermediate")
"""Schemas that tags, models and scores read; marts are for analysts."""

_WHOLE = "warehouse_holds_every_accepted_order_line"


def definitions(dbt_project: DbtProject) -> dg.Definitions:
    """The dbt models and the published file."""
    build = dbt_build_assets(dbt_project)
    return dg.Definitions(assets=[build, published_asset(build), analysts])


def dbt_build_assets(dbt_project: DbtProject) -> dg.AssetsDefinition:
    """Every dbt model as an asset, every dbt test as an asset check, built in one step."""

    @dbt_assets(
        manifest=dbt_project.manifest_path,
        project=dbt_project,
        dagster_dbt_translator=WarehouseTranslator(),
        name=BUILD,
        pool="warehouse",
    )
    def dbt_build(
        context: dg.AssetExecutionContext,
        steps: dg.ResourceParam[Steps],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
        boundaries: dg.ResourceParam[Boundaries],
    ) -> Iterator[Any]:
        """Build and test every dbt model in the private build file."""
        as_of = clock.as_of(context).isoformat()
        yield from _build_unless_unchanged(context, steps, settings, boundaries, as_of, dbt_project)

    return dbt_build


@dataclass
class _BuildLog:
    """What a build emitted, in order: models as asset keys with slashes, checks with their outcome."""

    models: list[str] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)


def _build_unless_unchanged(
    context: dg.AssetExecutionContext,
    steps: Steps,
    settings: Settings,
    boundaries: Boundaries,
    as_of: str,
    dbt_project: DbtProject,
) -> Iterator[Any]:
    mark = steps.mark(context, _deciding(settings))
    outputs = [settings.warehouse_build, compiled_beside(settings.warehouse_build)]
    record = steps.standing(context, _STEP, mark, outputs)
    if record is not None:
        report(_STEP, None, "unchanged")
        yield from _reuse(context, record)
        return
    boundaries.require_intake()
    boundaries.require_passed(FEED_BOUNDARIES)
    steps.records.forget(_STEP)
    announce(_STEP)
    settings.warehouse_build.parent.mkdir(parents=True, exist_ok=True)
    done = _BuildLog()
    version = fingerprint({"of": mark, "at": as_of})
    with measured() as cost:
        yield from _build(context, settings, dbt_project, as_of, version, done)
    missing = context.selected_asset_keys - {dg.AssetKey(key.split("/")) for key in done.models}
    if missing:
        raise dg.Failure(f"dbt did not build {', '.join(sorted(key.to_user_string() for key in missing))}")
    record = StepRecord(
        key=_STEP,
        fingerprint=mark,
        version=version,
        metadata={"checks": done.checks, "models": done.models},
        checks=[],
        wall_s=round(cost.wall_s, 2),
        peak_rss_mb=round(cost.peak_rss_mb, 1),
        as_of=as_of,
        clock="day",
        evidence=evidence_of(outputs, settings.home),
    )
    for key in context.assets_def.keys:
        steps.records.put(replace(record, key=key.to_user_string(), metadata={}, evidence={}))
    steps.records.put(record)
    steps.journal(context.run.run_id, record)
    report(_STEP, None, f"{len(done.checks)} checks, {cost.wall_s:.1f} s, {cost.peak_rss_mb:.0f} MB")


def _deciding(settings: Settings) -> dict[str, str]:
    """What decides the build besides its rows: project, dbt, its environment but where the home lies."""
    home, environment = str(settings.home), dbt_environment(settings, as_of="")
    return {
        "project": project_version(),
        **{name: package_version(name) for name in DBT_PACKAGES},
        **{name: value for name, value in environment.items() if home not in value},
    }


def _build(
    context: dg.AssetExecutionContext,
    settings: Settings,
    dbt_project: DbtProject,
    as_of: str,
    version: str,
    done: _BuildLog,
) -> Iterator[Any]:
    """Run `dbt build`, hand its events on, and remember the check outcomes."""
    dbt = DbtCliResource(project_dir=dbt_project, profiles_dir=str(PROJECT_DIR), dbt_executable=dbt_program())
    with environment_of_dbt(settings, as_of):  # the program that it starts takes a copy
        # Unit tests judge the SQL, not the data: the test suite runs them.
        run = dbt.cli(
            ["build", "--exclude-resource-type", "unit_test"],
            context=context,
            target_path=settings.dbt_target_dir / context.run_id,
        )
    models = len(context.selected_asset_keys)
    for event in _without_noise(run.stream(), settings.dbt_target_dir / "build.log"):
        if isinstance(event, dg.Output):
            done.models.append(context.asset_key_for_output(event.output_name).to_user_string())
            stage_of(_STEP)(f"{len(done.models)} / {models}")
            event = _with_version(event, version)
        elif isinstance(event, dg.AssetCheckResult):
            done.checks.append(
                {
                    "asset": event.asset_key.to_user_string() if event.asset_key else "",
                    "name": event.check_name,
                    "passed": event.passed,
                }
            )
        yield event
    _keep_compiled(settings, run.target_path / "manifest.json", as_of)
    # What dbt parsed is kept as well: the next build parses only what changed since.
    for artifact in ("manifest.json", "run_results.json", "partial_parse.msgpack"):
        with atomic_path(settings.dbt_target_dir / artifact) as temporary:
            shutil.copyfile(run.target_path / artifact, temporary)
    shutil.rmtree(run.target_path, ignore_errors=True)


def _keep_compiled(settings: Settings, manifest: Path, as_of: str) -> None:
    """Keep the SQL of the models beside the file that it built, for running it again over slices."""
    file = compiled_beside(settings.warehouse_build)
    before = read_compiled(file) if file.exists() else None
    compiled_of(json.loads(manifest.read_bytes()), as_of, before).write(file)


def _without_noise(events: Iterable[Any], log: Path) -> Iterator[Any]:
    """The events; what dbt prints on the way goes to a file instead of the run's own lines."""
    iterator = iter(events)
    with log.open("w") as file:
        while True:
            with contextlib.redirect_stdout(file):
                try:
                    event = next(iterator)
                except StopIteration:
                    return
            yield event


def _with_version(event: dg.Output, version: str) -> dg.Output:
    """An output of dbt with the data version that our record carries, so that the UI and we say the same."""
    return dg.Output(
        event.value,
        output_name=event.output_name,
        metadata=event.metadata,
        data_version=dg.DataVersion(version),
    )


def _reuse(context: dg.AssetExecutionContext, record: StepRecord) -> Iterator[Any]:
    """Report the last build again: nothing that it reads has changed."""
    for check in record.metadata["checks"]:
        yield dg.AssetCheckResult(
            asset_key=dg.AssetKey(check["asset"].split("/")),
            check_name=check["name"],
            passed=check["passed"],
            metadata=as_metadata({"reused": True}),
        )
    selected = {key.to_user_string() for key in context.selected_asset_keys}
    for key in record.metadata["models"]:
        if key not in selected:
            continue
        yield materialize_result(
            StepRecord(
                key,
                record.fingerprint,
                record.version,
                {},
                [],
                record.wall_s,
                record.peak_rss_mb,
            ),
            reused=True,
        )


def published_asset(build: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset that hands the finished build to readers."""
    marts = sorted(key for key in build.keys if key.path[0] == "marts")

    @dg.asset(
        key=["warehouse", "published"],
        group_name=Group.WAREHOUSE,
        owners=[Owner.ANALYTICS],
        kinds={"duckdb"},
        pool="warehouse",
        deps=marts,
        check_specs=[
            dg.AssetCheckSpec(
                _WHOLE,
                asset=["warehouse", "published"],
                blocking=True,
                description="The fact table has exactly the accepted order lines.",
            )
        ],
    )
    def published(
        context: dg.AssetExecutionContext,
        steps: dg.ResourceParam[Steps],
        settings: dg.ResourceParam[Settings],
        sources: dg.ResourceParam[Sources],
        lake: dg.ResourceParam[Lake],
    ) -> dg.MaterializeResult:
        """The warehouse file that the other steps read: every mart of the last good build. Read-only.

        Replaced by atomic rename; a reader that holds the old file keeps reading the old build. One row per
        table.
        """
        return steps.run(
            context,
            lambda: _publish(settings, lake, steps.records, sources),
            outputs=[
                settings.warehouse_good,
                settings.warehouse_seed,
                compiled_beside(settings.warehouse_good),
            ],
            clock="none",
        )

    return published


def _publish(settings: Settings, lake: Lake, records: StateStore, sources: Sources) -> Outcome:
    import duckdb
    import polars as pl

    accepted = lake.scan("order_lines").select(pl.len()).collect().item()
    with duckdb.connect(str(settings.warehouse_build), read_only=True) as connection:
        tables = connection.sql(
            "select schema_name, table_name, estimated_size from duckdb_tables() order by 1, 2"
        ).fetchall()
        held = connection.sql("select count(*) from core.fct_order_lines").fetchone()
        version = _contents(connection)
    whole = held is not None and held[0] == accepted
    if whole:
        with atomic_path(compiled_beside(settings.warehouse_good)) as sql:
            shutil.copyfile(compiled_beside(settings.warehouse_build), sql)
        draft = _copied(settings.warehouse_build, settings.warehouse_good)
        draft.chmod(_READ_ONLY)
        draft.replace(settings.warehouse_good)
        _seed(records, version, sources).write(settings.warehouse_seed)
    listing = "\n".join(f"| {schema} | {name} | {rows:,} |" for schema, name, rows in tables)
    return Outcome(
        rows=len(tables),
        metadata={
            "path": str(settings.warehouse_good.relative_to(settings.home)),
            "size_mb": round(settings.warehouse_build.stat().st_size / 2**20, 1),
            "tables_md": f"| schema | table | rows |\n|---|---|---|\n{listing}",
        },
        checks=[
            CheckRecord(
                _WHOLE,
                whole,
                {"accepted": accepted, "in_warehouse": held[0] if held else 0},
            )
        ],
        version=version,
    )


def _copied(source: Path, target: Path) -> Path:
    """A copy of a file beside the one that it will replace; a killed run's may be there, read-only."""
    draft = target.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    shutil.copyfile(source, draft)
    return draft


@dg.asset(
    key=["warehouse", "analysts"],
    group_name=Group.WAREHOUSE,
    owners=[Owner.ANALYTICS],
    kinds={"duckdb"},
    pool="warehouse",
    deps=[
        dg.AssetKey(["warehouse", "published"]),
        dg.AssetKey(["published", "supplier_grades"]),
        dg.AssetKey(["published", "assortment_suggestions"]),
        dg.AssetKey(["quality", "supervision"]),
        dg.AssetKey(["operations", "supply_watch"]),
        dg.AssetKey(["operations", "journey_effect"]),
        dg.AssetKey(["operations", "member_levels"]),
        dg.AssetKey(["operations", "community_weeks"]),
        dg.AssetKey(["growth", "channel_credits"]),
    ],
)
def analysts(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    scores: dg.ResourceParam[Scores],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """What analysts open: marts with grades, cases, alarms, journeys, levels, credits, answers. Read-only.

    A file of their own, so that nothing done to it reaches a run. Replaced by atomic rename; a reader that
    holds the old file keeps reading the old build. One row per graded supplier.
    """
    return steps.run(
        context,
        lambda: _for_analysts(settings, scores, lake),
        outputs=[settings.warehouse_file],
        clock="none",
    )


def _for_analysts(settings: Settings, scores: Scores, lake: Lake) -> Outcome:
    from pipelines.channel_credits import CREDITS_KEY, EFFECTS_KEY
    from pipelines.stores.communities import WEEKS
    from pipelines.stores.journeys import EFFECT
    from pipelines.stores.members import COSTS
    from pipelines.supply_watch import ALARMS
    from pipelines.warehouse.attributed import put_channels
    from pipelines.warehouse.gathered import put_weeks
    from pipelines.warehouse.graded import put_grades
    from pipelines.warehouse.journeyed import put_effects
    from pipelines.warehouse.levelled import put_coupon_costs
    from pipelines.warehouse.suggested import put_suggestions
    from pipelines.warehouse.supervised import put_cases
    from pipelines.warehouse.watched import put_alarms

    draft = _copied(settings.warehouse_good, settings.warehouse_file)
    draft.chmod(_WRITABLE)
    graded = put_grades(draft, *scores.files("supplier_grades"))
    supervised = put_cases(draft, lake.derived_path(CASES))
    alarmed = put_alarms(draft, lake.derived_path(ALARMS))
    journeyed = put_effects(draft, lake.derived_path(EFFECT))
    with_coupons = put_coupon_costs(draft, lake.derived_path(COSTS))
    gathered = put_weeks(draft, lake.derived_path(WEEKS))
    credited = put_channels(draft, lake.derived_path(CREDITS_KEY), lake.derived_path(EFFECTS_KEY))
    suggested = put_suggestions(draft, *scores.files("assortment_suggestions"))
    draft.chmod(_READ_ONLY)
    draft.replace(settings.warehouse_file)
    return Outcome(
        rows=graded,
        metadata={
            "path": str(settings.warehouse_file.relative_to(settings.home)),
            "supervised_listings": supervised,
            "suppliers_with_alarms": alarmed,
            "arms_of_journeys": journeyed,
            "weeks_of_communities": gathered,
            "channels_with_credits": credited,
            "levels_with_coupons": with_coupons,
            "open_suggestions": suggested,
        },
    )


def _seed(records: StateStore, version: str, sources: Sources) -> Seed:
    """What the live loop must know of the build that was just handed over."""
    built = records.get(_STEP)
    if built is None:
        raise dg.Failure("the build that is to be published left no record; materialise the warehouse again")
    cursor = least_cursor(records.get(f"raw/{table}") for table in sorted(FED))
    manifest = sources.recorded_feeds.manifest()
    return Seed(
        version,
        as_of=datetime.fromisoformat(built.as_of),
        recorded_cursor=cursor,
        database=manifest.of_database if manifest else "",
        source=sources.source.fingerprint(),
    )


def _contents(connection: "duckdb.DuckDBPyConnection") -> str:
    """Hash of the rows that steps may read, in whatever order: builds of the same rows have one version."""
    names = connection.execute(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where list_contains($read, table_schema) order by 1",
        {"read": list(_READ)},
    ).fetchall()
    sums = {
        name: connection.sql(f"select count(*), sum(hash(t)::hugeint) from {name} t").fetchone()
        for (name,) in names
    }
    return fingerprint(sums)

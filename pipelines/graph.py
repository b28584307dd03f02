"""The graph as one pure function of settings; nothing here, or below `pipelines/defs`, reads the environment.

An entry point reads the settings once and calls `build_defs`. A test calls it with settings of its own and
puts its own stores in place of any resource.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from pipelines.clock import Clock
from pipelines.defs import (
    assortment,
    attribution,
    automation,
    boundaries,
    communities,
    demand,
    erasures,
    experiments,
    features,
    feedback,
    feeds,
    ingest,
    journeys,
    lifecycle,
    live,
    matching,
    members,
    operations,
    pricing,
    publish,
    purchasing,
    quality,
    recommendation,
    replenishment,
    resilience,
    reviews,
    supervision,
    supply,
    transfers,
    warehouse,
    watch,
)
from pipelines.home.executor import one_at_a_time
from pipelines.lake.tables import Lake
from pipelines.limits.boundaries import Boundaries
from pipelines.overlap import elsewhere
from pipelines.overlap.threads import threads_executor
from pipelines.settings import Settings
from pipelines.steps.closure import code_version_of
from pipelines.steps.memo import Steps
from pipelines.steps.state import StateStore
from pipelines.stores.database import Database
from pipelines.stores.models import ModelStore
from pipelines.stores.scores import Scores
from pipelines.stores.sources import Sources
from pipelines.stores.warehouse import Warehouse
from pipelines.warehouse.files import project_version
from pipelines.warehouse.translator import project

RESOURCES = (
    "settings", "clock", "steps", "boundaries",
    "sources", "lake", "warehouse", "scores", "models", "database",
)  # fmt: skip
"""What a step may ask for by name."""

_PLAIN = (
    erasures, features, quality, supervision, supply, recommendation, demand, replenishment, resilience,
    assortment, attribution, communities, members, reviews, pricing, lifecycle, publish, purchasing,
    transfers,
)  # fmt: skip
"""Flows whose assets do not depend on settings."""


def build_defs(settings: Settings, overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The whole graph.

    Args:
        settings: The installation's settings.
        overrides: Resources by name (see `RESOURCES`) that take the place of those that follow from the
            settings; `records` and `dbt_project` may be given as well.

    Returns:
        Assets, checks, jobs, schedules, sensors, resources and the executor.

    Raises:
        ValueError: An override has no such name.
    """
    made = resources(settings, overrides)
    dbt_project = (overrides or {}).get("dbt_project") or project(settings)
    graph = dg.Definitions.merge(
        feeds.definitions(settings),
        ingest.definitions(settings),
        operations.definitions(),
        matching.definitions(settings),
        warehouse.definitions(dbt_project),
        boundaries.definitions(),
        automation.definitions(),
        live.definitions(),
        watch.definitions(),
        journeys.definitions(),
        experiments.definitions(),
        feedback.definitions(),
        dg.Definitions(
            assets=dg.load_assets_from_modules(_PLAIN), resources=made, executor=executor_of(settings)
        ),
    )
    return _with_code_versions(graph)


def resources(settings: Settings, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What steps find around them, by name; an override is also what the others are built upon.

    Raises:
        ValueError: An override has no such name.
    """
    given = dict(overrides or {})
    unknown = given.keys() - {*RESOURCES, "records", "dbt_project"}
    if unknown:
        raise ValueError(
            f"no resource is named {', '.join(sorted(unknown))}; there are {', '.join(RESOURCES)}"
        )

    def given_or(name: str, make: Callable[[], Any]) -> Any:
        return given[name] if name in given else make()

    lake = given_or("lake", lambda: Lake(settings.lake_dir))
    records = given_or("records", lambda: StateStore(settings.state_dir))
    sources = given_or("sources", lambda: Sources(settings, lake))
    clock = given_or("clock", lambda: Clock(settings, sources))
    return {
        "settings": given_or("settings", lambda: settings),
        "clock": clock,
        "steps": given_or("steps", lambda: Steps(settings, records, clock)),
        "boundaries": given_or("boundaries", lambda: Boundaries(settings, records, lake)),
        "sources": sources,
        "lake": lake,
        "warehouse": given_or("warehouse", lambda: Warehouse(settings.warehouse_good)),
        "scores": given_or("scores", lambda: Scores(lake)),
        "models": given_or(
            "models",
            lambda: ModelStore(
                settings.mlflow_dir, settings.home / "work", trains_apart=settings.executor == "threads"
            ),
        ),
        "database": given_or("database", lambda: Database(settings.serving)),
    }


def _with_code_versions(graph: dg.Definitions) -> dg.Definitions:
    """The same graph with the version of the code behind each asset: Dagster sees stale what we do."""
    sql = project_version()
    assets = [asset for asset in graph.assets or () if isinstance(asset, dg.AssetsDefinition)]
    versions = {
        key: code_version_of(asset) + (f"-{sql}" if asset.node_def.name == warehouse.BUILD else "")
        for asset in assets
        for key in asset.keys
    }
    return dg.Definitions(
        assets=[
            *dg.map_asset_specs(lambda spec: spec.replace_attributes(code_version=versions[spec.key]), assets)
        ],
        asset_checks=graph.asset_checks,
        jobs=graph.jobs,
        schedules=graph.schedules,
        sensors=graph.sensors,
        resources=graph.resources,
        executor=graph.executor,
    )


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """What executes the runs that Dagster starts; each holds the home while it works.

    Raises:
        NoExecutorError: Of `celery` and `k8s`: the extra or a setting of it is missing.
    """
    if settings.executor == "threads":
        return one_at_a_time(threads_executor, settings)
    if settings.executor == "in_process":
        return one_at_a_time(dg.in_process_executor, settings)
    if settings.executor == "celery":
        executor, config = elsewhere.celery(settings)
    elif settings.executor == "k8s":
        executor, config = elsewhere.k8s(settings)
    else:
        executor, config = dg.multiprocess_executor, {"max_concurrent": 2}
    return one_at_a_time(executor, settings).configured(config)

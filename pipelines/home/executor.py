"""An executor that holds the home's lock around a run, for the runs that Dagster itself starts.

`muyun run` executes the graph in its own process and holds the lock there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode

from pipelines.home.lock import home_lock
from pipelines.home.source import remember_source
from pipelines.settings import Settings


def one_at_a_time(inner: dg.ExecutorDefinition, settings: Settings) -> dg.ExecutorDefinition:
    """An executor like another one, which waits until nobody else works in the home.

    Args:
        inner: What executes the steps.
        settings: Name the home and its source.
    """

    @dg.executor(
        name=inner.name,
        config_schema=inner.config_schema.as_field(),
        requirements=inner.get_requirements,
    )
    def waiting(context: Any) -> _OneAtATime:
        make = inner.executor_creation_fn
        if make is None:
            raise dg.DagsterInvariantViolationError(f"the executor {inner.name} makes nothing")
        return _OneAtATime(make(context), settings)

    return waiting


class _OneAtATime(dg.Executor):
    """Executes as another executor does, with the home's lock in hand."""

    def __init__(self, inner: dg.Executor, settings: Settings) -> None:
        self._inner = inner
        self._settings = settings

    @property
    def retries(self) -> RetryMode:
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._inner.step_dependency_config

    def __getattr__(self, name: str) -> Any:
        """What an executor offers to its own loop, such as the broker of Celery's."""
        return getattr(self._inner, name)

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        run = plan_context.dagster_run
        who = f"Dagster's run {run.run_id[:8]} of {run.job_name}"
        with home_lock(self._settings.home, who, tell=plan_context.log.info):
            remember_source(self._settings)
            yield from self._inner.execute(plan_context, execution_plan)

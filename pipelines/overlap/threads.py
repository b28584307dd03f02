"""Dagster's executor that runs independent steps of one run in threads of one process.

A step is mostly a library at work outside the interpreter (polars, DuckDB, PostgreSQL, dbt, a training in a
process of its own), so threads overlap. A pool is used by one step of the run at a time. Of the steps that
are ready, the one with the longest way behind it goes first.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import dagster as dg

# Imported before any thread starts: its modules import each other, and two threads that begin at once meet a
# half-initialised one.
import sqlalchemy.orm  # noqa: F401
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.compute_logs import create_compute_log_file_key
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.execute_in_process import core_execute_in_process
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.execute_plan import dagster_event_sequence_for_step
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.base import Executor

from pipelines.overlap.apart import stop_all
from pipelines.overlap.order import longest_ways

AT_ONCE = max(2, min(4, os.cpu_count() or 2))
"""Steps at a time."""

_TICK_S = 0.5


class _PoolsOfOneRun(InstanceConcurrencyContext):
    """A pool holds one step of this run at a time; between runs the instance's own limit holds."""

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        super().__init__(instance, run)
        self._held: dict[str, str] = {}

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Take a pool for a step, unless another step of the run holds it."""
        if concurrency_key in self._held:
            return False
        if not super().claim(concurrency_key, step_key, step_priority):
            return False
        self._held[concurrency_key] = step_key
        return True

    def free_step(self, step_key: str) -> None:
        """Give back what a step held."""
        self._held = {pool: holder for pool, holder in self._held.items() if holder != step_key}
        super().free_step(step_key)


class ThreadsExecutor(Executor):
    """Runs steps in threads of this process, at most `at_once` at a time.

    Args:
        at_once: Steps at a time.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once

    @property
    def retries(self) -> RetryMode:
        """Dagster's own retries are off, as in the in-process executor of a local run."""
        return RetryMode.DISABLED

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        """Run the plan; yields every event of it."""
        pid, keys = os.getpid(), execution_plan.step_keys_to_execute
        yield DagsterEvent.engine_event(
            plan_context,
            f"Executing steps in threads, {self._at_once} at a time (pid: {pid})",
            event_specific_data=EngineEventData.in_process(pid, keys),
        )
        yield from iter(
            ExecuteRunWithPlanIterable(
                execution_plan=plan_context.execution_plan,
                iterator=partial(_overlapped, at_once=self._at_once),
                execution_context_manager=PlanExecutionContextManager(
                    job=plan_context.job,
                    retry_mode=plan_context.retry_mode,
                    execution_plan=plan_context.execution_plan,
                    run_config=plan_context.run_config,
                    dagster_run=plan_context.dagster_run,
                    instance=plan_context.instance,
                    raise_on_error=plan_context.raise_on_error,
                    output_capture=plan_context.output_capture,
                    step_dependency_config=self.step_dependency_config,
                ),
            )
        )
        yield DagsterEvent.engine_event(
            plan_context,
            f"Finished steps in threads (pid: {pid})",
            event_specific_data=EngineEventData.in_process(pid, keys),
        )


@dg.executor(name="threads", config_schema={"at_once": dg.Field(int, default_value=AT_ONCE)})
def threads_executor(context: dg.InitExecutorContext) -> ThreadsExecutor:
    """Independent steps overlap in threads of one process."""
    return ThreadsExecutor(int(str(context.executor_config["at_once"])))


def execute(
    job: dg.JobDefinition,
    executor: dg.ExecutorDefinition,
    *,
    instance: dg.DagsterInstance,
    selection: list[dg.AssetKey] | None,
    tags: dict[str, str],
) -> dg.ExecuteInProcessResult:
    """Run a job in this process with an executor of our choice; `execute_in_process` insists on its own.

    Args:
        job: The job.
        executor: Runs the steps.
        instance: Where events go.
        selection: Assets; None means all of the job.
        tags: Tags of the run.
    """
    mine = job.as_ephemeral_job(
        resource_defs={}, input_values={}, asset_selection=selection
    ).with_executor_def(executor)
    return core_execute_in_process(
        job=InMemoryJob(job_def=mine),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        instance=instance,
        output_capturing_enabled=True,
        raise_on_error=False,
        run_tags={**job.run_tags, **tags},
        asset_selection=frozenset(selection or ()),
    )


_Say = Callable[[tuple[str, Any]], None]


def _overlapped(job_context: Any, execution_plan: Any, *, at_once: int) -> Iterator[DagsterEvent]:
    """The plan's events, from several threads, in the order in which they arrive."""
    ways = longest_ways({key: set(deps) for key, deps in execution_plan.get_executable_step_deps().items()})
    said: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    running: set[str] = set()
    with ExitStack() as stack:
        yield from _capture_logs(job_context, execution_plan, stack)
        pools = stack.enter_context(_PoolsOfOneRun(job_context.instance, job_context.dagster_run))
        active = stack.enter_context(
            ActiveExecution(
                execution_plan,
                retry_mode=job_context.retry_mode,
                sort_key_fn=lambda step: -ways.get(step.key, 0.0),
                max_concurrent=at_once,
                instance_concurrency_context=pools,
                step_dependency_config=job_context.step_dependency_config,
            )
        )
        try:
            while running or not active.is_complete:
                if active.check_for_interrupts():
                    active.mark_interrupted()
                    raise dg.DagsterExecutionInterruptedError
                for step in active.get_steps_to_execute():
                    running.add(step.key)
                    _start(job_context.for_step(step, active.get_known_state()), said.put)
                yield from active.concurrency_event_iterator(job_context)
                try:
                    key, word = said.get(timeout=_TICK_S)
                except queue.Empty:
                    continue
                if isinstance(word, DagsterEvent):
                    yield word
                    active.handle_event(word)
                    continue
                running.discard(key)
                if word is not None:
                    raise word
                active.verify_complete(job_context, key)
                yield from active.plan_events_iterator(job_context)
        finally:
            if running:
                stop_all()


def _capture_logs(job_context: Any, execution_plan: Any, stack: ExitStack) -> Iterator[DagsterEvent]:
    """Keep what the steps print, as one log of the whole run."""
    manager = job_context.instance.compute_log_manager
    log_key = manager.build_log_key_for_run(job_context.run_id, create_compute_log_file_key())  # type: ignore[no-untyped-call]
    log_context = stack.enter_context(manager.capture_logs(log_key))
    keys = [step.key for step in execution_plan.get_steps_to_execute_in_topo_order()]
    yield DagsterEvent.capture_logs(job_context, keys, log_key, log_context)


def _start(step_context: Any, say: _Say) -> None:
    def work() -> None:
        key = step_context.step.key
        try:
            for event in dagster_event_sequence_for_step(step_context):
                say((key, event))
        except BaseException:  # noqa: BLE001 - raised again where the run is led
            say((key, sys.exc_info()[1]))
        else:
            say((key, None))

    # A daemon, so that an interrupted command ends although a library call has not.
    threading.Thread(target=work, name=step_context.step.key, daemon=True).start()

"""Runs one job of the graph in this process; as a program, in an installation's environment, prints JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any


def run_job(name: str, tags: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a job of the graph as configured by the environment.

    Returns:
        `success`, `failed` (step to its innermost error), `made` (assets), `passed` and `held` (checks).
    """
    import dagster as dg

    from pipelines.definitions import defs

    def execute(instance: dg.DagsterInstance) -> dict[str, Any]:
        result = (
            defs()
            .resolve_job_def(name)
            .execute_in_process(
                instance=instance,
                tags=dict(tags or {}),
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        )
        failed = {}
        for event in result.all_events:
            if event.is_step_failure:
                error = event.step_failure_data.error
                while error.cause is not None and error.cls_name.startswith("Dagster"):
                    error = error.cause
                description = event.step_failure_data.user_failure_data
                failed[event.step_key] = (
                    description.description if description and description.description else error.message
                )
        evaluations = result.get_asset_check_evaluations()
        names = {True: [], False: []}
        for evaluation in evaluations:
            passed = evaluation.passed or evaluation.severity == dg.AssetCheckSeverity.WARN
            names[passed].append(f"{evaluation.asset_key.to_user_string()}:{evaluation.check_name}")
        return {
            "success": result.success,
            "failed": failed,
            "made": sorted(
                {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
            ),
            "passed": sorted(names[True]),
            "held": sorted(names[False]),
        }

    with dg.DagsterInstance.ephemeral() as instance:
        return execute(instance)


def main(name: str, tags: str = "{}") -> None:
    """Prepare the installation, run the job, stop what was started."""
    from pipelines.run.environment import Embedded, prepare
    from pipelines.settings import Settings

    settings = Settings()
    with Embedded(settings):
        prepare(settings)
        found = run_job(name, json.loads(tags))
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

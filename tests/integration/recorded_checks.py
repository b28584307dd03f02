"""Prints what Dagster's storage knows of a run's checks, as JSON; runs in the installation's environment."""

import json
import sys

from pipelines.run.environment import prepare
from pipelines.settings import Settings


def main(run_id: str) -> None:
    """Compare the checks of the graph with the ones that were recorded for the run."""
    prepare(Settings())
    import dagster as dg
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

    from pipelines.definitions import defs

    keys = defs().get_repository_def().asset_graph.asset_check_keys
    with dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        last = {
            key: next(
                (r for r in storage.get_asset_check_execution_history(key, limit=50) if r.run_id == run_id),
                None,
            )
            for key in keys
        }
        run = instance.get_run_by_id(run_id)
        found = {"missing": [], "passed": [], "failed": [], "run_status": run.status.value if run else None}
        for key, record in sorted(last.items()):
            name = f"{key.asset_key.to_user_string()}:{key.name}"
            if record is None or record.event is None or record.status == Status.PLANNED:
                found["missing"].append(name)
                continue
            evaluation = (
                record.event.asset_check_evaluation_data
                if hasattr(record.event, "asset_check_evaluation_data")
                else record.event.dagster_event.event_specific_data
            )
            warns = evaluation.severity == dg.AssetCheckSeverity.WARN
            passed = record.status == Status.SUCCEEDED or warns
            found["passed" if passed else "failed"].append(name)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])

"""What must not be used twice at a time is not: pools have a limit, in the shipped configuration."""

import os
from pathlib import Path

import dagster as dg
import pytest

from pipelines.graph import executor_of
from pipelines.home.lock import holder_of
from pipelines.overlap.threads import execute
from pipelines.settings import Settings


def test_the_shipped_configuration_limits_every_pool_to_one(dagster_instance):
    config = dagster_instance.get_concurrency_config()
    assert config.pool_config.default_pool_limit == 1
    assert config.pool_config.pool_granularity is not None
    assert config.pool_config.pool_granularity.value == "run"
    assert config.run_queue_config.max_concurrent_runs == 1
    assert dagster_instance.telemetry_enabled is False


@pytest.mark.parametrize("name", ["threads", "in_process", "multiprocess"])
def test_runs_that_dagster_starts_hold_the_home_with_every_executor(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path))
    settings = Settings(home=tmp_path, data=None, executor=name)
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.Definitions(
            assets=[nothing],
            jobs=[dg.define_asset_job("all_of_it", selection="*")],
            executor=executor_of(settings),
        ).resolve_job_def("all_of_it")
        assert job.executor_def.name == name
        if name != "multiprocess":  # which needs a job that other processes can build
            assert execute(job, job.executor_def, instance=instance, selection=None, tags={}).success
            assert SEEN == ["Dagster's run"]
            SEEN.clear()


SEEN: list[str] = []


@dg.asset
def nothing(context: dg.AssetExecutionContext) -> None:
    """Notes who holds the home."""
    SEEN.append(" ".join((holder_of(Path(os.environ["MUYUN_HOME"])) or "nobody").split()[:2]))

"""What must not be used twice at a time is not: pools have a limit, in the shipped configuration."""

import dagster as dg
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter
from dagster._core.storage.dagster_run import DagsterRunStatus


def test_the_shipped_configuration_limits_every_pool_to_one(dagster_instance):
    config = dagster_instance.get_concurrency_config()
    assert config.pool_config.default_pool_limit == 1
    assert config.pool_config.pool_granularity is not None
    assert config.pool_config.pool_granularity.value == "run"
    assert config.run_queue_config.max_concurrent_runs == 1
    assert dagster_instance.telemetry_enabled is False


def _job(name, pool):
    @dg.asset(name=f"{name}_asset", pool=pool)
    def work():
        return None

    definitions = dg.Definitions(assets=[work], jobs=[dg.define_asset_job(name, selection=[work])])
    return definitions.resolve_job_def(name)


def test_a_run_waits_while_another_holds_its_pool(dagster_instance):
    """What the daemon asks before it starts a queued run, on the storage and the limits that we ship."""
    held = dagster_instance.create_run_for_job(_job("build", "warehouse"), status=DagsterRunStatus.STARTED)
    waiting = dagster_instance.create_run_for_job(
        _job("build_again", "warehouse"), status=DagsterRunStatus.QUEUED
    )
    free = dagster_instance.create_run_for_job(_job("load", "lake"), status=DagsterRunStatus.QUEUED)
    config = dagster_instance.get_concurrency_config()
    storage = dagster_instance.event_log_storage

    def blocked(run):
        counter = GlobalOpConcurrencyLimitsCounter(
            dagster_instance,
            [waiting, free],
            [dagster_instance.get_run_record_by_id(held.run_id)],
            storage.get_concurrency_keys(),
            storage.get_pool_limits(),
            pool_granularity=config.pool_config.pool_granularity,
        )
        return counter.is_blocked(run)

    assert blocked(waiting)
    assert not blocked(free)

"""What must not be used twice at a time is not: pools have a limit, in the shipped configuration."""


def test_the_shipped_configuration_limits_every_pool_to_one(dagster_instance):
    config = dagster_instance.get_concurrency_config()
    assert config.pool_config.default_pool_limit == 1
    assert config.pool_config.pool_granularity is not None
    assert config.pool_config.pool_granularity.value == "run"
    assert config.run_queue_config.max_concurrent_runs == 1
    assert dagster_instance.telemetry_enabled is False

"""Steps of a real installation: what was lost is made again, force is obeyed, Dagster and records agree."""

import json
import shutil

import dagster as dg
import polars as pl
import pytest

from pipelines.lake.tables import Lake
from pipelines.steps.state import StateStore

pytestmark = pytest.mark.xdist_group("world")


@pytest.fixture
def run(branch):
    """Runs a job; returns the steps that worked, from the run's journal, and the result."""
    from pipelines.graph import build_defs
    from pipelines.settings import Settings

    def execute(job, **tags):
        with dg.DagsterInstance.ephemeral() as instance:
            result = (
                build_defs(Settings())
                .resolve_job_def(job)
                .execute_in_process(
                    instance=instance,
                    tags={f"muyun/{name}": value for name, value in tags.items()},
                    raise_on_error=False,
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
            )
        journal = branch["home"] / "runs" / f"{result.run_id}.jsonl"
        lines = journal.read_text().splitlines() if journal.exists() else []
        return {json.loads(line)["name"] for line in lines}, result

    return execute


@pytest.fixture
def loaded(run):
    """Everything of the feeds as the installation's own code loads it now."""
    worked, result = run("feeds_ingest")
    assert result.success
    return worked


def test_a_day_that_is_gone_is_noticed_and_loaded_again(branch, loaded, run):
    lake = Lake(branch["home"] / "lake")
    before = lake.read("orders").sort("order_id")
    shutil.rmtree(sorted(lake.accepted_path("orders").glob("day=2025-*"))[3])
    assert lake.scan("orders").select(pl.len()).collect().item() < before.height
    worked, result = run("feeds_ingest")
    assert result.success
    assert worked == {"raw/orders"}, "the others are whole, and the same orders make nobody work"
    assert lake.read("orders").sort("order_id").equals(before)


def test_nothing_is_loaded_again_when_nothing_changed(loaded, run):
    worked, result = run("feeds_ingest")
    assert result.success
    assert worked == set()


def test_force_is_obeyed_for_all_or_for_those_named(loaded, run):
    worked, _ = run("feeds_ingest", force="raw/products, raw/suppliers")
    assert worked == {"raw/products", "raw/suppliers"}
    worked, result = run("feeds_ingest", force="true")
    keys = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert worked == keys


def test_a_single_day_is_loaded_again_and_then_the_whole_is_again_whole(branch, loaded, run):
    lake = Lake(branch["home"] / "lake")
    before = lake.read("orders").sort("order_id")
    worked, result = run("feeds_ingest", days="2025-06-02")
    assert result.success
    assert "raw/orders" in worked
    assert lake.read("orders").sort("order_id").equals(before)


def test_dagster_and_the_records_carry_the_same_versions(branch, run):
    from pipelines.graph import build_defs
    from pipelines.settings import Settings

    _, result = run("feeds_ingest")
    graph = build_defs(Settings()).resolve_asset_graph()
    records = StateStore(branch["home"] / "state")
    events = result.get_asset_materialization_events()
    assert len(events) > 15
    for event in events:
        key, tags = event.asset_key, event.materialization.tags
        assert tags["dagster/data_version"] == records.version(key.to_user_string())
        assert tags["dagster/code_version"] == graph.get(key).code_version


def test_a_range_of_days_is_one_event_a_table(run):
    _, result = run("feeds_ingest", days="2025-01-01/2025-06-30")
    events = result.get_asset_materialization_events()
    assert len(events) == len({event.asset_key for event in events})

"""What runs by itself: each schedule asks for its job, each job runs, each sensor sees what it watches."""

import csv
import datetime as dt
import json

import dagster as dg
import polars as pl
import psycopg
import pytest
from graph_jobs import run_job
from tiny_world import AS_OF

from pipelines.lake.tables import Lake
from serving.db.urls import libpq_url
from serving.scores import loader

pytestmark = pytest.mark.xdist_group("world")

SCHEDULES = {
    "settlement_daily_schedule": "settlement_daily",
    "publish_nightly_schedule": "publish_nightly",
    "models_retrain_weekly_schedule": "models_retrain_weekly",
    "supply_watch_schedule": "supply_watch",
    "feeds_pull_schedule": "feeds_pull",
    "feedback_sorting_schedule": "feedback_sorting",
    "journeys_daily_schedule": "journeys_daily",
}


@pytest.fixture(scope="module")
def repository(branch):
    return repository_of()


def repository_of(**settings):
    """The graph of this process's environment, with settings of a test's own."""
    from pipelines.graph import build_defs
    from pipelines.settings import Settings

    return build_defs(Settings(**settings)).get_repository_def()


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize(("schedule", "job"), SCHEDULES.items())
def test_a_schedule_asks_for_its_job(repository, instance, schedule, job):
    definition = repository.get_schedule_def(schedule)
    moment = dt.datetime(2025, 6, 30, 4, 0, tzinfo=dt.UTC)
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=moment, repository_def=repository
    ) as context:
        data = definition.evaluate_tick(context)
    assert definition.job_name == job
    assert len(data.run_requests) == 1
    assert data.skip_message is None


def test_every_schedule_is_tested(repository):
    assert {schedule.name for schedule in repository.schedule_defs} == set(SCHEDULES)


def test_a_night_of_settlement_brings_what_the_api_recorded(branch, repository, instance):
    """The database of this branch is new: an order of the API is all that it holds."""
    with psycopg.connect(libpq_url(branch["database"])) as connection:
        connection.execute(
            "insert into orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, channel,"
            " source, status, placed_at, payable_cents)"
            " values ('default', 'api-1', 'm-1', 'c-01', 'wecom', 'api',"
            " 'placed', %s, 340)",
            (AS_OF - dt.timedelta(minutes=5),),
        )
        connection.execute(
            "insert into orders.order_line (tenant_id, order_id, line_no, sku_id, supplier_id, qty,"
            " list_price_cents, net_paid_cents, supply_price_cents)"
            " values ('default', 'api-1', 1, 'milk-1', 's-1', 1, 340, 340, 200)"
        )
    lake = Lake(branch["home"] / "lake")
    before = lake.read("orders").height
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=AS_OF, repository_def=repository
    ) as context:
        (request,) = (
            repository.get_schedule_def("settlement_daily_schedule").evaluate_tick(context).run_requests
        )
    found = run_job("settlement_daily", request.tags)
    assert found["success"], found
    assert "operations/settlement_day:ledger_invariants_hold" in found["passed"]
    assert {"operations/recorded_books", "raw/orders", "raw/ledger_entries"} <= set(found["made"])
    assert "operations/replayed_orders" not in found["made"]
    orders = lake.read("orders")
    assert orders.height == before + 1
    assert orders.filter(pl.col("order_id") == "api-1")["channel"].to_list() == ["wecom"]
    assert lake.read("ledger_entries").height == 0, "the books of the former database are left behind"


def test_a_quarter_of_an_hour_sorts_what_consumers_wrote(branch):
    with psycopg.connect(libpq_url(branch["database"])) as connection:
        connection.execute(
            "insert into feedback.message (tenant_id, feedback_id, merchant_id, consumer_id, text,"
            " occurred_at, received_at, is_verified) values ('default', 'f1', 'm-1', 'c-01',"
            " '客服态度恶劣，不给退款', %(at)s, %(at)s, false)",
            {"at": AS_OF},
        )
        connection.execute(
            "insert into parties.party (tenant_id, party_type, party_id)"
            " values ('default', 'merchant', 'm-1') on conflict do nothing"
        )
    found = run_job("feedback_sorting")
    assert found["success"], found
    assert found["made"] == ["quality/feedback"]
    assert "quality/feedback:no_text_waits_for_its_topic" in found["passed"]
    with psycopg.connect(libpq_url(branch["database"])) as connection:
        told = connection.execute("select topic, sentiment from feedback.message").fetchall()
    assert told == [("service", "negative")]


def test_a_day_of_journeys_is_a_job_of_its_own(branch):
    found = run_job("journeys_daily")
    assert found["success"], found
    made = {"operations/journey_reactions", "operations/journeys_day", "operations/journey_effect"}
    assert made <= set(found["made"])


def test_profiles_are_published_anew_by_hand(branch, at_hour):
    at_hour(1)
    found = run_job("profiles_publish")
    assert found["success"], found
    assert set(found["made"]) == {
        "features/consumer_tags",
        "published/profiles",
        "published/segments",
        "published/publication",
    }
    assert loader.current(branch["database"]).as_of.hour == 13


def test_prices_are_published_anew_by_hand_and_the_rest_is_carried(branch, at_hour):
    at_hour(2)
    found = run_job("prices_publish")
    assert found["success"], found
    assert found["made"] == ["published/prices", "published/publication"]
    version = loader.current(branch["database"]).version
    manifest = json.loads((branch["home"] / f"lake/published/{version}/manifest.json").read_text())
    assert manifest["tables"]["profiles"]["carried_from"] is not None


@pytest.mark.slow
def test_everything_is_published_at_night_by_the_serving_models(branch, at_hour):
    at_hour(12)
    found = run_job("publish_nightly")
    assert found["success"], found
    assert not [name for name in found["made"] if name.startswith(("raw/", "models/"))]
    assert {"warehouse/published", "published/recommendations", "published/publication"} <= set(found["made"])
    assert "published/prices:scores_are_safe_to_serve" in found["passed"]
    assert loader.current(branch["database"]).as_of.hour == 0


@pytest.mark.slow
def test_models_are_trained_weekly(branch, at_hour):
    at_hour(12)
    found = run_job("models_retrain_weekly")
    assert found["success"], found
    assert {name for name in found["made"] if name.startswith("models/")} == {
        "models/recommendation/lanes",
        "models/demand/forecasters",
        "models/pricing/elasticities",
        "models/lifecycle/churn_and_rebuy",
        "models/supply/assortment",
    }


def tick(repository, instance, name, cursor=None):
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        repository_def=repository,
        resources=repository.get_top_level_resources(),
    )
    return repository.get_sensor_def(name).evaluate_tick(context)


def test_new_feed_files_are_loaded_once_and_again_after_a_change(branch, repository, instance):
    first = tick(repository, instance, "new_feed_files")
    (request,) = first.run_requests
    again = tick(repository, instance, "new_feed_files", first.cursor)
    assert again.run_requests == []
    assert "no file" in again.skip_message

    _append_an_order(branch["feeds"])
    changed = tick(repository, instance, "new_feed_files", first.cursor)
    (request_after,) = changed.run_requests
    assert request_after.run_key != request.run_key

    lake = Lake(branch["home"] / "lake")
    before = lake.scan("order_lines").select(pl.len()).collect().item()
    found = run_job("feeds_ingest", request_after.tags)
    assert found["success"], found
    assert "raw/order_lines:feed_is_plausible" in found["passed"]
    assert lake.scan("order_lines").select(pl.len()).collect().item() == before + 1
    assert lake.read("orders").filter(pl.col("order_id") == "o-new").height == 1


def _append_an_order(feeds):
    """A new file beside the old one: the new order and its line."""
    for table, row in {
        "orders": {"order_id": "o-new", "placed_at": "2025-06-30T09:00:00Z", "paid_at": ""},
        "order_lines": {"order_id": "o-new", "line_no": "1"},
    }.items():
        with (feeds / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            sample = next(csv.DictReader(file))
        (feeds / table).mkdir()
        with (feeds / table / "2025-06-30.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(sample))
            writer.writeheader()
            writer.writerow(sample | row)


def test_a_sensor_on_the_embedded_panel_has_nothing_to_watch(branch, instance, tmp_path):
    seen = tick(repository_of(home=tmp_path, data=None), instance, "new_feed_files")
    assert seen.run_requests == []
    assert "MUYUN_DATA" in seen.skip_message


def test_a_failed_run_is_written_down_for_the_operator(branch, repository, instance, tmp_path):
    from pipelines.settings import Settings

    @dg.op
    def fails():
        raise dg.Failure("the supplier's server is down")

    @dg.job
    def nightly_copy():
        fails()

    result = nightly_copy.execute_in_process(instance=instance, raise_on_error=False)
    with dg.build_run_status_sensor_context(
        sensor_name="run_failed",
        dagster_event=result.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    ) as context:
        repository.get_sensor_def("run_failed")(context.for_run_failure(), settings=Settings(home=tmp_path))
    (line,) = (tmp_path / "alerts.jsonl").read_text().splitlines()
    alert = json.loads(line)
    assert (alert["run_id"], alert["job"]) == (result.run_id, "nightly_copy")
    assert "fail" in alert["error"].lower()

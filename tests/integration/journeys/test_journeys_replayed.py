"""The simulated weeks of journeys: lived by the real engine, with effects that the verdicts find."""

from datetime import timedelta

import dagster as dg
import pytest
from journey_town import Town, names
from small_market import TENANT

from pipelines.defs import journeys as steps_of
from pipelines.graph import resources
from pipelines.replay import journeys
from pipelines.settings import Settings
from serving.db.operations import Operations
from serving.journeys import results, versions, violations

SEGMENTS = (
    "new_buyers", "one_time_buyers_cooling", "high_value_silent", "birthday_soon", "points_about_to_end",
    "coupon_about_to_end", "bargain_hunters", "near_next_level", "level_at_risk",
)  # fmt: skip


@pytest.fixture
def replayed(town):
    """A town of 2,400 of whom 360 are dormant, as the panel has them."""
    town.people(2_400, dormant=360, segments=[(name, names(5)) for name in SEGMENTS])
    return journeys.replay_journeys(town.url, tenant_id=TENANT, as_of=town.now)


def test_the_verdicts_find_the_planted_winner_and_loser(town, replayed):
    assert replayed.verdicts["dormant_wakeup"] == "gain"
    assert replayed.verdicts["coupon_ending"] == "loss"
    assert replayed.missed == ()
    assert replayed.refused == ()
    assert town.act(versions.newest, "coupon_ending").state == "stopped"
    assert town.act(versions.newest, "coupon_ending").reason == "loses"
    assert town.act(versions.newest, "dormant_wakeup").state == "live"


def test_the_step_simulates_on_the_panel_and_its_check_asks_the_verdicts(town, tmp_path, monkeypatch):
    monkeypatch.delenv("MUYUN_DATA", raising=False)
    town.people(2_400, dormant=360, segments=[(name, names(5)) for name in SEGMENTS])
    settings = Settings.model_construct(
        home=tmp_path / "home", data=None, as_of=town.now, database_url=town.url, replay_days=None
    )
    made = resources(settings, {})
    wanted = {name: made[name] for name in ("steps", "settings", "clock", "lake", "database")}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([steps_of.replayed_journeys], resources=wanted, instance=instance)
        (event,) = done.get_asset_materialization_events()
        assert [(one.check_name, one.passed) for one in done.get_asset_check_evaluations()] == [
            ("planted_effects_are_found", True)
        ]
    told = event.materialization.metadata
    assert told["verdicts"].value["dormant_wakeup"] == "gain"
    assert told["runs"].value == town.sql("select count(*) from journeys.run")[0][0] > 2_000


def test_the_simulated_weeks_keep_every_rule_and_say_what_they_are(town, replayed):
    assert not any(town.act(violations.count, town.now - timedelta(days=40), town.now).values())
    assert town.sql("select distinct source from journeys.run") == [("simulated",)]
    assert town.sql("select count(*) from journeys.run") == [(replayed.runs,)]
    assert town.sql("select count(*) from orders.customer_order") == [(0,)]
    newest = town.sql("select max(greatest(entered_at, arrived_at, ended_at)) from journeys.run")
    assert newest[0][0] <= town.now


def test_what_has_lived_is_left_alone(town, replayed):
    before = town.sql("select run_id, step, reason from journeys.run order by 1")
    again = journeys.replay_journeys(town.url, tenant_id=TENANT, as_of=town.now)
    assert (again.journeys, again.runs, again.verdicts) == ((), replayed.runs, replayed.verdicts)
    assert town.sql("select run_id, step, reason from journeys.run order by 1") == before


def test_the_seed_decides_everything(town, replayed, other_database_url):
    with Operations(other_database_url, size=8, timeout_s=60) as operations:
        other = Town(other_database_url, operations)
        other.people(2_400, dormant=360, segments=[(name, names(5)) for name in SEGMENTS])
        journeys.replay_journeys(other_database_url, tenant_id=TENANT, as_of=other.now)
        judged = [
            [
                one.act(results.verdict_of, one.act(versions.newest, name).journey, one.now)
                for name in journeys.PLANTED
            ]
            for one in (town, other)
        ]
    assert judged[0] == judged[1]

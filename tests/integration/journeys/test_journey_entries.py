"""Entries by reminder and by weekday, and what becomes of journeys when the clock jumps."""

from datetime import timedelta

import pytest
from journey_town import PAGE, WAKE
from small_market import TENANT

from serving.journeys import versions
from serving.journeys.definition.loading import shipped
from serving.journeys.engine import entering
from serving.journeys.engine.ticking import tick


def test_a_reminder_of_the_publication_lets_people_enter_once_in_three_weeks(town):
    due = [
        ("c50", 1, "coffee", 0.9),
        ("c50", 2, "milk", 0.8),
        ("c51", 1, "milk", 0.49),
        ("c53", 1, "tea", 0.5),
    ]
    town.people(20, dormant=5, reminders=due)
    town.journey(shipped()["rebuy_reminder"])
    town.look()
    spells = dict(town.sql("select consumer_id, spell from journeys.run"))
    assert spells == {"c50": "rebuy:coffee:2026-11-02", "c53": "rebuy:tea:2026-11-02"}
    assert {one["body"] for one in town.messages(state="delivered")} <= {"About to run out? s1, s2, s3"}
    town.on(days=1)
    town.people(20, dormant=5, reminders=[("c50", 1, "milk", 0.9)])
    town.look()
    assert town.sql("select count(*) from journeys.run where consumer_id = 'c50'") == [(1,)]
    town.on(days=21)
    town.people(20, dormant=5, reminders=[("c50", 1, "milk", 0.9)])
    town.look()  # the first run is over now
    town.look()
    assert town.sql("select count(*) from journeys.run where consumer_id = 'c50'") == [(2,)]


def test_the_wednesday_sale_is_told_on_wednesdays_at_noon_and_once(town):
    town.people(20, dormant=5, segments=[("bargain_hunters", ["c50", "c51"])])
    town.journey(shipped()["wednesday_sale"])
    town.look()
    assert town.runs() == {}
    town.on(days=2, hours=2)
    for _ in range(3):
        town.look()
        town.on(minutes=10)
    assert set(town.runs()) == {"c50", "c51"}
    assert town.sql("select count(*) from journeys.run") == [(2,)]


def test_a_clock_that_goes_back_moves_nobody_and_sends_nothing_again(town):
    town.people(20, others=10)
    town.journey()
    town.look()
    town.on(hours=1)
    town.look()
    before = town.runs(), town.messages()
    town.on(hours=-6)
    town.look()
    assert (town.runs(), town.messages()) == before
    # Nobody enters by what lies in the future.
    town.people(30, others=10, entered=(town.now + timedelta(days=5)).date())
    town.look()
    assert town.sql("select count(*) from journeys.run") == [(20,)]


def test_a_clock_that_jumps_ahead_ends_what_is_over_and_floods_nobody(town):
    town.people(20, others=10)
    town.journey()
    town.look()
    sent = len(town.messages(state="delivered"))
    town.on(days=40)
    town.look()
    assert {reason for _, _, reason in town.runs().values()} == {"time_over"}
    assert len(town.messages(state="delivered")) == sent


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_many_due_at_once_move_in_batches_to_the_same_end(town, size):
    town.people(60, others=20)
    town.journey()
    town.act(entering.enter_due, town.now)
    assert tick(town.transaction, TENANT, town.now, batch=size).moved == 60
    town.look(gateways=PAGE)
    assert len({one["consumer_id"] for one in town.messages(state="delivered")}) == len(
        [arm for arm, *_ in town.runs().values() if arm == "treated"]
    )


def test_a_run_ends_under_the_version_it_began_with_though_its_journey_was_replaced_and_paused(town):
    town.people(20, others=10)
    town.journey()
    town.look()
    town.journey(WAKE.replace("See {items}", "Look at {items}"))
    town.act(versions.pause, "wake", "a question")
    town.on(days=1, minutes=1)
    assert town.look().moved == 0
    town.act(versions.go_on, "wake")
    town.look()
    assert {one["body"] for one in town.messages(step="list", state="delivered")} == {"See s1, s2"}

"""One standing alarm an object and kind; its life; ages and service levels; the parties are told."""

from datetime import timedelta

import psycopg
import pytest
from small_market import NOW
from supply_findings import delay, swing

from serving.db.urls import libpq_url
from serving.orders.webhooks import webhooks
from serving.privacy.data_keys import Vault
from serving.privacy.envelope import new_master_key
from serving.privacy.master_key import Keyring
from serving.watch.alarms.errors import AlarmClosedError, UnknownAlarmError
from serving.watch.alarms.life import acknowledge, assign, resolve, service_levels
from serving.watch.alarms.records import Whose, alarm_of, alarms_page, steps_of

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def alarm(shop, alarm_id, whose=None):
    return shop.act(alarm_of, alarm_id, whose or Whose())


def events(shop, alarm_id):
    with shop.transaction() as conn:
        return [step.event for step in steps_of(conn, "default", alarm_id, limit=50)]


def test_an_object_has_one_alarm_of_a_kind_until_its_cause_is_gone(shop, find):
    first = find(swing(), delay())
    assert len(first.opened) == 2
    again = find(swing(capacity=20), delay(), at=NOW + HOUR)
    assert (again.opened, again.standing) == ([], 2)
    assert alarm(shop, first.opened[0]).evidence["capacity"] == 20
    same = find(swing(capacity=20), delay(), at=NOW + HOUR)
    assert (same.opened, same.cleared, same.standing) == ([], 0, 2)
    gone = find(swing(opens=False, clears="calm_again"), at=NOW + 2 * HOUR)
    assert (gone.cleared, gone.standing) == (1, 1)
    ended = alarm(shop, first.opened[0])
    assert (ended.state, ended.reason_code, ended.cleared_at) == ("cleared", "calm_again", NOW + 2 * HOUR)
    anew = find(swing(), at=NOW + 3 * HOUR)
    assert len(anew.opened) == 1
    assert events(shop, first.opened[0]) == ["opened", "cleared"]


def test_what_neither_opens_nor_clears_stands(shop, find):
    (number,) = find(delay()).opened
    between = find(delay(opens=False, hours=18.0), at=NOW + HOUR)
    assert (between.opened, between.cleared, between.standing) == ([], 0, 1)
    assert alarm(shop, number).evidence["hours_late"] == 18.0


def test_a_finding_of_an_earlier_time_changes_nothing(shop, find):
    (number,) = find(delay(), at=NOW + HOUR).opened
    late = find(delay(opens=False, clears="arrived"), at=NOW)
    assert (late.outdated, late.cleared) == (1, 0)
    assert alarm(shop, number).state == "open"


def test_the_life_from_open_to_resolved(shop, find):
    (number,) = find(swing()).opened
    assert shop.act(acknowledge, number, "k1", NOW + HOUR).state == "acknowledged"
    shop.act(acknowledge, number, "k2", NOW + 2 * HOUR)
    seen = shop.act(assign, number, "Li", "k1", NOW + 2 * HOUR)
    assert (seen.state, seen.assigned_to, seen.acknowledged_at) == ("assigned", "Li", NOW + HOUR)
    shop.act(assign, number, "Li", "k1", NOW + 3 * HOUR)
    done = shop.act(resolve, number, "stock_moved", "k1", NOW + 4 * HOUR)
    assert (done.state, done.closed_at, done.cleared_at) == ("resolved", NOW + 4 * HOUR, None)
    assert shop.act(resolve, number, "stock_moved", "k1", NOW + 5 * HOUR) == done
    for act in (
        lambda: shop.act(resolve, number, "other", "k1", NOW),
        lambda: shop.act(acknowledge, number, "k1", NOW),
        lambda: shop.act(assign, number, "Wu", "k1", NOW),
    ):
        with pytest.raises(AlarmClosedError, match="stock_moved"):
            act()
    assert events(shop, number) == ["opened", "acknowledged", "assigned", "resolved"]
    with pytest.raises(UnknownAlarmError):
        shop.act(acknowledge, number + 99, "k1", NOW)


def test_a_resolved_alarm_opens_no_other_before_its_cause_was_gone(shop, find):
    (number,) = find(swing()).opened
    shop.act(resolve, number, "known", "k1", NOW)
    assert find(swing(), at=NOW + HOUR).opened == []
    find(swing(opens=False, clears="calm_again"), at=NOW + 2 * HOUR)
    ended = alarm(shop, number)
    assert (ended.state, ended.reason_code, ended.closed_at) == ("resolved", "known", NOW)
    assert len(find(swing(), at=NOW + 3 * HOUR).opened) == 1


def test_parties_see_their_own(shop, find):
    capacity, parcel = find(swing("S2"), delay()).opened
    with shop.transaction() as conn:

        def numbers(whose, **which):
            wanted = {"kind": None, "is_open": None} | which
            return [one.alarm_id for one in alarms_page(conn, "default", whose, after=0, limit=9, **wanted)]

        assert numbers(Whose()) == [capacity, parcel]
        assert numbers(Whose(supplier_id="S1")) == numbers(Whose(merchant_id="m1")) == [parcel]
        assert numbers(Whose(merchant_id="m2")) == []
        assert numbers(Whose(), kind="capacity") == [capacity]
        assert numbers(Whose(), is_open=False) == []
    with pytest.raises(UnknownAlarmError):
        alarm(shop, parcel, Whose(merchant_id="m2"))


def test_parties_are_told_once_when_it_opens_and_when_it_clears(shop, find):
    keyring = Keyring((new_master_key(),))
    vault = Vault(lambda: keyring)
    with shop.transaction() as conn:
        for kind, party in (("supplier", "S1"), ("merchant", "m1")):
            webhooks.add_endpoint(conn, vault, "default", kind, party, "https://example.test/hook")
    (number,) = find(delay()).opened
    find(delay(), at=NOW + HOUR)
    find(delay(opens=False, clears="arrived"), at=NOW + 2 * HOUR)
    told = shop.sql(
        "select e.party_type, d.event_type, d.payload->>'alarm_id' from orders.webhook_delivery d"
        " join orders.webhook_endpoint e using (tenant_id, endpoint_id) order by 1, 2"
    )
    assert told == [
        (party, f"supply_alarm.{event}", str(number))
        for party in ("merchant", "supplier")
        for event in ("cleared", "opened")
    ]


def test_ages_and_service_levels(shop, find):
    """Four capacities: seen after an hour and not closed; seen later; cleared in time; cleared a day late."""
    numbers = find(*(swing(f"S{n}") for n in range(4))).opened
    shop.act(acknowledge, numbers[0], "k", NOW + HOUR)
    shop.act(acknowledge, numbers[1], "k", NOW + HOUR + timedelta(seconds=1))
    find(swing("S2", opens=False, clears="calm_again"), at=NOW + timedelta(minutes=30))
    find(swing("S3", opens=False, clears="calm_again"), at=NOW + DAY + timedelta(seconds=1))
    with shop.transaction() as conn:
        (level,) = service_levels(conn, "default", NOW - DAY, NOW + 2 * DAY)
        assert service_levels(conn, "default", NOW + HOUR, NOW + DAY) == []
    assert (level.kind, level.opened, level.open_now, level.oldest_open_hours) == ("capacity", 4, 2, 48.0)
    assert (level.seen_in_time, level.closed_in_time) == (2, 1)
    assert level.median_hours_to_close == pytest.approx((0.5 + 24 + 1 / 3600) / 2)


def test_the_life_cannot_be_rewritten(shop, find, database_url):
    find(swing())
    with (
        psycopg.connect(libpq_url(database_url)) as connection,
        pytest.raises(psycopg.DatabaseError, match="append-only"),
    ):
        connection.execute("delete from watch.alarm_event")

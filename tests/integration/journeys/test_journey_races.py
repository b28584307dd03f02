"""Journeys while something else happens: an erasure, a stop, a provider that takes its time."""

from datetime import timedelta

import pytest
from journey_town import PAGE, WAKE, Town
from small_market import TENANT

from serving.consumers import erasure
from serving.errors import DatabaseUnavailableError
from serving.journeys import outbox, receipts, results, versions
from serving.journeys.channels.protocol import Answer
from serving.journeys.engine import entering, facts


class Provider:
    """Takes messages; something happens when it has taken the first one."""

    def __init__(self, then=lambda message: None):
        self.got = []
        self.then = then

    def send(self, message):
        self.got.append(message.message_id)
        if len(self.got) == 1:
            self.then(message)
        return Answer("sent")


def erase(town: Town, consumer):
    """Erase somebody; False while somebody else's writing holds it up."""
    try:
        with town.transaction() as conn:
            conn.execute("set local lock_timeout = '50ms'")
            erasure.erase(conn, TENANT, consumer, town.now)
    except DatabaseUnavailableError:
        return False
    return True


def traces(town, consumer):
    """Rows that name somebody."""
    counts = (
        f"(select count(*) from {table} where consumer_id = %(c)s)"
        for table in ("journeys.run", "journeys.message", "journeys.opt_out", "coupons.coupon")
    )
    return town.sql("select " + " + ".join(counts), c=consumer)[0][0]


def test_nothing_of_an_erased_person_slips_in_while_runs_move(town, monkeypatch):
    town.people(20, others=10)
    town.journey()
    read, tried = facts.read, []

    def erased_meanwhile(*arguments):
        known = read(*arguments)
        if not tried:
            tried.append(erase(town, "c50"))
        return known

    town.act(entering.enter_due, town.now)
    with monkeypatch.context() as patched:
        patched.setattr(facts, "read", erased_meanwhile)
        town.look(enter=False, send=False)
    assert tried == [False]
    assert erase(town, "c50")
    assert traces(town, "c50") == 0
    assert town.messages(reason="erased")


def test_nothing_of_an_erased_person_slips_in_while_they_enter(town, monkeypatch):
    town.people(20, others=10)
    town.journey()
    with town.transaction() as conn:
        entering.enter_due(conn, TENANT, town.now)
        assert not erase(town, "c50")
    assert erase(town, "c50")
    assert traces(town, "c50") == 0


def test_nothing_of_an_erased_person_slips_in_with_a_receipt(town):
    town.people(20, others=10)
    town.journey()
    town.look(gateways={**PAGE, "sms": Provider()})
    (one,) = (message for message in town.messages(state="sent") if message["consumer_id"] == "c50")
    notice = receipts.Receipt("r1", "sms", one["message_id"], "opted_out", town.now)
    with town.transaction() as conn:
        receipts.take(conn, TENANT, [notice], town.now)
        assert not erase(town, "c50")
    assert erase(town, "c50")
    assert traces(town, "c50") == 0


def test_what_went_out_while_its_journey_was_stopped_went_out(town):
    """Its receipts count: who wants nothing any more is heard."""
    town.people(20, others=10)
    town.journey()
    provider = Provider(lambda _: town.act(versions.stop, "wake", "wrong prices", town.now))
    town.look(gateways={**PAGE, "sms": provider})
    first = provider.got[0]
    assert town.messages(message_id=first)[0]["state"] == "sent"
    assert town.receipt(first, "opted_out") == {"new": 1}
    assert town.sql("select count(*) from journeys.opt_out") == [(1,)]


def test_who_wants_nothing_is_heard_though_a_crash_lost_that_it_went_out(town):
    town.people(20, others=10)
    town.journey()

    class KilledError(BaseException):
        pass

    def killed(_):
        raise KilledError

    provider = Provider(killed)
    with pytest.raises(KilledError):
        town.look(gateways={**PAGE, "sms": provider})
    town.act(versions.stop, "wake", "wrong prices", town.now)
    assert town.receipt(provider.got[0], "opted_out") == {"new": 1}
    assert town.sql("select count(*) from journeys.opt_out") == [(1,)]


def test_what_was_withheld_in_time_was_not_handed_over(town):
    town.people(20, others=10)
    town.journey()
    town.look(send=False)
    (one,) = (message for message in town.messages(state="waiting") if message["consumer_id"] == "c50")
    town.consent("c50", False)
    town.look(gateways={**PAGE, "sms": Provider()})
    assert town.messages(message_id=one["message_id"])[0]["reason"] == "no_consent"
    assert town.receipt(one["message_id"], "clicked") == {"new": 1, "misfit": 1}


def test_a_slow_provider_does_not_outlast_what_was_asked_of_the_guards(town):
    """After half a minute nothing more is handed over: it waits, and the guards are asked anew."""
    town.people(20, others=10)
    town.journey(WAKE)
    seconds = iter(range(0, 1_000, 10))
    town.look(send=False)
    provider = Provider()
    gateways = {**PAGE, "sms": provider}
    outbox.hand_over_due(town.transaction, TENANT, gateways, town.now, elapsed=lambda: float(next(seconds)))
    assert len(provider.got) == 2
    waiting = town.sql("select attempts, next_try_at from journeys.message where state = 'waiting'")
    assert set(waiting) == {(0, town.now)}
    assert len(waiting) == 17
    outbox.hand_over_due(town.transaction, TENANT, gateways, town.now)
    assert len(provider.got) == len(set(provider.got)) == 19


def crowd(town, version, reached):
    """Assign 9,000 to a version long ago, of whom `reached` came, and 1,000 controls, of whom a tenth did."""
    for arm, size, bought in (("treated", 9_000, reached), ("control", 1_000, 100)):
        town.sql(
            "insert into journeys.run (tenant_id, journey_id, version, consumer_id, spell, arm, entered_at,"
            " step, arrived_at, ended_at, reason) select %(t)s, 'wake', %(v)s, %(a)s || n, %(v)s || 's',"
            " %(a)s, %(n)s, 'end', %(n)s, %(n)s, 'finished' from generate_series(1, %(size)s) n",
            t=TENANT,
            v=version,
            a=arm,
            n=town.now - timedelta(days=60),
            size=size,
        )
        town.sql(
            "insert into events.event (tenant_id, event_id, consumer_id, merchant_id, session_id, event_type,"
            " sku_id, occurred_at, received_at) select %(t)s, %(a)s || %(v)s || n, %(a)s || n, 'm1', 's',"
            " 'view', 's1', %(n)s, %(n)s from generate_series(1, %(size)s) n",
            t=TENANT,
            v=version,
            a=arm,
            n=town.now - timedelta(days=60),
            size=bought,
        )


def test_a_better_version_of_a_journey_that_lost_is_not_stopped_by_the_runs_before(town):
    town.people(20, others=10)
    visits = WAKE.replace("control_bps: 0", "control_bps: 1000\ngoal: visit")
    town.journey(visits)
    crowd(town, 1, 540)
    assert town.act(results.stop_losing, town.now) == ["wake"]
    better = town.journey(visits.replace("For you:", "Chosen for you:"))
    assert better.version == 2
    assert town.act(results.stop_losing, town.now) == []


@pytest.mark.parametrize(("status", "reached"), [("received", 1), ("cancelled", 0), ("refunded", 0)])
def test_an_order_that_does_not_stand_reaches_no_goal(town, status, reached):
    town.people(20, others=10)
    journey = town.journey().journey
    town.look()
    town.on(hours=1)
    town.buy("c50", "o1")
    town.sql("update orders.customer_order set status = %(s)s where order_id = 'o1'", s=status)
    town.look(enter=False, send=False)
    assert (town.runs()["c50"][2] == "converted") is bool(reached)
    town.on(days=15)
    assert town.act(results.verdict_of, journey, town.now).treated.reached == reached

"""The life of journeys in the database: who enters, what goes out, what stops it, what a crash leaves."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from journey_town import PAGE, WAKE, names
from small_market import TENANT

from serving.consumers import erasure
from serving.journeys import outbox, receipts, tasks, versions
from serving.journeys.assignment import arm_of
from serving.journeys.channels.protocol import Answer, UnavailableError
from serving.journeys.errors import JourneyRefusedError, JourneyStateError, JourneyUnknownError


def touched(town, count=20):
    """Consumers whom the universal hold-out leaves alone."""
    day = town.now.date()
    return sorted(
        name for name in names(count) if arm_of(TENANT, "wake", name, day, 0, marketing=True) == "treated"
    )


class Provider:
    """Takes messages; each under its name once."""

    def __init__(self):
        self.got = {}
        self.asked = 0
        self.answers = "sent"

    def send(self, message):
        self.asked += 1
        if self.answers == "down":
            raise UnavailableError("503")
        if self.answers == "refused":
            return Answer("refused", "provider_404")
        self.got.setdefault(message.message_id, message)
        return Answer("sent")


@pytest.fixture
def provider():
    return Provider()


def test_the_dormant_wake_up_from_the_segment_to_the_task(town):
    town.people(20, others=10)
    town.journey()
    ticked = town.look()
    chosen = touched(town)
    assert ticked.moved == 20
    sent = town.messages(state="delivered")
    assert [one["consumer_id"] for one in sent] == chosen
    assert len({one["code"] for one in sent}) == len(chosen)
    assert sent[0]["body"] == f"For you: {sent[0]['code']}"
    watched = town.messages(state="would_send")
    assert {one["consumer_id"] for one in watched} == set(names(20)) - set(chosen)
    assert {(one["code"], one["body"]) for one in watched} == {(None, "")}
    codes = town.sql("select consumer_id, code from coupons.coupon order by code")
    assert sorted(codes) == sorted((one["consumer_id"], one["code"]) for one in sent)

    town.on(hours=1)
    town.visit("c50")
    town.buy("c51")
    assert town.look().moved >= len(chosen)
    assert (town.runs()["c50"][2], town.runs()["c51"][2]) == ("reacted", "converted")

    # The second message of the day waits for the cap: 24 hours after the first.
    town.on(hours=23)
    town.look()
    named = town.messages(step="list", state="delivered")
    assert {one["body"] for one in named} == {"See s1, s2"}
    assert {tuple(one["skus"]) for one in named} == {("s1", "s2")}
    town.on(minutes=1)
    town.look()
    found = town.act(tasks.page, "open", after=0, limit=50)
    assert {one.consumer_id for one in found} == set(chosen) - {"c50", "c51"}
    assert {(one.title, tuple(one.sku_ids), one.due_at - one.asked_at) for one in found} == {
        ("Call", ("s1", "s2"), timedelta(minutes=15))
    }
    assert {reason for _, _, reason in town.runs().values()} == {"reacted", "converted", "finished"}
    town.on(days=3)
    assert town.look().moved == 0


def test_looking_again_changes_nothing(town):
    town.people(20, others=10)
    town.journey()
    town.look()
    # Whose message was delivered goes on to the wait; the control is there already.
    assert town.look().moved == 19
    before = (town.runs(), town.messages())
    for _ in range(3):
        assert town.look().moved == 0
    assert (town.runs(), town.messages()) == before
    # A new publication tells of the same spell: nobody enters twice, nor within 90 days by another one.
    town.on(days=1)
    town.people(20, others=10)
    town.look()
    assert town.sql("select count(*) from journeys.run") == [(20,)]


def test_small_batches_do_the_same(town):
    town.people(20, others=10)
    town.journey()
    assert town.look(batch=3).moved == 20
    assert [one["consumer_id"] for one in town.messages(state="delivered")] == touched(town)


def test_an_erased_consumer_leaves_and_is_named_nowhere(town, provider):
    town.people(20, others=10)
    town.journey()
    gateways = {**PAGE, "sms": provider}
    town.look(send=False)
    gone, *_ = touched(town)
    town.act(erasure.erase, gone, town.now)
    outbox.hand_over_due(town.transaction, TENANT, gateways, town.now)
    assert gone not in {message.consumer_id for message in provider.got.values()}
    names = {"run": "reason", "message": "reason"}
    for table, reason in names.items():
        assert town.sql(f"select count(*) from journeys.{table} where consumer_id = %(c)s", c=gone) == [(0,)]
        (found,) = town.sql(f"select {reason} from journeys.{table} where consumer_id like 'erased-%%'")
        assert found == ("erased",)
    town.on(days=1)
    town.look()
    assert gone not in town.runs()


def test_consent_withdrawn_before_the_handing_over_stops_the_message(town, provider):
    town.people(20, others=10)
    town.journey()
    town.look(send=False)
    first, second, *_ = touched(town)
    town.consent(first, False)
    town.sql(
        "insert into journeys.opt_out values (%(t)s, %(c)s, 'sms', %(n)s)", t=TENANT, c=second, n=town.now
    )
    outbox.hand_over_due(town.transaction, TENANT, {**PAGE, "sms": provider}, town.now)
    reasons = {one["consumer_id"]: one["reason"] for one in town.messages(state="withheld")}
    assert reasons == {first: "no_consent", second: "opted_out"}
    assert {first, second}.isdisjoint(message.consumer_id for message in provider.got.values())
    town.on(minutes=1)
    town.look()
    assert town.runs()[second][1] == "day"


def test_who_never_consented_is_never_written_to(town):
    town.people(20, others=10, consent=False)
    town.consent("c53", True)
    town.journey()
    town.look()
    assert [one["consumer_id"] for one in town.messages(state="delivered")] == ["c53"]
    assert {reason for _, _, reason in town.runs().values()} == {None, "no_consent"}


def test_a_provider_down_for_two_hours_delays_and_then_counts_as_failed(town, provider):
    town.people(20, others=10)
    town.journey()
    gateways = {**PAGE, "sms": provider}
    provider.answers = "down"
    for _ in range(8):
        town.look(gateways=gateways)
        town.on(minutes=10)
    assert town.messages(state="waiting")
    assert provider.got == {}
    provider.answers = "sent"
    town.look(gateways=gateways)
    found = [provider.got[one["message_id"]].consumer_id for one in town.messages(state="sent")]
    assert sorted(found) == touched(town)

    town.on(days=1)
    town.people(40, others=30, entered=town.now.date())
    provider.answers = "down"
    for _ in range(14):
        town.look(gateways=gateways)
        town.on(minutes=10)
    late = [one for one in town.messages(reason="no_provider") if one["step"] == "coupon"]
    assert {one["consumer_id"] for one in late} == set(touched(town, 40)) - set(touched(town, 20))
    assert town.runs()[late[0]["consumer_id"]][1] == "day"


def test_what_the_provider_refuses_has_failed(town, provider):
    town.people(20, others=10)
    town.journey()
    provider.answers = "refused"
    town.look(gateways={**PAGE, "sms": provider})
    assert {one["reason"] for one in town.messages(state="failed")} == {"provider_404"}
    assert provider.asked == len(touched(town))


def test_nothing_that_waits_goes_out_at_night(town, provider):
    town.people(20, others=10)
    town.on(hours=10, minutes=58)
    town.journey()
    provider.answers = "down"
    gateways = {**PAGE, "sms": provider}
    town.look(gateways=gateways)
    asked = provider.asked
    assert asked == len(touched(town))
    provider.answers = "sent"
    town.on(minutes=2)
    town.look(gateways=gateways)
    assert provider.asked == asked
    assert {one["reason"] for one in town.messages(step="coupon") if one["state"] != "would_send"} == {
        "no_provider"
    }


def test_receipts_count_once_and_strange_ones_change_nothing(town, provider):
    town.people(20, others=10)
    town.journey()
    town.look(gateways={**PAGE, "sms": provider})
    one, two, *_ = [message["message_id"] for message in town.messages(state="sent")]
    town.on(minutes=3)
    assert town.receipt(one, "delivered") == {"new": 1}
    assert town.receipt(one, "delivered") == {"known": 1}
    assert town.receipt(one, "failed") == {"new": 1}
    assert town.messages(message_id=one)[0]["state"] == "delivered"
    assert town.receipt(999_999, "delivered") == {"new": 1, "misfit": 1}
    assert town.receipt(one, "clicked", channel="wecom") == {"new": 1, "misfit": 1}
    (watched,) = town.messages(state="would_send")
    assert town.receipt(watched["message_id"], "delivered")["misfit"] == 1
    assert town.receipt(two, "clicked") == {"new": 1}
    town.look()
    consumer = town.messages(message_id=two)[0]["consumer_id"]
    assert town.runs()[consumer][2] == "reacted"
    assert town.receipt(one, "opted_out") == {"new": 1}
    assert town.sql("select consumer_id, channel from journeys.opt_out") == [
        (town.messages(message_id=one)[0]["consumer_id"], "sms")
    ]


def test_notices_of_a_batch_do_what_they_would_do_one_by_one(town, provider):
    town.people(60, others=10)
    town.journey()
    town.look(gateways={**PAGE, "sms": provider})
    sent = [message["message_id"] for message in town.messages(state="sent")]
    lot = random.Random(7)
    told = [
        receipts.Receipt(
            f"r{lot.randrange(150)}",
            "sms",
            lot.choice([*sent, 999_999]),
            lot.choice(["delivered", "failed", "clicked", "opted_out"]),
            town.now + timedelta(minutes=lot.randrange(-30, 30)),
        )
        for _ in range(200)
    ]
    kept = (
        "select message_id, state, reason, told_at, sent_at, clicked_at, opted_out_at, next_try_at"
        " from journeys.message order by 1",
        "select run_id, due_at from journeys.run order by 1",
        "select consumer_id, channel, stated_at from journeys.opt_out order by 1, 2",
        "select receipt_id, message_id, kind, occurred_at, fits from journeys.receipt order by 1",
    )
    found = []
    ordered = sorted(told, key=lambda one: (one.occurred_at, one.channel, one.receipt_id))
    for batches in ([told], [[one] for one in ordered]):
        with town.transaction() as conn:
            counted = sum((receipts.take(conn, TENANT, some, town.now) for some in batches), Counter())
            found.append([counted, *(conn.execute(query).fetchall() for query in kept)])
            conn.rollback()
            conn.execute("begin")
    assert found[0] == found[1]
    assert min(found[0][0][word] for word in ("new", "known", "misfit")) > 0


def test_two_journeys_share_the_cap_of_a_consumer(town):
    town.people(20, others=10)
    town.journey()
    town.journey(WAKE.replace("journey_id: wake", "journey_id: wake_too"))
    town.look()
    sent = [one["consumer_id"] for one in town.messages(state="delivered")]
    assert sorted(sent) == sorted(set(sent))
    put_off = town.sql(
        "select count(*) from journeys.move where act = 'deferred' and reason = 'frequency_cap'"
    )
    assert put_off[0][0] > 10


def test_a_paused_journey_waits_and_goes_on(town, provider):
    town.people(20, others=10)
    town.journey()
    gateways = {**PAGE, "sms": provider}
    town.look(send=False)
    town.act(versions.pause, "wake", "prices are wrong")
    town.look(gateways=gateways)
    assert provider.asked == 0
    town.people(40, others=30)
    town.on(hours=1)
    assert town.look(gateways=gateways).moved == 0
    assert len(town.runs()) == 20
    town.act(versions.go_on, "wake")
    town.look(gateways=gateways)
    assert len(provider.got) == len(touched(town, 40))


def test_a_stopped_journey_ends_its_runs_and_what_waits(town, provider):
    town.people(20, others=10)
    town.journey()
    town.look(send=False)
    assert town.act(versions.stop, "wake", "it loses", town.now) == 20
    town.look(gateways={**PAGE, "sms": provider})
    assert provider.asked == 0
    assert {one["reason"] for one in town.messages() if one["state"] == "withheld"} == {"stopped"}
    with pytest.raises(JourneyStateError, match="no version of journey wake is in force"):
        town.act(versions.stop, "wake", "again", town.now)


def test_a_new_version_takes_who_comes_and_the_old_one_finishes(town):
    town.people(20, others=10)
    town.journey()
    town.look()
    changed = WAKE.replace("For you:", "Only for you:").replace(
        "until: [visit, click, order]", "until: [order]"
    )
    second = town.journey(changed)
    assert second.version == 2
    town.on(hours=1)
    town.people(40, others=30)
    town.visit("c50")
    town.look()
    assert town.runs()["c50"][2] == "reacted"
    bodies = {one["consumer_id"]: one["body"] for one in town.messages(state="delivered")}
    assert {body.split(":")[0] for one, body in bodies.items() if int(one[1:]) < 70} == {"For you"}
    assert {body.split(":")[0] for one, body in bodies.items() if int(one[1:]) >= 70} == {"Only for you"}
    same = town.act(versions.put_forward, changed, "bob", town.now)
    assert (same.version, same.made_by) == (2, "ann")


def test_what_a_journey_refers_to_must_be_there(town):
    town.people(20, others=10)
    with pytest.raises(JourneyRefusedError, match="segment nobody is not among the published ones"):
        town.journey(WAKE.replace("segment: dormant", "segment: nobody"))
    with pytest.raises(JourneyRefusedError, match="coupon programme gone"):
        town.journey(WAKE.replace("coupon: wakeup", "coupon: gone"))
    with pytest.raises(JourneyUnknownError, match="no version 7"):
        town.act(versions.put_into_force, "wake", 7, town.now)
    town.people(20)
    with pytest.raises(JourneyRefusedError, match="audience of everybody"):
        town.journey()


def test_a_task_is_taken_by_one_person(town):
    town.people(20, others=10)
    head = WAKE[: WAKE.index("steps:")]
    town.journey(f"{head}steps:\n  - {{id: call, kind: task, task: Call, within_minutes: 15, next: end}}\n")
    town.look()
    one, *_ = town.act(tasks.page, "open", after=0, limit=50)
    assert not one.is_late(one.due_at)
    assert one.is_late(one.due_at + timedelta(seconds=1))
    mine = town.act(tasks.claim, one.task_id, "ann", town.now)
    assert (mine.state, mine.claimed_by) == ("claimed", "ann")
    assert town.act(tasks.claim, one.task_id, "ann", town.now + timedelta(hours=1)) == mine
    with pytest.raises(JourneyStateError, match="claimed by ann"):
        town.act(tasks.claim, one.task_id, "bob", town.now)
    with pytest.raises(JourneyStateError, match="claim it before"):
        town.act(tasks.end, one.task_id, "bob", "done", "spoke", town.now)
    done = town.act(tasks.end, one.task_id, "ann", "done", "spoke", town.now)
    assert (done.state, done.outcome, done.ended_at) == ("done", "spoke", town.now)
    with pytest.raises(JourneyUnknownError, match="no task 999"):
        town.act(tasks.claim, 999, "ann", town.now)


def test_abandoned_carts_enter_by_what_was_not_bought(town):
    town.people(20, dormant=5)
    cart = """
journey_id: cart
title: Left in the cart
purpose: marketing
entry: {kind: event, event: cart_add, without: order, after_minutes: 60}
again_after_days: 7
control_bps: 0
steps:
  - {id: remind, kind: send, channel: mini_program, template: "Still there", next: end}
"""
    town.journey(cart)
    for consumer in ("c51", "c54", "c53"):
        town.sql(
            "insert into events.event (tenant_id, event_id, consumer_id, merchant_id, session_id, event_type,"
            " sku_id, occurred_at, received_at) values (%(t)s, %(e)s, %(c)s, 'm1', 's', 'add_to_cart', 's1',"
            " %(n)s, %(n)s)",
            t=TENANT,
            e=f"cart-{consumer}",
            c=consumer,
            n=town.now,
        )
    town.on(minutes=30)
    town.buy("c54")
    town.on(minutes=29)
    town.look()
    assert town.runs() == {}
    town.on(minutes=1)
    town.look()
    assert set(town.runs()) == {"c51", "c53"}
    town.look()
    assert town.sql("select count(*) from journeys.run") == [(2,)]

"""Journeys in the graph: feeds tell of orders, a round of the day, messages come back, effects by arm."""

from contextlib import contextmanager
from datetime import timedelta

import dagster as dg
import duckdb
import polars as pl
import pytest
from journey_town import NOW, PAGE, WAKE, names
from small_market import TENANT

from pipelines import journeys_day
from pipelines.defs import journeys
from pipelines.graph import resources
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.sources.contract import contract_table
from pipelines.sources.recorded.extraction import Extraction
from pipelines.sources.recorded.streams import RECORDED
from pipelines.stores.journeys import EFFECT, WAYS
from serving.channel_tests import records as tests_of_channels
from serving.consumers import erasure
from serving.db.urls import libpq_url
from serving.journeys import reactions, results, violations
from serving.journeys.channels.protocol import Answer, UnavailableError
from serving.settings import Settings as Serving

HALF = WAKE.replace("control_bps: 0", "control_bps: 5000")
ORDER_LINES = """create table core.fct_order_lines (consumer_id text, placed_at timestamptz,
    margin_cents bigint, is_sale boolean, is_return boolean)"""


class Away:
    """A provider that cannot be asked."""

    def send(self, message):
        raise UnavailableError("503")


class Sending:
    """Takes every message; receipts tell the rest."""

    def send(self, message):
        return Answer("sent")


def order(consumer, at, state="paid", name=None, origin="observed"):
    contract = contract_table("orders")
    row = dict.fromkeys(contract.columns)
    row |= {
        "order_id": name or f"f-{consumer}",
        "consumer_id": consumer,
        "merchant_id": "m1",
        "channel": "app",
        "state": state,
        "status": state,
        "origin": origin,
        **dict.fromkeys(("placed_at", "paid_at", "received_at"), at),
    }
    return {key: value for key, value in row.items() if key in contract.columns}


@pytest.fixture
def lake(tmp_path):
    made = Lake(tmp_path / "home" / "lake")
    made.create()

    def put(*orders):
        frame = pl.DataFrame(list(orders), schema=dict(contract_table("orders").dtypes))
        made.replace_days("orders", frame)
        return made

    return put


def messages(extraction, url):
    """What came back: outcome by consumer."""
    extraction.extract(libpq_url(url))
    return dict(extraction.read("messages").select("consumer_id", "outcome").iter_rows())


def test_messages_come_back_with_what_became_of_them_and_once(town, tmp_path):
    extraction = Extraction(tmp_path / "prices", RECORDED["prices"], tenant_id=TENANT)
    town.people(20, others=10)
    town.journey()
    town.look(send=False)
    assert messages(extraction, town.url) == {}, "what waits is no message yet"
    town.look(gateways={**PAGE, "sms": Sending()})
    told = messages(extraction, town.url)
    assert len(told) == 19
    assert set(told.values()) == {None}
    ids = {one["consumer_id"]: one["message_id"] for one in town.messages(state="sent")}
    town.on(minutes=5)
    for consumer, kind in (("c50", "delivered"), ("c51", "clicked"), ("c53", "failed"), ("c54", "opted_out")):
        town.receipt(ids[consumer], kind)
    town.receipt(ids["c55"], "delivered")
    town.on(minutes=5)
    order_id = town.buy("c55")
    assert town.act(reactions.mark_conversions, town.now) == 1
    assert town.act(reactions.mark_conversions, town.now) == 0
    told = messages(extraction, town.url)
    assert {name: told[name] for name in ("c50", "c51", "c53", "c54", "c55", "c56")} == {
        "c50": "delivered", "c51": "clicked", "c53": "failed", "c54": "opted_out", "c55": "converted",
        "c56": None,
    }  # fmt: skip
    assert extraction.extract(libpq_url(town.url)).rows == {}
    row = extraction.read("messages").row(by_predicate=pl.col("consumer_id") == "c55", named=True)
    assert (row["message_id"], row["journey"], row["channel"]) == (f"jm-{ids['c55']}", "wake", "sms")
    assert (row["sent_at"], row["received_at"], row["origin"]) == (NOW, town.now, "observed")
    # An order that is given back is no conversion any more.
    town.sql("update orders.customer_order set status = 'refunded' where order_id = %(o)s", o=order_id)
    assert town.act(reactions.mark_conversions, town.now) == 1
    assert messages(extraction, town.url)["c55"] == "delivered"
    town.act(erasure.erase, "c56", town.now)
    extraction.extract(libpq_url(town.url))
    # The pseudonym is told nothing; the row of the person goes with the files of the lake.
    assert not any(name.startswith("erased-") for name in extraction.read("messages")["consumer_id"])


def test_an_order_of_the_last_message_is_no_conversion_of_the_one_before(town):
    town.people(20, others=10)
    town.journey(WAKE.replace("until: [visit, click, order], ", ""))
    town.look()
    town.on(days=1, minutes=1)
    town.look()
    town.buy("c50")
    town.act(reactions.mark_conversions, town.now)
    led = town.sql("select step from journeys.message where consumer_id = 'c50' and converted_at is not null")
    assert led == [("list",)]


def test_orders_of_files_end_runs_count_and_fall_with_their_refund(town, lake):
    town.people(20, others=10)
    version = town.journey()
    town.look()
    town.on(hours=2)
    bought = lake(order("c50", town.now), order("c51", town.now, origin="overlay"), order("x1", town.now))
    told = journeys_day.take_reactions(bought, town.url, TENANT, town.now)
    assert told == {"consumers": 20, "orders": 1, "visits": 0, "news": 1}
    assert journeys_day.take_reactions(bought, town.url, TENANT, town.now)["news"] == 0
    town.look()
    assert town.runs()["c50"][2] == "converted"
    assert town.runs()["c51"][2] is None
    town.on(days=15)
    assert town.act(results.verdict_of, version.journey, town.now).treated.reached == 1
    gone = lake(order("c50", town.now - timedelta(days=15), state="refunded"))
    assert journeys_day.take_reactions(gone, town.url, TENANT, town.now)["news"] == 1
    assert town.act(results.verdict_of, version.journey, town.now).treated.reached == 0


def test_an_order_that_was_placed_before_the_window_and_paid_within_it_stands(town, lake):
    town.people(20, others=10)
    version = town.journey()
    town.look()
    town.on(hours=2)
    late = order("c50", town.now)
    late["placed_at"] = town.now - timedelta(days=1)
    journeys_day.take_reactions(lake(late), town.url, TENANT, town.now)
    # So long that the window begins between the day of the order and its payment.
    town.on(days=45)
    assert journeys_day.take_reactions(lake(late), town.url, TENANT, town.now)["news"] == 0
    assert town.act(results.verdict_of, version.journey, town.now).treated.reached == 1


def test_nothing_of_an_erased_person_comes_in_with_a_feed(town, lake):
    town.people(20, others=10)
    town.journey()
    town.look()
    journeys_day.take_reactions(lake(order("c50", town.now)), town.url, TENANT, town.now)
    town.act(erasure.erase, "c50", town.now)
    assert town.sql("select count(*) from journeys.reaction") == [(0,)]
    told = [reactions.Reaction("f-c50", "c50", "order", town.now)]
    assert town.act(reactions.take_in, "feed", told) == 0


def test_the_ways_of_runs_are_counted_and_name_nobody(town):
    town.people(20, others=10)
    town.journey()
    town.look()
    town.visit("c50")
    town.on(hours=1)
    town.look()
    rows = town.sql("select arm, step, next_step, reason, runs from journeys.passage order by 1, 2, 3, 4")
    # The treated rest after their message until it is told of; the hold-out goes on at once.
    assert rows == [
        ("treated", "coupon", "day", "", 19), ("treated", "day", "end", "reacted", 1),
        ("universal", "coupon", "day", "", 1),
    ]  # fmt: skip


BREAKING = {
    "frequency_cap": "update journeys.message set sent_at = decided_at - interval '1 hour'"
    " where step = 'list'",
    "quiet_hours": "update journeys.message set sent_at = sent_at - interval '2 hours' where step = 'coupon'",
    "consent": "insert into consumers.consent (tenant_id, consumer_id, purpose, stated_at, granted, source,"
    " received_at) values ('default', 'c50', 'marketing', '2026-11-01', false, 'app', '2026-11-01')",
    "channel_held_out": "insert into channel_tests.test values ('default', 't1', 'sms', 'holdout', 5000,"
    " '{}', '{}', '2026-11-02', '2026-11-10', 'ann', '2026-11-01')",
    "sent_twice": "insert into journeys.message (tenant_id, run_id, step, journey_id, consumer_id, channel,"
    " purpose, body, sku_ids, decided_at, state, sent_at) select tenant_id, run_id, step, journey_id,"
    " consumer_id, channel, 'service', body, sku_ids, decided_at + interval '1 second', state, sent_at"
    " from journeys.message where consumer_id = 'c50'",
}


@pytest.mark.parametrize("rule", BREAKING)
def test_what_breaks_a_rule_is_counted(town, rule):
    town.people(20, others=10)
    town.journey(WAKE.replace("until: [visit, click, order], ", ""))
    town.look()
    if rule == "frequency_cap":
        town.on(days=1, minutes=1)
        town.look()
    since = NOW - timedelta(days=2)
    assert not any(town.act(violations.count, since, town.now).values())
    town.sql(BREAKING[rule])
    found = town.act(violations.count, since, town.now)
    assert [name for name, count in found.items() if count] == [rule]


def test_a_message_that_waits_for_its_provider_keeps_the_next_one_back(town):
    """The cap is over when messages went out, not over when they were decided."""

    patient = WAKE.replace("coupon: wakeup,", "coupon: wakeup, receipt_minutes: 4000,")
    town.people(20, others=10)
    town.journey(patient)
    town.look(gateways={**PAGE, "sms": Away()})
    town.journey(
        WAKE.replace("journey_id: wake", "journey_id: other").replace("channel: sms", "channel: email")
    )
    town.on(days=1, minutes=5)
    town.people(20, others=10)
    town.look(gateways={**PAGE, "sms": Away()})
    assert town.messages(state="delivered") == []
    town.on(minutes=20)
    town.look()
    assert len({one["consumer_id"] for one in town.messages(state="delivered")}) == 19
    found = town.act(violations.count, NOW, town.now)
    assert not any(found.values())


class Bought:
    """The order lines of the published warehouse."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute("set timezone = 'UTC'; create schema core;" + ORDER_LINES)

    @contextmanager
    def open(self):
        yield self.connection


@pytest.fixture
def step(town, tmp_path, monkeypatch):
    """Runs the three assets; what they tell, and their checks."""
    for name in ("MUYUN_AS_OF", "MUYUN_DATA"):
        monkeypatch.delenv(name, raising=False)
    bought = Bought()

    def run(as_of):
        settings = Settings.model_construct(
            home=tmp_path / "home", data=tmp_path / "feeds", as_of=as_of, database_url=town.url
        )
        made = resources(settings, {"warehouse": bought})
        wanted = {
            name: made[name] for name in ("steps", "settings", "clock", "warehouse", "lake", "database")
        }
        assets = [
            journeys.journey_reactions,
            journeys.replayed_journeys,
            journeys.journeys_day,
            journeys.journey_effect,
        ]
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize(assets, resources=wanted, instance=instance)
            told = {
                event.asset_key.path[-1]: event.materialization.metadata
                for event in done.get_asset_materialization_events()
            }
            checks = {one.check_name: one.passed for one in done.get_asset_check_evaluations()}
        return told, checks

    run.lake = Lake(tmp_path / "home" / "lake")
    run.bought = bought.connection
    return run


def test_a_day_of_the_graph_moves_journeys_and_shows_every_decision(town, lake, step):
    town.people(200, others=100)
    town.journey(HALF)
    lake()
    told, checks = step(town.now)
    day = told["journeys_day"]["by_journey"].value["default: wake"]
    treated = sum(one[0] == "treated" for one in town.runs().values())
    assert day["entered"]["treated"] == treated
    assert sum(day["entered"].values()) == told["journeys_day"]["entered"].value == 200
    assert day["messages"]["delivered"] == day["acts"]["message"] == treated
    assert checks == {
        "no_message_broke_a_rule": True, "no_run_is_left_behind": True, "no_tenant_is_stopped": True,
        "arms_fit_the_shares_drawn": True, "planted_effects_are_found": True,
    }  # fmt: skip
    assert told["replayed_journeys"]["note"].value.startswith("off"), "a shop of its own is not simulated"
    town.on(days=1)
    buyers = [name for name, one in sorted(town.runs().items()) if one[0] == "treated"][:30]
    lake(*(order(name, town.now) for name in buyers))
    for name in buyers:
        step.bought.execute(
            "insert into core.fct_order_lines values (?, ?, 700, true, false)", (name, town.now)
        )
    town.on(days=15)
    told, checks = step(town.now)
    assert told["journey_reactions"]["orders"].value == 30
    assert told["journeys_day"]["by_journey"].value["default: wake"]["ended"]["converted"] == 30
    effect = {row["arm"]: row for row in step.lake.get(EFFECT).iter_rows(named=True)}
    row, control = effect["treated"], effect["control"]
    assert (row["assigned_count"], row["converted_count"], control["converted_count"]) == (treated, 30, 0)
    assert (row["margin_cents"], row["net_margin_cents"]) == (30 * 700, 30 * 700 - row["message_cost_cents"])
    assert row["message_cost_cents"] >= 5 * treated
    verdict = town.act(results.verdict_of, town.journey_in_force("wake"), town.now)
    assert (row["difference_low"], row["verdict"]) == (verdict.low, "gain")
    assert control["verdict"] is None
    ways = step.lake.get(WAYS)
    ended = ways.filter(arm="treated", step="coupon", next_step="end")
    assert dict(ended.select("reason", "runs").iter_rows()) == {"converted": 30, "time_over": treated - 30}


def test_a_run_that_nobody_moves_raises_the_check_and_the_alarm(town, lake, step):
    town.people(20, others=10)
    town.journey()
    town.look(send=False)
    town.sql("update journeys.version set state = 'paused'")
    town.on(days=2)
    lake()
    _, checks = step(town.now)
    assert checks["no_run_is_left_behind"], "a pause holds them"
    settings = Serving(as_of=town.now, database_url=town.url)
    assert journeys_day.late_runs(town.url, settings) == {}
    town.sql("update journeys.version set state = 'live'")
    assert journeys_day.late_runs(town.url, settings) == {"default: wake": 20}


def test_a_channel_that_is_tested_does_not_touch_whom_the_lot_holds_out(town):
    town.people(60, others=30)
    day = town.now.date()
    test = tests_of_channels.ChannelTest(
        "half", "sms", "holdout", 5_000, [], [], day, day + timedelta(days=7), "ann", town.now
    )
    town.act(tests_of_channels.declare, test, day)
    town.journey()
    town.look()
    held = {one for one in names(60) if tests_of_channels.is_held_out(TENANT, test, one)}
    assert 10 < len(held) < 50
    assert {one["consumer_id"] for one in town.messages(step="coupon", reason="channel_held_out")} == held
    others = {one["consumer_id"] for one in town.messages(step="coupon", reason=None)}
    assert others == set(names(60)) - held

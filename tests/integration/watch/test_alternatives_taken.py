"""What could be done about an alarm; taken by one act or by a policy; done once, whoever is killed when."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from small_market import NOW
from supply_findings import delay, swing

from serving.orders.assortment.losses import LossRules
from serving.orders.fulfilment import fulfilment
from serving.watch.alarms.errors import AlarmClosedError, NotTakenError, UnknownAlternativeError
from serving.watch.alarms.records import Whose, alarm_of
from serving.watch.alternatives.answering import answer
from serving.watch.alternatives.policies import Policy, put_policy
from serving.watch.alternatives.records import alternatives_of
from serving.watch.alternatives.taking import carry_out, decide

REPOSITORY = Path(__file__).resolve().parents[3]
LATER = NOW + timedelta(hours=2)


@pytest.fixture
def market(shop):
    """S1 has two paid orders that nobody shipped; S2 and S3 could take them."""
    shop.list("tea", 5000)
    shop.supply("S1", "tea", 100, price=1000)
    shop.supply("S2", "tea", 100, price=1100)
    shop.supply("S3", "tea", 100, price=1300, days=0)
    for order in ("o1", "o2"):
        shop.place(order, ("tea", 2))
        shop.pay(order)
    return shop


def answered(shop):
    return answer(shop.transaction, "default", LATER)


def options(shop, alarm_id):
    return {one.kind: one for one in shop.act(alternatives_of, alarm_id)}


def suppliers(shop):
    return dict(shop.sql("select order_id, supplier_id from orders.order_line order by 1"))


def alarm(shop, alarm_id):
    return shop.act(alarm_of, alarm_id, Whose())


def test_a_capacity_that_collapsed_has_alternatives_at_once(market, find):
    (number,) = find(swing()).opened
    done = answered(market)
    assert (done.alarms, done.with_two, done.carried_out.actions) == (1, 1, 0)
    assert 0 < done.slowest_s < 60
    found = options(market, number)
    assert list(found) == ["other_supplier", "faster", "later_date"]
    assert found["other_supplier"].cost_change_cents == 4 * 100
    assert (found["other_supplier"].lines, len(found["other_supplier"].moves)) == (2, 2)
    # Four units wait at 10 a day instead of 100: 0.4 - 0.04 days.
    assert found["later_date"].arrival_change_days == pytest.approx(0.36)
    assert suppliers(market) == {"o1": "S1", "o2": "S1"}
    assert answered(market).alarms == 0


def test_taking_one_moves_the_lines_their_stock_and_their_money_once(market, find):
    (number,) = find(swing()).opened
    answered(market)
    chosen = options(market, number)["other_supplier"]
    before = market.stock_of("S2", "tea")
    market.act(decide, number, chosen.option_no, "key", LATER)
    market.act(decide, number, chosen.option_no, "key", LATER)
    done = carry_out(market.transaction, "default", LATER)
    assert (done.actions, done.moved, done.stayed) == (2, 2, 0)
    assert carry_out(market.transaction, "default", LATER).actions == 0
    assert suppliers(market) == {"o1": "S2", "o2": "S2"}
    on_hand, reserved, free = market.stock_of("S2", "tea")
    assert (on_hand, reserved, free) == (before[0], before[1] + 4, before[2] - 4)
    assert market.stock_of("S1", "tea")[1] == 0
    closed = alarm(market, number)
    assert (closed.state, closed.reason_code) == ("resolved", "rerouted")
    told = market.sql("select supplier_id, status from orders.sub_order where order_id = 'o1' order by 1")
    assert told == [("S1", "rejected"), ("S2", "pending")]
    legs = market.sql(
        "select count(*)::int from ledger.transaction where kind = 'reroute' and order_id in ('o1', 'o2')"
    )
    assert legs == [(2,)]
    with pytest.raises(NotTakenError, match="was taken"):
        market.act(decide, number, options(market, number)["later_date"].option_no, "key", LATER)


def test_what_was_shipped_meanwhile_stays_and_the_alarm_stays_open(market, find):
    (number,) = find(swing()).opened
    answered(market)
    market.act(fulfilment.accept, "o1", "S1", {}, LATER)
    parcel = fulfilment.Parcel("p1", LATER + timedelta(days=3), LATER)
    market.act(fulfilment.ship, "o1", "S1", parcel, LATER)
    market.act(decide, number, 1, "key", LATER)
    done = carry_out(market.transaction, "default", LATER)
    assert (done.moved, done.stayed) == (1, 1)
    assert suppliers(market) == {"o1": "S1", "o2": "S2"}
    assert alarm(market, number).state == "open"


def test_a_supplier_that_sold_out_meanwhile_takes_nothing(market, find):
    (number,) = find(swing()).opened
    answered(market)
    market.supply("S2", "tea", 0, price=1100, at=LATER)
    market.act(decide, number, 1, "key", LATER)
    done = carry_out(market.transaction, "default", LATER)
    assert (done.moved, done.stayed) == (0, 2)
    assert suppliers(market) == {"o1": "S1", "o2": "S1"}


def test_lines_go_by_themselves_only_where_every_category_lets_them(market, find):
    """A line of two units costs 200 more at S2."""
    market.act(put_policy, Policy("root", "auto", 199), NOW)
    (first,) = find(swing()).opened
    assert answered(market).carried_out.moved == 0
    find(swing(opens=False, clears="calm_again"), at=LATER)
    market.act(put_policy, Policy("root", "auto", 200), NOW)
    (second,) = find(swing(), at=LATER).opened
    assert answered(market).carried_out.moved == 2
    assert suppliers(market) == {"o1": "S2", "o2": "S2"}
    assert alarm(market, first).reason_code == "calm_again"
    taken = options(market, second)["other_supplier"]
    assert (taken.taken_by, alarm(market, second).reason_code) == ("watch", "rerouted")


def test_a_parcel_under_way_may_come_later_but_goes_nowhere_else(market, find):
    market.act(fulfilment.accept, "o1", "S1", {}, NOW)
    market.act(fulfilment.ship, "o1", "S1", fulfilment.Parcel("p1", LATER, NOW), NOW)
    (number,) = find(delay()).opened
    answered(market)
    found = options(market, number)
    assert not found["other_supplier"].is_takeable
    assert found["later_date"].arrival_change_days == pytest.approx(40 / 24)
    with pytest.raises(NotTakenError, match="on their way"):
        market.act(decide, number, found["other_supplier"].option_no, "key", LATER)
    market.act(decide, number, found["later_date"].option_no, "key", LATER)
    assert alarm(market, number).reason_code == "later_date"


def test_an_alarm_of_a_parcel_that_the_platform_did_not_ship_can_wait_only(market, find):
    (number,) = find(delay("far", order="elsewhere", supplier="S9")).opened
    answered(market)
    assert list(options(market, number)) == ["later_date"]


@pytest.mark.parametrize("median", [100, 0])
def test_a_capacity_that_grew_asks_for_nothing(market, find, median):
    """Also one that was nothing before: its swing is no number."""
    (number,) = find(swing(capacity=200, median=median)).opened
    assert answered(market).alarms == 0
    assert options(market, number) == {}


def test_the_capacity_of_a_sku_or_warehouse_moves_its_own_lines_only(market, find):
    market.list("cup", 5000)
    for supplier, price in (("S1", 1000), ("S2", 1100)):
        market.supply(supplier, "cup", 100, price=price)
    market.place("o3", ("cup", 2))
    market.act(put_policy, Policy("root", "auto", 10_000), NOW)
    find(swing(warehouse="W9"))
    assert answered(market).carried_out.actions == 0
    find(swing(sku="cup"))
    assert answered(market).carried_out.moved == 1
    assert suppliers(market) == {"o1": "S1", "o2": "S1", "o3": "S2"}
    market.sql("update orders.order_line set warehouse_id = 'W1' where order_id = 'o2'")
    find(swing(warehouse="W1"))
    assert answered(market).carried_out.moved == 1
    assert suppliers(market) == {"o1": "S1", "o2": "S2", "o3": "S2"}


def test_a_line_goes_by_itself_inside_the_fee_that_the_operator_set_only(market, find):
    """An unpaid line of 1,000 at a fee of 10% carries 900 of supply and no more; nobody may lose anything."""
    market.list("jam", 1000)
    market.supply("S1", "jam", 10, price=800)
    market.supply("S2", "jam", 10, price=950)
    market.place("o3", ("jam", 1))
    market.act(put_policy, Policy("root", "auto", 10_000), NOW)
    (number,) = find(swing(sku="jam")).opened
    done = answer(market.transaction, "default", LATER, rules=LossRules(1_000)).carried_out
    assert (done.moved, done.stayed, suppliers(market)["o3"]) == (0, 1, "S1")
    assert alarm(market, number).state == "open"


def test_what_is_not_there_or_closed_is_told(market, find):
    (number,) = find(swing()).opened
    answered(market)
    with pytest.raises(UnknownAlternativeError, match="no alternative 9"):
        market.act(decide, number, 9, "key", LATER)
    find(swing(opens=False, clears="calm_again"), at=LATER)
    with pytest.raises(AlarmClosedError):
        market.act(decide, number, 1, "key", LATER)


KILLED = """
import os, signal, sys
from datetime import datetime
from serving.db.operations import Operations
from serving.watch.alternatives import taking

url, now, where, number = sys.argv[1], datetime.fromisoformat(sys.argv[2]), sys.argv[3], int(sys.argv[4])
calls = 0


def killing(work, before):
    def wrapped(*arguments, **named):
        global calls
        calls += 1
        if before and calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = work(*arguments, **named)
        if not before and calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


if where == "close":
    taking._close_done = killing(taking._close_done, before=False)
else:
    taking.reroute = killing(taking.reroute, before=where == "before")
with Operations(url, size=2) as operations:
    taking.carry_out(lambda: operations.transaction("default"), "default", now)
"""


@pytest.mark.parametrize(
    ("where", "number"), [("before", 1), ("after", 1), ("before", 2), ("after", 2), ("close", 1)]
)
def test_killed_in_the_middle_everything_is_done_once(market, find, where, number):
    """Killed before or after a line moved, in its transaction, or before the alarm is closed."""
    (alarm_id,) = find(swing()).opened
    answered(market)
    market.act(decide, alarm_id, 1, "key", LATER)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, market.url, LATER.isoformat(), where, str(number)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL
    moved_before = sum(supplier == "S2" for supplier in suppliers(market).values())
    assert moved_before == (2 if where == "close" else number - 1)
    assert alarm(market, alarm_id).state == "open"
    rest = carry_out(market.transaction, "default", LATER)
    assert rest.moved == 2 - moved_before
    assert suppliers(market) == {"o1": "S2", "o2": "S2"}
    assert market.stock_of("S2", "tea")[1] == 4
    assert market.stock_of("S1", "tea")[1] == 0
    assert market.sql("select count(*)::int from ledger.transaction where kind = 'reroute'") == [(2,)]
    assert alarm(market, alarm_id).reason_code == "rerouted"

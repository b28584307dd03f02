"""What a journey earns, net of its messages, with what was spent before taken off the difference."""

from datetime import timedelta

import pytest
from journey_town import WAKE

from serving.journeys.effects import MESSAGE_CENTS, costs_of
from serving.journeys.margins import earned

HALF = (
    WAKE.replace("control_bps: 0", "control_bps: 5000")
    .replace("coupon: wakeup, ", "")
    .replace("{coupon}", "again")
)


@pytest.fixture
def lived(town):
    """Sixty in halves; every second one spent 19,900 the week before."""
    town.people(60, others=40)
    town.now -= timedelta(days=7)
    for n in range(50, 110, 2):
        town.buy(f"c{n}")
    town.on(days=7)
    town.people(60, others=40)
    journey = town.journey(HALF).journey
    town.look()
    arms = {name: run[0] for name, run in town.runs().items()}
    return town, journey, arms


def test_margin_less_messages_by_arm(lived):
    town, journey, arms = lived
    town.on(days=2)
    treated = sorted(name for name, arm in arms.items() if arm == "treated")
    for name in treated:
        town.buy(name)
    costs = costs_of({"sms": 300})
    assert town.act(earned, journey, costs, town.now) is None
    town.on(days=15)
    found = town.act(earned, journey, costs, town.now)
    # 19,900 paid less 1,000 to the supplier, less an SMS; the WeCom message after a day costs nothing.
    assert (found.treated, found.control) == (19_900 - 1_000 - 300, 0.0)
    assert found.low <= found.difference <= found.high
    assert found.difference == pytest.approx(18_600, abs=1)
    dearer = town.act(earned, journey, costs_of({"sms": 300, "wecom": 50}), town.now)
    assert dearer.treated <= found.treated
    town.sql(
        "update orders.customer_order set status = 'refunded' where paid_at > %(n)s",
        n=town.now - timedelta(days=16),
    )
    given_back = town.act(earned, journey, costs, town.now)
    assert given_back.treated == -300


def test_what_was_spent_before_explains_what_is_spent_after(lived):
    """Only those who spent before buy again, whatever their arm: CUPED finds no difference in that."""
    town, journey, arms = lived
    town.on(days=2)
    for n in range(50, 110, 2):
        town.buy(f"c{n}")
    town.on(days=15)
    found = town.act(earned, journey, costs_of({"sms": 0}), town.now)
    before = {arm: sum(arms[f"c{n}"] == arm for n in range(50, 110, 2)) for arm in ("treated", "control")}
    sizes = {arm: sum(one == arm for one in arms.values()) for arm in before}
    plain = 18_900 * (before["treated"] / sizes["treated"] - before["control"] / sizes["control"])
    assert found.treated - found.control == pytest.approx(plain)
    assert abs(plain) > 100
    assert found.difference == pytest.approx(0, abs=1e-6)


def test_messages_cost_what_is_assumed_or_stated():
    assert costs_of({}) == MESSAGE_CENTS
    assert costs_of({"sms": 9}) == MESSAGE_CENTS | {"sms": 9}


def test_nothing_is_said_of_orders_that_nobody_recorded(lived):
    town, journey, _ = lived
    town.sql("update orders.customer_order set status = 'cancelled'")
    town.on(days=20)
    assert town.act(earned, journey, MESSAGE_CENTS, town.now) is None

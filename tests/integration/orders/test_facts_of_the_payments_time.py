"""A notice that comes late finds things changed: the order is settled as things stood when it was paid."""

from datetime import UTC, date, datetime, timedelta

import pytest
from small_market import STRICT

from serving.agents.tier_close import close_month, tiers_at
from serving.agents.violation_records import Report, decide_termination, record_violation
from serving.agents.violations import Severity
from serving.orders.paying import payments
from serving.settlement.plans.rules import TierRule, ViolationRule

pytestmark = pytest.mark.xdist_group("payments_time")  # one world for all, in order

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
BEFORE, CLOSE, LATER = (DECEMBER + timedelta(minutes=minutes) for minutes in (-2, 5, 20))


@pytest.fixture(scope="module", autouse=True)
def market(shop):
    shop.plan()
    shop.list("tiered", 10_000)
    shop.supply("S1", "tiered", 50, price=5_000)


def commission(shop, order_id, agent, paid_at, now):
    """What the agent is to get of 100.00, by when it was paid and when the notice came."""
    shop.place(order_id, ("tiered", 1), agent_id=agent, at=BEFORE - timedelta(minutes=10))
    paid = payments.Payment(f"pay-{order_id}", order_id, "simulated", 10_000, 0, paid_at)
    shop.act(payments.take_payment, paid, now)
    return shop.sql(
        "select amount_cents from settlement.leg where order_id = %(o)s and kind = 'direct'", o=order_id
    )[0][0]


def test_a_payment_before_the_months_close_pays_by_the_tier_from_before_it(shop):
    """Gold has 25.00 of 100.00, silver 22.00. Nothing was sold: gold falls a step at 00:05 on 1 December."""
    shop.agent("ta", tier="gold")
    rules = STRICT.only(TierRule), STRICT.only(ViolationRule)
    closed = shop.act(close_month, date(2026, 11, 1), *rules, CLOSE)
    assert [(one.tier_before, one.tier_after) for one in closed] == [("gold", "silver")]
    assert commission(shop, "before", "ta", BEFORE, LATER) == 2_500
    assert commission(shop, "after", "ta", CLOSE, LATER) == 2_200
    assert shop.act(tiers_at, ["ta", "nobody"], BEFORE) == {"ta": "gold"}


def test_of_several_changes_the_first_after_the_payment_tells(shop):
    """Silver until the ninth point at 00:10, bronze from then on."""
    for severity, case in ((Severity.GRAVE, "case-1"), (Severity.SERIOUS, "case-2")):
        report = Report("ta", severity, "false_listing", CLOSE, case)
        shop.act(record_violation, report, STRICT.only(ViolationRule), CLOSE + timedelta(minutes=5))
    tier = shop.sql("select tier from agents.agent where agent_id = 'ta'")[0][0]
    assert tier == "bronze"
    assert shop.act(tiers_at, ["ta"], BEFORE) == {"ta": "gold"}
    assert shop.act(tiers_at, ["ta"], CLOSE) == {"ta": "silver"}
    assert shop.act(tiers_at, ["ta"], LATER) == {}


def paid_agents(shop, order_id):
    rows = shop.sql(
        "select payee_id from settlement.leg where order_id = %(o)s and kind = 'direct'", o=order_id
    )
    return [payee for (payee,) in rows]


def test_an_agent_who_ended_is_paid_for_what_was_paid_before(shop):
    """Ended at 00:05: a payment of 23:58 whose notice comes at 00:20 is the agent's, one of 00:05 is not."""
    shop.agent("tb", tier="gold")
    placed = BEFORE - timedelta(minutes=10)
    for order_id in ("tb-before", "tb-after"):
        shop.place(order_id, ("tiered", 1), agent_id="tb", at=placed)
    report = Report("tb", Severity.EXTREME, "false_listing", BEFORE, "end-1")
    shop.act(record_violation, report, STRICT.only(ViolationRule), CLOSE)
    shop.act(decide_termination, "tb", terminate=True, now=CLOSE, by="operator")
    for order_id, paid_at in (("tb-before", BEFORE), ("tb-after", CLOSE)):
        paid = payments.Payment(f"pay-{order_id}", order_id, "simulated", 10_000, 0, paid_at)
        shop.act(payments.take_payment, paid, LATER)
    assert paid_agents(shop, "tb-before") == ["tb"]
    assert "tb" not in paid_agents(shop, "tb-after")

"""Rules that count across orders: over a change of the plan's version, a month's end and a change of tier."""

from datetime import UTC, date, datetime, timedelta

import pytest

from serving.agents.composition_review import composition_of_agent, review_month, reviews_of
from serving.agents.deposit_postings import settled_sales_by_day
from serving.agents.errors import MonthCloseError
from serving.agents.tier_close import close_month, close_month_by_plans
from serving.agents.violation_records import Report, record_violation, standing_points
from serving.agents.violations import Severity
from serving.settlement.plans.loader import plan_document
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import TierRule, ViolationRule
from serving.settlement.plans.store import publish_plan

PLAN = load_shipped()
TIERS, POINTS = PLAN.only(TierRule), PLAN.only(ViolationRule)
LONG_AGO = datetime(2016, 12, 10, tzinfo=UTC)
APRIL, MAY = date(2026, 4, 1), date(2026, 5, 1)
MAY_1 = datetime(2026, 5, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def under_version(books, order_id, version):
    books.sql("update settlement.leg set plan_version = %s where order_id = %s", version, order_id)


def sell(books, number, at, *, version=1, agent="a1", net=30_000):
    """A settled sale of 300.00 to a customer of its own, under a version of the plan."""
    books.sold(f"o{number}", agent, f"c{number}", net=net, released_at=at, paid_at=at - timedelta(days=10))
    under_version(books, f"o{number}", version)


def tier_of(books, agent="a1"):
    return books.rows("select tier from agents.agent where agent_id = %s", agent)[0][0]


def close(books, month, at):
    return {
        c.agent_id: (c.tier_before, c.tier_after) for c in books.do(close_month, month, TIERS, POINTS, at)
    }


def test_tiers_count_sales_of_both_versions_up_to_the_months_last_moment(books):
    books.join("a1")
    # Bronze asks for 5 customers and 1,000.00: three under version 1, one under version 2, one in May.
    for number in range(3):
        sell(books, number, MAY_1 - timedelta(days=20))
    sell(books, 3, MAY_1 - INSTANT, version=2)
    sell(books, 4, MAY_1, version=2)
    assert close(books, APRIL, MAY_1) == {"a1": ("none", "none")}
    assert close(books, MAY, datetime(2026, 6, 1, tzinfo=UTC)) == {"a1": ("none", "bronze")}


def test_a_new_tier_counts_nothing_twice_and_falls_a_step_a_month(books):
    books.join("a1")
    for number in range(5):
        sell(books, number, MAY_1 - timedelta(days=1), version=1 + number % 2)
    assert close(books, APRIL, MAY_1) == {"a1": ("none", "bronze")}
    assert close(books, APRIL, MAY_1) == {}
    books.sql("update agents.agent set tier = 'gold'")
    # 90 days later the sales of April are out of the window: gold falls to silver, not to none.
    for month, expected in ((date(2026, 8, 1), "silver"), (date(2026, 9, 1), "bronze")):
        after = datetime(month.year, month.month + 1, 1, tzinfo=UTC)
        assert close(books, month, after)["a1"][1] == expected


def test_each_merchants_agents_are_closed_by_the_plan_at_the_months_end(books):
    """Merchant m1 changes to a plan whose bronze asks for one customer, from the month's last day on."""
    books.join("a1", merchant_id="m1")
    books.join("a2", merchant_id="m2")
    sell(books, 1, MAY_1 - timedelta(days=2), net=200_000)
    sell(books, 2, MAY_1 - timedelta(days=2), agent="a2", net=200_000)
    easy = plan_document(PLAN) | {"plan_id": "easy"}
    del easy["content_hash"]
    for rule in easy["rules"]:
        if rule["stage"] == "tier":
            rule["steps"]["bronze"] = {"customers": 1, "net_sales_cents": 0}
    books.do(publish_plan, plan_document(PLAN), LONG_AGO)
    books.do(publish_plan, easy, LONG_AGO)
    for merchant, plan_id, at in (
        ("", "cn_strict", LONG_AGO),
        ("m1", "easy", MAY_1 - timedelta(days=1)),
        ("m2", "easy", MAY_1),
    ):
        books.sql(
            "insert into settlement.merchant_plan (tenant_id, merchant_id, plan_id, effective_at)"
            " values (%s, %s, %s, %s)",
            books.tenant, merchant, plan_id, at,
        )  # fmt: skip
    books.do(close_month_by_plans, APRIL, MAY_1)
    assert (tier_of(books, "a1"), tier_of(books, "a2")) == ("bronze", "none")


def test_a_month_is_not_closed_before_its_last_moment(books):
    books.join("a1")
    with pytest.raises(MonthCloseError):
        books.do(close_month, APRIL, TIERS, POINTS, MAY_1 - INSTANT)
    assert tier_of(books) == "none"


def test_deposits_average_sales_over_versions_and_months(books):
    books.join("a1", is_natural_person=False)
    sell(books, 1, MAY_1 - timedelta(hours=1), version=1, net=100_000)
    sell(books, 2, MAY_1 + timedelta(hours=1), version=2, net=200_000)
    books.sql("update agents.agent set tier = 'silver'")
    assert books.do(settled_sales_by_day, "a1", MAY_1 + timedelta(days=1), 2) == [100_000, 200_000]


def test_points_of_two_versions_stand_together_over_the_months_end(books):
    """Three points under version 1, six under version 2 that doubles them: nine, and the tier goes down."""
    books.join("a1")
    books.sql("update agents.agent set tier = 'silver'")
    doubled = POINTS.model_copy(update={"points_by_severity": (1, 6, 6, 12)})
    before, after = MAY_1 - timedelta(hours=1), MAY_1 + timedelta(hours=1)
    books.do(record_violation, Report("a1", Severity.SERIOUS, "late", before, "v1"), POINTS, before)
    assert books.do(standing_points, "a1", MAY_1) == 3
    outcome = books.do(record_violation, Report("a1", Severity.SERIOUS, "late", after, "v2"), doubled, after)
    assert outcome.points == 9
    assert tier_of(books) == "bronze"
    # Each expires a year after its own day.
    assert books.do(standing_points, "a1", before + timedelta(days=365)) == 6
    assert books.do(standing_points, "a1", after + timedelta(days=365)) == 0


def test_composition_counts_both_versions_and_a_month_once(books):
    """April: 500.00 own under version 1, 300.00 own and 400.00 self-bought under version 2: 33%."""
    books.join("a1", own_consumer_id="me")
    start, end = datetime(2026, 4, 1, tzinfo=UTC), MAY_1
    books.sold("o1", "a1", "c1", net=50_000, paid_at=start)
    books.sold("o2", "a1", "c2", net=30_000, paid_at=end - INSTANT)
    books.sold("o3", "a1", "me", net=40_000, paid_at=end - timedelta(days=3), legs=(("direct", 0, 0),))
    books.sold("o4", "a1", "me", net=90_000, paid_at=end, legs=(("direct", 0, 0),))
    for order_id in ("o2", "o3", "o4"):
        under_version(books, order_id, 2)
    books.sql("update agents.agent set tier = 'silver'")
    found = books.do(composition_of_agent, "a1", start, end)
    assert (found.own_retail_cents, found.self_purchase_cents) == (80_000, 40_000)

    def transactions():
        return books.operations.transaction(books.tenant)

    assert review_month(transactions, books.tenant, APRIL, end - INSTANT) == (0, 0)
    assert review_month(transactions, books.tenant, APRIL, end) == (1, 1)
    assert review_month(transactions, books.tenant, APRIL, end) == (0, 0)
    (review,) = books.do(reviews_of, "a1")
    assert (review.month_on, review.breaches) == (APRIL, ["self_purchase_too_high"])
    assert books.rows("select count(*) from settlement.hold") == [(1,)]
    # May is reviewed by itself: only the purchase of 900.00 is in it.
    assert review_month(transactions, books.tenant, MAY, datetime(2026, 6, 1, tzinfo=UTC)) == (1, 1)

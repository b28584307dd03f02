from datetime import UTC, date, datetime, timedelta

import pytest
from agent_books import NOW

from serving.agents.composition import Composition
from serving.agents.composition_review import review_composition
from serving.agents.deposit_postings import (
    deposit_due,
    held_deposit,
    settled_sales_by_day,
    top_up_from_release,
)
from serving.agents.errors import MonthCloseError
from serving.agents.tier_close import close_month, performance_of_agents
from serving.agents.tiers import Performance
from serving.db.calendar import set_zone
from serving.ledger.accounts import AccountKind, Party
from serving.ledger.balances import balance
from serving.ledger.posting import Line, Posting, post
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import DepositRule, IncomeRule, TierRule, ViolationRule

TIERS = load_shipped().only(TierRule)
VIOLATIONS = load_shipped().only(ViolationRule)
DEPOSITS = load_shipped().only(DepositRule)
INCOME = load_shipped().only(IncomeRule)
APRIL = date(2026, 4, 1)
MAY_1 = datetime(2026, 5, 1, tzinfo=UTC)
LATE = datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)


def close(books, month=APRIL, now=MAY_1):
    return {
        change.agent_id: (change.tier_before, change.tier_after)
        for change in books.do(close_month, month, TIERS, VIOLATIONS, now)
    }


def sell_many(books, agent_id, customers, *, net=100_000, at=LATE, prefix="o"):
    for number in range(customers):
        books.sold(f"{prefix}-{agent_id}-{number}", agent_id, f"c{number}", net=net, released_at=at)


def test_tiers_rise_from_settled_end_customers_once_a_month(books):
    books.join("a1")
    books.join("a2")
    sell_many(books, "a1", 5)
    sell_many(books, "a2", 4)
    assert close(books) == {"a1": ("none", "bronze"), "a2": ("none", "none")}
    assert close(books) == {}
    assert books.rows(
        "select agent_id, end_customers, net_sales_cents, reason from agents.tier_change order by 1"
    ) == [("a1", 5, 500_000, "month_close"), ("a2", 4, 400_000, "month_close")]
    assert books.rows("select tier from agents.agent order by agent_id") == [("bronze",), ("none",)]


def test_what_does_not_count(books):
    books.join("a1", own_consumer_id="me")
    books.join("a2", own_consumer_id="colleague")
    sell_many(books, "a1", 4)
    books.sold("again", "a1", "c0", net=100_000, released_at=LATE)
    books.sold("mine", "a1", "me", net=100_000, released_at=LATE)
    books.sold("agent", "a1", "colleague", net=100_000, released_at=LATE)
    books.sold("open", "a1", "c7", net=100_000, released_at=None)
    books.sold("back", "a1", "c8", net=100_000, refunded=100_000, released_at=LATE)
    books.sold("old", "a1", "c9", net=100_000, released_at=MAY_1 - timedelta(days=90, seconds=1))
    books.sold("next", "a1", "c10", net=100_000, released_at=MAY_1)
    books.do(close_month, APRIL, TIERS, VIOLATIONS, MAY_1)
    found = books.rows("select end_customers, net_sales_cents from agents.tier_change where agent_id = 'a1'")
    assert found == [(4, 500_000)]
    books.sold("edge", "a2", "c9", net=100_000, refunded=1, released_at=MAY_1 - timedelta(days=90))
    window = (MAY_1 - timedelta(days=90), MAY_1)
    assert books.do(performance_of_agents, *window)["a2"] == Performance(1, 99_999)


def test_tiers_fall_one_step_a_month(books):
    books.join("a1")
    books.sql("update agents.agent set tier = 'diamond'")
    seen = []
    for month, now in (
        (date(2026, 3, 1), MAY_1),
        (date(2026, 4, 1), MAY_1),
        (date(2026, 5, 1), datetime(2026, 6, 1, tzinfo=UTC)),
    ):
        seen += close(books, month, now).values()
    assert seen == [("diamond", "gold"), ("gold", "silver"), ("silver", "bronze")]


def test_months_are_closed_when_over_and_in_order(books):
    books.join("a1")
    with pytest.raises(MonthCloseError, match="ends at"):
        close(books, APRIL, LATE)
    close(books)
    with pytest.raises(MonthCloseError, match="in their order"):
        close(books, date(2026, 3, 1))


def test_points_keep_a_tier_down_and_who_ended_is_left_out(books):
    books.join("a1")
    books.join("gone")
    books.sql("update parties.party set is_active = false where party_id = 'gone'")
    sell_many(books, "a1", 5)
    for number, points in enumerate((3, 6)):
        books.sql(
            "insert into agents.violation (tenant_id, agent_id, points, reason_code, reference, occurred_at,"
            " expires_at) values (%s, 'a1', %s, 'r', %s, %s, %s)",
            books.tenant, points, str(number), LATE, MAY_1 + timedelta(days=300),
        )  # fmt: skip
    assert close(books) == {"a1": ("none", "none")}


def credit(books, agent_id, cents, key):
    def book(conn, tenant):
        party = Party("agent", agent_id)
        lines = (Line(AccountKind.CHANNEL_AVAILABLE, -cents), Line(AccountKind.AGENT_AVAILABLE, cents, party))
        post(conn, tenant, Posting(key, "release", NOW, lines))

    books.do(book)


def test_sales_by_day_and_the_deposit_asked_for(books):
    books.join("a1", is_natural_person=False)
    for day in range(1, 31):
        books.sold(
            f"o{day}", "a1", f"c{day}", net=4_000_000, released_at=datetime(2026, 4, day, 12, tzinfo=UTC)
        )
    days = books.do(settled_sales_by_day, "a1", MAY_1, 120)
    assert (len(days), days[:90], days[90:]) == (120, [0] * 90, [4_000_000] * 30)
    # (1 - (29/31)^30) x 40,000.00 = 34,590.59; 5% of it is 1,729.52.
    assert books.do(deposit_due, "a1", DEPOSITS, MAY_1) == 172_952


def test_a_release_tops_the_deposit_up_by_a_fifth_at_most_and_once(books):
    books.join("a1", is_natural_person=False)
    credit(books, "a1", 300_000, "r1")
    assert books.do(top_up_from_release, "a1", "r1", 300_000, DEPOSITS, NOW) == 60_000
    assert books.do(top_up_from_release, "a1", "r1", 300_000, DEPOSITS, NOW) == 0
    credit(books, "a1", 300_000, "r2")
    assert books.do(top_up_from_release, "a1", "r2", 300_000, DEPOSITS, NOW) == 40_000
    credit(books, "a1", 300_000, "r3")
    assert books.do(top_up_from_release, "a1", "r3", 300_000, DEPOSITS, NOW) == 0
    with books.open() as conn:
        assert held_deposit(conn, "a1") == 100_000
        assert balance(conn, AccountKind.AGENT_AVAILABLE, Party("agent", "a1")) == 800_000


def test_natural_persons_are_asked_for_none_and_no_more_is_taken_than_is_there(books):
    books.join("person")
    books.join("firm", is_natural_person=False)
    credit(books, "person", 300_000, "r1")
    assert books.do(top_up_from_release, "person", "r1", 300_000, DEPOSITS, NOW) == 0
    credit(books, "firm", 5_000, "r2")
    assert books.do(top_up_from_release, "firm", "r2", 300_000, DEPOSITS, NOW) == 5_000


def test_composition_from_the_books_holds_payment(books):
    books.join("a1", own_consumer_id="me")
    books.join("a2", "a1")
    books.sold("o1", "a1", "c1", net=60_000, refunded=10_000)
    books.sold("o2", "a1", "me", net=30_000, legs=(("direct", 0, 0),))
    books.sold("o3", "a2", "c2", net=20_000, legs=(("direct", 0, 4_000), ("upline", 2, 600, "a1")))
    books.sold("o4", "a2", "c3", net=99_000, legs=(("direct", 0, 4_000), ("upline", 2, 0, "a1")))
    books.sold("o5", "a1", "c4", net=99_000, paid_at=NOW + timedelta(days=31))
    found, breaches = books.do(
        review_composition, "a1", NOW, NOW + timedelta(days=31), INCOME, NOW + timedelta(days=31)
    )
    assert found == Composition(50_000, 30_000, 20_000, 0)
    assert [breach.reason_code for breach in breaches] == ["downline_too_high"]
    holds = books.rows(
        "select target_type, target_id, source, reason_code, state, expires_at from settlement.hold"
    )
    assert holds == [("party", "agent/a1", "composition", "downline_too_high", "standing", None)]
    books.do(review_composition, "a1", NOW, NOW + timedelta(days=31), INCOME, NOW + timedelta(days=31))
    assert books.rows("select count(*) from settlement.hold") == [(1,)]
    assert books.do(review_composition, "a2", NOW, NOW + timedelta(days=31), INCOME, NOW)[1] == ()


def test_the_month_of_tiers_is_the_tenants(books):
    """A sale that is settled at 00:30 on 1 May in Shanghai counts for May, one an hour before for April."""
    books.do(set_zone, "Asia/Shanghai")
    books.join("a1")
    edge = datetime(2026, 4, 30, 16, tzinfo=UTC)
    sell_many(books, "a1", 4, at=edge - timedelta(minutes=30))
    books.sold("o-late", "a1", "c9", net=100_000, released_at=edge + timedelta(minutes=30))
    with pytest.raises(MonthCloseError):
        close(books, now=edge - timedelta(microseconds=1))
    assert close(books, now=edge) == {"a1": ("none", "none")}
    assert close(books, date(2026, 5, 1), datetime(2026, 6, 1, tzinfo=UTC)) == {"a1": ("none", "bronze")}
    assert settled_by_day(books, datetime(2026, 5, 1, 2, tzinfo=UTC)) == [0, 400_000]
    assert settled_by_day(books, datetime(2026, 5, 2, 2, tzinfo=UTC)) == [400_000, 100_000]


def settled_by_day(books, as_of):
    return books.do(settled_sales_by_day, "a1", as_of, 2)

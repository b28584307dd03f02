"""Tax withheld from persons' commissions: a leg of its own, by the day of payment, told by year."""

import datetime as dt

import pytest
from settlement_books import DAY, DUE, LONG_AGO, PAID, plan
from settlement_sales import sale

from serving.db.calendar import set_zone
from serving.orders.settling import refund_line
from serving.settlement.control.holds import confirm_hold, on_order, place_hold
from serving.settlement.errors import PlanRefusedError
from serving.settlement.plans.loader import load_plan, plan_document
from serving.settlement.plans.store import publish_plan
from serving.settlement.reports.withholding import withheld_in
from serving.settlement.sharing.snapshot import Parties
from serving.settlement.sharing.snapshot import Party as OrderParty

AGENT, FIRM = ("agent", "a1"), ("agent", "firm")
RULE = {
    "id": "P5-withholding",
    "stage": "withholding",
    "source": "assumed",
    "trigger": "order_paid",
    "rates": [
        {"from_on": "2026-01-01", "rate_bps": 1_000},
        {"from_on": "2026-04-01", "rate_bps": 2_000},
    ],
}


def document(**values):
    found = plan_document(plan())
    del found["content_hash"]
    return found | {"plan_id": "taxed", "rules": [*found["rules"], RULE | values]}


@pytest.fixture
def taxed(books):
    """A tenant whose plan withholds 10% from January 2026 and 20% from April."""
    for party in (AGENT, FIRM, ("supplier", "S1")):
        books.party(*party)
    return books, books.do(publish_plan, document(), LONG_AGO)


def sold(books, version, order_id, *, paid_at=PAID, seller="a1", is_person=True):
    seller = OrderParty("agent", seller, is_natural_person=is_person)
    books.sell(sale(order_id, parties=Parties(seller), paid_at=paid_at), version)
    return dict(
        books.rows(
            "select kind, amount_cents from settlement.leg where order_id = %s and kind in"
            " ('direct', 'withholding')",
            order_id,
        )
    )


def test_a_tenth_of_a_persons_commission_is_withheld_and_returned_with_refunds(taxed):
    """100.00 sold: 20.00 commission, of which 2.00 are withheld."""
    books, version = taxed
    assert sold(books, version, "o1") == {"direct": 1_800, "withholding": 200}
    (text,) = books.rows("select explanation from settlement.leg where kind = 'withholding'")[0]
    assert text == "floor(20.00 x 10.00%) = 2.00 withheld from the commission"
    books.release()
    assert books.balance("agent_available", AGENT) == 1_800
    assert books.balance("tax_withheld") == 200
    books.do(refund_line, "r1", "o1", 1, "S1", 5_000, DUE)
    assert (books.balance("agent_available", AGENT), books.balance("tax_withheld")) == (900, 100)
    assert books.violations() == []
    books.do(refund_line, "r2", "o1", 1, "S1", 5_000, DUE)
    assert books.trial() == {}


def test_the_rate_is_that_of_the_day_of_payment(taxed):
    books, version = taxed
    april = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    assert sold(books, version, "march", paid_at=april - DAY / 86_400) == {
        "direct": 1_800,
        "withholding": 200,
    }
    assert sold(books, version, "april", paid_at=april) == {"direct": 1_600, "withholding": 400}
    before = dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC)
    assert sold(books, version, "before", paid_at=before) == {"direct": 2_000}


def test_companies_and_plans_without_the_rule_withhold_nothing(taxed):
    books, version = taxed
    assert sold(books, version, "o1", seller="firm", is_person=False) == {"direct": 2_000}
    assert sold(books, plan(), "o2") == {"direct": 2_000}


def test_a_forfeited_commission_owes_no_tax(taxed):
    books, version = taxed
    sold(books, version, "o1")
    hold = books.do(place_hold, on_order("o1"), "risk", "score_high", PAID, None)
    books.do(confirm_hold, hold.hold_id, "operator-1", DUE)
    assert books.balance("tax_withheld") == 0
    books.release()
    assert books.balance("agent_available", AGENT) == 0
    assert books.violations() == []
    books.do(refund_line, "r1", "o1", 1, "S1", 10_000, DUE)
    assert books.trial() == {}


def test_the_year_is_told_by_payee_after_refunds(taxed):
    books, version = taxed
    for number in range(3):
        sold(books, version, f"o{number}")
    sold(books, version, "firm", seller="firm", is_person=False)
    books.release()
    books.do(refund_line, "r1", "o0", 1, "S1", 10_000, DUE)
    # Two sales of 20.00 commission are left: 4.00 withheld of 40.00. The firm owes none and is not named.
    assert books.do(withheld_in, 2026) == [(AGENT, 4_000, 400)]
    assert books.do(withheld_in, 2025) == []


def test_days_and_years_of_the_tax_are_the_tenants(taxed):
    """In Shanghai April begins at 16:00 UTC on 31 March, and 2027 at 16:00 UTC on 31 December."""
    books, version = taxed
    books.do(set_zone, "Asia/Shanghai")
    april = dt.datetime(2026, 3, 31, 16, tzinfo=dt.UTC)
    assert sold(books, version, "march", paid_at=april - DAY / 86_400) == {
        "direct": 1_800,
        "withholding": 200,
    }
    assert sold(books, version, "april", paid_at=april) == {"direct": 1_600, "withholding": 400}
    year = dt.datetime(2026, 12, 31, 16, tzinfo=dt.UTC)
    books.rows(
        "update settlement.leg set state = 'released', released_at = %s where order_id = 'march'"
        " returning leg_id",
        year - DAY / 86_400,
    )
    books.rows(
        "update settlement.leg set state = 'released', released_at = %s where order_id = 'april'"
        " returning leg_id",
        year,
    )
    assert books.do(withheld_in, 2026) == [(AGENT, 2_000, 200)]
    assert books.do(withheld_in, 2027) == [(AGENT, 2_000, 400)]


def test_a_rule_without_a_rate_is_refused():
    with pytest.raises(PlanRefusedError):
        load_plan(document(rates=[]))

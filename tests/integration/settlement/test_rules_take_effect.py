"""Rules that are read outside the waterfall: when suppliers are paid, what carries over, deadlines."""

import datetime as dt

import pytest
from settlement_books import DAY, DUE, LONG_AGO, PAID, PAYDAY, plan
from settlement_sales import sale

from serving.agents.violations import Consequence, consequences
from serving.db.calendar import set_zone
from serving.ledger.accounts import Party
from serving.orders.settling import unfreeze_due
from serving.settlement.beside.fees import charge_penalty
from serving.settlement.books.receivables import outstanding
from serving.settlement.errors import FeeError, PlanRefusedError
from serving.settlement.payouts import prepare_payouts
from serving.settlement.plans.loader import load_plan, plan_document
from serving.settlement.plans.rules import ViolationRule
from serving.settlement.plans.store import publish_plan

SUPPLIER, MERCHANT = Party("supplier", "S1"), Party("merchant", "m1")


def changed(plan_id, stage, **values):
    """The strict plan under another name with another value in the rules of a stage."""
    document = plan_document(plan())
    del document["content_hash"]
    document["plan_id"] = plan_id
    for rule in document["rules"]:
        if rule["stage"] == stage:
            rule |= values
    return document


@pytest.fixture
def shop(books):
    for party in (SUPPLIER, MERCHANT):
        books.party(*party)
    return books


def paid(books, batch, now):
    return {p.party: p.amount_cents for p in books.do(prepare_payouts, batch, "simulated", now)}


def test_suppliers_are_paid_from_the_monday_after_and_others_at_once(shop):
    """Released on Wednesday 11 March: the merchant's 20.00 go out, the supplier's 60.00 wait for Monday."""
    shop.sell(sale("o1"))
    shop.release()
    assert paid(shop, "b1", DUE) == {MERCHANT: 2_000}
    sunday = dt.datetime(2026, 3, 15, 23, 59, tzinfo=dt.UTC)
    assert paid(shop, "b2", sunday) == {}
    # A sale whose window ends later waits longer; what is due goes.
    shop.sell(sale("o2"), received_at=PAYDAY - 7 * DAY, release_due_at=PAYDAY)
    shop.release(PAYDAY)
    assert paid(shop, "b3", PAYDAY) == {SUPPLIER: 6_000, MERCHANT: 2_000}
    assert paid(shop, "b4", PAYDAY + 7 * DAY) == {SUPPLIER: 6_000}
    assert shop.violations() == []


def test_the_monday_is_the_tenants(shop):
    """Monday 16 March begins in Shanghai at 16:00 on Sunday, UTC."""
    shop.do(set_zone, "Asia/Shanghai")
    shop.sell(sale("o1"))
    shop.release()
    monday = dt.datetime(2026, 3, 15, 16, tzinfo=dt.UTC)
    assert SUPPLIER not in paid(shop, "b1", monday - dt.timedelta(microseconds=1))
    assert paid(shop, "b2", monday)[SUPPLIER] == 6_000
    # What may be released on Sunday at 17:00, UTC, is of the next week.
    late = monday + dt.timedelta(hours=1)
    shop.sell(sale("o2"), received_at=late - 7 * DAY, release_due_at=late)
    shop.release(late)
    assert SUPPLIER not in paid(shop, "b3", PAYDAY + DAY)
    assert paid(shop, "b4", monday + 7 * DAY)[SUPPLIER] == 6_000


def test_t_plus_counts_days_from_the_window(shop):
    late = shop.do(publish_plan, changed("t_plus", "supplier_settlement", cadence="t_plus"), LONG_AGO)
    shop.sell(sale("o1"), late)
    shop.release()
    assert paid(shop, "b1", DUE + 7 * DAY - dt.timedelta(seconds=1)) == {MERCHANT: 2_000}
    assert paid(shop, "b2", DUE + 7 * DAY) == {SUPPLIER: 6_000}


def test_a_penalty_is_cut_where_nothing_carries_over(shop):
    shop.do(publish_plan, changed("forgiving", "supplier_settlement", negative_carries=False), LONG_AGO)
    shop.settled_by("forgiving")
    shop.sell(sale("o1"))
    shop.release()
    fee = shop.do(charge_penalty, "p1", SUPPLIER, 7_000, "late", DUE)
    assert fee.amount_cents == 6_000
    assert shop.do(charge_penalty, "p1", SUPPLIER, 7_000, "late", DUE) == fee
    assert shop.do(lambda conn, _: outstanding(conn)) == []
    with pytest.raises(FeeError):
        shop.do(charge_penalty, "p2", SUPPLIER, 1, "late", DUE)
    # Whoever is no supplier owes what is missing.
    shop.do(charge_penalty, "p3", MERCHANT, 3_000, "late", DUE)
    assert shop.do(lambda conn, _: outstanding(conn)) == [(MERCHANT, 1_000)]
    assert shop.violations() == []


def test_a_release_settles_at_most_the_plans_share_of_a_debt_at_a_time(shop):
    """S1 owes 70.00; half of each release of 60.00 settles it: 30.00, 30.00, then the last 10.00."""
    half = shop.do(publish_plan, changed("half", "release", netting_max_bps=5_000), LONG_AGO)
    shop.do(charge_penalty, "p1", SUPPLIER, 7_000, "late", PAID)
    for number, (owed, available) in enumerate([(4_000, 3_000), (1_000, 6_000), (0, 11_000)]):
        shop.sell(sale(f"o{number}"), half)
        shop.release()
        assert shop.balance("clawback_receivable", SUPPLIER) == -owed
        assert shop.balance("supplier_available", SUPPLIER) == available
    # What was left to the supplier is paid out.
    assert paid(shop, "b1", PAYDAY)[SUPPLIER] == 11_000
    assert shop.violations() == []


def test_each_order_leaves_the_freeze_by_its_own_deadline(shop):
    early = shop.do(publish_plan, changed("early", "release", deadline_days=10), LONG_AGO)
    shop.sell(sale("o1"), early, status="paid")
    shop.sell(sale("o2"), status="paid")
    found = unfreeze_due(shop.transactions, shop.tenant, PAID + 10 * DAY)
    assert {share.order_id for share in found} == {"o1"}
    # A job that comes after the channel let go says so.
    found = unfreeze_due(shop.transactions, shop.tenant, PAID + 30 * DAY)
    assert {share.order_id for share in found} == {"o2"}
    assert all("channel_came_first" in share.reasons for share in found)
    assert shop.violations() == []


@pytest.mark.parametrize(
    ("stage", "values", "code"),
    [
        ("release", {"deadline_days": 30}, "deadline_too_late"),
        ("violation", {"terminate_needs_review": False}, "strict_termination"),
    ],
)
def test_what_the_strict_profile_refuses(stage, values, code):
    with pytest.raises(PlanRefusedError) as error:
        load_plan(changed("x", stage, **values))
    assert error.value.codes == {code}


def test_a_termination_without_review_ends_at_once():
    rule = plan().only(ViolationRule).model_copy(update={"terminate_needs_review": False})
    assert consequences(11, 12, rule)[-1] is Consequence.TERMINATED
    assert Consequence.TERMINATION_REVIEW not in consequences(0, 12, rule)

"""Points that pay for a part of an order: who bears them, when merchants settle, and what comes back."""

from datetime import timedelta

import pytest
from small_market import NOW, STRICT, TENANT

from serving.ledger import invariants
from serving.ledger.accounts import AccountKind, Party
from serving.ledger.posting import Line, Posting, post
from serving.orders.after_sales import after_sales
from serving.orders.fulfilment import fulfilment, receipts
from serving.orders.placing.cancelling import cancel_units
from serving.orders.placing.placing import cancel_order
from serving.orders.placing.points_payment import give_back_due, pay_with_points
from serving.orders.settling import release_due
from serving.settlement import payouts
from serving.settlement.plans.loader import load_plan, plan_document
from serving.settlement.plans.store import publish_plan

pytestmark = pytest.mark.xdist_group("points_of_orders")  # one world for all, in order


@pytest.fixture(scope="module", autouse=True)
def market(shop):
    shop.plan()
    shop.may_lose(0)


def sells(shop, name, *, supply, merchant="m1"):
    """A thing of 100.00."""
    shop.list(name, 10_000, merchant=merchant)
    shop.supply("S1", name, 20, price=supply)


def gift_of_points(shop, consumer, issuer, points):
    with shop.transaction() as conn:
        lines = [
            Line(AccountKind.CONSUMER_POINTS, points, Party("consumer", consumer)),
            Line(AccountKind.POINTS_LIABILITY, -points),
        ]
        details = {"merchant_id": issuer, "points": points}
        post(conn, TENANT, Posting(f"points:{consumer}:{issuer}", "points", NOW, lines, None, details))


def violations(shop):
    with shop.transaction() as conn:
        return invariants.check(conn, TENANT)


def test_nothing_can_be_paid_out_for_points_of_an_order_that_nobody_paid(shop):
    """It was 30.00: paid out to the shop, the order cancelled, the points given back."""
    sells(shop, "unpaid", supply=6_000, merchant="m9")
    shop.sql("insert into parties.party (tenant_id, party_type, party_id, is_verified) values"
             " (%(t)s, 'merchant', 'm9', true)", t=TENANT)  # fmt: skip
    gift_of_points(shop, "c9", "m8", 5_000)
    before = shop.balances()
    shop.place("unpaid", ("unpaid", 1), consumer="c9", merchant="m9")
    shop.act(pay_with_points, "unpaid", 1, 3_000, NOW)
    assert shop.moved(before) == {("consumer_points", "c9"): -3_000, ("points_liability", ""): 3_000}
    assert shop.act(payouts.prepare_payouts, "b9", "simulated", NOW, 1, ["merchant"]) == []
    shop.act(cancel_order, "unpaid")
    assert give_back_due(shop.transaction, TENANT, NOW) == 3_000
    assert shop.moved(before) == {}
    assert violations(shop) == []


def test_points_are_worth_to_the_shop_what_money_is(shop):
    """A sale of 100.00 with supply 60.00 brings the shop 20.00, also where another shop's points pay 30.00.

    It was 30.00 and a platform that bore 9.82 of it. Now the share of 20% is of 100.00, the shop owes the
    30.00 that did not come, and their issuer gives them back; nothing of that can be paid out before release.
    """
    sells(shop, "margin", supply=6_000)
    before = shop.balances()
    shop.place("plain", ("margin", 1))
    shop.pay("plain", fee=60)
    plain = shop.moved(before)
    assert plain == {
        ("channel_frozen", ""): -10_000,
        ("channel_fee", ""): 60,
        ("merchant_pending", "m1"): 2_000,
        ("platform_fee", ""): 1_455,
        ("supplier_pending", "S1"): 6_000,
        ("support_fund", ""): 485,
    }
    gift_of_points(shop, "c2", "m2", 5_000)
    before = shop.balances()
    shop.place("pointed", ("margin", 1), consumer="c2")
    shop.act(pay_with_points, "pointed", 1, 3_000, NOW)
    shop.pay("pointed", fee=42)
    assert shop.moved(before) == {
        ("channel_frozen", ""): -7_000,
        ("channel_fee", ""): 42,
        ("clawback_receivable", "m2"): -3_000,
        ("consumer_points", "c2"): -3_000,
        ("merchant_pending", "m1"): 2_000,
        ("platform_fee", ""): 1_469,
        ("points_liability", ""): 3_000,
        ("supplier_pending", "S1"): 6_000,
        ("support_fund", ""): 489,
    }
    assert violations(shop) == []
    # All of it comes back with the line.
    case = shop.act(after_sales.open_case, "pointed", 1, None, "refund", "broken", 7_000, NOW)
    shop.act(after_sales.refund_case, case.case_id, 7_000, NOW)
    assert give_back_due(shop.transaction, TENANT, NOW + timedelta(days=1)) == 3_000
    assert shop.moved(before) == {}
    assert violations(shop) == []


def test_a_refund_in_part_takes_back_its_part_of_what_was_cleared(shop):
    """35.00 of 70.00: half of 30.00 in points, half of what the shop owes, half of what it was paid."""
    sells(shop, "half", supply=6_000)
    gift_of_points(shop, "c3", "m3", 3_000)
    before = shop.balances()
    shop.place("half", ("half", 1), consumer="c3")
    shop.act(pay_with_points, "half", 1, 3_000, NOW)
    shop.pay("half", fee=42)
    owed = "select owed_cents, reversed_cents from settlement.discount_debt where order_id = 'half'"
    assert shop.sql(owed) == [(3_000, 0)]
    case = shop.act(after_sales.open_case, "half", 1, None, "refund", "broken", 3_500, NOW)
    shop.act(after_sales.refund_case, case.case_id, 3_500, NOW)
    assert give_back_due(shop.transaction, TENANT, NOW) == 1_500
    left = shop.moved(before)
    assert left["consumer_points", "c3"] == -1_500
    assert left["clawback_receivable", "m3"] == -1_500
    assert left["merchant_pending", "m1"] == 1_000
    assert shop.sql(owed) == [(3_000, 1_500)]
    assert violations(shop) == []


def test_points_are_no_way_past_the_loss_budget(shop):
    """Supply 98.00 of 100.00, 30.00 in points: it was a subsidy of 28.42 with nothing reserved.

    The shop issued the points itself: it bears 30.00, and its share of 20% is cut to the 1.58 that are left.
    """
    sells(shop, "thin", supply=9_800, merchant="m5")
    gift_of_points(shop, "c5", "m5", 3_000)
    before = shop.balances()
    shop.place("thin", ("thin", 1), consumer="c5", merchant="m5")
    shop.act(pay_with_points, "thin", 1, 3_000, NOW)
    shop.pay("thin", fee=42)
    assert shop.moved(before) == {
        ("channel_frozen", ""): -7_000,
        ("channel_fee", ""): 42,
        ("clawback_receivable", "m5"): -3_000,
        ("consumer_points", "c5"): -3_000,
        ("merchant_pending", "m5"): 158,
        ("points_liability", ""): 3_000,
        ("supplier_pending", "S1"): 9_800,
    }
    assert shop.sql("select sum(loss_cents)::int from orders.order_line where order_id = 'thin'") == [(0,)]
    assert violations(shop) == []


def test_a_coupon_of_the_shop_beside_points_costs_it_both_and_no_more(shop):
    """10.00 off by its coupon, 27.00 in its own points: 100.00 - 10.00 - 27.00 = 63.00, fee 0.38.

    Shares are of 90.00: 18.00 for the shop less its 10.00; the 27.00 it owes.
    """
    code = shop.off(1_000, issuer=("merchant", "m10"))
    sells(shop, "both", supply=6_000, merchant="m10")
    gift_of_points(shop, "c10", "m10", 3_000)
    before = shop.balances()
    shop.place("both", ("both", 1), consumer="c10", merchant="m10", coupon_codes=[code])
    shop.act(pay_with_points, "both", 1, 2_700, NOW)
    shop.pay("both", fee=38)
    moved = shop.moved(before)
    assert moved["merchant_pending", "m10"] == 1_800 - 1_000
    assert moved["clawback_receivable", "m10"] == -2_700
    kept = moved["platform_fee", ""] + moved["support_fund", ""]
    assert kept == 9_000 - 6_000 - 38 - 1_800 + 1_000
    assert violations(shop) == []


def test_points_taken_under_the_old_way_are_not_cleared_again(shop):
    """Orders that stood unpaid when merchants settled at once: the payment clears nothing a second time."""
    sells(shop, "old", supply=6_000, merchant="m6")
    gift_of_points(shop, "c6", "m7", 3_000)
    shop.place("old", ("old", 1), consumer="c6", merchant="m6")
    shop.act(pay_with_points, "old", 1, 3_000, NOW)
    with shop.transaction() as conn:
        lines = [
            Line(AccountKind.CLAWBACK_RECEIVABLE, -3_000, Party("merchant", "m7")),
            Line(AccountKind.MERCHANT_AVAILABLE, 3_000, Party("merchant", "m6")),
        ]
        post(conn, TENANT, Posting("points_clearing:old:1", "points_clearing", NOW, lines, "old"))
    shop.pay("old", fee=42)
    assert shop.balances()["clawback_receivable", "m7"] == -3_000


def test_odd_points_of_three_shops_come_back_to_the_fen_through_a_whole_life(shop):
    """10.01 of 70.00 in points of m1, m2 and m3: units cancelled, 0.07 given back, released, all refunded."""
    day = timedelta(days=1)
    shop.list("odd", 1_000)
    shop.supply("S1", "odd", 50, price=777, freight=33)
    for issuer, points in (("m1", 111), ("m2", 700), ("m3", 333)):
        gift_of_points(shop, "c11", issuer, points)
    before = shop.balances()
    shop.place("odd", ("odd", 7), consumer="c11")
    shop.act(pay_with_points, "odd", 1, 1_001, NOW)
    shop.pay("odd", fee=37)
    shop.act(cancel_units, "odd", 1, 2, NOW)
    # Two of seven units: 286 of 1001 points.
    assert give_back_due(shop.transaction, TENANT, NOW) == 286

    def refund(line_no, cents, now):
        case = shop.agreed_case("odd", line_no, "S1", "refund", "broken", cents, now)
        shop.act(after_sales.refund_case, case.case_id, cents, now)

    refund(1, 7, NOW)
    shop.act(fulfilment.accept, "odd", "S1", {}, NOW)
    shop.act(fulfilment.ship, "odd", "S1", fulfilment.Parcel("sh-odd", NOW + 3 * day, NOW))
    shop.act(receipts.confirm_receipt, "odd", None, NOW)
    release_due(shop.transaction, TENANT, NOW + 20 * day)
    assert violations(shop) == []
    refund(1, shop.read("odd")[1][0].open_cents, NOW + 21 * day)
    refund(0, shop.read("odd")[2][0].open_freight_cents, NOW + 21 * day)
    assert give_back_due(shop.transaction, TENANT, NOW + 22 * day) == 1_001 - 286
    assert shop.read("odd")[0].status == "refunded"
    assert shop.moved(before) == {}
    assert violations(shop) == []


def test_a_line_paid_with_points_may_go_to_another_supplier(shop):
    """Supply 5.00, then 6.00 a unit, two units: the shop keeps its 4.00, the issuer pays 6.00."""
    shop.list("moves", 1_000, merchant="m12")
    shop.supply("R1", "moves", 5, price=500)
    shop.supply("R2", "moves", 5, price=600)
    gift_of_points(shop, "c12", "m13", 600)
    before = shop.balances()
    shop.place("moves", ("moves", 2), consumer="c12", merchant="m12")
    shop.act(pay_with_points, "moves", 1, 600, NOW)
    shop.pay("moves")
    shop.act(fulfilment.reject, "moves", "R1", "no_goods", NOW)
    moved = shop.moved(before)
    assert (moved["supplier_pending", "R2"], moved["merchant_pending", "m12"]) == (1_200, 400)
    assert moved["clawback_receivable", "m13"] == -600
    assert ("clawback_receivable", "m12") not in moved
    assert violations(shop) == []


def test_points_that_paid_for_all_of_a_line_come_back_by_its_units(shop):
    """Two at 100.00, all in points, beside one for money: a refund of that brings none, a unit 100.00."""
    document = plan_document(STRICT)
    del document["content_hash"]
    document |= {"plan_id": "all_in_points", "effective_at": NOW.isoformat()}
    for rule in document["rules"]:
        if rule["stage"] == "points":
            rule["burn_max_bps"] = 10_000
    plan = load_plan(document)
    with shop.transaction() as conn:
        publish_plan(conn, TENANT, document, NOW)
        conn.execute(
            "insert into settlement.merchant_plan (tenant_id, merchant_id, plan_id, effective_at)"
            " values (%s, 'm7', %s, %s)",
            (TENANT, plan.plan_id, plan.effective_at),
        )
    for name in ("pointed-out", "beside"):
        sells(shop, name, supply=6_000, merchant="m7")
    gift_of_points(shop, "c7", "m8", 20_000)
    before = shop.balances()
    shop.place("out", ("pointed-out", 2), ("beside", 1), consumer="c7", merchant="m7", plan=plan)
    shop.act(pay_with_points, "out", 1, 20_000, NOW)
    shop.pay("out")
    case = shop.act(after_sales.open_case, "out", 2, None, "refund", "broken", 5_000, NOW)
    shop.act(after_sales.refund_case, case.case_id, 5_000, NOW)
    assert give_back_due(shop.transaction, TENANT, NOW) == 0
    for left in (1, 0):
        shop.act(cancel_units, "out", 1, 1, NOW)
        assert give_back_due(shop.transaction, TENANT, NOW) == 10_000
        assert shop.moved(before).get(("clawback_receivable", "m8"), 0) == -10_000 * left
        assert violations(shop) == []
    shop.act(cancel_units, "out", 2, 1, NOW)
    assert shop.moved(before) == {}
    assert violations(shop) == []

"""The life of orders in states, stock and ledger, with figures computed by hand."""

from datetime import timedelta

import pytest
from small_market import NOW, TENANT

from serving.ledger.invariants import check
from serving.orders.after_sales import after_sales
from serving.orders.errors import (
    DuplicateKeyError,
    ImpossibleMoveError,
    InvalidRequestError,
    NotFoundError,
    PaymentRefusedError,
    RefundRefusedError,
)
from serving.orders.fulfilment import fulfilment, receipts
from serving.orders.placing import placing
from serving.settlement.errors import PlanNotInForceError

DAY = timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
def plans(shop):
    """The strict plan for all, the worked example's plan for the merchant `mw`."""
    shop.plan()
    shop.plan("worked_20_8_25", "mw")


@pytest.fixture(autouse=True)
def invariants(shop):
    """After every test the books are in order."""
    yield
    with shop.transaction() as conn:
        assert check(conn, TENANT) == []


def parcel(order_id, supplier, at=NOW + DAY):
    return fulfilment.Parcel(f"sh-{order_id}-{supplier}", at + 3 * DAY, at, "SF", "SF1")


def ship(shop, order_id, supplier, at=NOW + DAY):
    shop.act(fulfilment.accept, order_id, supplier, {}, at)
    return shop.act(fulfilment.ship, order_id, supplier, parcel(order_id, supplier, at))


def basket(shop, name):
    """Sku at two suppliers: S1 cheaper (6.00 + 1.00 freight), S2 dearer (7.00 + 2.00); listed at 10.00."""
    shop.list(name, 1000)
    shop.supply("S1", name, 10, price=600, freight=100)
    shop.supply("S2", name, 10, price=700, freight=200)


def test_the_worked_example_from_basket_to_ledger(shop):
    shop.agent("boss", evidence=True)
    shop.agent("seller", manager="boss")
    shop.supply("W1", "A", 5, price=7000)
    shop.supply("W2", "B", 5, price=4800, freight=200)
    shop.supply("W2", "C", 5, price=990, freight=200)
    for sku, price in (("A", 12900), ("B", 8990), ("C", 1990)):
        shop.list(sku, price, merchant="mw")
    code = shop.off(5000)
    before = shop.balances()
    shop.place("w", ("A", 1), ("B", 1), ("C", 3), merchant="mw", agent_id="seller", coupon_codes=[code])
    assert shop.moved(before) == {}
    taken = shop.pay("w", fee=142)
    assert (taken.order_status, taken.plan_id, taken.is_new) == ("paid", "worked_20_8_25", True)
    assert shop.moved(before) == {
        ("channel_frozen", ""): -23660,
        ("supplier_pending", "W1"): 7000,
        ("supplier_pending", "W2"): 4800 + 2970 + 800,
        ("channel_fee", ""): 142,
        ("agent_pending", "seller"): 4571,
        ("agent_pending", "boss"): 1827,
        ("support_fund", ""): 387,
        ("platform_fee", ""): 1163,
    }
    assert ship(shop, "w", "W1") == "paid"
    assert ship(shop, "w", "W2") == "shipped"
    assert shop.act(receipts.confirm_receipt, "w", "W1", NOW + 4 * DAY) == "shipped"
    assert shop.act(receipts.confirm_receipt, "w", None, NOW + 5 * DAY) == "received"
    _, lines, parts = shop.read("w")
    assert [part.release_due_at for part in parts] == [NOW + 11 * DAY, NOW + 12 * DAY]
    assert shop.stock_of("W2", "C") == (2, 0, 2)
    moves = shop.sql(
        "select sku_id, qty_delta, reason from orders.stock_movement where order_id = 'w' order by 1"
    )
    assert moves == [("A", -1, "sale"), ("B", -1, "sale"), ("C", -3, "sale")]
    for line, cents in zip(lines, (10585, 7377, 4898), strict=True):
        case = shop.agreed_case("w", line.line_no, None, "return", "broken", cents, NOW + 6 * DAY)
        shop.act(after_sales.refund_case, case.case_id, cents // 3, NOW + 6 * DAY)
        last = shop.act(after_sales.refund_case, case.case_id, cents - cents // 3, NOW + 6 * DAY)
        assert (last.order_status, last.case.refund_cents) == ("received", cents)
    case = shop.agreed_case("w", 0, "W2", "refund", "freight", 800, NOW + 6 * DAY)
    assert shop.act(after_sales.refund_case, case.case_id, 800, NOW + 6 * DAY).order_status == "refunded"
    assert shop.moved(before) == {}


def test_a_payment_counts_once(shop):
    basket(shop, "once")
    shop.place("once-1", ("once", 2))
    before = shop.balances()
    assert shop.pay("once-1", fee=13).is_new
    first = shop.moved(before)
    again = shop.pay("once-1", fee=13)
    assert (again.is_new, again.order_status) == (False, "paid")
    assert shop.moved(before) == first
    with pytest.raises(DuplicateKeyError):
        shop.pay("once-1", fee=14)
    with pytest.raises(ImpossibleMoveError):
        shop.pay("once-1", payment_id="another")
    shop.place("once-2", ("once", 1))
    with pytest.raises(DuplicateKeyError):
        shop.pay("once-2", payment_id="pay-once-1")
    assert shop.read("once-2")[0].status == "placed"
    with pytest.raises(NotFoundError):
        shop.pay("no-such-order", cents=1)


def test_a_payment_must_fit_its_order(shop):
    basket(shop, "fit")
    shop.place("fit-1", ("fit", 1))
    with pytest.raises(PaymentRefusedError, match="costs 1100 fen, not 1099"):
        shop.pay("fit-1", cents=1099)
    with pytest.raises(PaymentRefusedError, match="fee"):
        shop.pay("fit-1", fee=1101)
    with pytest.raises(PaymentRefusedError, match="paid at"):
        shop.pay("fit-1", at=NOW - DAY)
    shop.act(placing.cancel_order, "fit-1")
    with pytest.raises(ImpossibleMoveError):
        shop.pay("fit-1")


def test_without_a_plan_nothing_is_paid(shop, other_database_url):
    from small_market import Shop

    from serving.db.operations import Operations

    with Operations(other_database_url) as operations:
        bare = Shop(other_database_url, operations)
        basket(bare, "bare")
        bare.place("bare", ("bare", 1))
        with pytest.raises(PlanNotInForceError):
            bare.pay("bare")
        assert bare.read("bare")[0].status == "placed"


def test_the_demonstration_plan_refuses_real_money(shop):
    shop.plan("whitepaper_demo", "md")
    shop.list("demo", 2000, merchant="md")
    shop.supply("S1", "demo", 5)
    shop.place("demo-1", ("demo", 1), merchant="md")
    with pytest.raises(PaymentRefusedError, match="whitepaper_demo"):
        shop.pay("demo-1", adapter="wechat")
    assert shop.pay("demo-1").order_status == "paid"


def test_a_rejected_paid_line_goes_to_the_next_supplier_with_its_freight(shop):
    """Supply 600 -> 700 a unit; the buyer's freight of 2 x 1.00 goes along; what is captured stays."""
    basket(shop, "next")
    shop.place("next-1", ("next", 2))
    shop.pay("next-1")
    before = shop.balances()
    outcome = shop.act(fulfilment.reject, "next-1", "S1", "no_goods", NOW)
    assert (outcome.status, outcome.order_status, outcome.moved) == ("rejected", "paid", {1: "S2"})
    moved = shop.moved(before)
    assert moved.pop(("supplier_pending", "S1")) == -(1200 + 200)
    assert moved.pop(("supplier_pending", "S2")) == 1400 + 200
    assert sum(moved.values()) == -200
    assert ("channel_frozen", "") not in moved
    order, lines, parts = shop.read("next-1")
    assert (lines[0].supplier_id, lines[0].supply_price_cents, lines[0].reserved_qty) == ("S2", 1400, 2)
    assert [(p.supplier_id, p.status, p.freight_cents) for p in parts] == [
        ("S1", "rejected", 0),
        ("S2", "pending", 200),
    ]
    assert shop.stock_of("S1", "next") == (10, 0, 10)
    assert shop.stock_of("S2", "next") == (10, 2, 8)
    assert order.captured_cents == 2200
    assert ship(shop, "next-1", "S2") == "shipped"


def test_what_nobody_else_has_is_refunded(shop):
    basket(shop, "lone")
    shop.supply("S2", "lone", 0, price=700, at=NOW + timedelta(seconds=1))
    basket(shop, "pair")
    before = shop.balances()
    shop.place("lone-1", ("lone", 2), ("pair", 1))
    shop.pay("lone-1")
    outcome = shop.act(fulfilment.reject, "lone-1", "S1", "no_goods", NOW)
    assert (outcome.moved, outcome.refunded, outcome.order_status) == ({2: "S2"}, {1: 2000}, "paid")
    order, lines, _ = shop.read("lone-1")
    # 2 x 10.00, and 2 of the 3 units of the freight of 3.00.
    assert (order.refunded_cents, order.captured_cents) == (2200, 3300)
    assert [line.refunded_cents for line in lines] == [2000, 0]
    assert shop.stock_of("S1", "lone") == (10, 0, 10)
    outcome = shop.act(fulfilment.reject, "lone-1", "S2", "no_goods", NOW)
    assert outcome.order_status == "refunded"
    assert shop.moved(before) == {}


def test_a_short_line_keeps_what_is_there_and_refunds_the_rest(shop):
    """5 units at 10.00, 3 are there, nobody else has 5: 2/5 of 50.00 and of the freight of 5.00 go back."""
    shop.list("short", 1000)
    shop.supply("S1", "short", 5, price=600, freight=100)
    shop.supply("S2", "short", 4, price=700)
    before = shop.balances()
    shop.place("short-1", ("short", 5))
    shop.pay("short-1")
    with pytest.raises(InvalidRequestError):
        shop.act(fulfilment.accept, "short-1", "S1", {1: 5}, NOW)
    with pytest.raises(InvalidRequestError):
        shop.act(fulfilment.accept, "short-1", "S1", {2: 1}, NOW)
    outcome = shop.act(fulfilment.accept, "short-1", "S1", {1: 3}, NOW)
    assert (outcome.status, outcome.refunded) == ("accepted", {1: 2000})
    assert shop.stock_of("S1", "short") == (5, 3, 2)
    assert shop.moved(before)["supplier_pending", "S1"] == 3000 * 3 // 5 + 300
    shop.act(fulfilment.ship, "short-1", "S1", parcel("short-1", "S1"))
    assert shop.stock_of("S1", "short") == (2, 0, 2)


def test_a_short_line_goes_whole_to_who_has_it(shop):
    basket(shop, "whole")
    shop.place("whole-1", ("whole", 5))
    shop.pay("whole-1")
    outcome = shop.act(fulfilment.accept, "whole-1", "S1", {1: 3}, NOW)
    assert (outcome.status, outcome.moved, outcome.refunded) == ("rejected", {1: "S2"}, {})
    assert shop.stock_of("S1", "whole") == (10, 0, 10)


def test_before_payment_a_line_moves_without_money_or_the_order_ends(shop):
    basket(shop, "early")
    before = shop.balances()
    shop.place("early-1", ("early", 1))
    assert shop.act(fulfilment.reject, "early-1", "S1", "no", NOW).moved == {1: "S2"}
    assert shop.read("early-1")[0].payable_cents == 1100
    assert shop.moved(before) == {}
    shop.pay("early-1")
    assert shop.moved(before)["supplier_pending", "S2"] == 700 + 100
    shop.place("early-2", ("early", 1))
    shop.act(fulfilment.reject, "early-2", "S1", "no", NOW)
    outcome = shop.act(fulfilment.reject, "early-2", "S2", "no", NOW)
    assert outcome.order_status == "cancelled"
    assert shop.read("early-2")[0].status == "cancelled"
    assert shop.stock_of("S2", "early") == (10, 1, 9)


def test_a_line_that_joins_an_accepted_part_must_be_accepted_as_well(shop):
    basket(shop, "join-a")
    shop.list("join-b", 1000)
    shop.supply("S2", "join-b", 5, price=600, freight=100)
    shop.place("join-1", ("join-a", 1), ("join-b", 1))
    shop.pay("join-1")
    shop.act(fulfilment.accept, "join-1", "S2", {}, NOW)
    shop.act(fulfilment.reject, "join-1", "S1", "no", NOW)
    _, _, parts = shop.read("join-1")
    assert [(p.supplier_id, p.status, p.freight_cents) for p in parts] == [
        ("S1", "rejected", 0),
        ("S2", "pending", 200),
    ]


def test_moves_that_make_no_sense(shop):
    basket(shop, "sense")
    shop.place("sense-1", ("sense", 1))
    accept = (fulfilment.accept, "sense-1", "S1", {}, NOW)
    with pytest.raises(NotFoundError):
        shop.act(fulfilment.accept, "sense-1", "S2", {}, NOW)
    shop.act(*accept)
    with pytest.raises(ImpossibleMoveError):
        shop.act(*accept)
    with pytest.raises(ImpossibleMoveError):
        shop.act(fulfilment.ship, "sense-1", "S1", parcel("sense-1", "S1"))
    with pytest.raises(ImpossibleMoveError):
        shop.act(receipts.confirm_receipt, "sense-1", None, NOW)
    with pytest.raises(ImpossibleMoveError):
        shop.act(after_sales.open_case, "sense-1", 1, None, "refund", "why", 1, NOW)
    shop.pay("sense-1")
    with pytest.raises(ImpossibleMoveError):
        shop.act(placing.cancel_order, "sense-1")
    with pytest.raises(ImpossibleMoveError):
        shop.act(receipts.confirm_receipt, "sense-1", "S1", NOW)
    shop.act(fulfilment.ship, "sense-1", "S1", parcel("sense-1", "S1"))
    with pytest.raises(ImpossibleMoveError):
        shop.act(fulfilment.reject, "sense-1", "S1", "late", NOW)


def test_a_shipment_notice_counts_once_and_parcels_add_up(shop):
    basket(shop, "parcel")
    shop.place("parcel-1", ("parcel", 2))
    shop.pay("parcel-1")
    assert ship(shop, "parcel-1", "S1") == "shipped"
    notice = parcel("parcel-1", "S1")
    shop.act(fulfilment.ship, "parcel-1", "S1", notice)
    other = fulfilment.Parcel(notice.shipment_id, notice.promised_at, notice.shipped_at, "ZTO", "1")
    with pytest.raises(DuplicateKeyError):
        shop.act(fulfilment.ship, "parcel-1", "S1", other)
    second = fulfilment.Parcel("second", notice.promised_at, notice.shipped_at + DAY)
    shop.act(fulfilment.ship, "parcel-1", "S1", second)
    assert shop.stock_of("S1", "parcel") == (8, 0, 8)
    assert shop.read("parcel-1")[2][0].shipped_at == NOW + DAY


def test_refunds_stay_within_case_and_line(shop):
    basket(shop, "within")
    shop.place("within-1", ("within", 2))
    shop.pay("within-1")
    ship(shop, "within-1", "S1")
    with pytest.raises(RefundRefusedError):
        shop.act(after_sales.open_case, "within-1", 1, None, "refund", "why", 2001, NOW)
    with pytest.raises(NotFoundError):
        shop.act(after_sales.open_case, "within-1", 2, None, "refund", "why", 1, NOW)
    with pytest.raises(NotFoundError):
        shop.act(after_sales.open_case, "within-1", 1, "S2", "refund", "why", 1, NOW)
    with pytest.raises(InvalidRequestError):
        shop.act(after_sales.open_case, "within-1", 0, None, "refund", "why", 1, NOW)
    one = shop.agreed_case("within-1", 1, "S1", "refund", "why", 1500, NOW)
    two = shop.agreed_case("within-1", 1, None, "complaint", "why", 1000, NOW)
    with pytest.raises(RefundRefusedError):
        shop.act(after_sales.refund_case, one.case_id, 1501, NOW)
    shop.act(after_sales.refund_case, one.case_id, 1500, NOW)
    with pytest.raises(RefundRefusedError):
        shop.act(after_sales.refund_case, one.case_id, 1, NOW)
    with pytest.raises(RefundRefusedError):
        shop.act(after_sales.refund_case, two.case_id, 501, NOW)
    assert shop.act(after_sales.end_case, two.case_id, "reject", NOW).status == "rejected"
    with pytest.raises(ImpossibleMoveError):
        shop.act(after_sales.refund_case, two.case_id, 1, NOW)
    with pytest.raises(ImpossibleMoveError):
        shop.act(after_sales.end_case, one.case_id, "reject", NOW)
    assert shop.act(after_sales.end_case, one.case_id, "close", NOW).status == "closed"


def test_a_full_refund_before_shipping_frees_stock_and_freight(shop):
    basket(shop, "before")
    before = shop.balances()
    shop.place("before-1", ("before", 2))
    shop.pay("before-1")
    case = shop.act(after_sales.open_case, "before-1", 1, None, "refund", "changed_mind", 2000, NOW)
    shop.act(after_sales.refund_case, case.case_id, 500, NOW)
    assert shop.stock_of("S1", "before") == (10, 2, 8)
    done = shop.act(after_sales.refund_case, case.case_id, 1500, NOW)
    assert done.order_status == "refunded"
    assert shop.stock_of("S1", "before") == (10, 0, 10)
    order, _, parts = shop.read("before-1")
    assert (order.refunded_cents, parts[0].status, parts[0].refunded_freight_cents) == (
        2200,
        "cancelled",
        200,
    )
    assert shop.moved(before) == {}


def test_the_application_can_be_tricked_into_no_other_tenant(shop):
    basket(shop, "mine")
    shop.place("mine-1", ("mine", 1))
    with shop.transaction("other") as conn, pytest.raises(NotFoundError):
        placing.cancel_order(conn, "other", "mine-1")
    with shop.transaction("other") as conn, pytest.raises(NotFoundError):
        placing.cancel_order(conn, TENANT, "mine-1")

"""What suppliers take back, say twice or say late: the buyer gets his money, and money follows the goods."""

from datetime import timedelta

import pytest
from small_market import NOW, TENANT

from serving.ledger.invariants import check
from serving.orders.after_sales import after_sales, returns
from serving.orders.errors import InvalidRequestError, RefundRefusedError
from serving.orders.fulfilment import fulfilment
from serving.orders.fulfilment.receipts import confirm_receipts_due
from serving.orders.settling import release_due

DAY = timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
def plans(shop):
    shop.plan()


@pytest.fixture(autouse=True)
def invariants(shop):
    """After every test the books are in order."""
    yield
    with shop.transaction() as conn:
        assert check(conn, TENANT) == []


def in_force(shop, order_id):
    """Who is owed for the lines of an order."""
    return {
        (line_no, supplier)
        for line_no, supplier in shop.sql(
            "select line_no, supplier_id from settlement.leg where order_id = %(order)s and line_no > 0"
            " and not is_replaced and amount_cents <> reversed_cents",
            order=order_id,
        )
    }


def released(shop, order_id):
    """How many legs of an order are released."""
    query = "select count(*) from settlement.leg where order_id = %(order)s and state = 'released'"
    return shop.sql(query, order=order_id)[0][0]


def test_a_part_that_was_accepted_short_and_then_rejected_is_refunded_whole(shop):
    """Half of the line goes back, then the other half, which is the same amount."""
    shop.list("half", 1000)
    shop.supply("S1", "half", 5, price=600, freight=100)
    shop.place("half-1", ("half", 2))
    shop.pay("half-1")
    shop.act(fulfilment.accept, "half-1", "S1", {1: 1}, NOW)
    outcome = shop.act(fulfilment.reject, "half-1", "S1", "broken", NOW)
    order, lines, _ = shop.read("half-1")
    assert outcome.refunded == {1: 1000}
    assert [line.refunded_cents for line in lines] == [2000]
    assert (order.refunded_cents, order.captured_cents, order.status) == (2200, 2200, "refunded")


def test_a_part_that_was_accepted_short_can_be_rejected_when_the_rest_is_another_amount(shop):
    shop.list("third", 1000)
    shop.supply("S1", "third", 5, price=600)
    shop.place("third-1", ("third", 3))
    shop.pay("third-1")
    shop.act(fulfilment.accept, "third-1", "S1", {1: 2}, NOW)
    shop.act(fulfilment.reject, "third-1", "S1", "broken", NOW)
    assert shop.read("third-1")[0].status == "refunded"


def test_a_line_that_goes_to_and_fro_belongs_to_who_ships_it_and_who_is_told(shop):
    """S1 and S2 keep their parts by another line each; the wandering line passes S1 -> S2 -> S1 -> S2."""
    for sku, supplier in (("stay-1", "S1"), ("stay-2", "S2")):
        shop.list(sku, 1000)
        shop.supply(supplier, sku, 9, price=500)
    shop.list("wander", 1000)
    shop.supply("S1", "wander", 9, price=600)
    shop.supply("S2", "wander", 9, price=650)
    shop.place("wander-1", ("wander", 2), ("stay-1", 1), ("stay-2", 1))
    for supplier in ("S1", "S2"):
        shop.hears(supplier)
    shop.pay("wander-1")
    holder = "S1"
    for _ in range(3):
        outcome = shop.act(fulfilment.accept, "wander-1", holder, {1: 1}, NOW)
        assert outcome.refunded == {}
        holder = outcome.moved[1]
        assert shop.read("wander-1")[1][0].supplier_id == holder
        assert (1, holder) in in_force(shop, "wander-1")
    assert holder == "S2"
    # Each is told of its part, and S2 twice of the line that came twice.
    told = shop.sql(
        "select payload ->> 'supplier_id', count(*)::int from orders.webhook_delivery"
        " where event_type = 'shipping_instruction.created' and payload ->> 'order_id' = 'wander-1'"
        " group by 1 order by 1"
    )
    assert told == [("S1", 2), ("S2", 3)]


def test_an_after_sale_case_goes_with_the_line_to_the_next_supplier(shop):
    shop.list("case", 1000)
    shop.supply("S1", "case", 9, price=600)
    shop.supply("S2", "case", 9, price=650)
    shop.place("case-1", ("case", 1))
    shop.pay("case-1")
    case = shop.act(after_sales.open_case, "case-1", 1, "S1", "refund", "changed_mind", 400, NOW)
    assert shop.act(fulfilment.reject, "case-1", "S1", "no", NOW).moved == {1: "S2"}
    shop.act(fulfilment.accept, "case-1", "S2", {}, NOW)
    shop.act(fulfilment.ship, "case-1", "S2", fulfilment.Parcel("p-case", NOW + DAY, NOW))
    later = NOW + 30 * DAY
    confirm_receipts_due(shop.transaction, TENANT, later)
    release_due(shop.transaction, TENANT, later)
    assert released(shop, "case-1") == 0
    assert shop.act(after_sales.refund_case, case.case_id, 400, later).refund_cents == 400


def test_a_gift_that_cost_nobody_anything_can_be_rejected(shop):
    shop.list("gift", 0)
    shop.list("goods", 1000)
    shop.supply("G1", "gift", 9, price=0)
    shop.supply("G1", "goods", 9, price=500)
    shop.place("gift-1", ("gift", 1), ("goods", 1))
    shop.pay("gift-1")
    outcome = shop.act(fulfilment.reject, "gift-1", "G1", "no", NOW)
    assert outcome.refunded == {1: 0, 2: 1000}
    assert shop.read("gift-1")[0].status == "refunded"
    assert shop.stock_of("G1", "gift") == (9, 0, 9)


def test_a_free_line_is_paid_to_its_supplier_for_the_units_that_are_shipped(shop):
    """Three free units at a supply price of 2.00 each; one is missing."""
    shop.list("sample", 0)
    shop.supply("F1", "sample", 9, price=200)
    before = shop.balances()
    shop.place("sample-1", ("sample", 3))
    shop.pay("sample-1")
    assert shop.moved(before) == {("supplier_pending", "F1"): 600, ("subsidy", ""): -600}
    shop.act(fulfilment.accept, "sample-1", "F1", {1: 2}, NOW)
    assert shop.moved(before)["supplier_pending", "F1"] >= 400


@pytest.mark.parametrize("days", [-1, -30])
def test_nothing_is_shipped_before_it_is_paid(shop, days):
    sku = f"early{days}"
    shop.list(sku, 1000)
    shop.supply("S1", sku, 9, price=600)
    shop.place(sku, (sku, 1))
    shop.pay(sku)
    shop.act(fulfilment.accept, sku, "S1", {}, NOW)
    with pytest.raises(InvalidRequestError, match="shipped_at"):
        shop.act(fulfilment.ship, sku, "S1", fulfilment.Parcel(f"p{sku}", NOW + DAY, NOW + days * DAY))


def test_a_late_notice_of_a_parcel_does_not_shorten_the_wait_of_the_buyer(shop):
    """Told on day 18 that it left on day 0: day 10 and the seven days after it count from the notice."""
    shop.list("late", 1000)
    shop.supply("S1", "late", 9, price=600)
    shop.place("late-1", ("late", 1))
    shop.pay("late-1")
    shop.act(fulfilment.accept, "late-1", "S1", {}, NOW)
    told = NOW + 18 * DAY
    shop.act(fulfilment.ship, "late-1", "S1", fulfilment.Parcel("p-late", NOW + DAY, NOW), told)
    confirm_receipts_due(shop.transaction, TENANT, told)
    release_due(shop.transaction, TENANT, told)
    assert released(shop, "late-1") == 0
    assert shop.read("late-1")[2][0].status == "shipped"


@pytest.mark.parametrize("how", ["opens", "answers", "decided", "silent"])
def test_what_one_supplier_said_binds_no_other_one(shop, how):
    """S1 agrees, or says nothing, and gives the line back; S2 ships it, and answers for itself."""
    name = f"heir-{how}"
    shop.list(name, 2000)
    shop.supply("S1", name, 5, price=1200)
    shop.supply("S2", name, 5, price=1300)
    shop.place(name, (name, 1))
    shop.pay(name)
    is_suppliers = how == "opens"
    case = shop.act(
        after_sales.open_case, name, 1, None, "refund", "late", 2000, NOW, is_suppliers=is_suppliers
    )
    if how == "answers":
        shop.act(returns.answer_case, case.case_id, agrees=True, reason_code=None, now=NOW)
    if how == "decided":
        shop.act(returns.arbitrate, case.case_id, "refund", "photo", NOW)
    later = NOW + 3 * DAY
    shop.act(fulfilment.reject, name, "S1", "broken", later)
    _, (line,), _ = shop.read(name)
    assert line.supplier_id == "S2"
    shop.act(fulfilment.accept, name, "S2", {}, later)
    shop.act(fulfilment.ship, name, "S2", fulfilment.Parcel(f"sh-{name}", later + DAY, later))
    with pytest.raises(RefundRefusedError, match="has not answered"):
        shop.act(after_sales.refund_case, case.case_id, 2000, later)
    with pytest.raises(RefundRefusedError, match="has not answered"):
        shop.act(after_sales.refund_case, case.case_id, 2000, later + 3 * DAY - timedelta(seconds=1))
    assert shop.act(after_sales.refund_case, case.case_id, 2000, later + 3 * DAY).refund_cents == 2000

"""What becomes of a gift, and of a threshold, when goods go back; amounts in fen, reckoned by hand."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from small_market import NOW, TENANT, Shop

from serving.db.operations import Operations
from serving.ledger.invariants import check
from serving.orders.after_sales import after_sales, returns
from serving.orders.coupons.programme import Share
from serving.orders.errors import GiftKeptError, ImpossibleMoveError, RefundRefusedError
from serving.orders.fulfilment import fulfilment
from serving.orders.placing import cancelling
from serving.orders.promotions import records
from serving.orders.promotions.claims import Wanted
from serving.orders.promotions.document import NewPromotion

pytestmark = pytest.mark.xdist_group("gifts_refunded")  # one world for all, in order

OWN = (Share(party_type="merchant", share_bps=10_000, party_id="m1"),)


@pytest.fixture(scope="module")
def shop(module_database_url):
    with Operations(module_database_url, size=16, timeout_s=60) as operations:
        made = Shop(module_database_url, operations)
        made.plan()
        made.may_lose(10**12)
        made.sql(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified, has_contract)"
            " values (%(t)s, 'merchant', 'm1', true, true)",
            t=TENANT,
        )
        yield made


def promote(shop, kind, sku_ids, **more):
    """A promotion of merchant m1 at its own cost, in force."""
    new = NewPromotion(
        merchant_id="m1", kind=kind, title=kind, sku_ids=sku_ids, starts_at=NOW - timedelta(hours=1),
        ends_at=NOW + timedelta(days=3), funders=OWN, budget_cents=10**9, budget_count=10**6,
        per_consumer_qty=10**6, **more,
    )  # fmt: skip
    made = shop.act(records.propose, new, ("merchant", "m1"), "key:maker", NOW)
    shop.act(records.approve, made.promotion_id, "key:other", NOW)
    return made


def with_gift(shop, name, *, price=10_000, qty=1, least=10_000, giver="S2", gifts=1, supply=1_200):
    """A paid order `name`: so many of line 1 by S1, and as line 2 a gift of 20.00 with 3.00 freight a unit.

    Returns:
        The balances before it was paid.
    """
    main, gift = f"{name}-main", f"{name}-gift"
    shop.list(main, price)
    shop.supply("S1", main, 100, price=4_000)
    shop.list(gift, 2_000)
    shop.supply(giver, gift, 100, price=supply, freight=300 if supply else 0)
    made = promote(shop, "gift", (gift,), min_goods_cents=least, stock_qty=50)
    shop.place(name, (main, qty), (gift, gifts), promotion=Wanted(made.promotion_id))
    before = shop.balances()
    shop.pay(name)
    return before


def send(shop, order_id, supplier):
    shop.act(fulfilment.accept, order_id, supplier, {}, NOW)
    parcel = fulfilment.Parcel(f"{order_id}-{supplier}", NOW + timedelta(days=2), NOW)
    shop.act(fulfilment.ship, order_id, supplier, parcel, NOW)


def came_back(shop, order_id, line_no, qty, cents):
    """A return of units that their supplier has again."""
    case = shop.agreed_case(order_id, line_no, None, "return", "changed_mind", cents, NOW, qty)
    shop.act(returns.receive_back, case.case_id, qty, qty, NOW)
    return case.case_id


def refund(shop, case_id, cents):
    return shop.act(after_sales.refund_case, case_id, cents, NOW)


def asked(shop, order_id, line_no, cents, *, kind="refund"):
    case = shop.agreed_case(order_id, line_no, None, kind, "changed_mind", cents, NOW)
    return refund(shop, case.case_id, cents)


def parts(shop, order_id):
    return {part.supplier_id: part.status for part in shop.read(order_id)[2]}


def owed(shop, order_id):
    """What the funder of a gift still owes for it, fen."""
    return shop.sql(
        "select sum(owed_cents - reversed_cents)::bigint from settlement.discount_debt"
        " where order_id = %(id)s and line_no = 2",
        id=order_id,
    )[0][0]


def sound(shop):
    with shop.transaction() as conn:
        return [violation for violation in check(conn, TENANT) if violation.invariant != "L3"]


def test_a_gift_that_was_not_sent_is_cancelled_with_its_goods(shop):
    """100.00 and the freight of the gift, 3.00, go back; nobody is owed anything, nothing is reserved."""
    before = with_gift(shop, "gone")
    assert owed(shop, "gone") > 0
    done = shop.act(cancelling.cancel_units, "gone", 1, 1, NOW)
    assert (done.refund_cents, done.order_status) == (10_000, "refunded")
    assert shop.read("gone")[0].refunded_cents == 10_300
    assert parts(shop, "gone") == {"S1": "cancelled", "S2": "cancelled"}
    assert [shop.stock_of(*key) for key in (("S1", "gone-main"), ("S2", "gone-gift"))] == [(100, 0, 100)] * 2
    assert (owed(shop, "gone"), shop.moved(before)) == (0, {})
    state = shop.sql("select state from coupons.redemption where order_id = 'gone'")
    assert state == [("given_back",)]
    assert sound(shop) == []


def test_a_gift_stays_as_long_as_what_is_left_earns_it(shop):
    """Of 3 for 60.00 each with a gift from 100.00: 2 earn it, 1 does not; its order goes on without it."""
    before = with_gift(shop, "less", price=6_000, qty=3)
    shop.act(cancelling.cancel_units, "less", 1, 1, NOW)
    assert shop.read("less")[1][1].reserved_qty == 1
    done = shop.act(cancelling.cancel_units, "less", 1, 1, NOW)
    assert (done.refund_cents, done.order_status) == (6_000, "paid")
    assert [line.reserved_qty for line in shop.read("less")[1]] == [1, 0]
    assert parts(shop, "less") == {"S1": "pending", "S2": "cancelled"}
    moved = shop.moved(before)
    assert moved["channel_frozen", ""] == -6_000
    assert moved["supplier_pending", "S1"] == 4_000
    assert ("supplier_pending", "S2") not in moved
    assert owed(shop, "less") == 0
    assert sound(shop) == []


def test_the_price_of_a_gift_that_the_buyer_has_stays_paid_until_it_comes_back(shop):
    """Goods of 100.00 come back, the gift of 20.00 does not: 80.00 at most; with the gift all of it."""
    before = with_gift(shop, "kept")
    for supplier in ("S1", "S2"):
        send(shop, "kept", supplier)
    case = came_back(shop, "kept", 1, 1, 10_000)
    with pytest.raises(GiftKeptError, match="its price of 2000 fen") as refused:
        refund(shop, case, 10_000)
    assert "Give back 8000 fen at most" in refused.value.remedy
    assert shop.read("kept")[0].refunded_cents == 0
    with pytest.raises(GiftKeptError):
        refund(shop, case, 8_001)
    refund(shop, case, 5_000)
    refund(shop, case, 3_000)
    with pytest.raises(GiftKeptError) as refused:
        refund(shop, case, 1)
    assert refused.value.remedy.startswith("Let the gift come back first")
    assert sound(shop) == []

    gift = shop.agreed_case("kept", 2, None, "return", "changed_mind", 0, NOW, 1).case_id
    with pytest.raises(RefundRefusedError, match="once units of it that were sent came back"):
        refund(shop, gift, 0)
    shop.act(returns.receive_back, gift, 1, 1, NOW)
    assert refund(shop, gift, 0).case.status == "refunded"
    with pytest.raises(ImpossibleMoveError):
        refund(shop, gift, 0)
    assert owed(shop, "kept") == 0
    assert refund(shop, case, 2_000).order_status == "shipped"  # the freight of the gift was not given back
    assert shop.moved(before)["channel_frozen", ""] == -300
    assert shop.moved(before)["supplier_pending", "S2"] == 300
    assert shop.stock_of("S2", "kept-gift") == (100, 0, 100)
    assert sound(shop) == []


def test_of_two_units_one_goes_back_less_the_gift(shop):
    """2 for 60.00 each earn a gift of 20.00 from 100.00. One comes back: 40.00. Then the other one: 60.00."""
    before = with_gift(shop, "two", price=6_000, qty=2)
    for supplier in ("S1", "S2"):
        send(shop, "two", supplier)
    first = came_back(shop, "two", 1, 1, 6_000)
    with pytest.raises(GiftKeptError) as refused:
        refund(shop, first, 4_001)
    assert "Give back 4000 fen at most" in refused.value.remedy
    refund(shop, first, 4_000)
    second = came_back(shop, "two", 1, 1, 6_000)
    refund(shop, second, 6_000)
    with pytest.raises(GiftKeptError):
        refund(shop, first, 1)
    assert shop.moved(before)["channel_frozen", ""] == -(2_000 + 300)
    assert sound(shop) == []


def test_money_alone_takes_no_goods_away_but_leaves_the_price_of_the_gift(shop):
    with_gift(shop, "alone")
    asked(shop, "alone", 1, 500)
    assert shop.read("alone")[1][1].reserved_qty == 1  # not even of a gift that is to be sent
    for supplier in ("S1", "S2"):
        send(shop, "alone", supplier)
    asked(shop, "alone", 1, 500, kind="complaint")
    with pytest.raises(GiftKeptError) as refused:
        asked(shop, "alone", 1, 9_000)
    assert "Give back 7000 fen at most" in refused.value.remedy
    asked(shop, "alone", 1, 7_000)
    assert shop.read("alone")[0].refunded_cents == 8_000
    assert sound(shop) == []


def test_what_nobody_can_send_is_paid_back_in_full(shop):
    """The supplier of the goods has none: a gift that waits goes, one that the buyer has stays."""
    before = with_gift(shop, "none")
    done = shop.act(fulfilment.reject, "none", "S1", "no", NOW)
    assert done.order_status == "refunded"
    assert parts(shop, "none") == {"S1": "rejected", "S2": "cancelled"}
    assert (owed(shop, "none"), shop.moved(before)) == (0, {})

    before = with_gift(shop, "sent")
    send(shop, "sent", "S2")
    with pytest.raises(GiftKeptError):
        shop.act(cancelling.cancel_units, "sent", 1, 1, NOW)
    assert shop.read("sent")[1][0].reserved_qty == 1
    assert shop.act(fulfilment.reject, "sent", "S1", "no", NOW).refunded == {1: 10_000}
    assert shop.moved(before)["channel_frozen", ""] == -300
    assert owed(shop, "sent") > 0
    assert sound(shop) == []


def test_a_part_that_held_goods_and_gift_ends_once(shop):
    """One supplier has both. Cancelled, or short of the goods: 103.00 go back and nothing stays."""
    before = with_gift(shop, "both", giver="S1")
    assert shop.act(cancelling.cancel_units, "both", 1, 1, NOW).order_status == "refunded"
    assert (parts(shop, "both"), shop.moved(before)) == ({"S1": "cancelled"}, {})

    before = with_gift(shop, "short", giver="S1")
    done = shop.act(fulfilment.accept, "short", "S1", {1: 0}, NOW)
    assert (done.order_status, done.refunded) == ("refunded", {1: 10_000})
    assert (parts(shop, "short"), shop.moved(before)) == ({"S1": "cancelled"}, {})
    assert shop.read("short")[0].refunded_cents == 10_300
    assert sound(shop) == []


def send_accepted(shop, order_id, supplier):
    shop.act(
        fulfilment.ship,
        order_id,
        supplier,
        fulfilment.Parcel(f"{order_id}-{supplier}", NOW + timedelta(days=2), NOW),
    )


def cancel_one(shop, order_id):
    shop.act(cancelling.cancel_units, order_id, 2, 1, NOW)
    shop.act(fulfilment.accept, order_id, "S2", {}, NOW)


def accept_short(shop, order_id):
    shop.act(fulfilment.accept, order_id, "S2", {2: 1}, NOW)


@pytest.mark.parametrize("lose_one", [cancel_one, accept_short])
def test_of_a_gift_of_two_of_which_one_was_sent_one_is_owed_and_one_comes_back(shop, lose_one):
    """40.00 were promised, 20.00 arrived: 20.00 stay paid, and only the one that was sent can return."""
    name = lose_one.__name__
    with_gift(shop, name, gifts=2)
    lose_one(shop, name)
    send_accepted(shop, name, "S2")
    send(shop, name, "S1")
    case = came_back(shop, name, 1, 1, 10_000)
    with pytest.raises(GiftKeptError, match="its price of 2000 fen"):
        refund(shop, case, 8_001)
    refund(shop, case, 8_000)
    refund(shop, came_back(shop, name, 2, 1, 0), 0)
    refund(shop, case, 2_000)
    assert owed(shop, name) == 0
    assert sound(shop) == []


def test_a_gift_of_two_comes_back_in_two_parcels(shop):
    """With the first of them half of it is given back; the price of the other one stays paid."""
    before = with_gift(shop, "twice", gifts=2)
    for supplier in ("S1", "S2"):
        send(shop, "twice", supplier)
    debt = owed(shop, "twice")
    case = came_back(shop, "twice", 1, 1, 10_000)
    with pytest.raises(GiftKeptError, match="its price of 4000 fen"):
        refund(shop, case, 10_000)
    first, second = (came_back(shop, "twice", 2, 1, 0) for _ in range(2))
    assert refund(shop, first, 0).case.status == "refunded"
    assert owed(shop, "twice") == debt // 2
    assert shop.moved(before)["supplier_pending", "S2"] == 1_200 + 600
    with pytest.raises(GiftKeptError, match="its price of 2000 fen"):
        refund(shop, case, 10_000)
    assert sound(shop) == []
    assert refund(shop, second, 0).case.status == "refunded"
    refund(shop, case, 10_000)
    assert shop.moved(before)["channel_frozen", ""] == -600
    assert owed(shop, "twice") == 0
    assert sound(shop) == []


def test_a_gift_that_costs_its_shop_nothing_is_no_less_a_gift(shop):
    with_gift(shop, "own", supply=0)
    for supplier in ("S1", "S2"):
        send(shop, "own", supplier)
    case = came_back(shop, "own", 1, 1, 10_000)
    with pytest.raises(GiftKeptError):
        refund(shop, case, 10_000)
    refund(shop, came_back(shop, "own", 2, 1, 0), 0)
    refund(shop, case, 10_000)
    assert sound(shop) == []


def test_what_stays_pays_for_the_gift_also_where_it_would_earn_it(shop):
    """Two for 10.00 earn a gift of 20.00 from 10.00: one alone does not pay for it."""
    with_gift(shop, "dear", price=1_000, qty=2, least=1_000)
    shop.act(cancelling.cancel_units, "dear", 1, 1, NOW)
    assert [line.reserved_qty for line in shop.read("dear")[1]] == [1, 0]
    with_gift(shop, "had", price=1_000, qty=2, least=1_000)
    for supplier in ("S1", "S2"):
        send(shop, "had", supplier)
    with pytest.raises(GiftKeptError, match="or less stays paid"):
        refund(shop, came_back(shop, "had", 1, 1, 1_000), 1_000)


@pytest.mark.parametrize("ends", ["returned", "cancelled"])
def test_goods_that_were_free_and_came_back_earn_no_gift(shop, ends):
    """90.00, 30.00 that a coupon paid and 20.00 earn a gift of 10.00 from 40.00; 20.00 alone do not."""
    for number, (price, supply) in enumerate([(9_000, 3_600), (3_000, 1_200), (2_000, 800)], 1):
        shop.list(f"{ends}-{number}", price)
        shop.supply("S1", f"{ends}-{number}", 10, price=supply)
    shop.list(f"{ends}-gift", 1_000)
    shop.supply("S2", f"{ends}-gift", 10, price=600)
    made = promote(shop, "gift", (f"{ends}-gift",), min_goods_cents=4_000, stock_qty=5, stacks=True)
    code = shop.off(
        3_000, issuer=("merchant", "m1"), stacks=True, sku_ids=(f"{ends}-2",), beyond_share="receivable"
    )
    lines = [(f"{ends}-{name}", 1) for name in (1, 2, 3, "gift")]
    shop.place(ends, *lines, promotion=Wanted(made.promotion_id), coupon_codes=[code])
    shop.pay(ends)
    assert [line.net_paid_cents for line in shop.read(ends)[1]] == [9_000, 0, 2_000, 0]
    if ends == "cancelled":
        shop.act(cancelling.cancel_units, ends, 2, 1, NOW)
    for supplier in ("S1", "S2"):
        send(shop, ends, supplier)
    if ends == "returned":
        refund(shop, came_back(shop, ends, 2, 1, 0), 0)
    case = came_back(shop, ends, 1, 1, 9_000)
    with pytest.raises(GiftKeptError) as refused:
        refund(shop, case, 9_000)
    assert "Give back 8000 fen at most" in refused.value.remedy
    assert sound(shop) == []


def test_a_cancellation_and_the_parcel_of_the_gift_come_at_once(shop):
    """One of them is first: the gift is off and cannot be sent, or it is sent and its goods stay."""
    rounds = 12
    for number in range(rounds):
        with_gift(shop, f"race-{number}")
        shop.act(fulfilment.accept, f"race-{number}", "S2", {}, NOW)

    def attempt(work, *arguments):
        barrier.wait()
        try:
            shop.act(work, *arguments)
        except (GiftKeptError, ImpossibleMoveError) as refused:
            return type(refused)
        return None

    for number in range(rounds):
        order_id = f"race-{number}"
        barrier = threading.Barrier(3)
        parcel = fulfilment.Parcel(f"{order_id}-S2", NOW + timedelta(days=2), NOW)
        with ThreadPoolExecutor(3) as threads:
            cancelled = threads.submit(attempt, cancelling.cancel_units, order_id, 1, 1, NOW)
            again = threads.submit(attempt, cancelling.cancel_units, order_id, 1, 1, NOW)
            sent = threads.submit(attempt, fulfilment.ship, order_id, "S2", parcel)
        answers = sorted(str(one.result()) for one in (cancelled, again))
        if sent.result() is None:
            assert answers == [str(GiftKeptError)] * 2
            assert parts(shop, order_id) == {"S1": "pending", "S2": "shipped"}
            assert shop.read(order_id)[0].refunded_cents == 0
        else:
            assert answers == [str(ImpossibleMoveError), "None"]
            assert parts(shop, order_id) == {"S1": "cancelled", "S2": "cancelled"}
            assert shop.read(order_id)[0].refunded_cents == 10_300
            assert owed(shop, order_id) == 0
    assert sound(shop) == []


def test_a_threshold_goes_back_by_lines_as_it_was_spread(shop):
    """10.00 off 100.00 and 50.00: 6.67 and 3.33. The first goes back with 93.33, the other keeps its 3.33."""
    for name, price, supply in (("wide", 10_000, 4_000), ("narrow", 5_000, 2_000)):
        shop.list(name, price)
        shop.supply("S1", name, 10, price=supply)
    made = promote(shop, "threshold", (), off_cents=1_000, min_goods_cents=15_000)
    shop.place("spread", ("wide", 1), ("narrow", 1), promotion=Wanted(made.promotion_id))
    before = shop.balances()
    shop.pay("spread")
    assert [line.coupon_discount_cents for line in shop.read("spread")[1]] == [667, 333]
    done = shop.act(cancelling.cancel_units, "spread", 1, 1, NOW)
    assert (done.refund_cents, done.order_status) == (9_333, "paid")
    assert shop.moved(before)["channel_frozen", ""] == -4_667
    assert shop.act(cancelling.cancel_units, "spread", 2, 1, NOW).refund_cents == 4_667
    assert shop.moved(before) == {}
    assert sound(shop) == []

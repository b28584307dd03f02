"""Units of goods that cost the buyer nothing: cancelled, short, returned; fen, reckoned by hand."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from small_market import NOW, TENANT

from serving.ledger.invariants import check
from serving.orders.after_sales import after_sales, returns
from serving.orders.errors import ImpossibleMoveError, InvalidRequestError, RefundRefusedError
from serving.orders.fulfilment import fulfilment, receipts
from serving.orders.placing.cancelling import cancel_units
from serving.orders.settling import release_due

pytestmark = pytest.mark.xdist_group("units_of_free_goods")  # one world for all, in order

OWED = ("clawback_receivable", "m1")


@pytest.fixture(scope="module", autouse=True)
def market(shop):
    shop.plan()
    shop.sql(
        "insert into parties.party (tenant_id, party_type, party_id, is_verified) values"
        " (%(t)s, 'merchant', 'm1', true), (%(t)s, 'supplier', 'S1', true), (%(t)s, 'supplier', 'S2', true)",
        t=TENANT,
    )


def free(shop, name, qty, *, supply=200, supplier="S1"):
    """A paid order of a sample that is listed for nothing; the balances before it was paid."""
    shop.list(name, 0)
    shop.supply(supplier, name, 100, price=supply)
    shop.place(name, (name, qty))
    before = shop.balances()
    shop.pay(name)
    return before


def borne(shop, name, qty, *, supply=800, **more):
    """Goods at 20.00 (supply 8.00) that a coupon of the shop pays for, and as line 2 others for 200.00."""
    for sku, supplier, price, cost in ((name, "S1", 2_000, supply), (f"{name}-main", "S2", 20_000, 8_000)):
        shop.list(sku, price)
        shop.supply(supplier, sku, 100, price=cost)
    code = shop.off(
        2_000 * qty,
        issuer=("merchant", "m1"),
        sku_ids=(name,),
        beyond_share="receivable",
        gives_back=("cancel", "refund"),
        **more,
    )
    shop.place(name, (name, qty), (f"{name}-main", 1), coupon_codes=[code])
    before = shop.balances()
    shop.pay(name)
    return before


def send(shop, order_id, supplier="S1", short=None, at=NOW):
    shop.act(fulfilment.accept, order_id, supplier, short or {}, at)
    parcel = fulfilment.Parcel(f"{order_id}-{supplier}", at + timedelta(days=2), at)
    shop.act(fulfilment.ship, order_id, supplier, parcel, at)


def came_back(shop, order_id, qty, received=None, at=NOW):
    case = shop.agreed_case(order_id, 1, None, "return", "changed_mind", 0, at, qty)
    came = qty if received is None else received
    shop.act(returns.receive_back, case.case_id, came, came, at)
    return case.case_id


def give_back(shop, case_id, at=NOW):
    return shop.act(after_sales.refund_case, case_id, 0, at)


def gone(shop, order_id):
    """Units of the first line that are gone: by the order line, and by the refunds of its shares."""
    line = shop.read(order_id)[1][0]
    booked = shop.sql(
        "select coalesce(max(units_gone), 0) from settlement.refund where order_id = %(id)s and line_no = 1",
        id=order_id,
    )
    return line.gone_qty, booked[0][0]


def sound(shop):
    with shop.transaction() as conn:
        return [violation for violation in check(conn, TENANT) if violation.invariant != "L3"]


def test_a_unit_is_cancelled_one_is_missing_and_one_comes_back(shop):
    """Four at 2.00 by its supplier: 8.00, then 6.00, 4.00 and 2.00; the last one comes back: nothing."""
    before = free(shop, "each", 4)
    pending = ("supplier_pending", "S1")
    assert shop.moved(before) == {pending: 800, ("subsidy", ""): -800}
    shop.act(cancel_units, "each", 1, 1, NOW)
    assert (shop.moved(before)[pending], gone(shop, "each")) == (600, (1, 1))
    send(shop, "each", short={1: 2})
    assert (shop.moved(before)[pending], gone(shop, "each")) == (400, (2, 2))
    assert give_back(shop, came_back(shop, "each", 1)).order_status == "shipped"
    assert (shop.moved(before)[pending], gone(shop, "each")) == (200, (3, 3))
    assert sound(shop) == []
    give_back(shop, came_back(shop, "each", 1))
    assert (shop.moved(before), gone(shop, "each")) == ({}, (4, 4))
    assert shop.stock_of("S1", "each") == (100, 0, 100)
    assert sound(shop) == []


def test_what_the_shop_owes_for_goods_that_its_coupon_pays_goes_by_units(shop):
    """3 at 20.00: the shop owes 60.00, the supplier gets 24.00. The coupon is used until the last is gone."""
    before = borne(shop, "borne", 3)
    state = "select state from coupons.redemption where order_id = 'borne'"

    def left():
        moved = shop.moved(before)
        return moved.get(("supplier_pending", "S1"), 0), moved.get(OWED, 0)

    assert left() == (2_400, -6_000)
    shop.act(cancel_units, "borne", 1, 1, NOW)
    assert left() == (1_600, -4_000)
    assert shop.act(cancel_units, "borne", 2, 1, NOW).order_status == "refunded"
    assert sound(shop) == []
    shop.act(cancel_units, "borne", 1, 1, NOW)
    assert (left(), shop.sql(state)) == ((800, -2_000), [("redeemed",)])
    assert shop.act(cancel_units, "borne", 1, 1, NOW).order_status == "refunded"
    assert shop.moved(before) == {}
    assert shop.sql(state) == [("given_back",)]
    assert sound(shop) == []


@pytest.mark.parametrize(
    ("name", "supply", "funder", "owed"),
    [("nothing", 0, ("merchant", "m1"), 6_000), ("itself", 800, ("supplier", "S1"), 3_600)],
    ids=["goods that cost nothing", "a coupon of their supplier"],
)
def test_what_is_owed_for_goods_that_bring_nobody_anything_goes_by_units(shop, name, supply, funder, owed):
    """3 at 20.00 by a coupon and no share of them: what its funder owes, 60.00 less its part, goes by thirds.

    One is cancelled, then the goods that were paid for; one comes back, then the other.
    """
    before = borne(shop, name, 3, supply=supply, funders={funder: 10_000})
    state = f"select state from coupons.redemption where order_id = '{name}'"
    account = ("clawback_receivable", funder[1])
    assert shop.sql(f"select coalesce(sum(abs(amount_cents)), 0) from settlement.leg"
                    f" where order_id = '{name}' and line_no = 1") == [(0,)]  # fmt: skip
    assert shop.moved(before)[account] == -owed
    shop.act(cancel_units, name, 1, 1, NOW)
    assert shop.moved(before)[account] == -owed * 2 // 3
    assert shop.act(cancel_units, name, 2, 1, NOW).order_status == "refunded"
    assert shop.moved(before) == {account: -owed * 2 // 3, ("subsidy", ""): owed * 2 // 3}
    assert shop.sql(state) == [("redeemed",)]
    send(shop, name)
    for left in (1, 0):
        give_back(shop, came_back(shop, name, 1))
        assert shop.moved(before).get(account, 0) == -owed * left // 3
        assert gone(shop, name) == (3 - left, 3 - left)
        assert sound(shop) == []
    assert shop.moved(before) == {}
    assert shop.sql(state) == [("given_back",)]


def test_an_order_of_which_nobody_gets_anything_goes_to_another_supplier(shop):
    """Its first supplier gives the sample away, so that the order has no share at all; the next asks 3.00."""
    before = free(shop, "shareless", 2, supply=0)
    assert shop.sql("select count(*) from settlement.leg where order_id = 'shareless'") == [(0,)]
    shop.supply("S2", "shareless", 100, price=300)
    assert shop.act(fulfilment.reject, "shareless", "S1", "broken", NOW).moved == {1: "S2"}
    assert shop.moved(before) == {("supplier_pending", "S2"): 600, ("subsidy", ""): -600}
    shop.act(cancel_units, "shareless", 1, 1, NOW)
    assert shop.moved(before)["supplier_pending", "S2"] == 300
    assert sound(shop) == []


def test_a_supplier_that_takes_too_few_and_then_none_is_paid_for_none(shop):
    before = free(shop, "fewer", 3)
    shop.act(fulfilment.accept, "fewer", "S1", {1: 1}, NOW)
    assert shop.moved(before)["supplier_pending", "S1"] == 200
    shop.act(fulfilment.reject, "fewer", "S1", "broken", NOW)
    assert (shop.moved(before), gone(shop, "fewer")) == ({}, (3, 3))
    assert sound(shop) == []


def test_a_line_of_which_a_unit_was_cancelled_stays_with_its_supplier(shop):
    """Another supplier has it, too: the two units that are left are refunded, and not moved."""
    before = free(shop, "stays", 3)
    shop.supply("S2", "stays", 100, price=300)
    shop.act(cancel_units, "stays", 1, 1, NOW)
    assert shop.act(fulfilment.reject, "stays", "S1", "broken", NOW).moved == {}
    assert shop.moved(before) == {}
    before = free(shop, "moves", 3)
    shop.supply("S2", "moves", 100, price=300)
    assert shop.act(fulfilment.reject, "moves", "S1", "broken", NOW).moved == {1: "S2"}
    shop.act(cancel_units, "moves", 1, 1, NOW)
    assert shop.moved(before) == {("supplier_pending", "S2"): 600, ("subsidy", ""): -600}
    assert sound(shop) == []


def test_no_more_units_go_back_than_were_sent(shop):
    """Two returns of two units each of a line of three: of the second one can come, of a third none."""
    before = free(shop, "thrice", 3)
    early = shop.agreed_case("thrice", 1, None, "return", "changed_mind", 0, NOW, 1).case_id
    with pytest.raises(ImpossibleMoveError, match="of which none is with the buyer"):
        shop.act(returns.receive_back, early, 1, 1, NOW)
    with pytest.raises(RefundRefusedError, match="once units of it that were sent came back"):
        give_back(shop, early)
    send(shop, "thrice")
    first = came_back(shop, "thrice", 2)
    with pytest.raises(InvalidRequestError, match="1 units of the line were sent and are not back"):
        came_back(shop, "thrice", 2)
    second = came_back(shop, "thrice", 2, received=1)
    third = shop.agreed_case("thrice", 1, None, "return", "changed_mind", 0, NOW, 2).case_id
    for case in (third, early):
        with pytest.raises(ImpossibleMoveError, match="of which none is with the buyer"):
            shop.act(returns.receive_back, case, 1, 1, NOW)
    give_back(shop, first)
    assert shop.moved(before)["supplier_pending", "S1"] == 200
    give_back(shop, second)
    assert shop.moved(before) == {}
    for case in (third, early):
        with pytest.raises(RefundRefusedError):
            give_back(shop, case)
    assert gone(shop, "thrice") == (3, 3)
    assert sound(shop) == []


def test_a_return_of_which_nothing_came_gives_nothing_back(shop):
    before = free(shop, "none", 2)
    send(shop, "none")
    with pytest.raises(RefundRefusedError):
        give_back(shop, came_back(shop, "none", 2, received=0))
    give_back(shop, came_back(shop, "none", 2, received=1))
    assert shop.moved(before)["supplier_pending", "S1"] == 200


def test_units_that_come_back_after_the_release_are_taken_from_the_supplier(shop):
    before = free(shop, "late", 3)
    send(shop, "late")
    later = NOW + timedelta(days=30)
    receipts.confirm_receipts_due(shop.transaction, TENANT, later)
    release_due(shop.transaction, TENANT, later)
    assert shop.moved(before)["supplier_available", "S1"] == 600
    give_back(shop, came_back(shop, "late", 1, at=later), later)
    assert shop.moved(before)["supplier_available", "S1"] == 400
    assert sound(shop) == []


def test_goods_that_cost_nobody_anything_are_counted_all_the_same(shop):
    before = free(shop, "nobody", 3, supply=0)
    shop.act(cancel_units, "nobody", 1, 1, NOW)
    send(shop, "nobody")
    give_back(shop, came_back(shop, "nobody", 1))
    assert (shop.moved(before), gone(shop, "nobody")) == ({}, (2, 0))
    assert sound(shop) == []


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_to_which_units_the_supplier_is_paid_for_the_others(shop, seed):
    """Uneven fen: 1 to 7 units at 1 to 99 fen, cancelled, short and returned in random parts."""
    draw = random.Random(seed)
    name, qty, supply = f"any-{seed}", draw.randint(1, 7), draw.randint(1, 99)
    before = free(shop, name, qty, supply=supply)

    def paid_for():
        on_line, booked = gone(shop, name)
        assert on_line == booked
        due = supply * (qty - booked)
        wanted = {("supplier_pending", "S1"): due, ("subsidy", ""): -due} if due else {}
        assert shop.moved(before) == wanted
        return qty - booked

    left = qty
    while left and draw.random() < 0.6:
        shop.act(cancel_units, name, 1, draw.randint(1, left), NOW)
        left = paid_for()
    if left:
        stays = draw.randint(1, left)
        send(shop, name, short={1: stays} if stays < left else None)
        left = paid_for()
        while left:
            give_back(shop, came_back(shop, name, draw.randint(1, left)))
            left = paid_for()
    assert shop.stock_of("S1", name) == (100, 0, 100)
    assert sound(shop) == []


def test_cancellations_and_a_parcel_that_come_at_once_pay_for_what_was_sent(shop):
    """Six units, four threads that cancel one each, and the parcel: what it took along is paid, no more."""
    for number in range(6):
        name = f"race-{number}"
        before = free(shop, name, 6)
        shop.act(fulfilment.accept, name, "S1", {}, NOW)
        barrier = threading.Barrier(5)

        def cancel(name=name, barrier=barrier):
            barrier.wait()
            try:
                shop.act(cancel_units, name, 1, 1, NOW)
            except (ImpossibleMoveError, InvalidRequestError):
                return 0
            return 1

        def ship(name=name, barrier=barrier):
            barrier.wait()
            parcel = fulfilment.Parcel(f"p-{name}", NOW + timedelta(days=2), NOW)
            shop.act(fulfilment.ship, name, "S1", parcel, NOW)
            return 0

        with ThreadPoolExecutor(5) as threads:
            tasks = [threads.submit(work) for work in (cancel, cancel, ship, cancel, cancel)]
        cancelled = sum(task.result() for task in tasks)
        assert gone(shop, name) == (cancelled, cancelled)
        assert shop.read(name)[1][0].sent_qty == 6 - cancelled
        assert shop.moved(before)["supplier_pending", "S1"] == 200 * (6 - cancelled)
    assert sound(shop) == []


def test_returns_that_are_given_back_at_once_count_each_unit_once(shop):
    """Four threads, each with a return of two units of a line of five: five go back."""
    before = free(shop, "rush", 5)
    send(shop, "rush")
    cases = [came_back(shop, "rush", 2, received=came) for came in (2, 2, 1)]
    cases.append(shop.agreed_case("rush", 1, None, "return", "changed_mind", 0, NOW, 2).case_id)
    barrier = threading.Barrier(8)

    def back(case_id):
        barrier.wait()
        try:
            give_back(shop, case_id)
        except (ImpossibleMoveError, RefundRefusedError):
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        done = sum(threads.map(back, cases * 2))
    assert done == 3
    assert gone(shop, "rush") == (5, 5)
    assert shop.moved(before) == {}
    assert sound(shop) == []

"""After-sale cases with quantities: what came back bounds what is given back, and who decides a dispute."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from small_market import NOW, TENANT

from serving.orders.after_sales import after_sales, returns
from serving.orders.assortment import stock
from serving.orders.errors import ImpossibleMoveError, InvalidRequestError, NotFoundError, RefundRefusedError
from serving.orders.fulfilment import fulfilment, receipts
from serving.privacy.data_keys import Vault
from serving.privacy.envelope import new_master_key
from serving.privacy.master_key import Keyring
from serving.privacy.personal_fields import Recipient

pytestmark = pytest.mark.xdist_group("returns")  # one world for all, in order

DAY = timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
def market(shop):
    shop.plan()


def sold(shop, name, qty=3, price=1000):
    """A received order of one line at S1."""
    shop.list(name, price)
    shop.supply("S1", name, 20, price=600)
    shop.place(name, (name, qty))
    shop.pay(name)
    shop.act(fulfilment.accept, name, "S1", {}, NOW)
    parcel = fulfilment.Parcel(f"sh-{name}", NOW + 3 * DAY, NOW)
    shop.act(fulfilment.ship, name, "S1", parcel)
    shop.act(receipts.confirm_receipt, name, None, NOW)


def back(shop, name, qty, cents, kind="return"):
    return shop.act(after_sales.open_case, name, 1, None, kind, "broken", cents, NOW, qty)


def test_a_refund_of_3_units_when_2_came_back_is_refused(shop):
    """3 x 10.00; 2 of 3 come back, 1 can be sold again: at most 20.00, and one unit is stock again."""
    sold(shop, "three")
    case = back(shop, "three", 3, 3000)
    shop.act(returns.answer_case, case.case_id, agrees=True, reason_code=None, now=NOW)
    with pytest.raises(RefundRefusedError, match="0 came back"):
        shop.act(after_sales.refund_case, case.case_id, 1, NOW)
    sent = shop.act(returns.send_back, case.case_id, "SF", "SF-1", NOW + DAY)
    assert (sent.return_carrier, sent.return_tracking_no, sent.sent_back_at) == ("SF", "SF-1", NOW + DAY)
    assert shop.stock_of("S1", "three") == (17, 0, 17)
    came = shop.act(returns.receive_back, case.case_id, 2, 1, NOW + 2 * DAY)
    assert (came.received_qty, came.restocked_qty) == (2, 1)
    assert shop.stock_of("S1", "three") == (18, 0, 18)
    assert shop.sql(
        "select qty_delta, reason from orders.stock_movement where order_id = 'three' order by movement_id"
    ) == [(-3, "sale"), (1, "return")]
    with pytest.raises(RefundRefusedError, match="2 came back, worth 2000 fen"):
        shop.act(after_sales.refund_case, case.case_id, 3000, NOW)
    done = shop.act(after_sales.refund_case, case.case_id, 2000, NOW)
    assert (done.case.status, done.case.refund_cents) == ("open", 2000)
    with pytest.raises(RefundRefusedError):
        shop.act(after_sales.refund_case, case.case_id, 1, NOW)
    with pytest.raises(ImpossibleMoveError):
        shop.act(returns.receive_back, case.case_id, 3, 3, NOW)
    assert shop.act(after_sales.end_case, case.case_id, "close", NOW).status == "closed"


def test_a_count_from_before_the_return_does_not_lose_it(shop):
    sold(shop, "count")
    case = back(shop, "count", 1, 1000)
    shop.act(returns.receive_back, case.case_id, 1, 1, NOW + 2 * DAY)
    report = stock.StockReport("count", 15, 0, NOW + DAY)
    shop.act(stock.report_stock, "S1", [report], NOW + 3 * DAY)
    assert shop.stock_of("S1", "count") == (16, 0, 16)


def test_what_never_left_does_not_come_back(shop):
    """A part that its supplier rejected, and one that still waits: neither becomes stock by a return."""
    for name, ends in (("never", True), ("waits", False)):
        shop.list(name, 1000)
        shop.supply("S1", name, 20, price=600)
        shop.place(name, (name, 3))
        shop.pay(name)
        case = back(shop, name, 3, 3000)
        if ends:
            shop.act(fulfilment.reject, name, "S1", "broken", NOW)
        before = shop.stock_of("S1", name)
        with pytest.raises(ImpossibleMoveError, match="of which none is with the buyer"):
            shop.act(returns.receive_back, case.case_id, 3, 3, NOW)
        with pytest.raises(ImpossibleMoveError, match="of which none is with the buyer"):
            shop.act(returns.send_back, case.case_id, "SF", "SF-2", NOW)
        assert shop.stock_of("S1", name) == before


def test_returns_that_are_counted_at_once_bring_no_more_than_was_sent(shop):
    """Four cases of two units each of a line of five, counted by four threads: two of them count."""
    sold(shop, "flood", 5)
    cases = [back(shop, "flood", 2, 0).case_id for _ in range(4)]
    barrier = threading.Barrier(4)

    def count(case_id):
        barrier.wait()
        try:
            shop.act(returns.receive_back, case_id, 2, 2, NOW)
        except InvalidRequestError:
            return 0
        return 1

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(count, cases)) == 2
    assert shop.stock_of("S1", "flood") == (19, 0, 19)


def test_where_they_disagree_an_operator_decides(shop):
    sold(shop, "dispute")
    case = back(shop, "dispute", 2, 2000, kind="complaint")
    with pytest.raises(InvalidRequestError):
        shop.act(returns.answer_case, case.case_id, agrees=False, reason_code=None, now=NOW)
    shop.act(returns.answer_case, case.case_id, agrees=True, reason_code=None, now=NOW)
    with pytest.raises(ImpossibleMoveError, match="undisputed"):
        shop.act(returns.arbitrate, case.case_id, "refund", "needless", NOW)
    shop.act(returns.answer_case, case.case_id, agrees=False, reason_code="was_whole", now=NOW)
    with pytest.raises(RefundRefusedError, match="an operator decides"):
        shop.act(after_sales.refund_case, case.case_id, 500, NOW)
    decided = shop.act(returns.arbitrate, case.case_id, "refund", "photo", NOW + DAY)
    assert (decided.status, decided.decision, decided.decision_code) == ("open", "refund", "photo")
    assert shop.act(after_sales.refund_case, case.case_id, 2000, NOW).case.status == "refunded"
    with pytest.raises(ImpossibleMoveError):
        shop.act(returns.arbitrate, case.case_id, "reject", "again", NOW)


def test_a_decision_against_the_buyer_ends_the_case(shop):
    sold(shop, "against")
    case = back(shop, "against", 1, 1000, kind="complaint")
    shop.act(returns.answer_case, case.case_id, agrees=False, reason_code="was_whole", now=NOW)
    decided = shop.act(returns.arbitrate, case.case_id, "reject", "no_proof", NOW)
    assert (decided.status, decided.decision) == ("rejected", "reject")
    with pytest.raises(ImpossibleMoveError):
        shop.act(after_sales.refund_case, case.case_id, 1, NOW)
    with pytest.raises(ImpossibleMoveError):
        shop.act(returns.answer_case, case.case_id, agrees=True, reason_code=None, now=NOW)


def test_a_supplier_may_think_again_until_money_went_back(shop):
    sold(shop, "again")
    case = back(shop, "again", 1, 1000, kind="complaint")
    shop.act(returns.answer_case, case.case_id, agrees=False, reason_code="was_whole", now=NOW)
    shop.act(returns.answer_case, case.case_id, agrees=True, reason_code=None, now=NOW)
    shop.act(after_sales.refund_case, case.case_id, 400, NOW)
    with pytest.raises(ImpossibleMoveError):
        shop.act(returns.answer_case, case.case_id, agrees=False, reason_code="late", now=NOW)


def test_a_second_case_is_no_way_around_a_dispute(shop):
    """30.00 of a line that the supplier disputed and an operator rejected: its 18.00 stay where they are."""
    before = shop.balances()
    sold(shop, "bypass")
    sale = shop.moved(before)
    assert sale["supplier_pending", "S1"] == 1_800
    first = back(shop, "bypass", 3, 3_000, kind="complaint")
    shop.act(returns.answer_case, first.case_id, agrees=False, reason_code="was_whole", now=NOW)
    second = back(shop, "bypass", 3, 3_000, kind="refund")
    with pytest.raises(RefundRefusedError, match=first.case_id):
        shop.act(after_sales.refund_case, second.case_id, 3_000, NOW + 90 * DAY)
    shop.act(returns.arbitrate, first.case_id, "reject", "no_proof", NOW)
    third = back(shop, "bypass", 1, 1_000, kind="refund")
    for case in (second, third):
        with pytest.raises(RefundRefusedError, match="disputed or rejected"):
            shop.act(after_sales.refund_case, case.case_id, 1_000, NOW + 90 * DAY)
    assert shop.moved(before) == sale
    # An operator may think again about another case, and the supplier may give in.
    shop.act(returns.arbitrate, second.case_id, "refund", "photo", NOW)
    assert shop.act(after_sales.refund_case, second.case_id, 2_000, NOW).refund_cents == 2_000
    shop.act(returns.answer_case, third.case_id, agrees=True, reason_code=None, now=NOW)
    assert shop.act(after_sales.refund_case, third.case_id, 1_000, NOW).order_status == "refunded"
    assert shop.moved(before) == {}


def test_silence_is_consent_after_some_days_and_not_at_once(shop):
    sold(shop, "silent")
    case = back(shop, "silent", 3, 3_000, kind="refund")
    with pytest.raises(RefundRefusedError, match="until 2026-11-04T08:00"):
        shop.act(after_sales.refund_case, case.case_id, 3_000, NOW)
    almost = NOW + 3 * DAY - timedelta(seconds=1)
    with pytest.raises(RefundRefusedError, match="2026-11-04"):
        shop.act(after_sales.refund_case, case.case_id, 3_000, almost)
    with pytest.raises(RefundRefusedError, match="2026-11-08"):
        shop.act(after_sales.refund_case, case.case_id, 3_000, NOW + 3 * DAY, answer_days=7)
    assert shop.act(after_sales.refund_case, case.case_id, 3_000, NOW + 3 * DAY).refund_cents == 3_000


def test_an_operator_may_decide_before_the_supplier_answers(shop):
    sold(shop, "asked")
    case = back(shop, "asked", 1, 1_000, kind="refund")
    shop.act(returns.arbitrate, case.case_id, "refund", "photo", NOW)
    assert shop.act(after_sales.refund_case, case.case_id, 1_000, NOW).refund_cents == 1_000


def test_a_supplier_that_opens_a_case_or_takes_the_goods_back_agrees(shop):
    sold(shop, "own")
    own = shop.act(
        after_sales.open_case, "own", 1, None, "refund", "came_back", 1_000, NOW, 1, is_suppliers=True
    )
    assert (own.supplier_answer, own.answered_at) == ("agreed", NOW)
    assert shop.act(after_sales.refund_case, own.case_id, 1_000, NOW).refund_cents == 1_000
    case = back(shop, "own", 1, 1_000)
    shop.act(returns.receive_back, case.case_id, 1, 0, NOW)
    assert shop.act(after_sales.refund_case, case.case_id, 1_000, NOW).refund_cents == 1_000


def test_freight_of_a_parcel_that_left_needs_its_supplier_too(shop):
    shop.list("freight", 1_000)
    shop.supply("S1", "freight", 20, price=600, freight=500)
    shop.place("freight", ("freight", 1))
    shop.pay("freight")
    early = shop.act(after_sales.open_case, "freight", 0, "S1", "refund", "late", 100, NOW)
    # Nothing is shipped: the shop may let the buyer go.
    assert shop.act(after_sales.refund_case, early.case_id, 100, NOW).refund_cents == 100
    shop.act(fulfilment.accept, "freight", "S1", {}, NOW)
    shop.act(fulfilment.ship, "freight", "S1", fulfilment.Parcel("sh-freight", NOW + 3 * DAY, NOW))
    late = shop.act(after_sales.open_case, "freight", 0, "S1", "refund", "late", 400, NOW)
    with pytest.raises(RefundRefusedError, match="has not answered"):
        shop.act(after_sales.refund_case, late.case_id, 400, NOW)


def test_quantities_that_make_no_sense(shop):
    sold(shop, "sense", qty=2)
    with pytest.raises(InvalidRequestError):
        back(shop, "sense", 3, 1000)
    with pytest.raises(RefundRefusedError, match="cost 1000"):
        back(shop, "sense", 1, 1001)
    with pytest.raises(InvalidRequestError):
        shop.act(after_sales.open_case, "sense", 0, "S1", "return", "why", 0, NOW, 1)
    case = back(shop, "sense", 1, 1000)
    with pytest.raises(InvalidRequestError):
        shop.act(returns.receive_back, case.case_id, 2, 0, NOW)
    with pytest.raises(InvalidRequestError):
        shop.act(returns.receive_back, case.case_id, 1, 2, NOW)
    complaint = back(shop, "sense", 1, 1000, kind="complaint")
    with pytest.raises(ImpossibleMoveError):
        shop.act(returns.receive_back, complaint.case_id, 1, 1, NOW)
    with pytest.raises(NotFoundError):
        shop.act(returns.send_back, "as-none", "SF", "1", NOW)
    assert shop.stock_of("S1", "sense") == (18, 0, 18)


def test_a_return_address_is_sealed(shop):
    keyring = Keyring((new_master_key(),))
    vault = Vault(lambda: keyring)
    sold(shop, "sealed")
    case = back(shop, "sealed", 1, 1000)
    address = Recipient("李仓库", "13900001111", "宁波市北仑区 8 号")
    with shop.transaction() as conn:
        returns.put_return_address(conn, vault, TENANT, case.case_id, address)
    with shop.transaction() as conn:
        assert returns.get_return_address(conn, vault, TENANT, case.case_id) == address
        assert returns.get_return_address(conn, vault, TENANT, "as-none") is None
    assert "13900001111" not in str(shop.sql("select t::text from orders.return_address t"))

"""Coupons on a real database: who bears them, budgets under races, going back; amounts in fen."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from small_market import NOW, STRICT, TENANT

from serving.ledger.accounts import Party
from serving.ledger.invariants import check
from serving.orders.after_sales import after_sales
from serving.orders.coupons import issuing, store
from serving.orders.errors import (
    ConsentRefusedError,
    CouponExhaustedError,
    DiscountRefusedError,
    ImpossibleMoveError,
    InvalidRequestError,
    ProgrammeStateError,
)
from serving.orders.fulfilment import fulfilment
from serving.orders.placing import placing
from serving.orders.placing.cancelling import expire_unpaid
from serving.settlement.reports.explain import explain

pytestmark = pytest.mark.xdist_group("coupons")  # one world for all, in order

DAY = timedelta(days=1)
M1 = {"issuer": ("merchant", "m1")}


@pytest.fixture(scope="module", autouse=True)
def plan(shop):
    return shop.plan()


def goods(shop, name, *, price=10_000, supply=8_000, qty=500, supplier="S1"):
    shop.list(name, price)
    shop.supply(supplier, name, qty, price=supply)


def half_off(shop, **more):
    """A programme of 50% off, by default all at the cost of merchant m1."""
    return shop.programme(kind="percentage", off_bps=5_000, **(M1 | more))


def sound(shop):
    with shop.transaction() as conn:
        return [violation for violation in check(conn, TENANT) if violation.invariant != "L3"]


def spent(shop, programme_id):
    return shop.sql(
        "select spent_cents, spent_count from coupons.programme where programme_id = %(id)s", id=programme_id
    )[0]


def test_a_discount_beyond_the_funders_share_is_refused_at_placing(shop):
    """50.00 off 100.00 at supply 80.00: the sale leaves the merchant nothing that could carry it."""
    goods(shop, "dear")
    code = shop.code(half_off(shop))
    with pytest.raises(DiscountRefusedError, match=r"would bear 5000 fen of line 1.*carries only 0"):
        shop.place("dear-1", ("dear", 1), coupon_codes=[code])
    assert shop.stock_of("S1", "dear")[1] == 0
    assert shop.sql("select used_count from coupons.coupon where code = %(code)s", code=code) == [(0,)]


def test_what_the_share_does_not_carry_is_the_funders_receivable(shop):
    """The same sale by a programme that says so: 50.00 is the merchant's debt, and the platform pays nothing.

    The buyer pays 50.00, the supplier gets 80.00: the platform advances 30.00 and is owed 50.00.
    """
    goods(shop, "owing")
    programme = half_off(shop, beyond_share="receivable")
    before = shop.balances()
    shop.place("owing-1", ("owing", 1), coupon_codes=[shop.code(programme)])
    shop.pay("owing-1")
    assert shop.moved(before) == {
        ("channel_frozen", ""): -5_000,
        ("supplier_pending", "S1"): 8_000,
        ("subsidy", ""): -3_000 + 5_000,
        ("clawback_receivable", "m1"): -5_000,
    }
    assert sound(shop) == []
    for viewer in (None, Party("merchant", "m1")):
        (told,) = shop.act(explain, "owing-1", viewer).discounts
        assert (told.discount_cents, told.owed_cents, told.party_id) == (5_000, 5_000, "m1")
        assert told.formula == "discount 50.00 - 0.00 out of its share of the line = 50.00 owed"
    assert shop.act(explain, "owing-1", Party("supplier", "S1")).discounts == []
    # A third of it is returned, then the rest: the debt goes in step, and nothing is left.
    case = shop.act(after_sales.open_case, "owing-1", 1, None, "return", "broken", 5_000, NOW + DAY)
    shop.act(after_sales.refund_case, case.case_id, 1_667, NOW + DAY)
    assert shop.moved(before)["clawback_receivable", "m1"] == -(5_000 - 5_000 * 1_667 // 5_000)
    assert sound(shop) == []
    shop.act(after_sales.refund_case, case.case_id, 3_333, NOW + DAY)
    assert shop.moved(before) == {}
    assert sound(shop) == []


def test_a_funder_pays_from_its_share_first(shop):
    """100.00 less 10.00, supply 40.00: the share of 20% of 90.00 is 18.00, and 8.00 after the discount."""
    goods(shop, "thick", supply=4_000)
    programme = shop.programme(kind="threshold", off_cents=1_000, min_goods_cents=1_000, **M1)
    before = shop.balances()
    shop.place("thick-1", ("thick", 1), coupon_codes=[shop.code(programme)])
    shop.pay("thick-1")
    moved = shop.moved(before)
    assert moved["merchant_pending", "m1"] == 800
    # Platform and fund keep 90.00 - 40.00 - 8.00.
    assert moved["platform_fee", ""] + moved["support_fund", ""] == 4_200
    assert ("clawback_receivable", "m1") not in moved
    assert shop.sql(
        "select discount_cents, owed_cents from settlement.discount_debt where order_id = 'thick-1'"
    ) == [(1_000, 0)]
    assert sound(shop) == []


def test_on_an_agents_sale_the_merchant_has_no_share_to_pay_from(shop):
    """The agent's share stays whole: the merchant refuses, or owes all of it."""
    goods(shop, "agents", supply=4_000)
    shop.agent("seller-c")
    ten = {"kind": "threshold", "off_cents": 1_000, "min_goods_cents": 1_000, **M1}
    with pytest.raises(DiscountRefusedError, match="carries only 0"):
        shop.place("ag-1", ("agents", 1), agent_id="seller-c", coupon_codes=[shop.off(**_off(ten))])
    before = shop.balances()
    code = shop.code(shop.programme(**ten, beyond_share="receivable"))
    shop.place("ag-2", ("agents", 1), agent_id="seller-c", coupon_codes=[code])
    shop.pay("ag-2")
    moved = shop.moved(before)
    assert (moved["agent_pending", "seller-c"], moved["clawback_receivable", "m1"]) == (1_800, -1_000)
    assert sound(shop) == []


def _off(terms):
    return {"cents": terms["off_cents"]} | {k: v for k, v in terms.items() if k == "issuer"}


def test_a_supplier_bears_its_share_of_what_it_ships(shop):
    """Platform and supplier S7 halve 20.00 off 100.00 of S7's line; the other line bears nothing."""
    goods(shop, "shared", supply=6_000, supplier="S7")
    goods(shop, "other", supply=6_000, supplier="S8")
    funders = {("platform", ""): 5_000, ("supplier", "S7"): 5_000}
    programme = shop.programme(kind="percentage", off_bps=2_000, funders=funders)
    before = shop.balances()
    shop.place("sh-1", ("shared", 1), ("other", 1), coupon_codes=[shop.code(programme)])
    shop.pay("sh-1")
    moved = shop.moved(before)
    assert (moved["supplier_pending", "S7"], moved["supplier_pending", "S8"]) == (5_000, 6_000)
    lines = shop.read("sh-1")[1]
    assert [line.coupon_discount_cents for line in lines] == [2_000, 0]
    assert sound(shop) == []


def test_funders_agree_to_these_terms_before_anything_is_issued(shop):
    funders = {("platform", ""): 5_000, ("supplier", "S1"): 5_000}
    programme = shop.programme(kind="percentage", off_bps=1_000, funders=funders, agree=False)
    with pytest.raises(ProgrammeStateError, match="proposed"):
        shop.code(programme)

    def agree(kind, party, digest):
        return shop.act(store.consent, programme, kind, party, digest, "key", NOW)

    with shop.transaction() as conn:
        digest = store.find(conn, TENANT, programme).terms.digest()
    with pytest.raises(ConsentRefusedError, match="bears no share"):
        agree("supplier", "S2", digest)
    with pytest.raises(ConsentRefusedError, match="digest"):
        agree("supplier", "S1", "0" * 64)
    assert agree("supplier", "S1", digest) is True
    assert agree("supplier", "S1", digest) is False
    assert shop.code(programme)
    assert shop.act(store.close, programme, "key", NOW) is True
    assert shop.act(store.close, programme, "key", NOW) is False
    with pytest.raises(ProgrammeStateError, match="closed"):
        agree("supplier", "S1", digest)
    with pytest.raises(ProgrammeStateError, match="closed"):
        shop.code(programme)


def test_a_code_is_taken_where_when_and_from_whom_it_says(shop):
    goods(shop, "where", supply=1_000)
    terms = {"kind": "percentage", "off_bps": 1_000}
    mine = shop.code(shop.programme(**terms, merchant_ids=("m1",)), consumer_id="c1", max_uses=9)
    closed = shop.programme(**terms)
    ended = shop.code(closed)
    shop.act(store.close, closed, "key", NOW)
    late = shop.code(shop.programme(**terms, valid_from=NOW + DAY))
    short = shop.code(shop.programme(**terms), expires_at=NOW + DAY)
    shop.list("where", 10_000, merchant="m2")
    for number, (codes, more, message) in enumerate(
        (
            (["NOTHING"], {}, "no coupon 'NOTHING'"),
            ([mine], {"consumer": "c2"}, "no coupon"),
            ([mine], {"merchant": "m2"}, "does not hold in the shop 'm2'"),
            ([mine, mine], {}, "twice"),
            ([ended], {}, "closed"),
            ([late], {}, "is taken from"),
            ([short], {"at": NOW + DAY}, "until"),
        )
    ):
        with pytest.raises(DiscountRefusedError, match=message):
            shop.place(f"where-{number}", ("where", 1), coupon_codes=codes, **more)
    shop.place("where-ok", ("where", 1), coupon_codes=[mine])
    assert issuing.Coupon("c", "p", None, 1, 0, NOW, NOW + DAY).state(NOW + DAY) == "expired"
    with pytest.raises(InvalidRequestError, match="expires_at"):
        shop.code(shop.programme(**terms), expires_at=NOW)
    with pytest.raises(ProgrammeStateError, match="ended"):
        shop.code(shop.programme(**terms), at=NOW + 90 * DAY)


def test_coupons_of_one_consumer_and_one_use_are_counted(shop):
    goods(shop, "count", supply=1_000)
    programme = shop.programme(kind="percentage", off_bps=1_000, per_consumer_count=1)
    once, again = shop.code(programme), shop.code(programme, max_uses=2)
    shop.place("count-1", ("count", 1), coupon_codes=[once])
    with pytest.raises(CouponExhaustedError, match="used before"):
        shop.place("count-2", ("count", 1), consumer="c2", coupon_codes=[once])
    with pytest.raises(CouponExhaustedError, match="A consumer may use 1"):
        shop.place("count-2", ("count", 1), coupon_codes=[again])
    shop.place("count-2", ("count", 1), consumer="c2", coupon_codes=[again])
    shop.place("count-3", ("count", 1), consumer="c3", coupon_codes=[again])
    with pytest.raises(CouponExhaustedError, match="used before"):
        shop.place("count-4", ("count", 1), consumer="c4", coupon_codes=[again])
    assert spent(shop, programme) == (3_000, 3)


def test_what_ends_with_its_order_goes_back_as_the_rule_says(shop):
    """Cancelled: back to the consumer. Refunded in full: the budget is free, the coupon is gone."""
    goods(shop, "ends", supply=1_000)
    programme = shop.programme(kind="percentage", off_bps=1_000, per_consumer_count=1)
    code = shop.code(programme)
    shop.place("ends-1", ("ends", 1), coupon_codes=[code])
    assert spent(shop, programme) == (1_000, 1)
    shop.act(placing.cancel_order, "ends-1")
    assert spent(shop, programme) == (0, 0)
    with pytest.raises(ImpossibleMoveError):
        shop.act(placing.cancel_order, "ends-1")
    shop.place("ends-2", ("ends", 1), coupon_codes=[code])
    shop.pay("ends-2")
    case = shop.act(after_sales.open_case, "ends-2", 1, None, "return", "x", 9_000, NOW + DAY)
    shop.act(after_sales.refund_case, case.case_id, 8_999, NOW + DAY)
    assert spent(shop, programme) == (1_000, 1)
    shop.act(after_sales.refund_case, case.case_id, 1, NOW + DAY)
    assert spent(shop, programme) == (0, 0)
    states = shop.sql("select state from coupons.redemption where code = %(c)s order by order_id", c=code)
    assert states == [("given_back",), ("forfeited",)]
    with pytest.raises(CouponExhaustedError):
        shop.place("ends-3", ("ends", 1), coupon_codes=[code])
    # The consumer's own limit counts what was forfeited, not what was given back.
    with pytest.raises(CouponExhaustedError, match="A consumer"):
        shop.place("ends-3", ("ends", 1), coupon_codes=[shop.code(programme)])


def test_an_unpaid_order_that_expires_gives_its_coupon_back(shop):
    goods(shop, "forgotten", supply=1_000)
    programme = shop.programme(kind="percentage", off_bps=1_000, per_consumer_count=1)
    code = shop.code(programme)
    shop.place("forgotten-1", ("forgotten", 1), coupon_codes=[code])
    expire_unpaid(shop.transaction, TENANT, NOW + DAY)
    assert (shop.read("forgotten-1")[0].status, spent(shop, programme)) == ("cancelled", (0, 0))
    shop.place("forgotten-2", ("forgotten", 1), coupon_codes=[code])


def race(buyers, order):
    """Every buyer at the same moment; the outcomes by kind."""
    outcomes, lock, gate = Counter(), threading.Lock(), threading.Barrier(buyers)

    def buy(number):
        gate.wait()
        try:
            order(number)
            outcome = "placed"
        except Exception as error:  # noqa: BLE001 - counted and compared below
            outcome = type(error).__name__
        with lock:
            outcomes[outcome] += 1

    threads = [threading.Thread(target=buy, args=(number,)) for number in range(buyers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(outcomes)


@pytest.mark.parametrize(
    "last", [{"budget_count": 1}, {"budget_cents": 1_999}], ids=["the last redemption", "the last fen"]
)
def test_of_64_who_redeem_the_last_of_a_budget_one_wins(shop, last):
    """Each has a coupon and a line of their own; only the budget is common."""
    name = "-".join(last)
    goods(shop, name, supply=1_000)
    programme = shop.programme(kind="percentage", off_bps=1_000, **last)
    codes = [shop.code(programme) for _ in range(64)]
    outcomes = race(
        64,
        lambda n: shop.place(f"{name}-{n}", (name, 1), consumer=f"{name}-{n}", coupon_codes=[codes[n]]),
    )
    assert outcomes == {"placed": 1, "CouponExhaustedError": 63}
    assert spent(shop, programme) == (1_000, 1)
    assert shop.stock_of("S1", name)[1] == 1


def test_crossing_coupons_and_cancellations_do_not_deadlock(shop):
    """Two open codes of two programmes named in both orders, and cancelled at once."""
    for number in (0, 1):
        goods(shop, f"cross-{number}", supply=1_000)
    first = shop.code(shop.programme(kind="percentage", off_bps=1_000), max_uses=99)
    second = shop.code(shop.programme(kind="threshold", off_cents=1_000, min_goods_cents=10_000), max_uses=99)

    def order(number):
        codes = [first, second] if number % 2 else [second, first]
        name = f"cross-order-{number}"
        shop.place(name, (f"cross-{number % 2}", 1), coupon_codes=codes)
        shop.act(placing.cancel_order, name)

    assert race(16, order) == {"placed": 16}
    assert shop.sql(
        "select used_count from coupons.coupon where code = any(%(codes)s)", codes=[first, second]
    ) == [(0,), (0,)]


def test_a_line_of_a_supplier_that_funds_it_is_refunded_rather_than_given_to_another(shop):
    goods(shop, "stay", supply=6_000, supplier="S1")
    shop.supply("S2", "stay", 5, price=6_100)
    funders = {("supplier", "S1"): 10_000}
    code = shop.code(shop.programme(kind="percentage", off_bps=1_000, funders=funders))
    shop.place("stay-1", ("stay", 1), coupon_codes=[code])
    shop.pay("stay-1")
    shop.act(fulfilment.reject, "stay-1", "S1", "none left", NOW + DAY)
    assert shop.read("stay-1")[0].status == "refunded"
    assert sound(shop) == []


def test_a_debt_follows_its_line_to_another_supplier(shop):
    """100.00 less 10.00: at supply 79.00 the merchant's share of 11.00 carries it, at 85.00 it is 5.00.

    Sold again with the dearer supplier the merchant owes 5.00, and takes them back when the buyer returns it.
    """
    goods(shop, "moves", supply=7_900)
    shop.supply("S2", "moves", 5, price=8_500)
    ten = {"kind": "threshold", "off_cents": 1_000, "min_goods_cents": 1_000, "beyond_share": "receivable"}
    code = shop.code(shop.programme(**ten, **M1))
    before = shop.balances()
    shop.place("moves-1", ("moves", 1), coupon_codes=[code])
    shop.pay("moves-1")
    assert shop.moved(before)["merchant_pending", "m1"] == 100
    assert ("clawback_receivable", "m1") not in shop.moved(before)
    outcome = shop.act(fulfilment.reject, "moves-1", "S1", "none left", NOW + DAY)
    assert outcome.moved == {1: "S2"}
    moved = shop.moved(before)
    assert moved["clawback_receivable", "m1"] == -500
    assert ("merchant_pending", "m1") not in moved
    assert sound(shop) == []
    case = shop.act(after_sales.open_case, "moves-1", 1, None, "refund", "x", 9_000, NOW + DAY)
    shop.act(after_sales.refund_case, case.case_id, 9_000, NOW + DAY)
    assert shop.moved(before) == {}
    assert sound(shop) == []


def test_the_daily_check_finds_a_funder_who_lost_less_than_its_discount(shop):
    goods(shop, "thin", supply=8_000)
    programme = half_off(shop, beyond_share="receivable")
    shop.place("thin-1", ("thin", 1), coupon_codes=[shop.code(programme)], plan=STRICT)
    shop.pay("thin-1")
    assert sound(shop) == []
    shop.sql("update settlement.discount_debt set owed_cents = 4999 where order_id = 'thin-1'")
    found = sound(shop)
    assert {violation.rule for violation in found} == {"a funder lost exactly its discount"}
    assert any("thin-1" in violation.subject for violation in found)
    shop.sql("update settlement.discount_debt set owed_cents = 5000 where order_id = 'thin-1'")


def test_a_line_that_a_coupon_made_free_keeps_the_coupon_used_while_the_buyer_keeps_the_line(shop):
    """30.00 off 30.00, and 70.00 paid for another line: once those are back the gift still costs."""
    shop.list("gift", 3000)
    shop.supply("S2", "gift", 50, price=1000)
    shop.list("beside", 7000)
    shop.supply("S3", "beside", 50, price=3000)
    terms = {"sku_ids": ("gift",), "beyond_share": "receivable", "gives_back": ("cancel", "refund")}
    code = shop.off(3000, issuer=("merchant", "m1"), budget_cents=3000, **terms)
    state = "select state from coupons.redemption where code = %(code)s"
    shop.place("gift", ("gift", 1), ("beside", 1), coupon_codes=[code])
    shop.pay("gift")
    shop.act(fulfilment.reject, "gift", "S3", "none", NOW)
    assert shop.read("gift")[0].status == "refunded"
    assert shop.sql(state, code=code) == [("redeemed",)]
    # Nobody ships the gift either: now the coupon bought nothing.
    shop.act(fulfilment.reject, "gift", "S2", "none", NOW)
    assert shop.sql(state, code=code) == [("given_back",)]

"""What keeps money from being released, and what happens to it then: holds, deadline, locks, re-routing."""

import datetime as dt

import pytest
from settlement_books import DAY, DUE, PAID, PAYDAY, RECEIVED, plan
from settlement_sales import sale, worked_example

from serving.ledger.accounts import Party
from serving.orders.fulfilment.receipts import confirm_receipts_due
from serving.orders.settling import refund_line, unfreeze_due
from serving.settlement.books.accrual import accrue_orders, reaccrue_line
from serving.settlement.books.referral_unlock import unlock_due
from serving.settlement.control.holds import (
    confirm_hold,
    expire_holds,
    holds_on,
    lift_hold,
    on_leg,
    on_order,
    on_party,
    on_sub_order,
    place_hold,
)
from serving.settlement.errors import (
    AccrualError,
    HoldResolvedError,
    HoldTargetError,
    UnknownHoldError,
    UnknownOrderError,
)
from serving.settlement.payouts import prepare_payouts
from serving.settlement.sharing.freeze import CartLine
from serving.settlement.sharing.snapshot import FreightSnapshot, OrderSnapshot, Parties
from serving.settlement.sharing.snapshot import Party as OrderParty

MERCHANT = Party("merchant", "m1")
SUPPLIER = Party("supplier", "S1")
DAY_25 = PAID + 25 * DAY


@pytest.fixture
def sold(books):
    """100.00 by S1: supply 60.00, fee 0.60, seller m1 20.00, fund 4.85, platform 14.55."""
    books.party(*MERCHANT)
    books.party(*SUPPLIER)
    books.sell(sale("o1"))
    return books


def leg_of(books, kind, order_id="o1"):
    return books.rows("select leg_id from settlement.leg where kind = %s and order_id = %s", kind, order_id)[
        0
    ][0]


def open_case(books, order_id="o1", supplier="S1", status="open"):
    with books.transactions() as conn:
        conn.execute(
            "insert into orders.after_sale (tenant_id, case_id, order_id, line_no, supplier_id, kind,"
            " reason_code, status, requested_cents, opened_at)"
            " values (%s, %s, %s, 1, %s, 'return', 'broken', %s, 1, %s)",
            (books.tenant, books.new_id("case"), order_id, supplier, status, PAID),
        )


def placed(books, target, *, expires_at=None, source="risk", now=PAID):
    return books.do(place_hold, target, source, "score_high", now, expires_at)


def test_an_open_case_keeps_its_sub_order_and_no_other(books):
    for party in (("supplier", "S1"), ("supplier", "S2"), ("agent", "a1"), ("agent", "a2")):
        books.party(*party)
    books.sell(worked_example(), plan("worked_20_8_25"))
    open_case(books, supplier="S2")
    assert books.release().sub_orders == 1
    assert books.balance("supplier_available", ("supplier", "S1")) == 7_000
    assert books.balance("supplier_pending", ("supplier", "S2")) == 8_570
    with books.transactions() as conn:
        conn.execute("update orders.after_sale set status = 'rejected'")
    assert books.release().sub_orders == 1
    assert books.rows("select status from orders.customer_order") == [("completed",)]


def test_a_payee_who_is_not_verified_waits_alone(sold):
    sold.party(*MERCHANT, is_verified=False)
    assert sold.release().paid_cents == 6_000
    assert sold.balance("merchant_pending", MERCHANT) == 2_000
    assert sold.balance("channel_frozen") == -2_000
    assert sold.release().legs == 0
    sold.party(*MERCHANT)
    assert sold.release().paid_cents == 2_000
    assert sold.balance("channel_frozen") == 0
    assert sold.violations() == []


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        (lambda books: on_leg(leg_of(books, "direct"), "o1"), {"merchant_pending"}),
        (lambda books: on_leg(leg_of(books, "supplier"), "o1"), {"supplier_pending"}),
        (lambda books: on_sub_order("o1", "S1"), {"merchant_pending", "supplier_pending"}),
        (lambda books: on_order("o1"), {"merchant_pending", "supplier_pending"}),
        (lambda books: on_party(MERCHANT), {"merchant_pending"}),
    ],
    ids=["leg", "supplier leg", "sub-order", "order", "party"],
)
def test_a_hold_keeps_what_it_is_on_until_it_is_lifted(sold, target, kept):
    hold = placed(sold, target(sold))
    sold.release()
    assert {kind for kind, _ in sold.trial() if kind.endswith("_pending")} == kept
    lifted = sold.do(lift_hold, hold.hold_id, "operator-1", DUE)
    assert (lifted.state, lifted.resolved_by) == ("lifted", "operator-1")
    assert sold.do(lift_hold, hold.hold_id, "operator-2", DUE + DAY) == lifted
    with pytest.raises(HoldResolvedError):
        sold.do(confirm_hold, hold.hold_id, "operator-1", DUE)
    sold.release()
    assert {kind for kind, _ in sold.trial() if kind.endswith("_pending")} == set()
    assert sold.violations() == []


def test_a_confirmed_hold_on_an_order_takes_the_commission_and_pays_the_supplier(sold):
    hold = placed(sold, on_order("o1"))
    confirmed = sold.do(confirm_hold, hold.hold_id, "operator-1", DUE)
    assert confirmed.state == "confirmed"
    assert sold.do(confirm_hold, hold.hold_id, "operator-1", DUE) == confirmed
    with pytest.raises(HoldResolvedError):
        sold.do(lift_hold, hold.hold_id, "operator-1", DUE)
    assert sold.balance("merchant_pending", MERCHANT) == 0
    assert sold.balance("platform_fee") == 1_455 + 2_000
    explanation = sold.rows("select explanation from settlement.leg where kind = 'direct'")[0][0]
    assert explanation.endswith("forfeited: risk score_high")
    sold.release()
    assert sold.balance("supplier_available", SUPPLIER) == 6_000
    assert sold.balance("merchant_available", MERCHANT) == 0
    # The buyer still gets all of it back.
    sold.do(refund_line, "r1", "o1", 1, "S1", 3_333, DUE)
    assert sold.violations() == []
    sold.do(refund_line, "r2", "o1", 1, "S1", 6_667, DUE)
    assert sold.trial() == {}


def test_a_confirmed_hold_on_a_party_stays_in_force_for_releases_and_pay_outs(sold):
    sold.release()
    sold.sell(sale("o2"))
    hold = placed(sold, on_party(MERCHANT))
    sold.do(confirm_hold, hold.hold_id, "operator-1", DUE)
    sold.release()
    assert sold.balance("merchant_pending", MERCHANT) == 2_000
    paid = {payout.party for payout in sold.do(prepare_payouts, "b1", "simulated", PAYDAY)}
    assert paid == {SUPPLIER}


def test_a_hold_that_expired_stops_nothing_and_a_new_one_can_be_placed(sold):
    hold = placed(sold, on_order("o1"), expires_at=PAID + DAY)
    with pytest.raises(HoldResolvedError, match="expired"):
        sold.do(confirm_hold, hold.hold_id, "operator-1", PAID + DAY)
    again = placed(sold, on_order("o1"), now=PAID + 2 * DAY, expires_at=PAID + 3 * DAY)
    assert again.hold_id != hold.hold_id
    assert sold.do(expire_holds, PAID + 4 * DAY) == 1
    states = [(h.state, h.resolved_by, h.resolved_at) for h in sold.do(holds_on, on_order("o1"))]
    assert states == [("lifted", "expiry", PAID + DAY), ("lifted", "expiry", PAID + 3 * DAY)]
    assert sold.release().legs == 5


def test_the_same_hold_again_is_the_same_hold_and_the_later_end_counts(sold):
    first = placed(sold, on_order("o1"), expires_at=PAID + 3 * DAY)
    again = placed(sold, on_order("o1"), expires_at=PAID + 2 * DAY)
    assert (again.hold_id, again.expires_at) == (first.hold_id, PAID + 3 * DAY)
    assert placed(sold, on_order("o1")).expires_at is None
    other = placed(sold, on_order("o1"), source="operator")
    assert other.hold_id != first.hold_id
    sold.do(lift_hold, first.hold_id, "a", DUE)
    assert sold.release().legs == 0


@pytest.mark.parametrize(
    "target",
    [on_leg(1 << 40, "o1"), on_sub_order("o1", "S9"), on_party(Party("agent", "nobody"))],
    ids=["leg", "sub-order", "party"],
)
def test_a_hold_needs_a_target(sold, target):
    with pytest.raises(HoldTargetError):
        placed(sold, target)


def test_impossible_holds_are_refused(sold):
    with pytest.raises(UnknownOrderError):
        placed(sold, on_order("o9"))
    with pytest.raises(UnknownHoldError):
        sold.do(lift_hold, 1 << 40, "a", DUE)
    with pytest.raises(HoldTargetError, match="expired"):
        placed(sold, on_order("o1"), expires_at=PAID)
    sold.release()
    with pytest.raises(HoldTargetError, match="too late"):
        placed(sold, on_order("o1"))


def test_the_deadline_frees_the_channel_and_says_why_the_rest_waits(books):
    books.party(*SUPPLIER)
    books.party(*MERCHANT, is_verified=False)
    books.sell(sale("o1"))
    books.sell(sale("o2"), received_at=PAID + 20 * DAY, release_due_at=PAID + 27 * DAY)
    books.sell(sale("o3"), status="paid")
    books.sell(sale("o4"))
    placed(books, on_order("o4"))
    open_case(books, "o4")
    assert unfreeze_due(books.transactions, books.tenant, DAY_25 - dt.timedelta(seconds=1)) == []
    found = unfreeze_due(books.transactions, books.tenant, DAY_25)
    assert {(w.order_id, w.payee.party_type): w.reasons for w in found} == {
        ("o1", "merchant"): ("not_verified",),
        ("o2", "supplier"): ("window",),
        ("o2", "merchant"): ("window", "not_verified"),
        ("o3", "supplier"): ("not_received",),
        ("o3", "merchant"): ("not_received", "not_verified"),
        ("o4", "supplier"): ("after_sale_open", "hold:score_high"),
        ("o4", "merchant"): ("after_sale_open", "hold:score_high", "not_verified"),
    }
    assert books.balance("channel_frozen") == 0
    assert books.balance("channel_available") == -40_000
    assert books.balance("supplier_available", SUPPLIER) == 6_000
    assert unfreeze_due(books.transactions, books.tenant, DAY_25) == []
    assert books.violations() == []
    # The later release and refund do not move the frozen account again.
    books.party(*MERCHANT)
    books.release(PAID + 27 * DAY)
    books.do(refund_line, "r1", "o3", 1, "S1", 10_000, DAY_25)
    assert books.balance("channel_frozen") == 0
    assert books.balance("channel_available") == -30_000
    assert books.violations() == []


def test_receipt_is_confirmed_on_the_tenth_day_and_released_on_the_seventeenth(books):
    books.party(*SUPPLIER)
    books.party(*MERCHANT)
    books.sell(sale("o1"), status="paid")
    with books.transactions() as conn:
        conn.execute("update orders.sub_order set status = 'shipped', shipped_at = %s", (PAID,))
        conn.execute("update orders.customer_order set status = 'shipped'")
    early = PAID + 10 * DAY - dt.timedelta(seconds=1)
    assert confirm_receipts_due(books.transactions, books.tenant, early) == 0
    late = PAID + 12 * DAY
    assert confirm_receipts_due(books.transactions, books.tenant, late) == 1
    assert books.rows("select status, received_at, release_due_at from orders.sub_order") == [
        ("received", PAID + 10 * DAY, PAID + 17 * DAY)
    ]
    assert books.rows("select status from orders.customer_order") == [("received",)]
    assert books.release(PAID + 17 * DAY - dt.timedelta(seconds=1)).legs == 0
    assert books.release(PAID + 17 * DAY).legs == 5


def refer(books, number, *, price=10_000, received_at=RECEIVED):
    """A first purchase of 100.00 by a buyer whom u1 referred: 10.00 locked for u1."""
    order = sale(
        f"ref{number}",
        cart=[CartLine(1, "A", (), "S1", 1, price, price * 6 // 10)],
        consumer_id=f"buyer{number}",
        parties=Parties(
            OrderParty("merchant", "m1"),
            upline=(OrderParty("agent", "u1"),),
            is_first_purchase=True,
        ),
    )
    books.sell(order, received_at=received_at, release_due_at=received_at + 7 * DAY)


@pytest.fixture
def referrer(books):
    for party in (MERCHANT, SUPPLIER, ("agent", "u1")):
        books.party(*party)
    return books


def unlock(books, now=DUE):
    return unlock_due(books.transactions, books.tenant, now)


def test_every_third_released_invitee_unlocks_a_batch(referrer):
    inviter = ("agent", "u1")
    for number in range(4):
        refer(referrer, number)
        assert referrer.balance("agent_locked", inviter) == 1_000 * (number + 1)
        referrer.release()
        done = unlock(referrer)
        assert done.batches == (1 if number == 2 else 0)
        if number == 2:
            break
    # Three legs of 10.00 are below the mean order of 100.00: all of it is paid.
    assert done.paid_cents == 3_000
    assert referrer.balance("agent_available", inviter) == 3_000
    assert referrer.balance("channel_frozen") == 0
    assert referrer.violations() == []
    for number in range(3):
        referrer.do(refund_line, f"r{number}", f"ref{number}", 1, "S1", 10_000, DUE)
    assert referrer.balance("agent_available", inviter) == 0
    assert referrer.violations() == []


def test_a_batch_pays_no_more_than_the_mean_order(referrer):
    """The limit follows refunds: what is left of the legs against the mean of what is left of the orders."""
    for number, price in enumerate([10_000, 50, 50]):
        refer(referrer, number, price=price)
    referrer.do(refund_line, "r1", "ref0", 1, "S1", 9_999, DUE)
    referrer.release()
    # Left: 1 + 5 + 5 fen of legs (10.00 less floor(1000 x 9999 / 10000)), mean (1 + 50 + 50) // 3 = 33.
    assert unlock(referrer).paid_cents == 1 + 5 + 5
    assert referrer.violations() == []


def test_locked_money_goes_to_the_platform_after_180_days_and_can_still_be_refunded(referrer):
    refer(referrer, 0)
    referrer.release()
    assert referrer.rows("select status from orders.sub_order") == [("released",)]
    late = PAID + 180 * DAY
    assert unlock(referrer, late - dt.timedelta(seconds=1)).expired_cents == 0
    before = referrer.balance("platform_fee")
    assert unlock(referrer, late).expired_cents == 1_000
    assert referrer.balance("platform_fee") == before + 1_000
    assert referrer.balance("channel_frozen") == 0
    assert referrer.violations() == []
    referrer.do(refund_line, "r1", "ref0", 1, "S1", 10_000, late)
    assert referrer.balance("platform_fee") == 0
    assert referrer.violations() == []


def test_an_invitee_with_an_open_case_does_not_count_yet(referrer):
    for number in range(3):
        refer(referrer, number)
    open_case(referrer, "ref1")
    referrer.release()
    assert unlock(referrer).batches == 0
    with referrer.transactions() as conn:
        conn.execute("update orders.after_sale set status = 'closed'")
    assert unlock(referrer).batches == 1
    assert referrer.violations() == []


def rerouted(order, line_no, supplier, supply=None, freight_to=None):
    document = order.to_json()
    for line in document["lines"]:
        if line["line_no"] == line_no:
            line["supplier_id"] = supplier
            line["supply_price_cents"] = supply or line["supply_price_cents"]
    if freight_to:
        for freight in document["freights"]:
            freight["supplier_id"] = freight_to
    return OrderSnapshot.from_json(document)


def test_a_re_routed_line_is_taken_back_in_full_and_accrued_anew(books):
    order = sale("o1", freights=[FreightSnapshot("S1", 700)])
    books.sell(order, status="paid")
    changed = rerouted(order, 1, "S2", supply=7_500, freight_to="S2")
    with books.transactions() as conn:
        conn.execute("update orders.order_line set supplier_id = 'S2'")
        first = reaccrue_line(conn, books.tenant, changed, 1, plan(), PAID, reroute_id="x1")
        assert reaccrue_line(conn, books.tenant, changed, 1, plan(), PAID, reroute_id="x1") == first
    # Supply 75.00 leaves a margin of 24.36 (fee 0.64): seller 20.00, then 4.36 to fund and platform.
    assert books.trial() == {
        ("channel_frozen", ""): -10_700,
        ("supplier_pending", "S2"): 8_200,
        ("merchant_pending", "m1"): 2_000,
        ("channel_fee", ""): 64,
        ("support_fund", ""): 109,
        ("platform_fee", ""): 327,
    }
    assert books.violations() == []
    books.do(refund_line, "r1", "o1", 1, "S2", 10_000, PAID)
    books.do(refund_line, "r2", "o1", 0, "S2", 700, PAID)
    assert books.trial() == {}


@pytest.mark.parametrize("before", ["refund", "release", "deadline", "hold"])
def test_what_moved_cannot_be_re_routed(sold, before):
    if before == "refund":
        sold.do(refund_line, "r1", "o1", 1, "S1", 1, DUE)
    elif before == "release":
        sold.release()
    elif before == "deadline":
        with sold.transactions() as conn:
            conn.execute("update orders.sub_order set status = 'shipped'")
        unfreeze_due(sold.transactions, sold.tenant, DAY_25)
    else:
        hold = placed(sold, on_order("o1"))
        sold.do(confirm_hold, hold.hold_id, "a", PAID)
    trial = sold.trial()
    with pytest.raises(AccrualError):
        sold.do(reaccrue_line, rerouted(sale("o1"), 1, "S2"), 1, plan(), DUE, reroute_id="x")
    assert sold.trial() == trial


def test_an_order_that_was_not_accrued_cannot_be_re_routed(books):
    books.place(sale("o1"))
    with pytest.raises(UnknownOrderError):
        books.do(reaccrue_line, rerouted(sale("o1"), 1, "S2"), 1, plan(), PAID, reroute_id="x")


def test_a_free_line_comes_back_without_money(books):
    """A gift: the buyer pays nothing, the supplier 60.00; the platform bears it."""
    cart = [CartLine(1, "A", (), "S1", 1, 0, 6_000), CartLine(2, "B", (), "S1", 1, 5_000, 3_000)]
    books.sell(sale("o1", cart=cart))
    assert books.balance("subsidy") == -6_000
    books.do(refund_line, "r1", "o1", 1, "S1", 0, PAID, units_gone=1)
    assert books.balance("subsidy") == 0
    assert books.balance("supplier_pending", SUPPLIER) == 3_000
    assert books.violations() == []


def test_orders_twice_in_one_list_are_refused(books):
    books.place(sale("o1"))
    with pytest.raises(AccrualError, match="twice"):
        books.do(accrue_orders, [sale("o1"), sale("o1")], plan())

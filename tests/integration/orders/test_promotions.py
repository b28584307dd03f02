"""Promotions on a real database: units, buyers, the price guard, groups, races and kills; amounts in fen."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from small_market import NOW, TENANT, Shop

from serving.agents.scenes import NewScene, open_scene
from serving.consumers.erasure import erase
from serving.db.operations import Operations
from serving.jobs import __main__ as jobs
from serving.ledger.invariants import check
from serving.orders.after_sales import after_sales
from serving.orders.coupons import store
from serving.orders.coupons.programme import Share, Terms
from serving.orders.errors import (
    DiscountRefusedError,
    ImpossibleMoveError,
    InvalidRequestError,
    NotFoundError,
    OrdersError,
    OwnPromotionError,
    ProgrammeStateError,
    PromotionLimitError,
    PromotionRefusedError,
    PromotionSoldOutError,
    PromotionStateError,
)
from serving.orders.fulfilment import fulfilment, instructions
from serving.orders.paying import payments
from serving.orders.placing import placing
from serving.orders.placing.cancelling import expire_unpaid
from serving.orders.promotions import groups, records
from serving.orders.promotions.claims import Wanted
from serving.orders.promotions.document import NewPromotion, kept_cents
from serving.orders.promotions.ending import end_groups_due
from serving.privacy.masking import Visibility

pytestmark = pytest.mark.xdist_group("promotions")  # one world for all, in order

MINUTE = timedelta(minutes=1)
OWN = (Share(party_type="merchant", share_bps=10_000, party_id="m1"),)


@pytest.fixture(scope="module")
def shop(module_database_url):
    with Operations(module_database_url, size=40, timeout_s=120) as operations:
        made = Shop(module_database_url, operations)
        made.plan()
        made.may_lose(10**12)
        made.sql(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified, has_contract)"
            " values (%(t)s, 'merchant', 'm1', true, true)",
            t=TENANT,
        )
        yield made


def goods(shop, name, *, price=10_000, supply=4_000, qty=500):
    shop.list(name, price)
    shop.supply("S1", name, qty, price=supply)
    return name


def promote(shop, sku, kind="flash_sale", *, approve=True, issuer=("merchant", "m1"), **more):
    """Put a promotion of merchant m1 forward and let another person approve it."""
    values = {
        "merchant_id": "m1",
        "kind": kind,
        "title": kind,
        "sku_ids": (sku,) if sku else (),
        "starts_at": NOW - MINUTE,
        "ends_at": NOW + timedelta(days=3),
        "funders": OWN,
        "budget_cents": 10**9,
        "budget_count": 10**6,
        "price_cents": 9_000 if kind in ("flash_sale", "group_buy", "live") else None,
        "stock_qty": 100 if kind in ("flash_sale", "group_buy", "live", "gift") else None,
    } | ({"group_size": 3, "group_minutes": 60} if kind == "group_buy" else {})
    new = NewPromotion(**(values | more))
    made = shop.act(records.propose, new, issuer, "key:maker", NOW)
    if approve:
        shop.act(records.approve, made.promotion_id, "key:other", NOW)
    return made


def sound(shop):
    with shop.transaction() as conn:
        return [violation for violation in check(conn, TENANT) if violation.invariant != "L3"]


def counts(shop, made):
    with shop.transaction() as conn:
        return records.counts_of(conn, TENANT, [made])[made.promotion_id]


def buy(shop, order_id, made, *, consumer=None, qty=1, group=None, at=NOW, **more):
    shop.place(
        order_id,
        (made.sku_ids[0], qty),
        consumer=consumer or f"c-{order_id}",
        promotion=Wanted(made.promotion_id, group),
        at=at,
        **more,
    )


def group_of(shop, order_id):
    return shop.sql("select group_id from promotions.claim where order_id = %(id)s", id=order_id)[0][0]


def group_status(shop, group_id):
    return shop.sql("select status from promotions.buying_group where group_id = %(id)s", id=group_id)[0][0]


def statuses(shop, *order_ids):
    return [shop.read(order_id)[0].status for order_id in order_ids]


def transactions_of(shop):
    return lambda: shop.operations.transaction(TENANT)


def test_a_flash_sale_from_the_draft_to_the_books(shop):
    """A unit of 100.00 for 90.00: the buyer pays 90.00, the merchant's share of the sale bears the 10.00."""
    made = promote(shop, goods(shop, "flash"), approve=False)
    with pytest.raises(PromotionRefusedError, match="is proposed"):
        buy(shop, "f-0", made)
    with pytest.raises(OwnPromotionError):
        shop.act(records.approve, made.promotion_id, "key:maker", NOW)
    assert shop.act(records.approve, made.promotion_id, "key:other", NOW) is True
    assert shop.act(records.approve, made.promotion_id, "key:third", NOW) is False
    buy(shop, "f-1", made)
    order, lines, _ = shop.read("f-1")
    assert (order.payable_cents, lines[0].coupon_discount_cents) == (9_000, 1_000)
    assert counts(shop, made) == records.Counts(99, 1, 0, 1_000, 0, 0)
    shop.pay("f-1")
    assert counts(shop, made) == records.Counts(99, 1, 1, 1_000, 0, 0)
    assert sound(shop) == []


def test_an_order_that_ends_unpaid_gives_its_unit_and_its_budget_back(shop):
    made = promote(shop, goods(shop, "back"), stock_qty=1, budget_cents=1_000, budget_count=1)
    buy(shop, "b-1", made, consumer="same")
    with pytest.raises(PromotionSoldOutError):
        buy(shop, "b-2", made)
    shop.act(placing.cancel_order, "b-1")
    buy(shop, "b-3", made, consumer="same")
    assert expire_unpaid(transactions_of(shop), TENANT, NOW + timedelta(hours=2)) >= 1
    assert statuses(shop, "b-3") == ["cancelled"]
    buy(shop, "b-4", made, consumer="same")
    assert counts(shop, made) == records.Counts(0, 1, 0, 1_000, 0, 0)


def test_what_was_paid_is_sold_even_when_it_is_refunded(shop):
    made = promote(shop, goods(shop, "sold"), stock_qty=1)
    buy(shop, "s-1", made)
    shop.pay("s-1")
    case = shop.agreed_case("s-1", 1, None, "refund", "changed_mind", 9_000, NOW)
    shop.act(after_sales.refund_case, case.case_id, 9_000, NOW)
    assert statuses(shop, "s-1") == ["refunded"]
    with pytest.raises(PromotionSoldOutError):
        buy(shop, "s-2", made)


def test_a_buyer_has_a_limit_also_by_two_orders_at_once(shop):
    made = promote(shop, goods(shop, "limit"), per_consumer_qty=2)
    with pytest.raises(PromotionLimitError, match=r"may take 2 .* 0 are taken"):
        buy(shop, "l-0", made, qty=3, consumer="one")

    def attempt(number):
        try:
            buy(shop, f"l-{number + 1}", made, consumer="one")
        except PromotionLimitError:
            return 0
        return 1

    with ThreadPoolExecutor(12) as threads:
        assert sum(threads.map(attempt, range(12))) == 2
    assert counts(shop, made).left_qty == 98


def test_of_sixty_four_buyers_of_ten_units_ten_get_one(shop):
    made = promote(shop, goods(shop, "rush"), stock_qty=10)
    barrier = threading.Barrier(64)

    def attempt(number):
        barrier.wait()
        try:
            buy(shop, f"r-{number}", made)
        except PromotionSoldOutError:
            return "sold out"
        return "bought"

    with ThreadPoolExecutor(64) as threads:
        assert Counter(threads.map(attempt, range(64))) == {"bought": 10, "sold out": 54}
    taken = shop.sql(
        "select count(*), count(distinct order_id) from promotions.unit where promotion_id = %(id)s"
        " and order_id is not null",
        id=made.promotion_id,
    )
    assert taken == [(10, 10)]
    assert shop.stock_of("S1", "rush")[1] == 10


def test_what_a_promotion_does_not_hold_for_is_told(shop):
    made = promote(shop, goods(shop, "holds"))
    goods(shop, "other")
    with pytest.raises(PromotionRefusedError, match="nothing that promotion"):
        shop.place("h-1", ("other", 1), promotion=Wanted(made.promotion_id))
    with pytest.raises(PromotionRefusedError, match="holds from"):
        buy(shop, "h-2", made, at=NOW + timedelta(days=4))
    with pytest.raises(PromotionRefusedError, match="has no groups"):
        buy(shop, "h-3", made, group="bg-1")
    with pytest.raises(NotFoundError):
        shop.place("h-4", ("holds", 1), promotion=Wanted("pm-none"))
    with pytest.raises(ProgrammeStateError, match="is of a promotion"):
        shop.code(made.programme_id)
    code = shop.sql("select code from promotions.promotion where promotion_id = %(id)s", id=made.promotion_id)
    with pytest.raises(DiscountRefusedError, match="the order names the promotion"):
        shop.place("h-6", ("holds", 1), coupon_codes=[code[0][0]])
    assert shop.act(records.close, made.promotion_id, "key:maker", NOW) is True
    assert shop.act(records.close, made.promotion_id, "key:maker", NOW) is False
    with pytest.raises(PromotionRefusedError, match="is closed"):
        buy(shop, "h-5", made)
    with pytest.raises(PromotionStateError):
        shop.act(records.approve, made.promotion_id, "key:other", NOW)
    assert shop.sql(
        "select count(*) from promotions.claim where promotion_id = %(id)s", id=made.promotion_id
    )[0] == (0,)


def test_one_buyer_is_no_group(shop):
    made = promote(shop, goods(shop, "alone"), "group_buy", per_consumer_qty=2)
    buy(shop, "alone-1", made, consumer="ann")
    group = group_of(shop, "alone-1")
    with pytest.raises(PromotionRefusedError, match="for other buyers"):
        buy(shop, "alone-2", made, consumer="ann", group=group)
    shop.act(placing.cancel_order, "alone-1")
    buy(shop, "alone-3", made, consumer="ann", group=group)  # the seat that the same buyer gave back


@pytest.mark.parametrize(
    ("kind", "terms", "field"),
    [
        ("flash_sale", {"price_cents": 4_999}, "price_cents"),
        ("flash_sale", {"price_cents": 5_000}, None),
        ("limited_discount", {"off_bps": 5_001}, "off_bps"),
        ("limited_discount", {"off_bps": 5_000}, None),
    ],
)
def test_more_than_coupons_may_take_off_is_told_before_anybody_orders(shop, kind, terms, field):
    sku = goods(shop, f"deep-{kind}-{next(iter(terms.values()))}")
    if field is None:
        promote(shop, sku, kind, approve=False, **terms)
    else:
        with pytest.raises(InvalidRequestError, match="5000 bps") as refused:
            promote(shop, sku, kind, approve=False, **terms)
        assert refused.value.parameter == field


def test_a_threshold_takes_no_more_off_a_dear_unit_than_off_any_basket():
    terms = Terms(
        kind="threshold", off_cents=2_000, min_goods_cents=10_000, budget_cents=1, budget_count=1,
        valid_from=NOW, valid_to=NOW + MINUTE, funders=OWN,
    )  # fmt: skip
    assert [kept_cents(terms, price) for price in (1_000, 10_000, 100_000)] == [800, 8_000, 98_000]


def test_faulty_drafts_are_told_which_field(shop):
    goods(shop, "faulty")
    for field, more in (
        ("stock_qty", {"stock_qty": None}),
        ("price_cents", {"price_cents": None}),
        ("price_cents", {"price_cents": 10_000}),
        ("off_bps", {"off_bps": 500}),
        ("sku_ids", {"sku_ids": ("faulty", "flash")}),
        ("group_size", {"group_size": 2}),
        ("min_goods_cents", {"min_goods_cents": 5}),
        ("stock_qty", {"kind": "group_buy", "group_size": 3, "group_minutes": 5, "stock_qty": 2}),
        ("scene_id", {"kind": "live"}),
        ("scene_id", {"scene_id": "sc-none"}),
    ):
        with pytest.raises(InvalidRequestError) as raised:
            promote(shop, "faulty", **more)
        assert raised.value.parameter == field, more


def test_another_funder_agrees_before_anybody_approves(shop):
    """Half of a discount is the supplier's: its own key agrees to the programme first."""
    halves = (
        Share(party_type="merchant", share_bps=5_000, party_id="m1"),
        Share(party_type="supplier", share_bps=5_000, party_id="S1"),
    )
    made = promote(shop, goods(shop, "shared"), approve=False, funders=halves)
    with pytest.raises(PromotionStateError, match="every funder agrees first"):
        shop.act(records.approve, made.promotion_id, "key:other", NOW)
    with shop.transaction() as conn:
        programme = store.find(conn, TENANT, made.programme_id)
        store.consent(
            conn, TENANT, made.programme_id, "supplier", "S1", programme.terms.digest(), "key:s", NOW
        )
    assert shop.act(records.approve, made.promotion_id, "key:other", NOW)
    buy(shop, "sh-1", made)
    cuts = shop.sql(
        "select party_type, discount_cents from coupons.line_discount where order_id = 'sh-1' order by 1"
    )
    assert cuts == [("merchant", 500), ("supplier", 500)]


def test_a_threshold_and_a_limited_discount_are_coupons_by_the_order(shop):
    goods(shop, "wide")
    goods(shop, "narrow", price=5_000, supply=2_000)
    threshold = promote(shop, None, "threshold", off_cents=1_000, min_goods_cents=10_000)
    discount = promote(shop, "narrow", "limited_discount", off_bps=1_000, per_consumer_qty=2)
    shop.place("t-1", ("wide", 1), ("narrow", 1), promotion=Wanted(threshold.promotion_id))
    assert shop.read("t-1")[0].coupon_discount_cents == 1_000
    shop.place("t-2", ("wide", 1), ("narrow", 2), promotion=Wanted(discount.promotion_id))
    assert [line.coupon_discount_cents for line in shop.read("t-2")[1]] == [0, 1_000]
    with pytest.raises(PromotionLimitError):
        shop.place("t-3", ("wide", 1), promotion=Wanted(threshold.promotion_id))
    with pytest.raises(OrdersError, match="for goods of 10000 fen"):
        shop.place("t-4", ("narrow", 1), consumer="c2", promotion=Wanted(threshold.promotion_id))
    shop.pay("t-1")
    shop.pay("t-2")
    assert sound(shop) == []


def test_a_gift_is_free_and_its_cost_is_its_funders(shop):
    """A gift of 20.00, supplied for 12.00, with goods of 100.00 at the merchant's cost.

    The buyer pays 100.00 for both. Of the gift the supplier gets its 12.00; the merchant bears 20.00 of
    discount, 8.00 less its share of what the gift would have brought is in its own leg, the rest it owes.
    """
    goods(shop, "main")
    goods(shop, "present", price=2_000, supply=1_200)
    made = promote(shop, "present", "gift", min_goods_cents=10_000, stock_qty=5)
    with pytest.raises(PromotionRefusedError, match="other goods of 10000 fen or more, not 0"):
        shop.place("g-0", ("present", 1), promotion=Wanted(made.promotion_id))
    before = shop.balances()
    shop.place("g-1", ("main", 1), ("present", 1), promotion=Wanted(made.promotion_id))
    order, lines, _ = shop.read("g-1")
    assert (order.payable_cents, [line.net_paid_cents for line in lines]) == (10_000, [10_000, 0])
    shop.pay("g-1")
    moved = shop.moved(before)
    assert moved["channel_frozen", ""] == -10_000
    assert moved["supplier_pending", "S1"] == 4_000 + 1_200
    debt = shop.sql(
        "select party_type, party_id, discount_cents, owed_cents from settlement.discount_debt"
        " where order_id = 'g-1'"
    )
    assert debt[0][:3] == ("merchant", "m1", 2_000)
    assert 1_200 <= debt[0][3] <= 2_000
    assert sound(shop) == []


def test_a_live_slot_sells_in_its_session_and_pays_its_anchor_role(shop):
    sku = goods(shop, "shown")
    new = NewScene("live_session", "m1", "merchant", "m1", NOW, NOW + timedelta(hours=2))
    with shop.transaction() as conn:
        scene = open_scene(conn, TENANT, new, "test", NOW)
    with pytest.raises(InvalidRequestError, match="must lie within"):
        promote(shop, sku, "live", scene_id=scene.scene_id)
    window = {"starts_at": NOW, "ends_at": NOW + timedelta(hours=1)}
    made = promote(shop, sku, "live", scene_id=scene.scene_id, **window)
    buy(shop, "v-1", made)
    roles = shop.sql("select role, party_id, scene_id from orders.order_role where order_id = 'v-1'")
    assert roles == [("live_anchor", "m1", scene.scene_id)]
    assert shop.read("v-1")[0].payable_cents == 9_000


def waiting(shop, name, number, **more):
    """A group of three with so many paid buyers."""
    made = promote(shop, goods(shop, name), "group_buy", **more)
    buy(shop, f"{name}-1", made)
    group = group_of(shop, f"{name}-1")
    for place in range(2, number + 1):
        buy(shop, f"{name}-{place}", made, group=group)
    for place in range(1, number + 1):
        shop.pay(f"{name}-{place}")
    return made, group


def to_send(shop):
    with shop.transaction() as conn:
        found = instructions.instructions_of(
            conn, None, TENANT, "S1", after=None, limit=500, visibility=Visibility.NOTHING
        )
    return {one.order_id for one in found}


def test_a_group_waits_and_is_complete_with_the_payment_that_fills_it(shop):
    made, group = waiting(shop, "trio", 2)
    assert group_status(shop, group) == "open"
    assert not to_send(shop) & {"trio-1", "trio-2"}
    shop.act(fulfilment.accept, "trio-1", "S1", {}, NOW)
    parcel = fulfilment.Parcel("parcel-trio", NOW + timedelta(days=2), NOW)
    with pytest.raises(ImpossibleMoveError, match="waiting for its group"):
        shop.act(fulfilment.ship, "trio-1", "S1", parcel, NOW)
    buy(shop, "trio-3", made, group=group)
    with pytest.raises(PromotionSoldOutError):
        buy(shop, "trio-4", made, group=group)
    assert not to_send(shop) & {"trio-1", "trio-2"}
    shop.pay("trio-3")
    assert group_status(shop, group) == "complete"
    assert to_send(shop) >= {"trio-1", "trio-2", "trio-3"}
    shop.act(fulfilment.ship, "trio-1", "S1", parcel, NOW)
    later = NOW + timedelta(hours=3)
    end_groups_due(transactions_of(shop), TENANT, later)
    assert statuses(shop, "trio-2", "trio-3") == ["paid", "paid"]
    with pytest.raises(PromotionRefusedError, match="is complete"):
        buy(shop, "trio-5", made, group=group, at=NOW)


def test_a_group_that_does_not_fill_is_cancelled_and_paid_back_once(shop):
    made, group = waiting(shop, "short", 2)
    buy(shop, "short-3", made, group=group)  # ordered, never paid
    before = shop.balances()
    assert end_groups_due(transactions_of(shop), TENANT, NOW + 59 * MINUTE).groups == 0
    done = end_groups_due(transactions_of(shop), TENANT, NOW + 60 * MINUTE)
    assert (done.groups, done.cancelled, done.refunded_cents) == (1, 1, 18_000)
    again = end_groups_due(transactions_of(shop), TENANT, NOW + 61 * MINUTE)
    assert (again.groups, again.cancelled, again.refunded_cents) == (0, 0, 0)
    assert statuses(shop, "short-1", "short-2", "short-3") == ["refunded", "refunded", "cancelled"]
    assert shop.moved(before)["channel_frozen", ""] == 18_000
    assert counts(shop, made) == records.Counts(100, 0, 0, 0, 0, 0)
    assert shop.stock_of("S1", "short")[1] == 0
    with pytest.raises(PromotionRefusedError, match="is ended"):
        buy(shop, "short-5", made, group=group)
    assert sound(shop) == []


def part_of(shop, order_id, status):
    """Put the part of an order into a state; the one before."""
    before = shop.sql("select status from orders.sub_order where order_id = %(id)s", id=order_id)[0][0]
    shop.sql(f"update orders.sub_order set status = '{status}' where order_id = '{order_id}'")
    return before


def test_an_order_that_cannot_be_ended_keeps_no_other_from_being_paid_back(shop):
    waiting(shop, "stuck", 2)
    # Its part is where no rule of ours brings it: whatever the reason, it cannot be cancelled.
    before = part_of(shop, "stuck-1", "shipped")
    told = []
    due = NOW + 60 * MINUTE
    done = end_groups_due(transactions_of(shop), TENANT, due, alarm=lambda subject, _: told.append(subject))
    assert (done.groups, done.refunded_cents) == (1, 9_000)
    assert statuses(shop, "stuck-1", "stuck-2") == ["paid", "refunded"]
    assert told == ["the end of order stuck-1"]
    # Once nothing is in the way the next round goes on.
    part_of(shop, "stuck-1", before)
    assert end_groups_due(transactions_of(shop), TENANT, due + MINUTE).refunded_cents == 9_000
    assert statuses(shop, "stuck-1") == ["refunded"]


def test_the_worker_goes_round_although_an_order_is_stuck(
    shop, module_database_url, monkeypatch, tmp_path, capsys
):
    waiting(shop, "jam", 1)
    before = part_of(shop, "jam-1", "shipped")
    monkeypatch.setenv("MUYUN_DATABASE_URL", module_database_url)
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path))
    due = (NOW + 2 * 60 * MINUTE).isoformat()
    asked = ["work", "--rounds", "2", "--every-s", "0.01", "--tenant", TENANT, "--as-of", due]
    assert jobs.main(asked) == 0
    said = capsys.readouterr().out
    assert "the end of order jam-1 is stopped" in said
    assert "everything else was done" in said
    part_of(shop, "jam-1", before)
    assert end_groups_due(transactions_of(shop), TENANT, NOW + 2 * 60 * MINUTE).refunded_cents == 9_000


def test_who_pays_after_the_end_is_paid_back(shop):
    made, group = waiting(shop, "late", 1)
    buy(shop, "late-2", made, group=group)
    shop.sql(
        "update promotions.buying_group set status = 'ended', closed_at = now() where group_id = %(id)s",
        id=group,
    )
    shop.pay("late-2")
    done = end_groups_due(transactions_of(shop), TENANT, NOW + MINUTE)
    assert done.refunded_cents == 18_000
    assert statuses(shop, "late-1", "late-2") == ["refunded", "refunded"]


def test_a_buyer_who_leaves_a_waiting_group_frees_the_seat(shop):
    made, group = waiting(shop, "left", 2)
    case = shop.agreed_case("left-2", 1, None, "refund", "changed_mind", 9_000, NOW)
    shop.act(after_sales.refund_case, case.case_id, 9_000, NOW)
    with shop.transaction() as conn:
        found = groups.page(conn, TENANT, made.promotion_id, only_open=True, after="", limit=10)
    assert [(one.taken, one.paid, one.size) for one in found] == [(1, 1, 3)]
    buy(shop, "left-3", made, group=group)
    buy(shop, "left-4", made, group=group)
    shop.pay("left-3")
    assert group_status(shop, group) == "open"
    shop.pay("left-4")
    assert group_status(shop, group) == "complete"


def test_the_last_seat_goes_to_one_of_sixty_four(shop):
    made, group = waiting(shop, "seat", 2)
    barrier = threading.Barrier(64)

    def attempt(number):
        barrier.wait()
        try:
            buy(shop, f"seat-{number + 10}", made, group=group)
        except PromotionSoldOutError:
            return None
        return f"seat-{number + 10}"

    with ThreadPoolExecutor(64) as threads:
        winners = [found for found in threads.map(attempt, range(64)) if found]
    assert len(winners) == 1
    shop.pay(winners[0])
    assert group_status(shop, group) == "complete"


def all_but_paid(shop, name):
    """A group of three for 90.00 each whose last buyer has not paid yet: the group, the balances."""
    made, group = waiting(shop, name, 2)
    buy(shop, f"{name}-3", made, group=group)
    return group, shop.balances()


def money_of_group(shop, name):
    """(captured, refunded, bookings of refunds) of its three orders, fen."""
    ids = [f"{name}-{place}" for place in (1, 2, 3)]
    return shop.sql(
        "select sum(captured_cents)::bigint, sum(refunded_cents)::bigint, (select count(*)"
        " from settlement.refund where order_id = any(%(ids)s)) from orders.customer_order"
        " where order_id = any(%(ids)s)",
        ids=ids,
    )[0]


def test_a_last_payment_under_way_is_first_and_the_end_passes_by(shop):
    """The payment holds the group when the end looks: 3 x 90.00 are taken once, and nothing goes back."""
    group, before = all_but_paid(shop, "first")
    due = NOW + 60 * MINUTE
    with shop.transaction() as conn:
        payment = payments.Payment("pay-first-3", "first-3", "simulated", 9_000, 0, due)
        payments.take_payment(conn, TENANT, payment, due)
        meanwhile = end_groups_due(transactions_of(shop), TENANT, due)
    assert (meanwhile.groups, meanwhile.cancelled, meanwhile.refunded_cents) == (0, 0, 0)
    again = end_groups_due(transactions_of(shop), TENANT, due + MINUTE)
    assert (again.groups, again.cancelled, again.refunded_cents) == (0, 0, 0)
    assert group_status(shop, group) == "complete"
    assert statuses(shop, "first-1", "first-2", "first-3") == ["paid"] * 3
    assert money_of_group(shop, "first") == (27_000, 0, 0)
    assert shop.moved(before)["channel_frozen", ""] == -9_000  # 180.00 were there before
    assert sound(shop) == []


def test_an_end_under_way_is_first_and_the_last_payment_is_paid_back(shop):
    """The end holds the group when the payment comes: it waits, is taken, and 3 x 90.00 go back once each."""
    group, before = all_but_paid(shop, "second")
    due = NOW + 60 * MINUTE
    has_ended, may_commit, was_paid = threading.Event(), threading.Event(), threading.Event()

    @contextmanager
    def in_turn():
        """Transactions of the end: the first commits when it may, the others come after the payment."""
        if has_ended.is_set():
            assert was_paid.wait(60)
        with shop.transaction() as conn:
            yield conn
            has_ended.set()
            assert may_commit.wait(60)

    with ThreadPoolExecutor(2) as threads:
        end = threads.submit(end_groups_due, in_turn, TENANT, due)
        assert has_ended.wait(60)
        last = threads.submit(shop.pay, "second-3", at=due)
        until = time.monotonic() + 60
        while not shop.sql("select count(*) from pg_locks where not granted")[0][0]:
            assert not last.done()
            assert time.monotonic() < until
            time.sleep(0.01)
        may_commit.set()
        assert last.result().order_status == "paid"
        was_paid.set()
        done = end.result()
    assert (done.groups, done.cancelled, done.refunded_cents) == (1, 0, 27_000)
    again = end_groups_due(transactions_of(shop), TENANT, due + MINUTE)
    assert (again.groups, again.cancelled, again.refunded_cents) == (0, 0, 0)
    assert group_status(shop, group) == "ended"
    assert statuses(shop, "second-1", "second-2", "second-3") == ["refunded"] * 3
    assert money_of_group(shop, "second") == (27_000, 27_000, 3)
    assert shop.moved(before)["channel_frozen", ""] == 18_000  # what the first two had paid
    assert sound(shop) == []


def test_a_payment_after_the_end_is_refused(shop):
    """The end cancelled the unpaid order: 2 x 90.00 went back once, and no third payment is taken."""
    group, before = all_but_paid(shop, "third")
    due = NOW + 60 * MINUTE
    done = end_groups_due(transactions_of(shop), TENANT, due)
    assert (done.groups, done.cancelled, done.refunded_cents) == (1, 1, 18_000)
    with pytest.raises(ImpossibleMoveError):
        shop.pay("third-3", at=due)
    assert group_status(shop, group) == "ended"
    assert money_of_group(shop, "third") == (18_000, 18_000, 2)
    assert shop.moved(before)["channel_frozen", ""] == 18_000
    assert sound(shop) == []


def test_the_end_races_the_last_payment_and_one_of_them_wins(shop):
    """The last payment and the end come at once in 24 groups: all three are sold once, or paid back once.

    Which of them wins is chance here; the tests above have each of them first.
    """
    made = promote(shop, goods(shop, "race", qty=1_000), "group_buy", stock_qty=300)
    rounds = 24
    for number in range(rounds):
        buy(shop, f"race-{number}-1", made)
        group = group_of(shop, f"race-{number}-1")
        for place in (2, 3):
            buy(shop, f"race-{number}-{place}", made, group=group)
        for place in (1, 2):
            shop.pay(f"race-{number}-{place}")
    due = NOW + 60 * MINUTE
    barrier = threading.Barrier(8)

    def work(number):
        barrier.wait()
        if number >= 4:
            for _ in range(4):
                end_groups_due(transactions_of(shop), TENANT, due)
            return
        for one in range(number, rounds, 4):
            try:
                shop.pay(f"race-{one}-3", at=due)
            except ImpossibleMoveError:
                continue  # the end was first and cancelled it

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    end_groups_due(transactions_of(shop), TENANT, due)
    for number in range(rounds):
        group = group_of(shop, f"race-{number}-1")
        captured, refunded, bookings = money_of_group(shop, f"race-{number}")
        found = statuses(shop, *(f"race-{number}-{place}" for place in (1, 2, 3)))
        if group_status(shop, group) == "complete":
            assert found == ["paid"] * 3
            assert (captured, refunded, bookings) == (27_000, 0, 0)
        else:
            assert group_status(shop, group) == "ended"
            assert found[:2] == ["refunded"] * 2
            assert found[2] in ("cancelled", "refunded")
            assert captured == refunded == 9_000 * bookings
    assert sound(shop) == []


ENDER = """
import sys
from datetime import datetime
from serving.db.operations import Operations
from serving.orders.promotions.ending import end_groups_due
with Operations(sys.argv[1], size=2) as operations:
    print("ready", flush=True)
    while True:
        due = datetime.fromisoformat(sys.argv[2])
        end_groups_due(lambda: operations.transaction("default"), "default", due)
"""


def test_a_killed_end_goes_on_where_it_was(shop, module_database_url):
    """A process that ends groups is killed again and again; every buyer is paid back once."""
    made = promote(shop, goods(shop, "killed", qty=1_000), "group_buy", stock_qty=100)
    orders = []
    for number in range(30):
        buy(shop, f"killed-{number}", made)
        shop.pay(f"killed-{number}")
        orders.append(f"killed-{number}")
    before = shop.balances()
    due = NOW + 61 * MINUTE
    for enough in (1, 7, 13, 19):
        process = subprocess.Popen(
            [sys.executable, "-c", ENDER, module_database_url, due.isoformat()],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout.readline() == b"ready\n"
        until = time.monotonic() + 60
        while statuses(shop, *orders).count("refunded") < enough and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert statuses(shop, *orders).count("refunded") >= enough
    end_groups_due(transactions_of(shop), TENANT, due)
    assert set(statuses(shop, *orders)) == {"refunded"}
    assert shop.moved(before)["channel_frozen", ""] == 30 * 9_000
    assert sound(shop) == []


BUYER = """
import sys
from datetime import datetime
from serving.db.operations import Operations
from serving.orders.errors import PromotionSoldOutError
from serving.orders.placing import placing
from serving.orders.promotions.claims import Wanted
from serving.settlement.plans.profiles import load_shipped
plan = load_shipped("cn_strict")
now = datetime.fromisoformat(sys.argv[4])
with Operations(sys.argv[1], size=1) as operations:
    print("ready", flush=True)
    for number in range(10**6):
        name = f"{sys.argv[3]}-{number}"
        lines = [placing.WantedLine("torn", 1)]
        order = placing.NewOrder(name, "m1", name, lines, promotion=Wanted(sys.argv[2]))
        try:
            with operations.transaction("default") as conn:
                placing.place_order(conn, "default", order, plan, now)
        except PromotionSoldOutError:
            pass
"""


def test_killed_buyers_leave_no_unit_half_taken(shop, module_database_url):
    made = promote(shop, goods(shop, "torn"), stock_qty=60)
    for number in range(6):
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                BUYER,
                module_database_url,
                made.promotion_id,
                f"t{number}",
                NOW.isoformat(),
            ],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.08)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    found = counts(shop, made)
    assert found.left_qty == 60 - found.orders
    assert 0 < found.orders <= 60
    assert shop.stock_of("S1", "torn")[1] == found.orders


def test_an_erased_buyer_is_gone_from_claims(shop):
    made = promote(shop, goods(shop, "gone"))
    buy(shop, "gone-1", made, consumer="person")
    shop.act(placing.cancel_order, "gone-1")
    with shop.transaction() as conn:
        erase(conn, TENANT, "person", NOW)
    rows = shop.sql("select consumer_id from promotions.claim where order_id = 'gone-1'")
    assert rows[0][0].startswith("erased-")

"""Whatever happens to orders in whatever order, the books stay sound: every invariant after every step.

The nightly form, 10,000 sequences of 200 steps, asks after every tenth step and at the end.
"""

import datetime as dt
import functools
import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from settlement_books import DAY, PAID, Books, plan

from serving.db.operations import Operations
from serving.ledger.accounts import Party
from serving.orders.settling import refund_line, unfreeze_due
from serving.settlement.beside.fees import (
    charge_penalty,
    recognise_service_fee,
    release_fees_due,
    reverse_fee,
)
from serving.settlement.books.accrual import accrue_orders, reaccrue_line
from serving.settlement.books.receivables import outstanding, repay
from serving.settlement.books.referral_unlock import unlock_due
from serving.settlement.control.holds import (
    confirm_hold,
    expire_holds,
    lift_hold,
    on_leg,
    on_order,
    on_party,
    on_sub_order,
    place_hold,
)
from serving.settlement.errors import HoldTargetError
from serving.settlement.payouts import confirm_payout, fail_payout, prepare_payouts
from serving.settlement.sharing import snapshot
from serving.settlement.sharing.freeze import CartLine, OrderCoupon, freeze

NIGHTLY = bool(os.environ.get("MUYUN_NIGHTLY"))
STEPS_BETWEEN_CHECKS = 10 if NIGHTLY else 1
SUPPLIERS = ("S1", "S2")
AGENTS = ("a1", "a2", "a3")
PLANS = ("cn_strict", "cn_two_level", "worked_20_8_25")
numbers = st.integers(0, 1_000_000)
cents = st.one_of(st.integers(0, 30), st.integers(31, 500), st.integers(501, 50_000))
shares = st.sampled_from([0, 40, 60, 60, 75, 99, 130])
# A third of the lines costs nothing: it is listed for nothing, or the shop agreed to bear its price.
ways = st.sampled_from(["paid", "paid", "paid", "paid", "listed", "borne"])
cart_lines = st.tuples(st.sampled_from(SUPPLIERS), cents, shares, st.integers(1, 4), ways)


def agent(number, tier="none"):
    return snapshot.Party("agent", AGENTS[number % 3], tier, has_contract=True, has_service_evidence=True)


class NothingThereError(Exception):
    """A step found nothing to act on."""


def step(**drawn):
    """A rule that passes when it finds nothing to act on: discarding the sequence would leave short ones."""

    def decorate(function):
        @rule(**drawn)
        @functools.wraps(function)
        def attempt(self, **values):
            self.steps += 1
            try:
                function(self, **values)
            except NothingThereError:
                self.idle_steps += 1

        return attempt

    return decorate


class AnySequence(RuleBasedStateMachine):
    """A tenant whose clock only goes forward."""

    operations: Operations
    steps = idle_steps = 0

    @initialize()
    def open_the_books(self):
        self.books = Books(self.operations)
        self.now = PAID
        self.orders = {}
        self.batches = 0
        for supplier in SUPPLIERS:
            self.books.party("supplier", supplier)
        for name in AGENTS:
            self.books.party("agent", name)
        self.books.party("merchant", "m1")

    def pick(self, items, number):
        if not items:
            raise NothingThereError
        return items[number % len(items)]

    def do(self, function, *arguments, **more):
        return self.books.do(function, *arguments, **more)

    @step(
        lines=st.lists(cart_lines, min_size=1, max_size=3),
        freight=st.one_of(st.just(0), cents),
        coupon=st.integers(0, 2_000),
        split=st.sampled_from([(10_000, 0, 0), (5_000, 3_000, 2_000), (0, 10_000, 0), (0, 0, 10_000)]),
        shape=numbers,
        received_after=st.integers(0, 20),
        is_received=st.booleans(),
    )
    def sell(self, lines, freight, coupon, split, shape, received_after, is_received):
        order_id = self.books.new_id("o")
        seller = agent(shape) if shape % 2 else snapshot.Party("merchant", "m1")
        parties = snapshot.Parties(
            seller,
            upline=(agent(shape + 1), agent(shape + 2)) if shape % 3 else (),
            manager=agent(shape + 1) if shape % 5 else None,
            roles={"group_leader": agent(shape // 7)} if shape % 7 == 0 else {},
            region_protected=agent(shape + 2) if shape % 11 == 0 else None,
            is_first_purchase=shape % 2 == 0,
        )
        cart = [
            CartLine(no, "A", (), supplier, qty, 0 if way == "listed" else price, price * share // 100, borne)
            for no, (supplier, price, share, qty, way) in enumerate(lines, start=1)
            for borne in [(snapshot.Discount("merchant", price, "m1"),) if way == "borne" and price else ()]
        ]
        order = freeze(
            order_id=order_id,
            merchant_id="m1",
            consumer_id=f"c{shape % 40}",
            paid_at=self.now,
            cart=cart,
            coupons=[
                OrderCoupon(
                    min(coupon, sum(price for _, price, _, _, way in lines if way == "paid")),
                    dict(zip(snapshot.FUNDERS, split, strict=True)),
                )
            ],
            freights=[snapshot.FreightSnapshot(cart[0].supplier_id, freight)],
            fee_rate_bps=60,
            parties=parties,
        )
        received = self.now + received_after * DAY
        self.books.place(
            order,
            status="received" if is_received else "paid",
            received_at=received,
            release_due_at=received + 7 * DAY,
        )
        version = plan(PLANS[shape % len(PLANS)])
        self.do(accrue_orders, [order], version, self.now)
        self.orders[order_id] = (order, version)

    @step(days=st.integers(0, 12))
    def wait(self, days):
        self.now += days * DAY + dt.timedelta(seconds=1)

    @step(number=numbers, part=st.integers(1, 4), is_repeated=st.booleans())
    def refund(self, number, part, is_repeated):
        left = self.books.rows(
            "select order_id, line_no, supplier_id, net_paid_cents - refunded_cents from orders.order_line"
            " where refunded_cents < net_paid_cents union all"
            " select order_id, 0, supplier_id, freight_cents - refunded_freight_cents from orders.sub_order"
            " where refunded_freight_cents < freight_cents order by 1, 2, 3"
        )
        order_id, line_no, supplier, rest = self.pick(left, number)
        given = rest if part == 1 else max(1, rest // part)
        body = (self.books.new_id("r"), order_id, line_no, supplier, given, self.now)
        for _ in range(1 + is_repeated):
            self.do(refund_line, *body)

    @step(number=numbers, part=st.integers(1, 3), is_repeated=st.booleans())
    def take_back_units(self, number, part, is_repeated):
        """Units of a line that cost nothing are cancelled, cannot be sent, or come back."""
        left = self.books.rows(
            "select order_id, line_no, n.supplier_id, qty, gone from orders.order_line n cross join lateral"
            " (select coalesce(max(units_gone), 0) as gone from settlement.refund r"
            "  where r.order_id = n.order_id and r.line_no = n.line_no) r"
            " where net_paid_cents = 0 and gone < qty and exists (select from settlement.leg l"
            "  where l.order_id = n.order_id and l.line_no = n.line_no) order by 1, 2"
        )
        order_id, line_no, supplier, qty, gone = self.pick(left, number)
        units = min(qty, gone + part)
        body = (self.books.new_id("r"), order_id, line_no, supplier, 0, self.now)
        for _ in range(1 + is_repeated):
            self.do(refund_line, *body, units_gone=units)

    @step(number=numbers)
    def receive_and_case(self, number):
        order_id = self.pick(sorted(self.orders), number)
        with self.books.transactions() as conn:
            conn.execute(
                "update orders.sub_order set status = 'received', received_at = %s, release_due_at = %s"
                " where order_id = %s and status = 'pending'",
                (self.now, self.now + 7 * DAY, order_id),
            )
            if number % 3 == 0:
                conn.execute(
                    "insert into orders.after_sale (tenant_id, case_id, order_id, line_no, supplier_id, kind,"
                    " reason_code, status, requested_cents, opened_at)"
                    " values (%s, %s, %s, 1, %s, 'refund', 'late', 'open', 1, %s)",
                    (self.books.tenant, self.books.new_id("case"), order_id, SUPPLIERS[number % 2], self.now),
                )
            elif number % 3 == 1:
                conn.execute(
                    "update orders.after_sale set status = 'rejected' where order_id = %s", (order_id,)
                )

    @step(number=numbers)
    def verify_or_not(self, number):
        self.books.party("agent", AGENTS[number % 3], is_verified=number % 2 == 0)

    @step(batch=st.sampled_from([1, 7, 500]))
    def release(self, batch):
        self.books.release(self.now, batch)
        assert self.books.release(self.now, batch).legs == 0

    @step()
    def meet_the_deadline(self):
        found = unfreeze_due(self.books.transactions, self.books.tenant, self.now)
        assert all(waiting.reasons for waiting in found)
        assert unfreeze_due(self.books.transactions, self.books.tenant, self.now) == []

    @step()
    def unlock(self):
        unlock_due(self.books.transactions, self.books.tenant, self.now)

    @step(number=numbers, days=st.one_of(st.none(), st.integers(1, 15)))
    def hold(self, number, days):
        leg_id, order_id, supplier = self.pick(
            self.books.rows("select leg_id, order_id, supplier_id from settlement.leg order by leg_id"),
            number,
        )
        target = (
            on_leg(leg_id, order_id),
            on_order(order_id),
            on_sub_order(order_id, supplier),
            on_party(Party("agent", AGENTS[number % 3])),
        )[number % 4]
        expires = self.now + days * DAY if days else None
        try:
            self.do(place_hold, target, "risk", f"score_{number % 2}", self.now, expires)
        except HoldTargetError:
            assert target.party is None

    @step(number=numbers)
    def resolve_a_hold(self, number):
        expire_or_not = number % 5
        if expire_or_not == 0:
            self.do(expire_holds, self.now)
            return
        standing = self.books.rows(
            "select hold_id from settlement.hold where state = 'standing' and (expires_at is null or"
            " expires_at > %s) order by hold_id",
            self.now,
        )
        (hold_id,) = self.pick(standing, number)
        self.do(confirm_hold if expire_or_not == 1 else lift_hold, hold_id, "operator-1", self.now)

    @step(threshold=st.sampled_from([1, 1_000]))
    def send_pay_outs(self, threshold):
        self.batches += 1
        self.do(prepare_payouts, f"b{self.batches}", "simulated", self.now, threshold)

    @step(number=numbers)
    def resolve_a_pay_out(self, number):
        rows = self.books.rows(
            "select payout_id from settlement.payout where state = 'in_transit' order by 1"
        )
        (payout_id,) = self.pick(rows, number)
        if number % 3:
            self.do(confirm_payout, payout_id, self.now)
        else:
            self.do(fail_payout, payout_id, self.now, "closed account")

    @step(number=numbers, amount=st.integers(1, 3_000))
    def charge(self, number, amount):
        if number % 3 == 0:
            self.do(charge_penalty, self.books.new_id("f"), Party("supplier", "S1"), amount, "late", self.now)
        elif number % 3 == 1:
            self.do(
                recognise_service_fee, self.books.new_id("f"), plan(), Party("merchant", "m1"), amount, 1,
                agent(number), self.now,
            )  # fmt: skip
        else:
            release_fees_due(self.books.transactions, self.books.tenant, self.now)

    @step(number=numbers, part=st.integers(1, 3))
    def give_back_a_fee(self, number, part):
        rows = self.books.rows(
            "select fee_id, amount_cents - reversed_cents from settlement.service_fee"
            " where reversed_cents < amount_cents order by 1"
        )
        fee_id, left = self.pick(rows, number)
        self.do(reverse_fee, self.books.new_id("fr"), fee_id, max(1, left // part), self.now)

    @step(number=numbers)
    def pay_a_debt(self, number):
        party, owed = self.pick(self.do(lambda conn, _: outstanding(conn)), number)
        self.do(repay, self.books.new_id("pay"), party, max(1, owed // (1 + number % 2)), self.now)

    @step(number=numbers)
    def re_route(self, number):
        """A line that nothing happened to goes to the other supplier at the same price."""
        untouched = self.books.rows(
            "select n.order_id, n.line_no, n.supplier_id from orders.order_line n"
            " join orders.customer_order o using (tenant_id, order_id)"
            " where o.refunded_cents = 0 and o.status = 'paid' and exists (select 1 from settlement.leg l"
            "  where l.order_id = n.order_id and l.line_no = n.line_no and not l.is_replaced)"
            " and not exists (select 1 from settlement.leg l where l.order_id = n.order_id"
            "  and not l.is_replaced and (l.state = 'released' or l.is_unfrozen or l.forfeited_cents > 0))"
            " and not exists (select 1 from settlement.refund r where r.order_id = n.order_id)"
            # Nobody takes a line into a part that left.
            " and not exists (select 1 from orders.sub_order s where s.order_id = n.order_id"
            "  and s.status <> 'pending')"
            # A hold on a leg or a part would not follow; re-routing under one is refused.
            " and not exists (select 1 from settlement.hold h where h.state = 'standing'"
            "  and (h.target_type = 'sub_order' and h.target_id = n.order_id || '/' || n.supplier_id"
            "       or h.target_type = 'leg' and h.target_id in (select l.leg_id::text from settlement.leg l"
            "           where l.order_id = n.order_id and l.line_no = n.line_no)))"
            " order by 1, 2"
        )
        order_id, line_no, supplier = self.pick(untouched, number)
        order, version = self.orders[order_id]
        document = order.to_json()
        other = SUPPLIERS[1 - SUPPLIERS.index(supplier)]
        for line in document["lines"]:
            if line["line_no"] == line_no:
                line["supplier_id"] = other
        changed = snapshot.OrderSnapshot.from_json(document)
        with self.books.transactions() as conn:
            conn.execute(
                "insert into orders.sub_order (tenant_id, order_id, supplier_id, status) values (%s, %s, %s,"
                " 'pending') on conflict do nothing",
                (self.books.tenant, order_id, other),
            )
            conn.execute(
                "update orders.order_line set supplier_id = %s where order_id = %s and line_no = %s",
                (other, order_id, line_no),
            )
            body = (conn, self.books.tenant, changed, line_no, version, self.now)
            reroute_id = self.books.new_id("re")
            first = reaccrue_line(*body, reroute_id=reroute_id)
            assert reaccrue_line(*body, reroute_id=reroute_id) == first
        self.orders[order_id] = (changed, version)

    @invariant()
    def the_books_are_sound(self):
        if hasattr(self, "books") and self.steps % STEPS_BETWEEN_CHECKS == 0:
            assert self.books.violations() == []

    def teardown(self):
        if hasattr(self, "books"):
            assert self.books.violations() == []


def run(operations, **sizes):
    class Bound(AnySequence):
        pass

    Bound.operations = operations
    Bound.TestCase.settings = settings(
        deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, **sizes
    )
    case = Bound.TestCase()
    case.runTest()


def test_a_few_sequences(operations):
    run(operations, max_examples=25, stateful_step_count=25, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20 if NIGHTLY else 1))
def test_many_sequences(operations, part):
    """The nightly form is 10,000 sequences in parts: workers share it, and a part that ended counts."""
    if NIGHTLY:
        run(operations, max_examples=500, stateful_step_count=200, derandomize=False)
    else:
        run(operations, max_examples=500, stateful_step_count=25)

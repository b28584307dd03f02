"""Writing operations on a small market that want the same rows; what a pair does to each other."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

import psycopg

from models.supply.brake.ladder import Level, Rules
from serving.agents.errors import AgentsError
from serving.agents.violation_records import Report, record_violation
from serving.agents.violations import Severity
from serving.db.operations import Operations
from serving.db.retries import LOST, reason_of
from serving.ledger.accounts import Party
from serving.ledger.errors import LedgerError
from serving.orders import records
from serving.orders.after_sales import after_sales, returns
from serving.orders.assortment import catalogue, stock
from serving.orders.coupons import issuing, store
from serving.orders.coupons.programme import Share, Terms
from serving.orders.errors import OrdersError
from serving.orders.fulfilment import fulfilment, receipts
from serving.orders.fulfilment.receipts import confirm_receipts_due
from serving.orders.paying import payments
from serving.orders.placing import placing
from serving.orders.placing.cancelling import cancel_units, expire_unpaid
from serving.orders.settling import release_due, unfreeze_due
from serving.quality.judging import Finding, judge
from serving.settlement import payouts
from serving.settlement.beside.fees import charge_penalty, release_fees_due, reverse_fee
from serving.settlement.books.referral_unlock import unlock_due
from serving.settlement.control import holds
from serving.settlement.errors import SettlementError
from serving.settlement.plans.assignments import put_into_force
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import ViolationRule

TENANT = "default"
NOW = datetime(2026, 11, 1, 8, tzinfo=UTC)
LATER = NOW + timedelta(days=40)
REFUSALS = (OrdersError, SettlementError, LedgerError, AgentsError)
"""What an operation may answer where it comes too late; anything else is a fault."""

_SKUS = ("A", "B")
_SUPPLIERS = ("S1", "S2", "S3", "S4")
_QTY = 2

Act = Callable[["Arena", str], object]
"""What an operation does to an order; operations that have no order take the id as a name."""


@dataclass(frozen=True)
class Operation:
    """A writing operation.

    Attributes:
        name: As in the table of results.
        state: What an order has to be for it: `placed`, `paid`, `shipped` or `received`.
        act: Does it, in a transaction or in several.
    """

    name: str
    state: str
    act: Act


@dataclass
class Clash:
    """What became of the calls of a pair."""

    calls: int = 0
    done: int = 0
    refused: int = 0
    faults: list[BaseException] = field(default_factory=list)


class Arena:
    """A market of two skus, four suppliers, one merchant, one buyer and one agent."""

    def __init__(self, operations: Operations) -> None:
        self.operations = operations
        self.lost: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._plan = load_shipped("cn_strict")
        self.rule = self._plan.only(ViolationRule)
        with self.transactions() as conn:
            put_into_force(conn, TENANT, NOW)
            for party_type, party_id in [("supplier", s) for s in _SUPPLIERS] + [
                ("merchant", "m1"),
                ("agent", "a1"),
            ]:
                conn.execute(
                    "insert into parties.party (tenant_id, party_type, party_id, is_verified, has_contract)"
                    " values (%s, %s, %s, true, true)",
                    (TENANT, party_type, party_id),
                )
            conn.execute(
                "insert into agents.agent (tenant_id, agent_id, depth, tier, has_service_evidence)"
                " values (%s, 'a1', 1, 'gold', true)",
                (TENANT,),
            )
            products = [catalogue.Product(sku, sku, ("leaf",)) for sku in _SKUS]
            catalogue.put_products(conn, TENANT, products)
            listings = [catalogue.Listing("m1", sku, 10_000) for sku in _SKUS]
            catalogue.put_listings(conn, TENANT, listings)
            # Dearer from supplier to supplier, so that orders begin at the first two and move on.
            terms = {("S1", "A"): 4000, ("S2", "B"): 4000, ("S3", "B"): 4500, ("S3", "A"): 4600}
            terms |= {("S4", "A"): 4700, ("S4", "B"): 4700}
            offers = [
                catalogue.Offer(supplier, sku, price, 100, 1, NOW, 1, None)
                for (supplier, sku), price in terms.items()
            ]
            catalogue.put_offers(conn, TENANT, offers)
            self._codes = [_open_code(conn, "platform", ""), _open_code(conn, "merchant", "m1")]
        self.count_stock(NOW)

    @contextmanager
    def transactions(self) -> Iterator[psycopg.Connection]:
        """A transaction; one that PostgreSQL ended is counted, whoever runs it again."""
        try:
            with self.operations.transaction(TENANT) as conn:
                yield conn
        except LOST as error:
            self.lost[reason_of(error)] += 1
            raise

    def count_stock(self, at: datetime) -> None:
        """Every supplier counts, in an order of its own."""
        for supplier in _SUPPLIERS:
            reports = [stock.StockReport(sku, 10**6, 0, at) for sku in random.sample(_SKUS, len(_SKUS))]
            self.do(stock.report_stock, supplier, reports, at)

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the core in a transaction of its own."""
        with self.transactions() as conn:
            return function(conn, TENANT, *arguments)

    def new_id(self, prefix: str) -> str:
        """An id that nobody had."""
        return f"{prefix}{next(self._numbers)}"

    def place(self) -> str:
        """An order of both skus with two coupons, everything in an order by chance.

        The merchant has no share of the sale, so it owes for its coupon from the payment on.
        """
        order_id = self.new_id("o")
        lines = [placing.WantedLine(sku, _QTY) for sku in random.sample(_SKUS, len(_SKUS))]
        order = placing.NewOrder(order_id, "m1", "c1", lines, agent_id="a1")
        order = replace(order, coupon_codes=random.sample(self._codes, len(self._codes)))
        self.do(placing.place_order, order, self._plan, NOW)
        return order_id

    def pay(self, order_id: str) -> None:
        """Pay an order."""
        with self.transactions() as conn:
            cents = records.find_order(conn, TENANT, order_id).payable_cents
            payment = payments.Payment(f"pay-{order_id}", order_id, payments.SIMULATED, cents, 0, NOW)
            payments.take_payment(conn, TENANT, payment, NOW)

    def suppliers(self, order_id: str) -> list[str]:
        """Who ships something of an order, in an order by chance."""
        with self.transactions() as conn:
            parts = [part.supplier_id for part in records.sub_orders_of(conn, TENANT, order_id)]
        return random.sample(parts, len(parts))

    def ship(self, order_id: str) -> None:
        """Every supplier ships."""
        for supplier in self.suppliers(order_id):
            parcel = fulfilment.Parcel(self.new_id("sh"), NOW + timedelta(days=3), NOW)
            try:
                self.do(fulfilment.accept, order_id, supplier, {}, NOW)
                self.do(fulfilment.ship, order_id, supplier, parcel)
            except OrdersError:
                continue

    def order_in(self, state: str) -> str:
        """A new order in a state."""
        order_id = self.place()
        if state != "placed":
            self.pay(order_id)
        if state in ("shipped", "received"):
            self.ship(order_id)
        if state == "received":
            self.do(receipts.confirm_receipt, order_id, None, NOW)
        return order_id


def _open_code(conn: psycopg.Connection, party_type: Literal["platform", "merchant"], party_id: str) -> str:
    """A code for whoever brings it, at the cost of its issuer; everybody waits for its two rows."""
    terms = Terms(
        kind="percentage" if party_type == "platform" else "threshold",
        off_bps=500 if party_type == "platform" else None,
        off_cents=None if party_type == "platform" else 1_000,
        min_goods_cents=1_000,
        funders=(Share(party_type=party_type, party_id=party_id, share_bps=10_000),),
        budget_cents=10**12,
        budget_count=10**9,
        per_consumer_count=10**9,
        valid_from=NOW,
        valid_to=NOW + timedelta(days=90),
        beyond_share="receivable",
        merchant_ids=("m1",) if party_id else (),
    )
    made = store.open_programme(conn, TENANT, party_type, party_id, "sale", terms, "arena", NOW)
    return issuing.issue(conn, TENANT, made.programme_id, NOW, max_uses=10**6)[0].code


def _reject(arena: Arena, order_id: str) -> None:
    for supplier in arena.suppliers(order_id):
        arena.do(fulfilment.reject, order_id, supplier, "no_goods", NOW)


def _accept_short(arena: Arena, order_id: str) -> None:
    for supplier in arena.suppliers(order_id):
        with arena.transactions() as conn:
            lines = records.lines_of(conn, TENANT, order_id, supplier)
        arena.do(fulfilment.accept, order_id, supplier, {line.line_no: 1 for line in lines}, NOW)


def _case(arena: Arena, order_id: str, share: int = 1) -> list[str]:
    with arena.transactions() as conn:
        lines = records.lines_of(conn, TENANT, order_id)
    cases = []
    for line in random.sample(lines, len(lines)):
        cents = line.open_cents // share
        case = arena.do(after_sales.open_case, order_id, line.line_no, None, "refund", "why", cents, NOW)
        with arena.transactions() as conn:
            returns.answer_case(conn, TENANT, case.case_id, agrees=True, reason_code=None, now=NOW)
        cases.append(case.case_id)
    return cases


def _cancel_units(arena: Arena, order_id: str) -> None:
    for line_no in random.sample((1, 2), 2):
        arena.do(cancel_units, order_id, line_no, 1, NOW)


def _refund(arena: Arena, order_id: str) -> None:
    for case_id in _case(arena, order_id):
        with arena.transactions() as conn:
            cents = after_sales.find_case(conn, TENANT, case_id).requested_cents
        arena.do(after_sales.refund_case, case_id, cents, NOW)


def _refund_part(arena: Arena, order_id: str) -> None:
    for case_id in _case(arena, order_id, share=10):
        arena.do(after_sales.refund_case, case_id, 100, NOW)


def _end_case(event: str, arena: Arena, order_id: str) -> None:
    for case_id in _case(arena, order_id, share=10):
        arena.do(after_sales.end_case, case_id, event, NOW)


def _goods_return(arena: Arena, order_id: str) -> None:
    for line_no in random.sample((1, 2), 2):
        case = arena.do(after_sales.open_case, order_id, line_no, None, "return", "why", 100, NOW, 1)
        arena.do(returns.receive_back, case.case_id, 1, 1, NOW)
        arena.do(after_sales.refund_case, case.case_id, 100, NOW)


def _receive(arena: Arena, order_id: str) -> None:
    arena.do(receipts.confirm_receipt, order_id, None, NOW)


def _hold_order(arena: Arena, order_id: str) -> None:
    hold = arena.do(holds.place_hold, holds.on_order(order_id), "risk", "score", NOW)
    arena.do(holds.lift_hold, hold.hold_id, "op", NOW)


def _confirm_hold(arena: Arena, order_id: str) -> None:
    hold = arena.do(holds.place_hold, holds.on_order(order_id), "risk", "sure", NOW)
    arena.do(holds.confirm_hold, hold.hold_id, "op", NOW)


def _hold_party(arena: Arena, order_id: str) -> None:
    party = Party(*random.choice([("supplier", "S1"), ("merchant", "m1"), ("agent", "a1")]))
    ends = NOW + timedelta(hours=1)
    hold = arena.do(holds.place_hold, holds.on_party(party), "operator", order_id, NOW, ends)
    arena.do(holds.lift_hold, hold.hold_id, "op", NOW)


def _pay_out(arena: Arena, order_id: str) -> None:
    for payout in arena.do(payouts.prepare_payouts, arena.new_id("b"), payments.SIMULATED, LATER):
        if random.random() < 0.5:
            arena.do(payouts.confirm_payout, payout.payout_id, LATER)
        else:
            arena.do(payouts.fail_payout, payout.payout_id, LATER, "closed")


def _fee(arena: Arena, order_id: str) -> None:
    fee_id = arena.new_id("f")
    payer = Party("supplier", random.choice(_SUPPLIERS))
    arena.do(charge_penalty, fee_id, payer, 100, "late", NOW)
    arena.do(reverse_fee, f"r-{fee_id}", fee_id, 40, NOW)


def _violation(arena: Arena, order_id: str) -> None:
    report = Report("a1", Severity.MINOR, "late", NOW, arena.new_id("v"))
    arena.do(record_violation, report, arena.rule, NOW)


def _stock(arena: Arena, order_id: str) -> None:
    arena.count_stock(NOW + timedelta(microseconds=next(arena._numbers)))


def _night(arena: Arena, order_id: str) -> None:
    finding = Finding("beside", Level.WATCH, "likely_above_line", {})
    arena.do(judge, [finding], Rules(), NOW)


def _job(run: Callable[..., object], arena: Arena, order_id: str) -> None:
    run(arena.transactions, TENANT, LATER)


OPERATIONS: tuple[Operation, ...] = (
    Operation("place", "placed", lambda arena, _: arena.place()),
    Operation("pay", "placed", lambda arena, order_id: arena.pay(order_id)),
    Operation("cancel", "placed", lambda arena, order_id: arena.do(placing.cancel_order, order_id)),
    Operation("accept_and_ship", "paid", lambda arena, order_id: arena.ship(order_id)),
    Operation("accept_short", "paid", _accept_short),
    Operation("reject", "paid", _reject),
    Operation("refund", "paid", _refund),
    Operation("refund_part", "received", _refund_part),
    Operation("cancel_units", "paid", _cancel_units),
    Operation("expire_unpaid", "placed", partial(_job, expire_unpaid)),
    Operation("case_close", "paid", partial(_end_case, "close")),
    Operation("case_reject", "paid", partial(_end_case, "reject")),
    Operation("receive", "shipped", _receive),
    Operation("goods_return", "received", _goods_return),
    Operation("stock_put", "placed", _stock),
    Operation("receipts_due", "shipped", partial(_job, confirm_receipts_due)),
    Operation("release", "received", partial(_job, release_due)),
    Operation("deadline", "paid", partial(_job, unfreeze_due)),
    Operation("unlock", "received", partial(_job, unlock_due)),
    Operation("fees_due", "received", partial(_job, release_fees_due)),
    Operation("pay_out", "received", _pay_out),
    Operation("fee", "received", _fee),
    Operation("hold_order", "paid", _hold_order),
    Operation("hold_confirm", "paid", _confirm_hold),
    Operation("hold_party", "received", _hold_party),
    Operation("violation", "received", _violation),
    Operation("quality_night", "paid", _night),
)
"""Everything that writes to orders, stock, parties and balances."""


def clash(arena: Arena, first: Operation, second: Operation, *, orders: int, threads: int) -> Clash:
    """Let two operations loose on the same orders, from many threads that begin together.

    Args:
        arena: The market.
        first: One operation.
        second: The other, or the same.
        orders: Orders in the state of each; both operations are tried on all of them.
        threads: How many work at once.
    """
    ids = [arena.order_in(state) for state in (first.state, second.state) for _ in range(orders)]
    calls = [(operation, order_id) for order_id in ids for operation in (first, second)]
    random.shuffle(calls)
    found = Clash(calls=len(calls))
    guard = threading.Lock()
    barrier = threading.Barrier(min(threads, len(calls)))

    def run(share: Sequence[tuple[Operation, str]]) -> None:
        barrier.wait()
        for operation, order_id in share:
            outcome = attempt(arena, operation, order_id)
            with guard:
                if outcome is None:
                    found.done += 1
                elif isinstance(outcome, (*REFUSALS, *LOST)):
                    found.refused += 1
                else:
                    found.faults.append(outcome)

    workers = min(threads, len(calls))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, [calls[start::workers] for start in range(workers)]))
    return found


def attempt(arena: Arena, operation: Operation, order_id: str) -> BaseException | None:
    """Do an operation without any retry; what it raised."""
    try:
        operation.act(arena, order_id)
    except (*REFUSALS, psycopg.Error, AssertionError) as error:
        return error
    return None

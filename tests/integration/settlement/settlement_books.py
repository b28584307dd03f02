"""Orders, parties and plans in a real database, and the short words that tests of settlement use."""

import datetime as dt
import itertools
import uuid
from functools import cache, partial

from psycopg.types.json import Jsonb

from serving.db.operations import Operations
from serving.ledger import invariants
from serving.ledger.accounts import PLATFORM, AccountKind, Party
from serving.ledger.balances import balance, trial_balance
from serving.orders.settling import release_due
from serving.settlement.books.accrual import accrue_order
from serving.settlement.plans.loader import plan_document
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.store import ALL_OTHERS, publish_plan, put_legal_review

PAID = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
# The plans that ship were published before and took effect after.
LONG_AGO = dt.datetime(2016, 12, 10, tzinfo=dt.UTC)
RECEIVED = PAID + 3 * DAY
DUE = RECEIVED + 7 * DAY
# Suppliers are paid weekly: from the Monday after their window.
PAYDAY = dt.datetime(2026, 3, 16, 12, tzinfo=dt.UTC)
PLAN_NAMES = ("cn_strict", "cn_two_level", "worked_20_8_25", "worked_25_10_25")


@cache
def plan(name="cn_strict"):
    """A shipped plan, in force since long."""
    return load_shipped(name, legal_review="review-1" if name == "cn_two_level" else None)


class Books:
    """One tenant of its own in a database that tests share."""

    def __init__(self, operations: Operations):
        self.operations = operations
        self.tenant = f"t-{uuid.uuid4().hex[:12]}"
        self.transactions = partial(operations.transaction, self.tenant)
        self._numbers = itertools.count(1)
        with self.transactions() as conn:
            put_legal_review(
                conn, self.tenant, "review-1", plan("cn_two_level").plan_id, "a lawyer", LONG_AGO, "1"
            )
            for name in PLAN_NAMES:
                publish_plan(conn, self.tenant, plan_document(plan(name)), LONG_AGO)

    def new_id(self, prefix):
        return f"{prefix}-{next(self._numbers)}"

    def party(self, party_type, party_id, *, is_verified=True):
        """Put a party on file."""
        with self.transactions() as conn:
            conn.execute(
                "insert into parties.party (tenant_id, party_type, party_id, is_verified)"
                " values (%s, %s, %s, %s) on conflict (tenant_id, party_type, party_id)"
                " do update set is_verified = excluded.is_verified",
                (self.tenant, party_type, party_id, is_verified),
            )

    def place(self, order, *, status="received", received_at=RECEIVED, release_due_at=DUE):
        """Write a paid order, as the order service leaves it when everything was received."""
        with self.transactions() as conn:
            self.place_in(conn, order, status=status, received_at=received_at, release_due_at=release_due_at)

    def place_in(self, conn, order, *, status, received_at, release_due_at):
        tenant, freight = self.tenant, {f.supplier_id: f.cents for f in order.freights}
        sub_status = "pending" if status == "paid" else status
        conn.execute(
            "insert into orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, channel,"
            " source, status, placed_at, paid_at, payable_cents, captured_cents, freight_cents, snapshot)"
            " values (%s, %s, %s, %s, 'other', 'api', %s, %s, %s, %s, %s, %s, %s)",
            (
                tenant, order.order_id, order.merchant_id, order.consumer_id, status, order.paid_at,
                order.paid_at, order.captured_cents, order.captured_cents, sum(freight.values()),
                Jsonb(order.to_json()),
            ),
        )  # fmt: skip
        for line in order.lines:
            conn.execute(
                "insert into orders.order_line (tenant_id, order_id, line_no, sku_id, supplier_id, qty,"
                " list_price_cents, promo_discount_cents, net_paid_cents, supply_price_cents,"
                " loss_cents, loss_day)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    tenant, order.order_id, line.line_no, line.sku_id, line.supplier_id, line.qty,
                    line.list_price_cents, line.list_price_cents - line.net_paid_cents, line.net_paid_cents,
                    line.supply_price_cents, *self._agreed_loss(conn, order, line),
                ),
            )  # fmt: skip
        is_received = status == "received"
        for supplier in sorted({line.supplier_id for line in order.lines} | freight.keys()):
            conn.execute(
                "insert into orders.sub_order (tenant_id, order_id, supplier_id, status, freight_cents,"
                " received_at, release_due_at) values (%s, %s, %s, %s, %s, %s, %s)",
                (
                    tenant, order.order_id, supplier, sub_status, freight.get(supplier, 0),
                    received_at if is_received else None, release_due_at if is_received else None,
                ),
            )  # fmt: skip

    def _agreed_loss(self, conn, order, line):
        """What a line loses, out of a budget that an operator set for it; placing would refuse it else."""
        loss = line.supply_price_cents + line.channel_fee_cents + line.tax_cents - line.net_paid_cents
        if loss <= 0:
            return 0, None
        day = order.paid_at.date()
        conn.execute(
            "insert into orders.loss_budget as b (tenant_id, merchant_id, day, limit_cents, spent_cents)"
            " values (%(tenant)s, %(merchant)s, %(day)s, %(loss)s, %(loss)s)"
            " on conflict (tenant_id, merchant_id, day) do update set"
            " limit_cents = b.limit_cents + %(loss)s, spent_cents = b.spent_cents + %(loss)s",
            {"tenant": self.tenant, "merchant": order.merchant_id, "day": day, "loss": loss},
        )
        return loss, day

    def settled_by(self, plan_id, merchant_id=ALL_OTHERS, effective_at=LONG_AGO):
        """Orders of a merchant are settled by a plan, since long."""
        with self.transactions() as conn:
            conn.execute(
                "insert into settlement.merchant_plan (tenant_id, merchant_id, plan_id, effective_at)"
                " values (%s, %s, %s, %s)",
                (self.tenant, merchant_id, plan_id, effective_at),
            )

    def accrue(self, order, plan_version=None, now=PAID):
        with self.transactions() as conn:
            return accrue_order(conn, self.tenant, order, plan_version or plan(), now)

    def sell(self, order, plan_version=None, **more):
        """Place and accrue an order."""
        self.place(order, **more)
        return self.accrue(order, plan_version)

    def do(self, function, *arguments, **more):
        """Call a function of settlement in a transaction of its own."""
        with self.transactions() as conn:
            return function(conn, self.tenant, *arguments, **more)

    def release(self, now=DUE, batch=500):
        return release_due(self.transactions, self.tenant, now, batch)

    def rows(self, query, *parameters):
        with self.transactions() as conn:
            return conn.execute(query, parameters).fetchall()

    def balance(self, kind, party=PLATFORM):
        with self.transactions() as conn:
            return balance(conn, AccountKind(kind), Party(*party))

    def trial(self):
        """Balances that are not 0, by kind and party id."""
        with self.transactions() as conn:
            return {(row.kind, row.party.party_id): row.amount for row in trial_balance(conn) if row.amount}

    def violations(self):
        with self.transactions() as conn:
            return invariants.check(conn, self.tenant)

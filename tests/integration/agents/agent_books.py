"""A tenant of its own with orders, legs and agents, and the short words that tests of agents use."""

import uuid
from contextlib import contextmanager
from datetime import UTC, date, datetime

from serving.agents.relations import Joining, join

JOINED = date(2026, 1, 1)
NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Books:
    """Shortcuts over one tenant of a database that tests share."""

    def __init__(self, operations):
        self.operations = operations
        self.tenant = f"t-{uuid.uuid4().hex[:10]}"
        self._legs = 0

    @contextmanager
    def open(self):
        with self.operations.transaction(self.tenant) as conn:
            yield conn

    def do(self, function, *arguments, **more):
        with self.open() as conn:
            return function(conn, self.tenant, *arguments, **more)

    def rows(self, query, *values):
        with self.open() as conn:
            return conn.execute(query, values).fetchall()

    def sql(self, query, *values):
        with self.open() as conn:
            conn.execute(query, values)

    def join(self, agent_id, inviter=None, **more):
        joining = Joining(agent_id=agent_id, inviter_agent_id=inviter, joined_on=JOINED, **more)
        return self.do(join, joining)[0]

    def sold(
        self,
        order_id,
        agent_id,
        consumer_id,
        *,
        net=10_000,
        refunded=0,
        released_at=NOW,
        paid_at=NOW,
        legs=(("direct", 0, 2_000),),
        region=None,
    ):
        """One order of one line with a supplier's leg and legs of agents, settled when `released_at` is
        given.

        Legs are (kind, level, cents) of the selling agent, or (kind, level, cents, payee).
        """
        state = "released" if released_at else "pending"
        with self.open() as conn:
            conn.execute(
                "insert into orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, agent_id,"
                " channel, source, status, placed_at, paid_at, payable_cents, captured_cents, region_code)"
                " values (%s, %s, 'm1', %s, %s, 'other', 'api', 'paid', %s, %s, %s, %s, %s)",
                (self.tenant, order_id, consumer_id, agent_id, paid_at, paid_at, net, net, region),
            )
            conn.execute(
                "insert into orders.order_line (tenant_id, order_id, line_no, sku_id, supplier_id, qty,"
                " list_price_cents, net_paid_cents, supply_price_cents, refunded_cents)"
                " values (%s, %s, 1, 'k1', 's1', 1, %s, %s, 0, %s)",
                (self.tenant, order_id, net, net, refunded),
            )
            everyone = [("supplier", 0, 1_000, "s1"), *((*leg, agent_id)[:4] for leg in legs)]
            for kind, level, cents, payee in everyone:
                conn.execute(
                    "insert into settlement.leg (tenant_id, order_id, line_no, supplier_id, kind, scenario,"
                    " plan_id, plan_version, payee_type, payee_id, level, wanted_cents, amount_cents,"
                    " explanation, state, accrued_at, released_at)"
                    " values (%s, %s, 1, 's1', %s, 1, 'p', 1, %s, %s, %s, %s, %s, '', %s, %s, %s)",
                    (
                        self.tenant,
                        order_id,
                        kind,
                        "supplier" if kind == "supplier" else "agent",
                        payee,
                        level,
                        cents,
                        cents,
                        state,
                        paid_at,
                        released_at,
                    ),
                )

"""A town with a programme of members, over the operational database and a warehouse of files."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import duckdb
from journey_town import TENANT, Town

from pipelines.members_night import close_night
from serving.members import records, versions
from serving.orders.after_sales import after_sales
from serving.orders.fulfilment import fulfilment, receipts
from serving.orders.settling import release_due

ZONE = "Asia/Shanghai"
PROGRAMME = """
title: Members
growth:
  window_days: 365
  per_unit: 1
  settles_after_days: 7
  visit: {growth: 1, per_day: 1}
  review: {growth: 5, per_day: 2}
  referral: {growth: 100, per_day: 5}
levels:
  - {level: ordinary, from_growth: 0}
  - {level: silver, from_growth: 300BENEFITS}
  - {level: gold, from_growth: 2000}
period_days: 60
notice_days: 10
grace_days: 5
"""


def programme(coupon=None):
    """The programme; silver gives a code of a coupon programme."""
    benefits = "" if coupon is None else f", benefits: {{coupon: {coupon}}}"
    return PROGRAMME.replace("BENEFITS", benefits)


class Files:
    """What a shop's files said, as the warehouse has it: the tables that growth is read from."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute(
            "set timezone = 'UTC'; create schema core; create schema intermediate;"
            "create table core.fct_settlement_legs (order_id varchar);"
            "create table core.fct_order_lines (order_id varchar, consumer_id varchar, placed_on date,"
            " qty_milli bigint, net_paid_cents bigint, is_counted boolean, returned_order_id varchar);"
            "create table core.fct_after_sales (order_id varchar, refund_cents bigint, origin varchar);"
            "create table core.fct_events (event_id varchar, consumer_id varchar, session_id varchar,"
            " occurred_on date);"
            "create table core.fct_orders (order_id varchar, consumer_id varchar, consumer_order_no bigint,"
            " placed_at timestamptz, placed_on date, is_sale boolean, net_sales_cents bigint);"
            "create table intermediate.int_referrals (inviter_id varchar, consumer_id varchar,"
            " registered_at timestamptz, superseded_at timestamptz)"
        )

    def add(self, table, *values):
        places = ", ".join("?" * len(values))
        self.connection.execute(f"insert into {table} values ({places})", list(values))

    def line(self, order, consumer, day, cents, *, counted=True, gives_back=None):
        """A line of an order; below 0 it gives back."""
        qty = -1_000 if cents < 0 else 1_000
        self.add("core.fct_order_lines", order, consumer, day, qty, cents, counted, gives_back)

    def case(self, order, cents, origin="observed"):
        self.add("core.fct_after_sales", order, cents, origin)

    def settled_here(self, order):
        self.add("core.fct_settlement_legs", order)

    def visit(self, consumer, day, session="s"):
        self.add("core.fct_events", f"e-{consumer}-{day}-{session}", consumer, session, day)

    def invited(self, inviter, consumer, at):
        """An invited consumer who bought at once."""
        self.add("intermediate.int_referrals", inviter, consumer, at, None)
        self.add("core.fct_orders", f"f-{consumer}", consumer, 1, at, at.date(), True, 1_000)


class MemberTown(Town):
    """Consumers who become members."""

    def __init__(self, url, operations):
        super().__init__(url, operations)
        self.files = Files()

    @property
    def today(self):
        return self.now.astimezone(ZoneInfo(ZONE)).date()

    def day_ago(self, days):
        return self.today - timedelta(days=days)

    def members(self, document=None):
        """Put a programme into force."""
        made = self.act(versions.put_forward, document or programme(), "ann", self.now)
        return self.act(versions.put_into_force, made.version, self.now)

    def close(self):
        """Close the day."""
        return close_night(self.files.connection, self.url, TENANT, ZONE, self.now)

    def member(self, consumer):
        return self.act(records.find, consumer)

    def causes(self, consumer):
        """What happened to a member, oldest first."""
        found = self.act(records.history_of, consumer, limit=100)
        return [(one.cause, one.level) for one in reversed(found)]

    def released(self, order_id, consumer, *, qty=1):
        """An order of the API that was received and whose money is released; 199.00 each. Takes 20 days."""
        self.place(order_id, ("s1", qty), consumer=consumer, at=self.now)
        self.pay(order_id, at=self.now)
        self.act(fulfilment.accept, order_id, "EV", {}, self.now)
        parcel = fulfilment.Parcel(f"sh-{order_id}", self.now + timedelta(days=3), self.now)
        self.act(fulfilment.ship, order_id, "EV", parcel)
        self.act(receipts.confirm_receipt, order_id, None, self.now + timedelta(days=1))
        self.on(days=20)
        release_due(self.transaction, TENANT, self.now)

    def refund(self, order_id, cents):
        """Give money of the first line of an order back."""
        case = self.agreed_case(order_id, 1, "EV", "refund", "broken", cents, self.now)
        self.act(after_sales.refund_case, case.case_id, cents, self.now)

"""The three facts that a night of the quality brake reads, in a DuckDB of their own."""

from datetime import timedelta

import duckdb
from held_skus import day

from models.supply.brake.ladder import QUALITY_REASONS, SAFETY_REASONS
from pipelines.warehouse.delivered import delivered_lines, with_texts

AS_OF = day(100)
REASONS = {"quality_reasons": QUALITY_REASONS, "safety_reasons": SAFETY_REASONS}


class Facts:
    """The three facts that a night reads, in a DuckDB."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute("set timezone = 'UTC'; create schema core")
        self.connection.execute(
            "create table core.fct_order_lines (order_id varchar, line_no bigint, sku_id varchar,"
            " supplier_id varchar, category_l2_id varchar, placed_at timestamptz, qty double,"
            " qty_milli bigint, is_merchandise boolean, is_counted boolean, consumer_id varchar);"
            "create table core.fct_shipments (shipment_id varchar, order_id varchar, supplier_id varchar,"
            " delivered_at timestamptz);"
            "create table core.fct_supply_observations (kind varchar, shipment_id varchar, sku_id varchar,"
            " batch_id varchar, received_at timestamptz);"
            "create table core.fct_after_sales (order_id varchar, line_no bigint, reason_code varchar,"
            " opened_at timestamptz, received_at timestamptz)"
        )

    def line(self, order, sku, ago, *, line_no=1, qty=1.0, supplier="S1", counted=True, merchandise=True):
        self.connection.execute(
            "insert into core.fct_order_lines values (?, ?, ?, ?, 'tea', ?, ?, ?, ?, ?, 'c1')",
            [
                *(order, line_no, sku, supplier, AS_OF - timedelta(days=ago), qty, int(qty * 1000)),
                *(merchandise, counted),
            ],
        )

    def parcel(self, order, ago, supplier="S1"):
        arrived = None if ago is None else AS_OF - timedelta(days=ago)
        self.connection.execute(
            "insert into core.fct_shipments values (?, ?, ?, ?)", [f"p-{order}", order, supplier, arrived]
        )

    def scan(self, order, sku, batch, kind="parcel_scan"):
        self.connection.execute(
            "insert into core.fct_supply_observations values (?, ?, ?, ?, ?)",
            [kind, f"p-{order}", sku, batch, AS_OF],
        )

    def case(self, order, ago, reason="quality", received=None, line_no=1):
        opened = AS_OF - timedelta(days=ago)
        known = opened if received is None else AS_OF - timedelta(days=received)
        self.connection.execute(
            "insert into core.fct_after_sales values (?, ?, ?, ?, ?)",
            [order, line_no, reason, opened, known],
        )

    def delivered(self, since=200, texts=()):
        frame = with_texts(
            delivered_lines(self.connection, since=AS_OF - timedelta(days=since), as_of=AS_OF, **REASONS),
            texts,
        )
        return {row["order_id"]: row for row in frame.iter_rows(named=True)}

    def complained(self, order, texts):
        """Lines of an order that are complained of."""
        lines = delivered_lines(self.connection, since=AS_OF - timedelta(days=200), as_of=AS_OF, **REASONS)
        frame = with_texts(lines, texts).filter(order_id=order).drop_nulls("complained_at")
        return frame["line_no"].to_list()


def market(facts):
    """Of 60 orders each: nobody complains, a fifth, a third, and one of them is hurt."""
    for sku, every in (("good", 0), ("poor", 5), ("bad", 3), ("harmful", 60)):
        for number in range(60):
            order = f"{sku}-{number}"
            facts.line(order, sku, 28, supplier=f"of-{sku}")
            if every and number % every == 0:
                facts.case(order, 20, reason="safety" if sku == "harmful" else "quality")

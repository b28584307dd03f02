"""A tiny warehouse in memory: the core tables that tags read, filled from lists of dicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import polars as pl

NOW = datetime(2017, 12, 1, 12, 0, tzinfo=UTC)
ZONE = "Etc/GMT+5"
OFFSET = -5.0
"""Hours of `ZONE`, for the oracle."""
_TIME = pl.Datetime("us", "UTC")

SCHEMAS: dict[str, dict[str, Any]] = {
    "dim_consumers": {
        "consumer_id": pl.String,
        "merchant_id": pl.String,
        "inviter_id": pl.String,
        "registered_at": _TIME,
        "acquisition_channel": pl.String,
        "city": pl.String,
        "birthday": pl.Date,
        "gender": pl.String,
        "household_size": pl.Int64,
        "income_band": pl.String,
        "consent_marketing": pl.Boolean,
        "consent_profiling": pl.Boolean,
        "received_at": _TIME,
        "superseded_at": _TIME,
    },
    "dim_products": {
        "sku_id": pl.String,
        "category_l1_id": pl.String,
        "category_l2_id": pl.String,
        "brand_id": pl.String,
        "launched_on": pl.Date,
        "theme": pl.String,
        "is_private_label": pl.Boolean,
        "received_at": _TIME,
    },
    "dim_merchants": {
        "merchant_id": pl.String,
        "scene": pl.String,
        "region_code": pl.String,
        "received_at": _TIME,
    },
    "dim_suppliers": {
        "supplier_id": pl.String,
        "channel": pl.String,
        "region_code": pl.String,
        "is_active": pl.Boolean,
        "received_at": _TIME,
    },
    "dim_agents": {
        "agent_id": pl.String,
        "merchant_id": pl.String,
        "inviter_agent_id": pl.String,
        "tier": pl.String,
        "region_code": pl.String,
        "is_active": pl.Boolean,
        "received_at": _TIME,
    },
    "dim_offers": {
        "supplier_id": pl.String,
        "sku_id": pl.String,
        "valid_from": _TIME,
        "supply_price_cents": pl.Int64,
        "lead_time_days": pl.Int64,
        "received_at": _TIME,
    },
    "fct_grade_changes": {
        "change_id": pl.String,
        "supplier_id": pl.String,
        "category_id": pl.String,
        "grade": pl.String,
        "gate": pl.String,
        "score_low": pl.Float64,
        "graded_at": _TIME,
        "received_at": _TIME,
    },
    "fct_competitor_prices": {
        "sku_id": pl.String,
        "competitor": pl.String,
        "price_cents": pl.Int64,
        "observed_at": _TIME,
        "received_at": _TIME,
    },
    "fct_inventory_movements": {
        "sku_id": pl.String,
        "qty_delta": pl.Int64,
        "reason": pl.String,
        "occurred_at": _TIME,
        "received_at": _TIME,
    },
    "fct_settlement_legs": {
        "order_id": pl.String,
        "payee_type": pl.String,
        "payee_id": pl.String,
        "level": pl.Int64,
        "base_cents": pl.Int64,
        "amount_cents": pl.Int64,
        "accrued_at": _TIME,
        "received_at": _TIME,
    },
    "fct_orders": {
        "order_id": pl.String,
        "consumer_id": pl.String,
        "merchant_id": pl.String,
        "agent_id": pl.String,
        "channel": pl.String,
        "state": pl.String,
        "freight_cents": pl.Int64,
        "is_counted": pl.Boolean,
        "is_sale": pl.Boolean,
        "placed_at": _TIME,
        "sold_cents": pl.Int64,
        "net_sales_cents": pl.Int64,
        "has_coupon": pl.Boolean,
        "received_at": _TIME,
        "superseded_at": _TIME,
    },
    "fct_order_lines": {
        "order_id": pl.String,
        "consumer_id": pl.String,
        "merchant_id": pl.String,
        "sku_id": pl.String,
        "supplier_id": pl.String,
        "category_l1_id": pl.String,
        "category_l2_id": pl.String,
        "placed_at": _TIME,
        "qty": pl.Float64,
        "list_price_cents": pl.Int64,
        "promo_discount_cents": pl.Int64,
        "coupon_discount_cents": pl.Int64,
        "net_paid_cents": pl.Int64,
        "unit_price_cents": pl.Float64,
        "supply_cost_cents": pl.Int64,
        "is_merchandise": pl.Boolean,
        "is_sale": pl.Boolean,
        "is_return": pl.Boolean,
        "is_on_display": pl.Boolean,
        "is_on_mailer": pl.Boolean,
        "received_at": _TIME,
        "superseded_at": _TIME,
    },
    "fct_coupon_redemptions": {
        "coupon_id": pl.String,
        "order_id": pl.String,
        "consumer_id": pl.String,
        "kind": pl.String,
        "value_cents": pl.Int64,
        "redeemed_at": _TIME,
        "received_at": _TIME,
    },
    "dim_coupons": {
        "coupon_id": pl.String,
        "consumer_id": pl.String,
        "kind": pl.String,
        "value_cents": pl.Int64,
        "starts_at": _TIME,
        "ends_at": _TIME,
        "received_at": _TIME,
    },
    "fct_touches": {
        "touch_id": pl.String,
        "consumer_id": pl.String,
        "channel": pl.String,
        "campaign": pl.String,
        "cost_cents": pl.Int64,
        "occurred_at": _TIME,
        "received_at": _TIME,
    },
    "fct_messages": {
        "message_id": pl.String,
        "consumer_id": pl.String,
        "journey": pl.String,
        "channel": pl.String,
        "outcome": pl.String,
        "sent_at": _TIME,
        "received_at": _TIME,
    },
    "fct_points_ledger": {
        "entry_id": pl.String,
        "consumer_id": pl.String,
        "points_delta": pl.Int64,
        "expires_on": pl.Date,
        "occurred_at": _TIME,
        "received_at": _TIME,
    },
    "fct_level_changes": {
        "change_id": pl.String,
        "consumer_id": pl.String,
        "cause": pl.String,
        "level": pl.String,
        "growth": pl.Int64,
        "growth_to_next": pl.Int64,
        "is_at_risk": pl.Boolean,
        "changed_at": _TIME,
        "received_at": _TIME,
    },
    "fct_events": {
        "consumer_id": pl.String,
        "session_id": pl.String,
        "event_type": pl.String,
        "sku_id": pl.String,
        "query": pl.String,
        "dwell_ms": pl.Int64,
        "occurred_at": _TIME,
        "received_at": _TIME,
        "recorded_at": _TIME,
    },
    "fct_shipments": {
        "shipment_id": pl.String,
        "order_id": pl.String,
        "supplier_id": pl.String,
        "consumer_id": pl.String,
        "merchant_id": pl.String,
        "to_region": pl.String,
        "placed_at": _TIME,
        "shipped_at": _TIME,
        "delivered_at": _TIME,
        "last_node": pl.String,
        "last_node_at": _TIME,
        "is_late": pl.Boolean,
        "delivery_days": pl.Float64,
        "received_at": _TIME,
    },
    "fct_after_sales": {
        "case_id": pl.String,
        "consumer_id": pl.String,
        "merchant_id": pl.String,
        "supplier_id": pl.String,
        "sku_id": pl.String,
        "kind": pl.String,
        "reason_code": pl.String,
        "opened_at": _TIME,
        "resolved_at": _TIME,
        "resolution_days": pl.Float64,
        "refund_cents": pl.Int64,
        "received_at": _TIME,
    },
}

VERSIONED = {
    "dim_consumers": "int_consumers_known",
    "fct_orders": "int_orders_known",
    "fct_order_lines": "int_order_lines_known",
}
"""Tables that tags read in every known version, and the names under which they do."""

VIEWS = {
    "int_referrals": """
        SELECT inviter_id, consumer_id, registered_at, received_at, superseded_at
        FROM intermediate.int_consumers_known WHERE inviter_id IS NOT NULL
    """,
    "int_referred_orders": """
        SELECT c.inviter_id, o.consumer_id, o.order_id, o.placed_at, o.is_sale, o.net_sales_cents,
            GREATEST(o.received_at, c.received_at, c.registered_at) AS received_at,
            LEAST(o.superseded_at, c.superseded_at) AS superseded_at
        FROM intermediate.int_orders_known AS o
        JOIN intermediate.int_consumers_known AS c USING (consumer_id)
        WHERE c.inviter_id IS NOT NULL AND o.received_at < COALESCE(c.superseded_at, 'infinity')
            AND c.received_at < COALESCE(o.superseded_at, 'infinity')
    """,
    "int_coupon_steps": """
        SELECT coupon_id, consumer_id, 'granted' AS step, starts_at AS happened_at,
            CAST(MAKE_TIMESTAMP(EPOCH_US(ends_at)) - INTERVAL 5 HOUR AS DATE) AS ends_on, received_at
        FROM core.dim_coupons
        UNION ALL SELECT coupon_id, consumer_id, 'redeemed', redeemed_at, NULL, received_at
        FROM core.fct_coupon_redemptions
    """,
    "int_grades_held": """
        SELECT supplier_id, category_id, category_id IS NULL AS is_whole, grade, gate, score_low, graded_at,
            (SELECT MIN(n.graded_at) FROM core.fct_grade_changes AS n
             WHERE n.supplier_id = c.supplier_id AND n.category_id IS NOT DISTINCT FROM c.category_id
                AND n.graded_at > c.graded_at) AS superseded_at
        FROM core.fct_grade_changes AS c WHERE grade IS NOT NULL
    """,
    "int_levels_held": """
        SELECT consumer_id, level, growth, growth_to_next, is_at_risk, changed_at,
            (SELECT MIN(n.changed_at) FROM core.fct_level_changes AS n
             WHERE n.consumer_id = c.consumer_id AND n.changed_at > c.changed_at) AS superseded_at
        FROM core.fct_level_changes AS c
        WHERE NOT EXISTS (SELECT 1 FROM core.fct_level_changes AS n
            WHERE n.consumer_id = c.consumer_id AND n.changed_at = c.changed_at
                AND (LENGTH(n.change_id), n.change_id) > (LENGTH(c.change_id), c.change_id))
    """,
    "int_grades_applied": """
        WITH ever AS (
            SELECT DISTINCT supplier_id, category_id FROM intermediate.int_grades_held WHERE NOT is_whole
        ), own AS (
            SELECT e.supplier_id, e.category_id, h.is_whole, h.grade, h.gate, h.graded_at, h.superseded_at
            FROM ever AS e JOIN intermediate.int_grades_held AS h ON h.supplier_id = e.supplier_id
                AND (h.is_whole OR h.category_id = e.category_id)
        ), cuts AS (
            SELECT supplier_id, category_id, UNNEST([graded_at, superseded_at]) AS cut_at FROM own
        )
        SELECT c.supplier_id, c.category_id, o.grade, o.gate, c.cut_at AS graded_at,
            (SELECT MIN(n.cut_at) FROM cuts AS n WHERE n.supplier_id = c.supplier_id
                AND n.category_id = c.category_id AND n.cut_at > c.cut_at) AS superseded_at
        FROM (SELECT DISTINCT * FROM cuts WHERE cut_at IS NOT NULL) AS c
        JOIN own AS o ON o.supplier_id = c.supplier_id AND o.category_id = c.category_id
            AND o.graded_at <= c.cut_at AND c.cut_at < COALESCE(o.superseded_at, 'infinity')
        QUALIFY ROW_NUMBER()
            OVER (PARTITION BY c.supplier_id, c.category_id, c.cut_at ORDER BY o.is_whole) = 1
        UNION ALL
        SELECT supplier_id, NULL, grade, gate, graded_at, superseded_at FROM intermediate.int_grades_held
        WHERE is_whole
    """,
    "int_offers_graded": """
        SELECT o.sku_id, o.supplier_id, g.grade, g.gate,
            GREATEST(o.valid_from, o.received_at, g.graded_at) AS known_at, g.superseded_at
        FROM core.dim_offers AS o JOIN core.dim_products AS p USING (sku_id)
        JOIN intermediate.int_grades_applied AS g ON g.supplier_id = o.supplier_id
            AND g.category_id IS NOT DISTINCT FROM CASE WHEN EXISTS (
                SELECT 1 FROM intermediate.int_grades_applied AS h WHERE h.supplier_id = o.supplier_id
                AND h.category_id = p.category_l2_id) THEN p.category_l2_id END
        WHERE COALESCE(g.superseded_at, 'infinity') > GREATEST(o.valid_from, o.received_at, g.graded_at)
    """,
    "int_sales_graded": """
        SELECT l.merchant_id, l.order_id, l.supplier_id, l.sku_id, l.placed_at, l.net_paid_cents, g.grade,
            GREATEST(l.received_at, g.graded_at) AS known_at,
            NULLIF(LEAST(COALESCE(l.superseded_at, 'infinity'), COALESCE(g.superseded_at, 'infinity')),
                'infinity') AS superseded_at
        FROM intermediate.int_order_lines_known AS l
        JOIN intermediate.int_grades_applied AS g ON g.supplier_id = l.supplier_id
            AND g.category_id IS NOT DISTINCT FROM CASE WHEN EXISTS (
                SELECT 1 FROM intermediate.int_grades_applied AS h WHERE h.supplier_id = l.supplier_id
                AND h.category_id = l.category_l2_id) THEN l.category_l2_id END
        WHERE l.is_sale AND COALESCE(g.superseded_at, 'infinity') > GREATEST(l.received_at, g.graded_at)
    """,
}
"""What the warehouse derives from these tables for tags, in plain SQL."""

STEPS = {"fct_shipments": ("shipped_at", "last_node_at", "delivered_at")}
"""Tables whose row tells of several moments: what has not happened yet is taken out of the row."""

TIME_COLUMNS = {
    "dim_consumers": "registered_at",
    "fct_orders": "placed_at",
    "fct_order_lines": "placed_at",
    "fct_coupon_redemptions": "redeemed_at",
    "dim_coupons": "starts_at",
    "dim_merchants": "received_at",
    "dim_suppliers": "received_at",
    "dim_agents": "received_at",
    "dim_offers": "valid_from",
    "fct_grade_changes": "graded_at",
    "fct_competitor_prices": "observed_at",
    "fct_inventory_movements": "occurred_at",
    "fct_settlement_legs": "accrued_at",
    "fct_touches": "occurred_at",
    "fct_messages": "sent_at",
    "fct_points_ledger": "occurred_at",
    "fct_level_changes": "changed_at",
    "fct_events": "occurred_at",
    "fct_shipments": "delivered_at",
    "fct_after_sales": "opened_at",
}


def ago(days: float, now: datetime = NOW) -> datetime:
    """A moment some days before `now`."""
    return now - timedelta(days=days)


@dataclass
class World:
    """Rows of every table; `order` and `line` fill in what a test does not care about."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in SCHEMAS})
    next_id: int = 0

    def add(self, table: str, **values: Any) -> None:
        row = dict.fromkeys(SCHEMAS[table]) | values
        if row.get("received_at") is None and table in TIME_COLUMNS:
            row["received_at"] = row[TIME_COLUMNS[table]]
        if "recorded_at" in row:
            row["recorded_at"] = row["recorded_at"] or row["received_at"]
        self.tables[table].append(row)

    def consumer(self, consumer_id: str, at: datetime, **values: Any) -> None:
        self.add("dim_consumers", consumer_id=consumer_id, registered_at=at, **values)

    def product(
        self, sku_id: str, brand_id: str | None = None, theme: str | None = None, **values: Any
    ) -> None:
        own = None if brand_id is None else brand_id.startswith("private-")
        self.add(
            "dim_products", sku_id=sku_id, brand_id=brand_id, theme=theme, is_private_label=own, **values
        )

    def order(
        self,
        consumer_id: str | None,
        at: datetime,
        lines: list[dict[str, Any]] | None = None,
        *,
        net: int | None = None,
        merchant_id: str = "m1",
        state: str = "paid",
        order_id: str | None = None,
        received_at: datetime | None = None,
        superseded_at: datetime | None = None,
        channel: str = "store",
        agent_id: str | None = None,
        freight: int = 0,
    ) -> str:
        """An order with lines (one plain line by default); the order's money is that of its lines."""
        self.next_id += 1
        order_id = order_id or f"o{self.next_id:06d}"
        given = lines if lines is not None else [{"net_paid_cents": net or 0}]
        is_counted = state == "paid"
        built = [self._line(values) for values in given]
        for line in built:
            line |= {"is_sale": is_counted and line["qty"] > 0, "is_return": is_counted and line["qty"] < 0}
        for line in built:
            self.add(
                "fct_order_lines",
                order_id=order_id,
                consumer_id=consumer_id,
                merchant_id=merchant_id,
                placed_at=at,
                received_at=received_at or at,
                superseded_at=superseded_at,
                **line,
            )
        self.add(
            "fct_orders",
            order_id=order_id,
            consumer_id=consumer_id,
            merchant_id=merchant_id,
            agent_id=agent_id,
            channel=channel,
            state=state,
            freight_cents=freight,
            is_counted=is_counted,
            is_sale=any(line["is_sale"] for line in built),
            placed_at=at,
            sold_cents=sum(line["net_paid_cents"] for line in built if line["is_sale"]),
            net_sales_cents=sum(line["net_paid_cents"] for line in built) if is_counted else 0,
            has_coupon=any(line["coupon_discount_cents"] > 0 for line in built),
            received_at=received_at or at,
            superseded_at=superseded_at,
        )
        return order_id

    @staticmethod
    def _line(values: dict[str, Any]) -> dict[str, Any]:
        line: dict[str, Any] = {
            "sku_id": "sku",
            "category_l1_id": "l1-a",
            "category_l2_id": "l2-a/x",
            "qty": 1,
            "promo_discount_cents": 0,
            "coupon_discount_cents": 0,
            "net_paid_cents": 100,
            "is_merchandise": True,
            "is_on_display": False,
            "is_on_mailer": False,
        } | values
        discounts = line["promo_discount_cents"] + line["coupon_discount_cents"]
        line.setdefault("list_price_cents", line["net_paid_cents"] + discounts)
        line["unit_price_cents"] = line["net_paid_cents"] / line["qty"]
        return line

    def up_to(self, moment: datetime) -> World:
        """The same world with every row removed that happened or was received later."""
        kept: dict[str, list[dict[str, Any]]] = {}
        for name, rows in self.tables.items():
            time = TIME_COLUMNS.get(name)
            if name in STEPS:
                rows = [_so_far(row, STEPS[name], moment) for row in rows if row["received_at"] <= moment]
                kept[name] = [row for row in rows if any(row[step] is not None for step in STEPS[name])]
                continue
            kept[name] = [_as_known(r, moment) for r in rows if time is None or _known(r, time, moment)]
        return World(kept, self.next_id)

    def frames(self) -> dict[str, pl.DataFrame]:
        return {
            name: pl.DataFrame(rows, schema=SCHEMAS[name], orient="row") for name, rows in self.tables.items()
        }

    def connect(self) -> duckdb.DuckDBPyConnection:
        return connect(self.frames())


def _known(row: dict[str, Any], time: str, moment: datetime) -> bool:
    happened = row[time]
    return happened is not None and happened <= moment and row["received_at"] <= moment


def _so_far(row: dict[str, Any], steps: tuple[str, ...], moment: datetime) -> dict[str, Any]:
    """The row without what happened later."""
    return row | {step: None for step in steps if row[step] is not None and row[step] > moment}


def _as_known(row: dict[str, Any], moment: datetime) -> dict[str, Any]:
    """The row without a newer version that came later."""
    replaced = row.get("superseded_at")
    return row | {"superseded_at": None} if replaced is not None and replaced > moment else row


def connect(frames: dict[str, pl.DataFrame]) -> duckdb.DuckDBPyConnection:
    """A database with the tables that tags read."""
    con = duckdb.connect()
    con.execute("SET threads = 1")
    fill(con, frames)
    return con


def fill(con: duckdb.DuckDBPyConnection, frames: dict[str, pl.DataFrame]) -> None:
    """Write the tables that tags read: versions to `intermediate`, the others to `core`."""
    con.execute("CREATE SCHEMA core; CREATE SCHEMA intermediate")
    for name, frame in frames.items():
        table = f"intermediate.{VERSIONED[name]}" if name in VERSIONED else f"core.{name}"
        con.register("incoming", frame)
        con.execute(f"CREATE TABLE {table} AS SELECT * FROM incoming")
        con.unregister("incoming")
    for view, query in VIEWS.items():
        con.execute(f"CREATE VIEW intermediate.{view} AS {query}")

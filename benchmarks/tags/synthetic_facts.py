"""Fact tables of a large shop, made inside DuckDB: rows in the order of time, the same at every making.

A consumer has about 96 events of 90 days, and 11 orders of 47 lines over two years. Tables that tags read and
that are not made here exist empty; columns that are not made here are null.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb

from feature_store.registry import Registry

NOW = datetime.fromisoformat("2017-12-01T12:00:00+00:00")
EVENT_DAYS, ORDER_DAYS = 90, 730
SIZE = "96 events and 11 orders with 47 lines a consumer"
_SKUS, _BRANDS, _VIEWS = 20_000, 900, 4


def write_facts(con: duckdb.DuckDBPyConnection, registry: Registry, consumers: int) -> None:
    """Creates and fills every table that tags read, up to `NOW`.

    Args:
        con: An empty database.
        registry: Which tables and columns there must be.
        consumers: How many consumers.
    """
    con.execute("CREATE SCHEMA core; CREATE SCHEMA intermediate")
    for table, columns in _tables(registry).items():
        declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        con.execute(f"CREATE TABLE {table} ({declared})")
    _insert(con, "core.dim_products", _PRODUCTS.format(skus=_SKUS, brands=_BRANDS))
    made = _CONSUMERS.format(consumers=consumers, now=_literal(NOW))
    _insert(con, "intermediate.int_consumers_known", made)
    orders_a_day = max(1, consumers * 11 // ORDER_DAYS)
    for day in range(ORDER_DAYS):
        start = NOW - timedelta(days=ORDER_DAYS - day)
        _orders(con, start, timedelta(days=1), orders_a_day, consumers, day)
    sessions_a_day = max(1, consumers * 96 // EVENT_DAYS // _VIEWS)
    for day in range(EVENT_DAYS):
        start = NOW - timedelta(days=EVENT_DAYS - day)
        _events(con, start, timedelta(days=1), sessions_a_day, consumers, 10_000 + day)


def add_tick(
    con: duckdb.DuckDBPyConnection,
    start: datetime,
    length: timedelta,
    consumers: int,
    share: float,
    seed: int,
) -> None:
    """Rows of one tick, in which a share of the consumers send; fills `touched(entity_id)`.

    Each has a session of four events, and there is an order for every twenty of them.
    """
    senders = max(1, round(consumers * share))
    _orders(con, start, length, max(1, senders // 20), consumers, seed)
    _events(con, start, length, senders, consumers, seed)
    end = _literal(start)
    con.execute(
        "CREATE OR REPLACE TABLE touched AS "
        f"SELECT DISTINCT consumer_id AS entity_id FROM core.fct_events WHERE occurred_at >= {end} "
        f"UNION SELECT consumer_id FROM intermediate.int_orders_known WHERE placed_at >= {end}"
    )


def _tables(registry: Registry) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    for source in registry.sources.values():
        own = tables.setdefault(source.table, {})
        own |= {source.entity: "VARCHAR"} | dict(source.columns)
        own |= {name: "TIMESTAMPTZ" for name in (source.time, source.received, source.superseded) if name}
        for join in source.joins:
            tables.setdefault(join.table, {}).update({join.key: "VARCHAR"} | dict(join.columns))
    return tables


def _literal(moment: datetime) -> str:
    return f"TIMESTAMPTZ '{moment.isoformat()}'"


def _insert(con: duckdb.DuckDBPyConnection, table: str, made: str) -> None:
    """The made columns that the table has; the others stay null."""
    names = [row[0] for row in con.execute(f"DESCRIBE ({made})").fetchall()]
    known = {row[0] for row in con.execute(f"DESCRIBE {table}").fetchall()}
    kept = ", ".join(name for name in names if name in known)
    con.execute(f"INSERT INTO {table} ({kept}) SELECT {kept} FROM ({made})")


def _orders(
    con: duckdb.DuckDBPyConnection, start: datetime, length: timedelta, count: int, consumers: int, seed: int
) -> None:
    us = length // timedelta(microseconds=1)
    places = {"start": _literal(start), "us": us, "count": count, "consumers": consumers, "seed": seed}
    con.execute(f"CREATE OR REPLACE TEMP TABLE made_lines AS {_LINES.format(skus=_SKUS, **places)}")
    _insert(con, "intermediate.int_order_lines_known", "SELECT * FROM made_lines")
    _insert(con, "intermediate.int_orders_known", _ORDERS)
    con.execute("DROP TABLE made_lines")


def _events(
    con: duckdb.DuckDBPyConnection, start: datetime, length: timedelta, count: int, consumers: int, seed: int
) -> None:
    """Sessions evenly over the time, each of a few events 40 seconds apart."""
    us = length // timedelta(microseconds=1)
    places = {"start": _literal(start), "us": us, "count": count, "consumers": consumers, "seed": seed}
    _insert(con, "core.fct_events", _EVENTS.format(skus=_SKUS, views=_VIEWS, **places))


_PRODUCTS = """
SELECT 'sku-' || i AS sku_id, CASE WHEN i % 9 > 0 THEN 'brand-' || (i % {brands}) END AS brand_id,
  ['pet', 'mother_baby', 'beauty', 'health_food', NULL][1 + LEAST(i % 40, 4)] AS theme,
  i % 5 = 0 AS is_private_label
FROM range({skus}) AS r(i)
"""

_CONSUMERS = """
SELECT 'c' || i AS consumer_id,
  {now} - to_microseconds(CAST(hash(i, 1) % 63072000000000 AS BIGINT)) AS registered_at,
  registered_at AS received_at, DATE '1950-01-01' + CAST(hash(i, 2) % 20000 AS INTEGER) AS birthday,
  ['female', 'male', NULL][1 + CAST(hash(i, 3) % 3 AS INTEGER)] AS gender,
  CAST(1 + hash(i, 4) % 5 AS BIGINT) AS household_size, 'band-' || (hash(i, 5) % 8) AS income_band,
  hash(i, 6) % 2 = 0 AS consent_marketing, hash(i, 7) % 3 > 0 AS consent_profiling
FROM range({consumers}) AS r(i)
"""

_LINES = """
SELECT 'o' || {seed} || '-' || i AS order_id, 'c' || (hash(i, {seed}, 1) % {consumers}) AS consumer_id,
  {start} + to_microseconds(CAST({us} / {count} * i AS BIGINT)) AS placed_at, placed_at AS received_at,
  'm' || (hash(i, {seed}, 2) % 50) AS merchant_id, hash(i, {seed}, 3) % 40 = 0 AS is_refused,
  'sku-' || sku AS sku_id, 'l2-' || (sku % 300) AS category_l2_id, 'l1-' || (sku % 30) AS category_l1_id,
  CAST(1 + hash(i, {seed}, n, 5) % 3 AS DOUBLE) AS qty,
  CAST(200 + hash(sku) % 4000 AS BIGINT) AS unit_cents, CAST(unit_cents * qty AS BIGINT) AS list_price_cents,
  CASE WHEN hash(i, {seed}, n, 6) % 6 = 0 THEN list_price_cents // 10 ELSE 0 END AS promo_discount_cents,
  CASE WHEN hash(i, {seed}, 7) % 12 = 0 THEN list_price_cents // 20 ELSE 0 END AS coupon_discount_cents,
  list_price_cents - promo_discount_cents - coupon_discount_cents AS net_paid_cents,
  net_paid_cents / qty AS unit_price_cents, list_price_cents * 6 // 10 AS supply_cost_cents,
  sku % 25 > 0 AS is_merchandise, NOT is_refused AS is_sale, FALSE AS is_return, NOT is_refused AS is_counted,
  hash(i, {seed}, n, 8) % 15 = 0 AS is_on_display, hash(i, {seed}, n, 9) % 15 = 0 AS is_on_mailer
FROM (
  SELECT i, n, CAST(hash(i, {seed}, n, 4) % {skus} AS BIGINT) AS sku
  FROM range({count}) AS r(i),
    LATERAL (SELECT UNNEST(range(1 + CAST(hash(i, {seed}, 10) % 8 AS BIGINT))) AS n)
)
ORDER BY i
"""

_ORDERS = """
SELECT order_id, ANY_VALUE(consumer_id) AS consumer_id, ANY_VALUE(merchant_id) AS merchant_id,
  MIN(placed_at) AS placed_at, MIN(received_at) AS received_at, BOOL_OR(is_sale) AS is_sale,
  BOOL_OR(is_counted) AS is_counted,
  CAST(SUM(CASE WHEN is_sale THEN net_paid_cents END) AS BIGINT) AS sold_cents,
  CAST(SUM(CASE WHEN is_counted THEN net_paid_cents ELSE 0 END) AS BIGINT) AS net_sales_cents,
  BOOL_OR(coupon_discount_cents > 0) AS has_coupon
FROM made_lines GROUP BY order_id ORDER BY placed_at
"""

_EVENTS = """
SELECT 'c' || (hash(i, {seed}, 1) % {consumers}) AS consumer_id, 's' || {seed} || '-' || i AS session_id,
  ['view', 'view', 'search', 'add_to_cart'][1 + CAST(hash(i, n, {seed}, 3) % 4 AS INTEGER)] AS event_type,
  'sku-' || (hash(i, n, {seed}, 4) % {skus}) AS sku_id,
  {start} + to_microseconds(CAST({us} * 0.8 / {count} * i AS BIGINT) + n * 40000000) AS occurred_at,
  occurred_at AS received_at, occurred_at AS recorded_at
FROM range({count}) AS r(i), range({views}) AS v(n) ORDER BY i
"""

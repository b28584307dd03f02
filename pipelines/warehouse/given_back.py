"""What came back of sales, as the warehouse knows it; what that takes off is in `models.given_back`."""

from __future__ import annotations

from datetime import datetime

import duckdb
import polars as pl

from models.given_back import units_given_back

_RETURNS = """
    select returned_order_id as order_id, cast(returned_line_no as integer) as line_no, consumer_id, sku_id,
        placed_at, cast(-qty as double) as qty, -net_paid_cents as cents, received_at as known_at
    from core.fct_order_lines where is_return
"""
_NAMED = """
    select order_id, line_no, consumer_id, sku_id, placed_at, cast(qty as double) as qty, net_paid_cents
    from core.fct_order_lines
    where is_sale and (
        order_id in (select order_id from muyun_returns union all select order_id from muyun_cases)
        or (consumer_id, sku_id) in (select (consumer_id, sku_id) from muyun_returns where order_id is null)
    )
    order by placed_at, order_id, line_no
"""
"""Sale lines that the returns and cases may take from."""

SALES = """(
    select lines.* replace (
        lines.qty_milli - coalesce(cast(round(back.back_qty * 1000) as bigint), 0) as qty_milli
    )
    from core.fct_order_lines as lines left join muyun_given_back as back using (order_id, line_no)
    where lines.is_sale and lines.is_merchandise
)"""
"""Merchandise lines with `qty_milli` less what was given back, once `net` has told what that is."""

_CASES = """
    select order_id, cast(line_no as integer) as line_no, kind = 'return' as is_whole, refund_cents as cents,
        greatest(received_at, resolved_at) as known_at
    from core.fct_after_sales
    where kind in ('return', 'refund') and resolved_at is not null and origin <> 'overlay'
"""


def returns(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Return lines: what they name (null where they do not), whose, and how much came back."""
    return connection.sql(f"{_RETURNS} order by known_at, order_id, line_no").pl()


def cases(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Closed cases of after-sales that gave a line or money back."""
    return connection.sql(f"{_CASES} order by known_at, case_id").pl()


def net(connection: duckdb.DuckDBPyConnection, before: datetime | None = None) -> None:
    """Tell a connection what was given back, so that its queries can read `SALES`.

    Args:
        connection: A DuckDB in UTC with the schema core of the warehouse.
        before: Only what came back before this moment; None means all of it.
    """
    back, closed = returns(connection), cases(connection)
    if before is not None:
        back, closed = back.filter(pl.col("placed_at") < before), closed.filter(pl.col("known_at") < before)
    connection.register("muyun_returns", back)
    connection.register("muyun_cases", closed)
    connection.register("muyun_given_back", units_given_back(connection.sql(_NAMED).pl(), back, closed))
    connection.unregister("muyun_returns")
    connection.unregister("muyun_cases")

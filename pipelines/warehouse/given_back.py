"""What came back of sales, as the warehouse knows it; what that takes off is in `models.given_back`."""

from __future__ import annotations

import duckdb
import polars as pl

_RETURNS = """
    select returned_order_id as order_id, cast(returned_line_no as integer) as line_no, consumer_id, sku_id,
        placed_at, cast(-qty as double) as qty, -net_paid_cents as cents, received_at as known_at
    from core.fct_order_lines where is_return
"""
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

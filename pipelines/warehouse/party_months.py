"""What reviews of agents and merchants read from the published warehouse. One query a table."""

from __future__ import annotations

import duckdb
import polars as pl


def party_months(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Rows of `mart_party_month`."""
    return connection.execute("select * from analyst.mart_party_month").pl()


def party_month_skus(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Rows of `mart_party_month_skus`."""
    return connection.execute("select * from analyst.mart_party_month_skus").pl()


def agent_customers(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """`agent_id`, `merchant_id`, `consumer_id`: who bought through whom from whom, within the newest year.

    The year ends with the newest order, so that the answer does not depend on when it is asked.
    """
    return connection.execute(
        """
        select distinct p.party_id as agent_id, o.merchant_id, p.consumer_id
        from intermediate.int_orders_by_party p join core.fct_orders o using (order_id)
        where p.party_type = 'agent' and p.is_sale and p.consumer_id is not null
            and p.placed_at > (select max(placed_at) from core.fct_orders) - interval 1 year
        order by all
        """
    ).pl()

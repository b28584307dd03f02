"""How communities fare, written into the warehouse file of the analysts."""

from __future__ import annotations

from pathlib import Path

import duckdb


def put_weeks(file: Path, weeks: Path) -> int:
    """Write the weeks of communities into `analyst.mart_community_health` of a warehouse file.

    Args:
        file: A DuckDB file that nobody else has open.
        weeks: The table of the last run (`pipelines.stores.communities.WEEKS`), as Parquet.

    Returns:
        Rows of the mart.
    """
    with duckdb.connect(str(file)) as connection:
        connection.execute("delete from analyst.mart_community_health")
        connection.execute(
            """
            insert into analyst.mart_community_health by name
            select community_id, merchant_id, title, week_on as week_start_on, members as member_count,
                joined as joined_count, left_members as left_count, active_members as active_count,
                orders as order_count, net_sales_cents, margin_cents,
                promotion_orders as promotion_order_count, promotion_cost_cents, texts as text_count,
                complaints as complaint_count,
                case when texts > 0 then complaints / texts end as complaint_share
            from read_parquet($weeks)
            """,
            {"weeks": str(weeks)},
        )
        told = connection.execute("select count(*) from analyst.mart_community_health").fetchone()
    return told[0] if told else 0

"""What coupons of levels cost, written into the warehouse file of the analysts."""

from __future__ import annotations

from pathlib import Path

import duckdb


def put_coupon_costs(file: Path, costs: Path) -> int:
    """Write what coupons of levels were and cost into `analyst.mart_member_levels` of a warehouse file.

    A level and month that the mart does not know yet gets its numbers with the next build: levels of a close
    reach the warehouse with the run after it.

    Args:
        file: A DuckDB file that nobody else has open.
        costs: The table of the last close (`pipelines.stores.members.COSTS`), as Parquet.

    Returns:
        Rows of the mart that have coupons.
    """
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "update analyst.mart_member_levels as m set coupon_count = c.coupon_count,"
            " redeemed_count = c.redeemed_count, coupon_cost_cents = c.coupon_cost_cents"
            " from read_parquet($costs) as c where c.level = m.level"
            " and c.month_start_on = m.month_start_on",
            {"costs": str(costs)},
        )
        told = connection.execute(
            "select count(*) from analyst.mart_member_levels where coupon_count > 0"
        ).fetchone()
    return told[0] if told else 0

"""The health of suppliers with the alarms of the last look of the watch: the same rows, the same file."""

from __future__ import annotations

from pathlib import Path

import duckdb


def put_alarms(file: Path, alarms: Path) -> int:
    """Write the open alarms into `analyst.mart_supply_health` of a warehouse file.

    Args:
        file: A DuckDB file that nobody else has open.
        alarms: The open alarms of the last look as Parquet; see `pipelines.supply_watch.ALARMS`.

    Returns:
        Suppliers of the mart that have one.
    """
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "update analyst.mart_supply_health as s set open_delay_alarms = a.delays,"
            " open_capacity_alarms = a.capacities, oldest_alarm_at = a.oldest_at from (select supplier_id,"
            " count(*) filter (where kind = 'delay') as delays,"
            " count(*) filter (where kind = 'capacity') as capacities, min(opened_at) as oldest_at"
            " from read_parquet($alarms) group by supplier_id) as a where a.supplier_id = s.supplier_id",
            {"alarms": str(alarms)},
        )
        told = connection.execute(
            "select count(*) from analyst.mart_supply_health where oldest_alarm_at is not null"
        ).fetchone()
    return told[0] if told else 0

"""What came of journeys, written into the warehouse file of the analysts."""

from __future__ import annotations

from pathlib import Path

import duckdb


def put_effects(file: Path, effect: Path) -> int:
    """Write what came of journeys into `analyst.mart_journey_effect` of a warehouse file.

    Args:
        file: A DuckDB file that nobody else has open.
        effect: The table of the last run (`pipelines.stores.journeys.EFFECT`), as Parquet.

    Returns:
        Rows of the mart.
    """
    with duckdb.connect(str(file)) as connection:
        connection.execute("delete from analyst.mart_journey_effect")
        connection.execute(
            "insert into analyst.mart_journey_effect by name select * from read_parquet($effect)",
            {"effect": str(effect)},
        )
        told = connection.execute("select count(*) from analyst.mart_journey_effect").fetchone()
    return told[0] if told else 0

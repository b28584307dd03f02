"""The scorecard of suppliers with the grades that were published: the same numbers, from the same file."""

from __future__ import annotations

from pathlib import Path

import duckdb


def put_grades(file: Path, grades: Path) -> int:
    """Write the published grades into `analyst.mart_supplier_scorecard` of a warehouse file.

    Args:
        file: A DuckDB file that nobody else has open.
        grades: The published table `supplier_grades` as Parquet.

    Returns:
        Suppliers of the scorecard that have a grade.
    """
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "update analyst.mart_supplier_scorecard as s set grade = g.grade, gate = g.gate, score = g.score,"
            " score_low = g.score_low, graded_on = g.graded_on"
            " from read_parquet($grades) as g where g.supplier_id = s.supplier_id",
            {"grades": str(grades)},
        )
        told = connection.execute(
            "select count(*) from analyst.mart_supplier_scorecard where grade is not null"
        ).fetchone()
    return told[0] if told else 0

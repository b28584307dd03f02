"""The answers to suggestions of assortment with those that are open: the published rows, in the same file."""

from __future__ import annotations

from pathlib import Path

import duckdb


def put_suggestions(file: Path, suggestions: Path) -> int:
    """Write the published suggestions into `analyst.mart_assortment_answers` of a warehouse file, as open.

    Args:
        file: A DuckDB file that nobody else has open.
        suggestions: The published table `assortment_suggestions` as Parquet: decided ones are not in it.

    Returns:
        Suggestions that are open.
    """
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "insert into analyst.mart_assortment_answers by name select merchant_id, sku_id,"
            " 'open' as answer, rank, basis, propensity, category_id, supplier_id, expected_qty,"
            " expected_margin_cents, list_price_cents from read_parquet($suggestions)",
            {"suggestions": str(suggestions)},
        )
        told = connection.execute(
            "select count(*) from analyst.mart_assortment_answers where answer = 'open'"
        ).fetchone()
    return told[0] if told else 0

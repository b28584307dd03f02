"""Roles, themes and own brands of goods, as the document says them of skus and categories."""

from __future__ import annotations

import polars as pl

from pipelines.sources.mapping.columns import as_text
from pipelines.sources.mapping.model import Document


def with_goods(table: str, frame: pl.DataFrame, document: Document) -> pl.DataFrame:
    """Products with `role` and `is_private_label`, categories with `role` and `theme`, where they are said.

    What the file itself says stays.
    """
    if table == "products" and "sku_id" in frame.columns:
        sku = as_text(frame["sku_id"])
        for rule in reversed(document.not_merchandise):
            frame = _said(frame, "role", rule.role, _among(sku, rule.skus, rule.sku_pattern))
        own = document.private_label
        mask = _among(sku, own.skus, own.sku_pattern)
        if own.brands and "brand_id" in frame.columns:
            mask = mask | _among(as_text(frame["brand_id"]), own.brands)
        return _said(frame, "is_private_label", "true", mask)
    if table == "categories" and "category_id" in frame.columns:
        category = as_text(frame["category_id"])
        for rule in reversed(document.not_merchandise):
            frame = _said(frame, "role", rule.role, _among(category, rule.categories))
        for theme, categories in document.themes.items():
            frame = _said(frame, "theme", theme, _among(category, categories))
    return frame


def _among(ids: pl.Series, named: tuple[str, ...], pattern: str | None = None) -> pl.Series:
    mask = ids.is_in(list(named))
    if pattern is not None:
        mask = mask | ids.str.contains(pattern)
    return mask.fill_null(False)


def _said(frame: pl.DataFrame, column: str, word: str, mask: pl.Series) -> pl.DataFrame:
    if not mask.any():
        return frame
    if column not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(column))
    given = as_text(frame[column])
    return frame.with_columns(given.set(mask & given.is_null(), word).alias(column))

"""What merchants decided on suggestions of assortment, as the database holds it now."""

from __future__ import annotations

import polars as pl

from serving.db.operations import Operations
from serving.orders.assortment import suggestions


def decided(url: str, tenant_id: str, schema: pl.Schema) -> tuple[int, pl.DataFrame]:
    """How many decisions there are, and the newest of each merchant and sku.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose.
        schema: Columns of the frame, among those of `suggestions.Decision`.
    """
    with (
        Operations(url, size=1) as operations,
        operations.transaction(tenant_id, repeatable_read=True) as connection,
    ):
        count = suggestions.decision_count(connection, tenant_id)
        rows = suggestions.newest_decisions(connection, tenant_id)
    names = ("merchant_id", "sku_id", "category_id", "supplier_id", "is_taken", "reason_code", "until_at")
    return count, pl.DataFrame(rows, schema={name: schema[name] for name in names}, orient="row")


def decision_count(url: str, tenant_id: str) -> int:
    """How many decisions there are; whoever has seen so many has seen all."""
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as connection:
        return suggestions.decision_count(connection, tenant_id)

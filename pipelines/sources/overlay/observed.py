"""The observed tables an overlay hangs on, and the few views of them that several overlay tables share.

Lives here: `ObservedTables`, its cut at a moment, and cached, sorted views (lines with their order's
time and merchant, one row per sku). Does not live here: any random draw or any planted number.
Every view is sorted by a complete key, so the row order of the input never reaches the output.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

import polars as pl

from pipelines.sources.schemas.columns import MILLI

MAX_ORDERS = 200_000
"""At most this many of the latest orders carry overlay rows."""
MAX_LINES = 2_000_000
"""At most this many of the latest order lines carry overlay rows."""


@dataclass(frozen=True, eq=False)
class ObservedTables:
    """Accepted observed tables, with the columns of the data contract.

    Args:
        orders: order_id, consumer_id, merchant_id, placed_at (UTC).
        order_lines: order_id, line_no, sku_id, supplier_id (nullable), qty_milli (whole units),
            list_price_cents, net_paid_cents (line totals, integer cents).
        products: sku_id, category_id, brand_id (nullable), manufacturer_id (nullable; the primary supplier's
            id), role (nullable).
        consumers: consumer_id, consent_marketing.
        merchants: merchant_id, region_code.
        suppliers: supplier_id, region_code.
        categories: category_id, parent_category_id, name, role (nullable).
    """

    orders: pl.DataFrame
    order_lines: pl.DataFrame
    products: pl.DataFrame
    consumers: pl.DataFrame
    merchants: pl.DataFrame
    suppliers: pl.DataFrame
    categories: pl.DataFrame
    # The last cut: the tables of one run share it, and with it the views that are costly to build.
    _cuts: dict[datetime, ObservedTables | None] = field(default_factory=dict, init=False, repr=False)

    def until(self, as_of: datetime) -> ObservedTables:
        """Return the part that overlay rows may hang on: orders placed by `as_of`, the latest ones.

        Args:
            as_of: tz-aware UTC moment.

        Returns:
            `self` when nothing is cut (its cached views are kept), else a narrower copy.
        """
        if as_of not in self._cuts:
            self._cuts.clear()
            self._cuts[as_of] = self._cut(as_of)
        return self._cuts[as_of] or self

    def _cut(self, as_of: datetime) -> ObservedTables | None:
        """Return the narrower copy, or None when nothing is cut."""
        orders = self.orders.filter(pl.col("placed_at") <= as_of)
        if orders.height > MAX_ORDERS:
            orders = orders.sort("placed_at", "order_id").tail(MAX_ORDERS)
        lines_per_order = self.order_lines.join(orders.select("order_id"), on="order_id", how="semi")
        if lines_per_order.height > MAX_LINES:
            counts = lines_per_order.group_by("order_id").len("n")
            orders = (
                orders.join(counts, on="order_id")
                .sort("placed_at", "order_id", descending=True)
                .filter(pl.col("n").cum_sum() <= MAX_LINES)
                .drop("n")
            )
        if orders.height == self.orders.height:
            return None
        lines = self.order_lines.join(orders.select("order_id"), on="order_id", how="semi")
        return replace(self, orders=orders, order_lines=lines)

    @cached_property
    def categories_with_department(self) -> pl.DataFrame:
        """One row per category: category_id, category_name, department_id (the root ancestor), role."""
        tree = self.categories.select("category_id", "parent_category_id", "name", "role").unique(
            "category_id"
        )
        parent = tree.select(
            parent_category_id="category_id", grandparent_id="parent_category_id", parent_role="role"
        )
        grandparent = tree.select(grandparent_id="category_id", grandparent_role="role")
        path = tree.join(parent, on="parent_category_id", how="left").join(
            grandparent, on="grandparent_id", how="left"
        )
        return path.select(
            "category_id",
            category_name=pl.col("name").str.to_lowercase(),
            department_id=pl.coalesce("grandparent_id", "parent_category_id", "category_id"),
            category_role=pl.coalesce("role", "parent_role", "grandparent_role"),
        ).sort("category_id")

    @cached_property
    def catalogue(self) -> pl.DataFrame:
        """One row per product: sku_id, supplier_id (nullable), department_id, category_name, is_goods."""
        known = self.suppliers.select(supplier_id="supplier_id", is_known=pl.lit(True)).unique("supplier_id")
        return (
            self.products.select("sku_id", "category_id", "role", supplier_id="manufacturer_id")
            .join(self.categories_with_department, on="category_id", how="left")
            .join(known, on="supplier_id", how="left")
            .select(
                "sku_id",
                supplier_id=pl.when(pl.col("is_known")).then("supplier_id"),
                department_id=pl.col("department_id").fill_null("unknown"),
                category_name=pl.col("category_name").fill_null("unknown"),
                # A cost, a parcel or a complaint on fuel or coupons would be nonsense.
                is_goods=pl.coalesce("role", "category_role", pl.lit("merchandise")) == "merchandise",
            )
            .sort("sku_id")
        )

    @cached_property
    def lines(self) -> pl.DataFrame:
        """One row per line of goods, sorted by placed_at, order_id, line_no.

        Columns: order_id, line_no, consumer_id, merchant_id, sku_id, supplier_id (nullable), placed_at, qty,
        unit_price_cents (Float64, list price per unit), net_paid_cents. Lines of fuel, coupons or without
        quantity or price are left out: nothing plausible hangs on them.
        """
        return (
            self.order_lines.select(
                "order_id",
                "line_no",
                "sku_id",
                "list_price_cents",
                "net_paid_cents",
                qty=pl.col("qty_milli") // MILLI,
                line_supplier_id="supplier_id",
            )
            .filter((pl.col("qty") > 0) & (pl.col("list_price_cents") > 0))
            .join(self.orders.select("order_id", "consumer_id", "merchant_id", "placed_at"), on="order_id")
            .join(self.catalogue, on="sku_id")
            .filter("is_goods")
            .select(
                "order_id",
                "line_no",
                "consumer_id",
                "merchant_id",
                "sku_id",
                pl.coalesce("supplier_id", "line_supplier_id").alias("supplier_id"),
                "placed_at",
                "qty",
                (pl.col("list_price_cents") / pl.col("qty")).alias("unit_price_cents"),
                "net_paid_cents",
            )
            .sort("placed_at", "order_id", "line_no")
        )

    @cached_property
    def skus(self) -> pl.DataFrame:
        """One row per sold sku, best sellers first (ties by sku_id).

        Columns: sku_id, supplier_id (nullable), department_id, line_count, qty, shelf_price_cents (Float64,
            the median
        unit list price of its lines), first_sold_at, last_sold_at.
        """
        return (
            self.lines.group_by("sku_id")
            .agg(
                line_count=pl.len(),
                qty=pl.col("qty").sum(),
                shelf_price_cents=pl.col("unit_price_cents").median(),
                first_sold_at=pl.col("placed_at").min(),
                last_sold_at=pl.col("placed_at").max(),
            )
            .join(self.catalogue.select("sku_id", "supplier_id", "department_id"), on="sku_id")
            .sort(["line_count", "sku_id"], descending=[True, False])
        )

    @cached_property
    def sorted_orders(self) -> pl.DataFrame:
        """One row per order: order_id, consumer_id, merchant_id, placed_at; sorted by placed_at, order_id."""
        return self.orders.select("order_id", "consumer_id", "merchant_id", "placed_at").sort(
            "placed_at", "order_id"
        )

    @cached_property
    def coded_lines(self) -> pl.DataFrame:
        """The lines as integers (Int64), in time order: order_row, consumer, merchant, sku.

        `order_row` counts `sorted_orders`, `sku` counts `catalogue`; consumer and merchant only tell groups
        apart.
        """
        orders = self.sorted_orders.select("order_id", pl.int_range(pl.len()).alias("order_row"))
        skus = self.catalogue.select("sku_id", pl.int_range(pl.len()).alias("sku"))
        return (
            self.lines.select("order_id", "sku_id", "consumer_id", "merchant_id")
            .join(orders, on="order_id", maintain_order="left")
            .join(skus, on="sku_id", maintain_order="left")
            .select(
                "order_row",
                pl.col("consumer_id").rank("dense").cast(pl.Int64).alias("consumer"),
                pl.col("merchant_id").rank("dense").cast(pl.Int64).alias("merchant"),
                "sku",
            )
        )

"""Goods: who supplies them, what they are, what is offered, listed and in stock."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from pipelines.sources.schemas.columns import (
    Accepted,
    Computed,
    at,
    cents,
    count,
    enum,
    flag,
    identifier,
    on,
    small,
    text,
)

ROLES = ("merchandise", "service", "fuel", "coupon", "deposit")
"""What a line of such goods is; only merchandise counts as units and demand, money counts always."""


class Suppliers(Accepted):
    """One row per supplier."""

    supplier_id = identifier("the supplier", "s-12")
    name = text("display name", "Northern Dairy")
    channel = enum(("jd", "meituan", "brand", "factory", "other"), "where the supplier comes from")
    region_code = text("region of the supplier, 'unknown' if not given", "east")
    joined_on = on("first day on the platform")
    is_active = flag("whether the supplier may receive orders")


class Categories(Accepted):
    """One row per category node."""

    category_id = identifier("the category", "dairy/milk")
    parent_category_id = identifier("the category above; null on the top level", "dairy", nullable=True)
    name = text("display name", "Milk")
    level = small("depth, 1 is the top", low=1)
    role = enum(
        ROLES,
        "what its goods are; null: what the category above says, merchandise if none does",
        nullable=True,
    )
    theme = text(
        "interest it stands for, such as mother_baby, pet, beauty, health_food", "mother_baby", nullable=True
    )


class Products(Accepted):
    """One row per sku."""

    sku_id = identifier("the sku", "milk-1l")
    title = text("display title", "Whole milk 1 l", default=Computed("the sku_id"))
    category_id = identifier("the lowest category of the sku", "dairy/milk", default="uncategorised")
    brand_id = identifier("the brand", "b-7", nullable=True)
    manufacturer_id = identifier(
        "the maker; stands for the supplier where lines name none", "s-12", nullable=True
    )
    pack_size = text("pack size as printed", "1 l", nullable=True)
    unit = text("unit of sale", "kg", nullable=True)
    gtin = text(
        "barcode of the unit: 8, 12, 13 or 14 digits, the last a check digit (GS1); not a shop's own code",
        "4006381333931",
        nullable=True,
    )
    launched_on = on("first day the sku may be sold", nullable=True, planned=True)
    role = enum(ROLES, "what the sku is; null: what its category says", nullable=True)
    is_private_label = flag("whether it is a brand of the shop's own; null if not known", nullable=True)

    @dy.rule()
    def gtin_has_its_check_digit(self) -> pl.Expr:
        """A GTIN of GS1: the digits, weighed 3 and 1 in turn from the right, sum to a multiple of ten."""
        code = pl.col("gtin").str.zfill(14)
        digits = (code.str.slice(at, 1).cast(pl.Int64, strict=False) for at in range(14))
        weighed = pl.sum_horizontal(digit * (3 if at % 2 == 0 else 1) for at, digit in enumerate(digits))
        is_gtin = pl.col("gtin").str.contains(r"^(?:[0-9]{8}|[0-9]{12,14})$") & (weighed % 10 == 0)
        return is_gtin & (code != "0" * 14)


class Offers(Accepted):
    """One row per version of one supplier's offer of one sku."""

    supplier_id = identifier("the supplier who offers", "s-12")
    sku_id = identifier("the sku offered", "milk-1l")
    valid_from = at("when this version starts to hold", planned=True)
    supply_price_cents = cents("price a unit asked by the supplier")
    stock_qty = count("units in stock at the supplier; null: this version states none", nullable=True)
    capacity_per_day = count(
        "units the supplier can ship a day; null: as the version before says", nullable=True
    )
    lead_time_days = small("days from order to arrival", unit="days", example="3")
    min_order_qty = count("smallest order, units")
    ship_from_region = text("region the goods leave from", "east")
    is_active = flag("whether it is offered from then on; null means it is", nullable=True)


class InventoryMovements(Accepted):
    """One row per change of stock."""

    movement_id = identifier("the movement", "mv-1")
    warehouse_id = identifier("the warehouse", "w-1")
    sku_id = identifier("the sku", "milk-1l")
    supplier_id = identifier("the supplier of the goods", "s-12", nullable=True)
    qty_delta = count("units in (positive) or out (negative)", is_signed=True, example="-3")
    reason = enum(("inbound", "sale", "return", "adjust", "transfer"), "why the stock changed")
    occurred_at = at("when it changed")


class PriceChanges(Accepted):
    """One row per change of a listing's price in force."""

    merchant_id = identifier("the merchant", "m-1")
    sku_id = identifier("the sku listed", "milk-1l")
    changed_at = at("when the price came into force")
    price_cents = cents("price a unit from then on")


class Listings(Accepted):
    """One row per version of one merchant's sku."""

    merchant_id = identifier("the merchant", "m-1")
    sku_id = identifier("the sku listed", "milk-1l")
    valid_from = at("when this version starts to hold", planned=True)
    list_price_cents = cents("list price a unit")
    pricing_mode = enum(("auto", "approve", "fixed"), "who may change the price")
    is_listed = flag("whether the sku is on sale")
    title = text(
        "what the merchant itself calls it; null: the title of the product", "Milk, 1 l", nullable=True
    )
    image_hash = text("hash of the main picture that the merchant shows", "9f86d081", nullable=True)

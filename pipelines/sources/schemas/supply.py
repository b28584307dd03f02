"""The supply side: warehouses and their closed days, what is observed on the way, licences, batches."""

from __future__ import annotations

from zoneinfo import available_timezones

import dataframely as dy
import polars as pl

from pipelines.sources.schemas.columns import (
    Accepted,
    Computed,
    at,
    cents,
    count,
    degrees,
    enum,
    flag,
    identifier,
    measured,
    on,
    share,
    small,
    text,
)

OBSERVED_KINDS = ("parcel_scan", "capacity", "stock_level", "device")
SCANS = ("picked_up", "in_transit", "out_for_delivery", "delivered", "exception")
"""What a scan says; a parcel is scanned from when it leaves."""
PURCHASE_STATES = ("placed", "changed", "confirmed", "shipped", "received", "closed", "declined", "cancelled")
"""`changed`: the supplier promised less or later, nobody agreed yet; of `closed` the rest was given up;
`declined` by it, `cancelled` by us."""
GRADES = ("A", "B", "C", "D")
LICENCE_KINDS = ("business", "food", "medical", "brand_authorisation")
LICENCE_STATES = ("valid", "suspended", "revoked")


class Warehouses(Accepted):
    """One row per warehouse."""

    warehouse_id = identifier("the warehouse", "w-1")
    name = text("display name", "East hub", default=Computed("the warehouse_id"))
    supplier_id = identifier("whose it is; null where the platform runs it", "s-12", nullable=True)
    region_code = text("region of the warehouse, 'unknown' if not given", "east", default="unknown")
    latitude = degrees("where it stands, north above 0; null if not known", 90.0, "31.23", nullable=True)
    longitude = degrees("where it stands, east above 0; null if not known", 180.0, "121.47", nullable=True)
    capacity_per_day = count("units that it can send a day; null if not known", nullable=True)
    cut_off_minutes = small(
        "minutes after local midnight until which an order leaves the same day; null: it need not",
        nullable=True,
        high=1440,
        unit="minutes",
        example="960",
    )
    working_days = text("the days of the week on which it works, Monday is 1", "12345", default="1234567")
    time_zone = text(
        "IANA zone of its clock; null where it goes by the platform's", "Asia/Urumqi", nullable=True
    )

    @dy.rule()
    def coordinates_come_together(self) -> pl.Expr:
        """A latitude without a longitude is no place."""
        return pl.col("latitude").is_null() == pl.col("longitude").is_null()

    @dy.rule()
    def works_on_some_days_of_the_week(self) -> pl.Expr:
        """The days are digits from 1 to 7, each once at most, rising."""
        return pl.col("working_days").str.contains(r"^1?2?3?4?5?6?7?$") & (pl.col("working_days") != "")

    @dy.rule()
    def goes_by_a_known_clock(self) -> pl.Expr:
        """The zone is one that IANA names."""
        return pl.col("time_zone").is_in(sorted(available_timezones()))


class WarehouseClosures(Accepted):
    """One row per day on which a warehouse is closed although the day of the week is a working one."""

    warehouse_id = identifier("the warehouse", "w-1")
    closed_on = on("the day", planned=True)
    reason = text("why", "national day", nullable=True)


class PurchaseLines(Accepted):
    """One row per sku of a purchase order at a supplier."""

    purchase_order_id = identifier("the purchase order", "po-7")
    sku_id = identifier("the sku", "milk-1l")
    supplier_id = identifier("whom it was placed with", "s-12")
    status = enum(PURCHASE_STATES, "where the order stands")
    ordered_qty = count("units that were ordered", example="120")
    confirmed_qty = count(
        "units that the supplier said it brings; null before it answered", nullable=True, example="100"
    )
    received_qty = count("units that arrived", example="100")
    placed_at = at("when it was placed")
    expected_on = on("day by which the offer's lead time lets it arrive", nullable=True, planned=True)
    promised_on = on("day by which the supplier said it brings them", nullable=True, planned=True)
    arrived_at = at("when the last of the units arrived that did", nullable=True)

    @dy.rule()
    def orders_something(self) -> pl.Expr:
        """An order asks for a unit at least."""
        return pl.col("ordered_qty") > 0

    @dy.rule()
    def confirmed_within_ordered(self) -> pl.Expr:
        """Nobody brings more than was ordered."""
        return pl.col("confirmed_qty") <= pl.col("ordered_qty")

    @dy.rule()
    def arrived_after_placed(self) -> pl.Expr:
        """Nothing arrives before it is ordered."""
        return pl.col("arrived_at") >= pl.col("placed_at")


class SupplyAnswers(Accepted):
    """One row per line of a customer's order and supplier that was asked to ship it and answered."""

    order_id = identifier("the order", "o-1")
    line_no = small("the line", low=1, example="1")
    supplier_id = identifier("who answered", "s-12")
    sku_id = identifier("the sku", "milk-1l")
    ordered_qty = count("units that it was asked for", example="4")
    confirmed_qty = count("units that it ships; 0 where it shipped none", example="3")
    answered_at = at("when it answered last")

    @dy.rule()
    def orders_something(self) -> pl.Expr:
        """Nobody is asked for nothing."""
        return pl.col("ordered_qty") > 0

    @dy.rule()
    def confirmed_within_ordered(self) -> pl.Expr:
        """Nobody ships more than was asked for."""
        return pl.col("confirmed_qty") <= pl.col("ordered_qty")


class GradeChanges(Accepted):
    """One row per change of a grade of a supplier, or of its channel in a category."""

    change_id = identifier("the change", "g-1")
    supplier_id = identifier("the supplier", "s-12")
    category_id = identifier(
        "the category of the channel; null: the supplier as a whole", "dairy", nullable=True
    )
    grade = enum(GRADES, "the grade from then on; null: it is graded no more", nullable=True)
    gate = text("the gate that stops it, whatever its score", "licence_expired", nullable=True)
    score_low = share("lower bound of the score", nullable=True)
    graded_at = at("since when it holds")


class AssortmentDecisions(Accepted):
    """One row per suggestion of assortment that a merchant took or refused."""

    merchant_id = identifier("the merchant", "m-1")
    sku_id = identifier("the sku", "milk-1l")
    version = identifier("the publication that suggested it", "v-20261101")
    is_taken = flag("taken; false: refused")
    reason_code = text("why it was refused", "too_expensive", nullable=True)
    decided_at = at("when it was decided")
    until_at = at("when a refused one may be suggested again", nullable=True, planned=True)
    rank = count("its place in the merchant's list", example="3")
    basis = text("the model or the rule that made it", "supply_assortment")
    propensity = share("chance with which it was shown")
    category_id = text("category of the sku", "dairy")
    supplier_id = identifier("who would supply it", "s-12")
    expected_qty = measured("units that it was expected to bring")
    list_price_cents = cents("the price at which it was taken; null where refused", nullable=True)


class SupplyObservations(Accepted):
    """One row per observation of the supply side, such as a scan of a parcel."""

    observation_id = identifier("the observation", "ob-1")
    kind = enum(OBSERVED_KINDS, "what was seen")
    supplier_id = identifier("of which supplier", "s-12", nullable=True)
    warehouse_id = identifier("at which warehouse", "w-1", nullable=True)
    sku_id = identifier("of which sku", "milk-1l", nullable=True)
    shipment_id = identifier("of a scan: the parcel leg", "p-1", nullable=True)
    batch_id = identifier("the batch code that was seen, stated by anybody or not", "b-2611", nullable=True)
    device_id = identifier("of a reading: the device", "thermo-3", nullable=True)
    place = text("where, as the source words it", "Nanjing hub", nullable=True)
    status = enum(SCANS, "what a scan says", nullable=True)
    qty = count("units in stock, or units a day of a capacity", nullable=True, example="120")
    reading = measured("of a device: what it measured", nullable=True)
    reading_unit = text("of a device: the unit of the reading", "celsius", nullable=True)
    occurred_at = at("when it was seen")

    @dy.rule()
    def says_what_its_kind_needs(self) -> pl.Expr:
        """What was seen is of something, and says what was seen of it."""

        def given(name: str) -> pl.Expr:
            return pl.col(name).is_not_null()

        owner = given("supplier_id") | given("warehouse_id")
        needed = {
            "parcel_scan": given("shipment_id") & given("status"),
            "capacity": owner & given("qty"),
            "stock_level": owner & given("sku_id") & given("qty"),
            "device": given("device_id") & given("reading"),
        }
        return pl.all_horizontal((pl.col("kind") != kind) | holds for kind, holds in needed.items())


class Licences(Accepted):
    """One row per licence or brand authorisation that a supplier or a merchant states."""

    licence_id = identifier("the statement", "l-1")
    licence_no = identifier("number as printed", "SC10634010400123")
    kind = enum(LICENCE_KINDS, "what it allows")
    supplier_id = identifier("the supplier who holds it", "s-12", nullable=True)
    merchant_id = identifier("the merchant who holds it", "m-1", nullable=True)
    brand_id = identifier("of an authorisation: the brand", "b-7", nullable=True)
    starts_on = on("first day on which it holds", planned=True)
    ends_on = on("last day on which it holds; null: until further notice", nullable=True, planned=True)
    status = enum(LICENCE_STATES, "where it stands", default="valid")

    @dy.rule()
    def has_one_holder(self) -> pl.Expr:
        """A supplier holds it or a merchant does."""
        return pl.col("supplier_id").is_null() != pl.col("merchant_id").is_null()

    @dy.rule()
    def authorisation_names_a_brand(self) -> pl.Expr:
        """An authorisation is of a brand."""
        return (pl.col("kind") != "brand_authorisation") | pl.col("brand_id").is_not_null()

    @dy.rule()
    def holds_before_it_ends(self) -> pl.Expr:
        """The first day is not after the last."""
        return pl.col("starts_on") <= pl.col("ends_on")


class Batches(Accepted):
    """One row per batch of a sku that a supplier made or bought."""

    batch_id = identifier("the batch", "b-2611")
    sku_id = identifier("the sku", "milk-1l")
    supplier_id = identifier("who delivers it", "s-12")
    produced_on = on("day of production")
    expires_on = on("last day of use; null where it does not spoil", nullable=True, planned=True)
    qty = count("units made; null if not known", nullable=True, example="5000")

    @dy.rule()
    def produced_before_it_expires(self) -> pl.Expr:
        """A batch does not spoil before it is made."""
        return pl.col("produced_on") <= pl.col("expires_on")

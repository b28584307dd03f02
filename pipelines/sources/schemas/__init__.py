"""The tables of the data contract as dataframely schemas: one class a table, one line a column.

What lives here: names, types, nullability, enums, ranges, defaults and the rules between columns of ONE row.
What does not: keys, foreign keys and partitions (`contract`), and what looks at more than one row
(`validation`). Money is integer cents, quantities of lines are integer thousandths, times are UTC with
microseconds, ids are strings. A rule that meets a null passes: whether a null is allowed is said by the
column alone.
"""

from pipelines.sources.schemas.behaviour import (
    CompetitorPrices,
    CouponRedemptions,
    Coupons,
    Events,
    Feedback,
    LevelChanges,
    Messages,
    PointsLedger,
    Promotions,
    Touches,
)
from pipelines.sources.schemas.books import LedgerEntries, SettlementLegs
from pipelines.sources.schemas.columns import EARLIEST, EARLIEST_AT
from pipelines.sources.schemas.goods import (
    Categories,
    InventoryMovements,
    Listings,
    Offers,
    PriceChanges,
    Products,
    Suppliers,
)
from pipelines.sources.schemas.parties import Agents, Consents, Consumers, IdentityEdges, Merchants
from pipelines.sources.schemas.supply import (
    AssortmentDecisions,
    Batches,
    GradeChanges,
    Licences,
    PurchaseLines,
    SupplyAnswers,
    SupplyObservations,
    WarehouseClosures,
    Warehouses,
)
from pipelines.sources.schemas.trade import AfterSales, OrderLines, Orders, Shipments

__all__ = [
    "EARLIEST",
    "EARLIEST_AT",
    "AfterSales",
    "Agents",
    "AssortmentDecisions",
    "Batches",
    "Categories",
    "CompetitorPrices",
    "Consents",
    "Consumers",
    "CouponRedemptions",
    "Coupons",
    "Events",
    "Feedback",
    "GradeChanges",
    "IdentityEdges",
    "InventoryMovements",
    "LedgerEntries",
    "LevelChanges",
    "Licences",
    "Listings",
    "Merchants",
    "Messages",
    "Offers",
    "OrderLines",
    "Orders",
    "PointsLedger",
    "PriceChanges",
    "Products",
    "Promotions",
    "PurchaseLines",
    "SettlementLegs",
    "Shipments",
    "Suppliers",
    "SupplyAnswers",
    "SupplyObservations",
    "Touches",
    "WarehouseClosures",
    "Warehouses",
]

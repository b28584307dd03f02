"""The data contract: which tables there are, their keys, foreign keys, partitions and load order.

Every source is mapped to these tables before anything else reads it. The columns of each table stand in
`schemas`; the rows are checked in `validation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import dataframely as dy
import polars as pl

from pipelines.sources import schemas
from pipelines.sources.schemas.columns import Computed

LOAD_COLUMNS = ("received_at", "origin")
"""Added to every accepted table, after its own columns."""


class SourceError(Exception):
    """A source cannot be read at all; the message says which file or package and what to do about it."""


class ContractError(Exception):
    """Code asked for a table or column that the contract does not have."""


@dataclass(frozen=True)
class ForeignKey:
    """Columns whose values (when none is null) must exist in the parent table.

    Attributes:
        columns: The columns of this table.
        parent: The other table.
        parent_columns: Its columns.
        not_before: A time of this table and one of the parent that it may not precede, where both are known.
    """

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    not_before: tuple[str, str] | None = None


@dataclass(frozen=True)
class ContractTable:
    """One table of the contract.

    Attributes:
        name: Table name, also its folder in the lake.
        schema: The dataframely schema with every column and row rule.
        key: Columns that identify a row.
        time_column: Time that decides the daily (or weekly) partition; None for tables kept in one file.
        time_parent: Foreign key column and table the time is taken from when this table does not hold it.
        is_weekly: Partitioned by the week in which the row starts instead of by day.
        is_required: A source without this table is an error.
        is_book: Kept whole by the platform's own ledger: always loaded whole, never by a window of days.
        is_own_output: Rows that the platform recorded of it are what its own runs and ticks published, as of
            their business time: they hold right after it, so that a run of that very moment does not read
            back what it published itself.
        completed_by: Table without whose rows a row of this one is refused, such as the lines of an order.
        foreign_keys: What must exist elsewhere.
    """

    name: str
    schema: type[dy.Schema]
    key: tuple[str, ...]
    time_column: str | None = None
    time_parent: tuple[str, str] | None = None
    is_weekly: bool = False
    is_required: bool = False
    is_book: bool = False
    is_own_output: bool = False
    completed_by: str | None = None
    foreign_keys: tuple[ForeignKey, ...] = ()

    @property
    def description(self) -> str:
        """The grain, as a sentence."""
        return (self.schema.__doc__ or "").strip()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column in storage order: the table's own, then `received_at` and `origin`."""
        own = [name for name in self.schema.column_names() if name not in LOAD_COLUMNS]
        return (*own, *LOAD_COLUMNS)

    @cached_property
    def dtypes(self) -> Mapping[str, pl.DataType]:
        """Polars type of every column, in storage order."""
        columns = self.schema.columns()
        return MappingProxyType({name: columns[name].dtype for name in self.columns})

    @cached_property
    def nullable(self) -> frozenset[str]:
        """Columns that may be null, and so may be missing from a source altogether."""
        return frozenset(name for name, column in self.schema.columns().items() if column.nullable)

    @cached_property
    def column_descriptions(self) -> Mapping[str, str]:
        """What each column means."""
        columns = self.schema.columns()
        return MappingProxyType({name: columns[name].description or "" for name in self.columns})

    @cached_property
    def column_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """What else is said of each column: unit, example, default, values, file_column, scale, planned."""
        columns = self.schema.columns()
        return MappingProxyType({name: columns[name].metadata or {} for name in self.columns})

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """What stands for a column that files do not have: a value, or in words where it is computed."""
        facts = self.column_facts
        return MappingProxyType({name: facts[name]["default"] for name in facts if "default" in facts[name]})

    @cached_property
    def constants(self) -> Mapping[str, Any]:
        """The defaults that are a value."""
        return MappingProxyType(
            {name: value for name, value in self.defaults.items() if not isinstance(value, Computed)}
        )

    @cached_property
    def past_columns(self) -> tuple[str, ...]:
        """Times and dates that are history, so they may not lie after `as_of`."""
        return tuple(
            name
            for name, dtype in self.dtypes.items()
            if dtype.is_temporal() and not self.column_facts[name].get("planned", False)
        )

    @cached_property
    def history_dtypes(self) -> Mapping[str, pl.DataType]:
        """Columns of the versions that no longer stand: the table's, since when and until when each held."""
        instant = pl.Datetime("us", "UTC")
        more = {"valid_from": instant, "superseded_at": instant, "is_deleted": pl.Boolean()}
        return MappingProxyType({**self.dtypes, **more})

    @property
    def has_history(self) -> bool:
        """Whether older versions of its rows are kept: not of weekly tables, nor of the ledger's own."""
        return not self.is_weekly and not self.is_book

    @property
    def is_partitioned(self) -> bool:
        """Whether the table is stored in daily or weekly folders."""
        return self.time_column is not None


def _fk(column: str, parent: str, parent_column: str | None = None) -> ForeignKey:
    return ForeignKey((column,), parent, (parent_column or column,))


_SKU = _fk("sku_id", "products")
_SUPPLIER = _fk("supplier_id", "suppliers")
_MERCHANT = _fk("merchant_id", "merchants")
_CONSUMER = _fk("consumer_id", "consumers")
_ORDER = _fk("order_id", "orders")

_ALL = (
    ContractTable("suppliers", schemas.Suppliers, ("supplier_id",)),
    ContractTable(
        "categories",
        schemas.Categories,
        ("category_id",),
        foreign_keys=(_fk("parent_category_id", "categories", "category_id"),),
    ),
    ContractTable(
        "products",
        schemas.Products,
        ("sku_id",),
        is_required=True,
        foreign_keys=(_fk("category_id", "categories"),),
    ),
    ContractTable("merchants", schemas.Merchants, ("merchant_id",)),
    ContractTable(
        "agents",
        schemas.Agents,
        ("agent_id",),
        foreign_keys=(_MERCHANT, _fk("inviter_agent_id", "agents", "agent_id")),
    ),
    ContractTable(
        "consumers",
        schemas.Consumers,
        ("consumer_id",),
        foreign_keys=(_MERCHANT, _fk("inviter_id", "consumers", "consumer_id")),
    ),
    ContractTable(
        "consents",
        schemas.Consents,
        ("consumer_id", "purpose", "stated_at"),
        time_column="stated_at",
        foreign_keys=(_CONSUMER,),
    ),
    ContractTable(
        "identity_edges",
        schemas.IdentityEdges,
        ("anonymous_id", "consumer_id", "valid_from"),
        foreign_keys=(_CONSUMER,),
    ),
    ContractTable(
        "orders",
        schemas.Orders,
        ("order_id",),
        time_column="placed_at",
        is_required=True,
        completed_by="order_lines",
        foreign_keys=(_CONSUMER, _MERCHANT, _fk("agent_id", "agents")),
    ),
    ContractTable(
        "order_lines",
        schemas.OrderLines,
        ("order_id", "line_no"),
        time_column="placed_at",
        time_parent=("order_id", "orders"),
        is_required=True,
        foreign_keys=(_ORDER, _SKU, _SUPPLIER),
    ),
    ContractTable(
        "offers", schemas.Offers, ("supplier_id", "sku_id", "valid_from"), foreign_keys=(_SUPPLIER, _SKU)
    ),
    ContractTable(
        "listings", schemas.Listings, ("merchant_id", "sku_id", "valid_from"), foreign_keys=(_MERCHANT, _SKU)
    ),
    ContractTable(
        "price_changes",
        schemas.PriceChanges,
        ("merchant_id", "sku_id", "changed_at"),
        time_column="changed_at",
        is_own_output=True,
        foreign_keys=(_MERCHANT, _SKU),
    ),
    ContractTable(
        "inventory_movements",
        schemas.InventoryMovements,
        ("movement_id",),
        time_column="occurred_at",
        foreign_keys=(_SKU, _SUPPLIER),
    ),
    ContractTable(
        "shipments",
        schemas.Shipments,
        ("shipment_id",),
        time_column="placed_at",
        time_parent=("order_id", "orders"),
        foreign_keys=(_ORDER, _SUPPLIER),
    ),
    ContractTable(
        "purchase_lines",
        schemas.PurchaseLines,
        ("purchase_order_id", "sku_id"),
        time_column="placed_at",
        is_own_output=True,
        foreign_keys=(_SKU, _SUPPLIER),
    ),
    ContractTable(
        "supply_answers",
        schemas.SupplyAnswers,
        ("order_id", "line_no", "supplier_id"),
        time_column="answered_at",
        is_own_output=True,
        foreign_keys=(_ORDER, _SKU, _SUPPLIER),
    ),
    ContractTable(
        "grade_changes",
        schemas.GradeChanges,
        ("change_id",),
        time_column="graded_at",
        is_own_output=True,
        foreign_keys=(_SUPPLIER,),
    ),
    ContractTable(
        "assortment_decisions",
        schemas.AssortmentDecisions,
        ("merchant_id", "sku_id", "version"),
        time_column="decided_at",
        is_own_output=True,
        foreign_keys=(_MERCHANT, _SKU, _SUPPLIER),
    ),
    ContractTable("warehouses", schemas.Warehouses, ("warehouse_id",), foreign_keys=(_SUPPLIER,)),
    ContractTable(
        "warehouse_closures",
        schemas.WarehouseClosures,
        ("warehouse_id", "closed_on"),
        foreign_keys=(_fk("warehouse_id", "warehouses"),),
    ),
    ContractTable("licences", schemas.Licences, ("licence_id",), foreign_keys=(_SUPPLIER, _MERCHANT)),
    ContractTable("batches", schemas.Batches, ("batch_id",), foreign_keys=(_SKU, _SUPPLIER)),
    ContractTable(
        "supply_observations",
        schemas.SupplyObservations,
        ("observation_id",),
        time_column="occurred_at",
        foreign_keys=(
            _SUPPLIER,
            _fk("warehouse_id", "warehouses"),
            _SKU,
            ForeignKey(
                ("shipment_id",), "shipments", ("shipment_id",), not_before=("occurred_at", "shipped_at")
            ),
        ),
    ),
    ContractTable(
        "after_sales",
        schemas.AfterSales,
        ("case_id",),
        time_column="opened_at",
        foreign_keys=(ForeignKey(("order_id", "line_no"), "order_lines", ("order_id", "line_no")),),
    ),
    ContractTable(
        "events", schemas.Events, ("event_id",), time_column="occurred_at", foreign_keys=(_CONSUMER, _SKU)
    ),
    ContractTable(
        "promotions",
        schemas.Promotions,
        ("promotion_id",),
        time_column="starts_at",
        is_weekly=True,
        foreign_keys=(_MERCHANT, _SKU),
    ),
    ContractTable("coupons", schemas.Coupons, ("coupon_id",), foreign_keys=(_CONSUMER,)),
    ContractTable(
        "coupon_redemptions",
        schemas.CouponRedemptions,
        ("coupon_id", "order_id"),
        time_column="redeemed_at",
        foreign_keys=(_fk("coupon_id", "coupons"), _ORDER),
    ),
    ContractTable(
        "competitor_prices",
        schemas.CompetitorPrices,
        ("sku_id", "competitor", "observed_at"),
        time_column="observed_at",
        foreign_keys=(_SKU,),
    ),
    ContractTable(
        "messages",
        schemas.Messages,
        ("message_id",),
        time_column="sent_at",
        is_own_output=True,
        foreign_keys=(_CONSUMER,),
    ),
    ContractTable(
        "touches", schemas.Touches, ("touch_id",), time_column="occurred_at", foreign_keys=(_CONSUMER,)
    ),
    ContractTable(
        "feedback",
        schemas.Feedback,
        ("feedback_id",),
        time_column="occurred_at",
        foreign_keys=(_MERCHANT, _SKU),
    ),
    ContractTable(
        "points_ledger",
        schemas.PointsLedger,
        ("entry_id",),
        time_column="occurred_at",
        foreign_keys=(_CONSUMER,),
    ),
    ContractTable(
        "level_changes",
        schemas.LevelChanges,
        ("change_id",),
        time_column="changed_at",
        is_own_output=True,
        foreign_keys=(_CONSUMER,),
    ),
    # No foreign keys: what was booked stays in the books, whatever became of the order in the feeds.
    ContractTable(
        "settlement_legs", schemas.SettlementLegs, ("leg_id",), time_column="accrued_at", is_book=True
    ),
    ContractTable(
        "ledger_entries", schemas.LedgerEntries, ("entry_id",), time_column="booked_at", is_book=True
    ),
)

TABLES: Mapping[str, ContractTable] = MappingProxyType({table.name: table for table in _ALL})
"""Every contract table by name, parents before their children."""

INGEST_ORDER: tuple[str, ...] = tuple(TABLES)
"""The order in which tables are loaded, so that foreign keys find their parents."""


def contract_table(name: str) -> ContractTable:
    """The contract of one table.

    Raises:
        ContractError: If there is no such table.
    """
    try:
        return TABLES[name]
    except KeyError:
        known = ", ".join(TABLES)
        raise ContractError(f"there is no contract table '{name}'; the tables are: {known}") from None


def empty(name: str) -> pl.DataFrame:
    """A frame with no rows and every column of the accepted table, `received_at` and `origin` included."""
    return pl.DataFrame(schema=dict(contract_table(name).dtypes))

"""How each dbt model is cut, so that new rows are brought into the warehouse by its own SQL over a slice.

Data only: which keys a cut touches, what of the live store its models then see, and which rows they replace.
What a model computes stands in its SQL and nowhere else. A test compares the lists below with the project.

Names in the SQL: `{live}` is the live store; `temp.arrived_<table>` has the keys of the rows that came,
`temp.raw_<table>` the rows of those keys as they stand now, `temp.history_<table>` their older versions;
`temp.changed_<model>` has the rows that an earlier cut of the same tick took out of a model or put into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pipelines.live.tables import TAIL
from pipelines.sources.contract import contract_table
from pipelines.warehouse.compiled import AS_OF_VARIABLE

SINCE_VARIABLE = "muyun_since"
"""DuckDB variable with the moment of the tick before."""


@dataclass(frozen=True)
class Replaced:
    """A stored model of a cut.

    Attributes:
        model: Its name.
        keys: Key table of the cut that says which of its rows the slice makes anew; None: all of them.
        unit: Columns, never null, whose rows are replaced together; those of the key table where it has one.
    """

    model: str
    keys: str | None
    unit: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """Models that are run over one slice.

    Attributes:
        name: Its name.
        keys: Key tables by name, in the order in which they are filled; with none of them filled, nothing is
            to be done.
        inputs: What the models see, by relation (`schema.name`); other relations are what their SQL says.
        models: What is replaced, in order.
    """

    name: str
    keys: Mapping[str, str]
    inputs: Mapping[str, str]
    models: tuple[Replaced, ...]


@dataclass(frozen=True)
class Held:
    """Where the live store holds the accepted rows of a contract table, column by column.

    Attributes:
        relation: Its fact or dimension.
        renamed: Columns that have another name there.
    """

    relation: str
    renamed: Mapping[str, str] = field(default_factory=dict)


HELD: Mapping[str, Held] = MappingProxyType(
    {
        "consumers": Held("core.dim_consumers"),
        "orders": Held("core.fct_orders", {"coupon_discount_cents": "header_coupon_discount_cents"}),
        "order_lines": Held(TAIL),
        "offers": Held("core.dim_offers", {"capacity_per_day": "stated_capacity_per_day"}),
        "listings": Held("core.dim_listings"),
        "price_changes": Held("core.fct_price_changes"),
        "inventory_movements": Held("core.fct_inventory_movements"),
        "shipments": Held("core.fct_shipments"),
        "purchase_lines": Held("core.fct_purchase_lines"),
        "supply_answers": Held("core.fct_supply_answers"),
        "grade_changes": Held("core.fct_grade_changes"),
        "assortment_decisions": Held("core.fct_assortment_decisions"),
        "after_sales": Held("core.fct_after_sales"),
        "events": Held(
            "core.fct_events", {"consumer_id": "stated_consumer_id", "received_at": "recorded_at"}
        ),
        "coupons": Held("core.dim_coupons"),
        "coupon_redemptions": Held("core.fct_coupon_redemptions"),
        "competitor_prices": Held("core.fct_competitor_prices"),
        "messages": Held("core.fct_messages"),
        "touches": Held(
            "core.fct_touches", {"consumer_id": "stated_consumer_id", "received_at": "recorded_at"}
        ),
        "feedback": Held("core.fct_feedback"),
        "points_ledger": Held("core.fct_points_ledger"),
        "level_changes": Held("core.fct_level_changes"),
        "consents": Held("core.fct_consents"),
        "identity_edges": Held("core.fct_identity_edges"),
    }
)
"""Contract tables whose accepted rows can be read back from the live store; of order lines those of this
generation."""


def held(table: str, condition: str) -> str:
    """A select of accepted rows of a contract table from the live store; its columns are the contract's."""
    source = HELD[table]
    columns = ", ".join(
        f"{source.renamed[name]} as {name}" if name in source.renamed else name
        for name in contract_table(table).columns
    )
    return f"select {columns} from {{live}}.{source.relation} where {condition}"


def _raw(table: str, condition: str | None = None) -> str:
    """What stands of a contract table: the rows that came, and others as the live store holds them."""
    came = f"select * from temp.raw_{table}"
    if condition is None:
        return came
    key = _all(*contract_table(table).key)
    return (
        f"{came} union all select h.* from ({held(table, condition)}) h"
        f" anti join temp.arrived_{table} k using ({key})"
    )


def _in(column: str, table: str) -> str:
    return f"{column} in (select {column} from temp.{table})"


def _passed(column: str) -> str:
    """Whether a moment has come since the tick before."""
    since, until = (
        f"cast(getvariable('{name}') as timestamptz)" for name in (SINCE_VARIABLE, AS_OF_VARIABLE)
    )
    return f"({column} > {since} and {column} <= {until})"


def _all(*columns: str) -> str:
    return ", ".join(columns)


def _semi(relation: str, keys: str, columns: tuple[str, ...]) -> str:
    return f"select t.* from {{live}}.{relation} t semi join temp.{keys} k using ({_all(*columns)})"


def _quarter_hour(variable: str) -> str:
    return f"epoch(cast(getvariable('{variable}') as timestamptz))::bigint // 900"


def _whole(relation: str) -> str:
    return f"select * from {{live}}.{relation}"


_AS_THEY_ARE = {
    "staging.stg_lake__merchants": _whole("core.dim_merchants"),
    "intermediate.int_promotion_periods_expanded": _whole("intermediate.int_promotion_periods_expanded"),
}

_ONE_TO_ONE = {
    "price_changes": "fct_price_changes",
    "inventory_movements": "fct_inventory_movements",
    "competitor_prices": "fct_competitor_prices",
    "messages": "fct_messages",
    "feedback": "fct_feedback",
    "points_ledger": "fct_points_ledger",
    "level_changes": "fct_level_changes",
    "consents": "fct_consents",
    "identity_edges": "fct_identity_edges",
    "coupons": "dim_coupons",
    "purchase_lines": "fct_purchase_lines",
    "supply_answers": "fct_supply_answers",
    "grade_changes": "fct_grade_changes",
    "assortment_decisions": "fct_assortment_decisions",
}
"""Models that have one row for each row of one contract table and read nothing else."""

_SOLD = ("sku_id", "merchant_id", "week_start_on")
_LISTED = ("merchant_id", "sku_id")
_STOCKED = ("supplier_id", "sku_id")

CUTS: tuple[Cut, ...] = (
    *(
        Cut(
            f"by_{table}",
            {f"key_{table}": f"select * from temp.arrived_{table}"},
            {f"raw.{table}": _raw(table)},
            (Replaced(model, f"key_{table}", contract_table(table).key),),
        )
        for table, model in _ONE_TO_ONE.items()
    ),
    # Whose an anonymous event is moves with every edge of its visitor.
    Cut(
        "by_event",
        {
            "key_events": "select event_id from temp.arrived_events union select event_id from"
            f" {{live}}.core.fct_events where {_in('anonymous_id', 'changed_fct_identity_edges')}"
        },
        {
            "raw.events": _raw("events", _in("event_id", "key_events")),
            "staging.stg_lake__identity_edges": (
                "select * from {live}.core.fct_identity_edges where anonymous_id in"
                " (select anonymous_id from temp.raw_events union select anonymous_id from"
                f" {{live}}.core.fct_events where {_in('event_id', 'key_events')})"
            ),
        },
        (Replaced("fct_events", "key_events", ("event_id",)),),
    ),
    Cut(
        "by_touch",
        {
            "key_touches": "select touch_id from temp.arrived_touches union select touch_id from"
            f" {{live}}.core.fct_touches where {_in('anonymous_id', 'changed_fct_identity_edges')}"
        },
        {
            "raw.touches": _raw("touches", _in("touch_id", "key_touches")),
            "staging.stg_lake__identity_edges": (
                "select * from {live}.core.fct_identity_edges where anonymous_id in"
                " (select anonymous_id from temp.raw_touches union select anonymous_id from"
                f" {{live}}.core.fct_touches where {_in('touch_id', 'key_touches')})"
            ),
        },
        (Replaced("fct_touches", "key_touches", ("touch_id",)),),
    ),
    Cut(
        "by_offer",
        {
            "key_offers": "select supplier_id, sku_id from temp.arrived_offers"
            " union select supplier_id, sku_id from {live}.core.dim_offers"
            f" where {_passed('valid_from')} or {_passed('valid_to')}"
        },
        {
            "raw.offers": _raw(
                "offers", "(supplier_id, sku_id) in (select (supplier_id, sku_id) from temp.key_offers)"
            )
        },
        (
            Replaced("int_offers_versioned", "key_offers", _STOCKED),
            Replaced("dim_offers", "key_offers", _STOCKED),
        ),
    ),
    Cut(
        "by_order",
        {
            "key_orders": "select order_id from temp.arrived_orders"
            " union select order_id from temp.arrived_order_lines"
        },
        {
            "raw.orders": _raw("orders", _in("order_id", "key_orders")),
            "raw.orders_history": "select * from temp.history_orders",
            "raw.order_lines": _raw("order_lines", _in("order_id", "key_orders")),
            "raw.order_lines_history": "select * from temp.history_order_lines",
            "raw.promotions": "select * from temp.raw_promotions",
            **_AS_THEY_ARE,
            "intermediate.int_products_categorised": _whole("intermediate.int_products_categorised"),
            "intermediate.int_offers_versioned": _whole("intermediate.int_offers_versioned"),
        },
        (
            Replaced("int_order_lines_changed", "key_orders", ("order_id",)),
            Replaced("int_orders_changed", "key_orders", ("order_id",)),
            Replaced("fct_order_lines", "key_orders", ("order_id",)),
        ),
    ),
    # The number of an order among its consumer's orders moves with every order before it.
    Cut(
        "by_buyer",
        {
            "key_buyers": "select consumer_id from {live}.core.fct_orders"
            f" where consumer_id is not null and {_in('order_id', 'key_orders')}"
            " union select consumer_id from temp.raw_orders where consumer_id is not null",
            "key_buyers_orders": "select order_id from temp.key_orders"
            f" union select order_id from {{live}}.core.fct_orders where {_in('consumer_id', 'key_buyers')}",
        },
        {
            "raw.orders": _raw("orders", _in("order_id", "key_buyers_orders")),
            "core.fct_order_lines": _semi("core.fct_order_lines", "key_buyers_orders", ("order_id",)),
        },
        (Replaced("fct_orders", "key_buyers_orders", ("order_id",)),),
    ),
    Cut(
        "by_consumer",
        {
            "key_consumers": "select consumer_id from temp.arrived_consumers union"
            " select consumer_id from temp.changed_fct_consents union"
            " select consumer_id from temp.changed_fct_order_lines where consumer_id is not null"
        },
        {
            "raw.consumers": _raw("consumers", _in("consumer_id", "key_consumers")),
            "core.fct_consents": _semi("core.fct_consents", "key_consumers", ("consumer_id",)),
            # Every line of the facts is the newest version of itself.
            "intermediate.int_order_lines_classified": (
                "select t.*, true as is_current from {live}.core.fct_order_lines t"
                " semi join temp.key_consumers k using (consumer_id)"
            ),
        },
        (Replaced("dim_consumers", "key_consumers", ("consumer_id",)),),
    ),
    Cut(
        "by_shipment",
        {
            "key_shipments": "select shipment_id from temp.arrived_shipments union"
            " select shipment_id from {live}.core.fct_shipments"
            f" where {_in('order_id', 'changed_fct_orders')}"
            f" or (not is_delivered and {_passed('promised_at')})"
        },
        {
            "raw.shipments": _raw("shipments", _in("shipment_id", "key_shipments")),
            "raw.orders": held(
                "orders",
                "order_id in (select order_id from temp.raw_shipments union select order_id from"
                f" {{live}}.core.fct_shipments where {_in('shipment_id', 'key_shipments')})",
            ),
        },
        (Replaced("fct_shipments", "key_shipments", ("shipment_id",)),),
    ),
    Cut(
        "by_case",
        {
            "key_cases": "select case_id from temp.arrived_after_sales union"
            " select case_id from {live}.core.fct_after_sales"
            f" where {_in('order_id', 'changed_fct_order_lines')}"
        },
        {
            "raw.after_sales": _raw("after_sales", _in("case_id", "key_cases")),
            "core.fct_order_lines": (
                "select * from {live}.core.fct_order_lines where order_id in"
                " (select order_id from temp.raw_after_sales union select order_id from"
                f" {{live}}.core.fct_after_sales where {_in('case_id', 'key_cases')})"
            ),
        },
        (Replaced("fct_after_sales", "key_cases", ("case_id",)),),
    ),
    Cut(
        "by_redemption",
        {
            "key_redemptions": "select coupon_id, order_id from temp.arrived_coupon_redemptions union"
            " select coupon_id, order_id from {live}.core.fct_coupon_redemptions"
            f" where {_in('order_id', 'changed_fct_orders')} or {_in('coupon_id', 'changed_dim_coupons')}"
        },
        {
            "raw.coupon_redemptions": _raw(
                "coupon_redemptions",
                "(coupon_id, order_id) in (select (coupon_id, order_id) from temp.key_redemptions)",
            ),
            "raw.orders": held("orders", _in("order_id", "key_redemptions")),
            "raw.coupons": held("coupons", _in("coupon_id", "key_redemptions")),
        },
        (Replaced("fct_coupon_redemptions", "key_redemptions", ("coupon_id", "order_id")),),
    ),
    Cut(
        "by_stock",
        {
            "key_stock": "select supplier_id, sku_id from temp.changed_fct_inventory_movements"
            " where supplier_id is not null"
            " union select supplier_id, sku_id from temp.changed_int_offers_versioned"
        },
        {
            "staging.stg_lake__inventory_movements": _semi(
                "core.fct_inventory_movements", "key_stock", _STOCKED
            ),
            "intermediate.int_offers_versioned": _semi(
                "intermediate.int_offers_versioned", "key_stock", _STOCKED
            ),
        },
        (Replaced("int_stock_levelled", "key_stock", _STOCKED),),
    ),
    Cut(
        "by_session",
        {"key_sessions": "select distinct session_id from temp.changed_fct_events"},
        # A visit is told by what its events state.
        {
            "staging.stg_lake__events": "select t.* replace (stated_consumer_id as consumer_id) from"
            " {live}.core.fct_events t semi join temp.key_sessions k using (session_id)"
        },
        (Replaced("int_sessions_summarised", "key_sessions", ("session_id",)),),
    ),
    # What was sold in a week where it is promoted; a version of a line that no longer stands was sold too.
    Cut(
        "by_sku_week",
        {"key_sku_weeks": f"select distinct {_all(*_SOLD)} from temp.changed_fct_order_lines"},
        {
            "raw.promotions": "select * from temp.raw_promotions",
            **_AS_THEY_ARE,
            "intermediate.int_order_lines_classified": (
                "select t.*, true as is_current from {live}.core.fct_order_lines t"
                f" semi join temp.key_sku_weeks k using ({_all(*_SOLD)})"
            ),
        },
        (
            Replaced("int_promotions_matched", "key_sku_weeks", _SOLD),
            Replaced("int_sku_week", "key_sku_weeks", _SOLD),
        ),
    ),
    Cut(
        "by_listing",
        {
            "key_listings": "select merchant_id, sku_id from temp.changed_fct_order_lines"
            " where merchant_id is not null union select merchant_id, sku_id from {live}.core.dim_listings"
            f" where {_passed('valid_from')} or {_passed('valid_to')}"
        },
        {
            "raw.listings": held(
                "listings", "(merchant_id, sku_id) in (select (merchant_id, sku_id) from temp.key_listings)"
            ),
            "core.fct_order_lines": _semi("core.fct_order_lines", "key_listings", _LISTED),
        },
        (Replaced("dim_listings", "key_listings", _LISTED),),
    ),
    Cut(
        "by_price",
        {"key_prices": "select distinct merchant_id, sku_id from temp.changed_fct_price_changes"},
        {
            "raw.listings": held(
                "listings", "(merchant_id, sku_id) in (select (merchant_id, sku_id) from temp.key_prices)"
            ),
            "core.fct_price_changes": _semi("core.fct_price_changes", "key_prices", _LISTED),
        },
        (Replaced("fct_prices_in_force", "key_prices", _LISTED),),
    ),
    # The calendar ends a year after today and begins with the first order; a day begins at a quarter hour.
    Cut(
        "by_day",
        {
            "key_days": "select 1 as one where"
            f" {_quarter_hour(AS_OF_VARIABLE)} <> {_quarter_hour(SINCE_VARIABLE)} union"
            " select 1 from temp.raw_orders"
            " where placed_at <= (select min(placed_at) from {live}.core.fct_orders)"
        },
        {"staging.stg_lake__orders": "select placed_at from {live}.core.fct_orders"},
        (
            Replaced("int_dates_spined", None, ("date_on",)),
            Replaced("dim_dates", None, ("date_on",)),
        ),
    ),
)
"""The cuts in the order in which they are made: each sees what those before it have replaced."""

OWNERS: Mapping[str, str] = MappingProxyType(
    {
        "consumer_id": "consumer",
        "inviter_id": "consumer",
        "merchant_id": "merchant",
        "agent_id": "agent",
        "sku_id": "sku",
        "supplier_id": "supplier",
    }
)
"""Columns that name an entity; a row that changed touches the entities of its old and of its new values."""

NOT_LIVE: Mapping[str, str] = MappingProxyType(
    {
        "dim_agents": "comes from files alone",
        "dim_batches": "comes from files alone",
        "dim_categories": "comes from files alone",
        "dim_licences": "comes from files alone",
        "dim_merchants": "comes from files alone",
        "dim_products": "comes from files alone",
        "dim_suppliers": "the oldest row that names a supplier is looked for in every table",
        "dim_warehouse_closures": "comes from files alone",
        "dim_warehouses": "comes from files alone",
        "fct_settlement_legs": "the books are closed once a day",
        "fct_supply_observations": "the supply watch reads them between two runs",
        "int_categories_levelled": "comes from files alone",
        "int_consumers_changed": "versions that a newer one replaced come with the full build",
        "int_products_categorised": "comes from files alone",
        "int_promotion_periods_expanded": "comes from files alone",
        "int_promotions_weekly_category": "comes from files alone",
    }
)
"""Stored models that only the full build renews, and why. What they read from files alone asks for one."""

"""What each boundary expects, as data: batches that are plausible, features that are whole, safe scores.

Row rules live in the data contract and table identities in dbt; here stand volume, null share, range and
distribution, the things that only a batch as a whole can show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

SAMPLE_ROWS = 50_000
"""Largest sample handed to the library; a deterministic sample of the newest rows of a larger table."""


@dataclass(frozen=True)
class Expectation:
    """One expectation by its Great Expectations type name.

    Attributes:
        type: E.g. `expect_column_values_to_not_be_null`.
        arguments: Its keyword arguments.
    """

    type: str
    arguments: Mapping[str, Any]


def _rows(low: int) -> Expectation:
    return Expectation("expect_table_row_count_to_be_between", {"min_value": low})


def _known(column: str, mostly: float = 1.0) -> Expectation:
    return Expectation("expect_column_values_to_not_be_null", {"column": column, "mostly": mostly})


def _between(
    column: str, low: float | None = None, high: float | None = None, mostly: float = 1.0
) -> Expectation:
    return Expectation(
        "expect_column_values_to_be_between",
        {"column": column, "min_value": low, "max_value": high, "mostly": mostly},
    )


def _one_of(column: str, values: Sequence[str]) -> Expectation:
    return Expectation("expect_column_values_to_be_in_set", {"column": column, "value_set": list(values)})


def _unique(*columns: str) -> Expectation:
    if len(columns) == 1:
        return Expectation("expect_column_values_to_be_unique", {"column": columns[0]})
    return Expectation("expect_compound_columns_to_be_unique", {"column_list": list(columns)})


def _at_least(larger: str, smaller: str) -> Expectation:
    return Expectation(
        "expect_column_pair_values_a_to_be_greater_than_b",
        {
            "column_A": larger,
            "column_B": smaller,
            "or_equal": True,
            "ignore_row_if": "either_value_is_missing",
        },
    )


ACCEPTED_FEEDS: dict[str, tuple[Expectation, ...]] = {
    "orders": (_rows(1), _known("consumer_id"), _known("merchant_id"), _unique("order_id")),
    "order_lines": (
        _rows(1),
        _between("qty_milli", 1, 100_000, mostly=0.97),
        _between("net_paid_cents", 0, 10_000_000),
        _between("promo_discount_cents", 0, 10_000_000),
        _at_least("list_price_cents", "net_paid_cents"),
        _known("supplier_id", mostly=0.5),
    ),
    "products": (_rows(1), _unique("sku_id"), _known("category_id", mostly=0.9), _known("title", mostly=0.9)),
    "consumers": (_rows(1), _unique("consumer_id"), _known("merchant_id")),
    "promotions": (_known("sku_id"), _at_least("ends_at", "starts_at")),
    "offers": (
        _between("supply_price_cents", 1, 10_000_000),
        _between("stock_qty", 0, 10_000_000),
        _between("lead_time_days", 0, 180),
    ),
    "events": (_between("propensity", 0, 1), _known("session_id")),
}

FEATURES: tuple[Expectation, ...] = (
    _rows(1),
    _unique("consumer_id"),
    _known("orders_lifetime", mostly=0.99),
    _known("net_spend_lifetime", mostly=0.99),
    _known("recency_days", mostly=0.95),
    _known("first_order_days", mostly=0.95),
    _known("orders_90d", mostly=0.95),
    _known("net_spend_365d", mostly=0.95),
    _between("orders_lifetime", 0),
    _between("recency_days", 0),
    _between("r_score", 1, 5),
    _between("f_score", 1, 5),
    _between("m_score", 1, 5),
)

PUBLISHED: dict[str, tuple[Expectation, ...]] = {
    "recommendations": (
        _unique("merchant_id", "consumer_id", "rank"),
        _unique("merchant_id", "consumer_id", "sku_id"),
        _between("rank", 1, 200),
        _known("sku_id"),
        _between("propensity", 0, 1),
        _one_of("lane", ("repeat", "discovery", "popular")),
    ),
    "popular_items": (_rows(1), _unique("merchant_id", "rank"), _known("sku_id")),
    "prices": (
        _unique("merchant_id", "sku_id"),
        _between("price_cents", 1),
        _at_least("price_cents", "floor_cents"),
        _at_least("ceiling_cents", "price_cents"),
        _one_of("action", ("publish", "await_approval", "keep")),
        _known("explanation"),
    ),
    "demand_forecasts": (
        _unique("merchant_id", "category_id", "week_start_on"),
        _between("mean_qty", 0),
        _at_least("p50_qty", "p10_qty"),
        _at_least("p90_qty", "p50_qty"),
    ),
    "reorder_suggestions": (
        _unique("supplier_id", "sku_id"),
        _between("reorder_qty", 0),
        _between("order_up_to_qty", 0),
    ),
    "reorder_merchant_shares": (_unique("merchant_id", "sku_id", "supplier_id"), _between("reorder_qty", 0)),
    "wakeup_list": (
        _unique("consumer_id"),
        _between("churn_probability", 0, 1),
        _between("dormant_days", 0),
    ),
    "rebuy_reminders": (_unique("consumer_id", "rank"), _between("rebuy_probability", 0, 1)),
    "profiles": (_rows(1), _unique("consumer_id"), _known("tags")),
}

SCORED_BY: Mapping[str, str] = {
    "popular_items": "recommendations",
    "reorder_merchant_shares": "reorder_suggestions",
    "rebuy_reminders": "wakeup_list",
}
"""Published tables that another table's asset writes."""


class Boundary(NamedTuple):
    """A suite, and the asset (key with slashes) whose content it judges."""

    suite: str
    asset: str
    expectations: tuple[Expectation, ...]


FEED_BOUNDARIES = tuple(
    Boundary(f"accepted_{table}", f"raw/{table}", suite) for table, suite in ACCEPTED_FEEDS.items()
)
FEATURE_BOUNDARY = Boundary("features_consumer_tags", "features/consumer_tags", FEATURES)
SCORE_BOUNDARIES = tuple(
    Boundary(f"published_{table}", f"published/{SCORED_BY.get(table, table)}", suite)
    for table, suite in PUBLISHED.items()
)

"""The three boundaries, as data: which asset's content is judged under which name.

What each expects stands in `limits/defaults.yaml` and in the user's own limits. Row rules live in the data
contract and table identities in dbt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

SAMPLE_ROWS = 50_000
"""Largest sample handed to Great Expectations: the newest rows of a larger table."""

ACCEPTED_FEEDS = (
    "orders",
    "order_lines",
    "products",
    "consumers",
    "promotions",
    "offers",
    "listings",
    "events",
)
"""Contract tables that are judged as a whole."""

PUBLISHED = (
    "recommendations",
    "popular_items",
    "session_links",
    "prices",
    "demand_forecasts",
    "demand_outlook",
    "reorder_suggestions",
    "reorder_merchant_shares",
    "sku_forecasts",
    "supply_resilience",
    "supply_failures",
    "assortment_suggestions",
    "party_reviews",
    "agent_suggestions",
    "wakeup_list",
    "rebuy_reminders",
    "profiles",
)
"""Published tables; each is judged."""

SCORED_BY: Mapping[str, str] = {
    "popular_items": "recommendations",
    "session_links": "recommendations",
    "demand_outlook": "demand_forecasts",
    "reorder_merchant_shares": "reorder_suggestions",
    "sku_forecasts": "reorder_suggestions",
    "supply_failures": "supply_resilience",
    "rebuy_reminders": "wakeup_list",
}
"""Published tables that another table's asset writes."""


class Boundary(NamedTuple):
    """A name, the asset (key with slashes) whose content it judges, and the table that holds the content."""

    suite: str
    asset: str
    table: str


FEED_BOUNDARIES = tuple(Boundary(f"accepted_{table}", f"raw/{table}", table) for table in ACCEPTED_FEEDS)
FEATURE_BOUNDARY = Boundary("features_consumer_tags", "features/consumer_tags", "consumer_tags")
SCORE_BOUNDARIES = tuple(
    Boundary(f"published_{table}", f"published/{SCORED_BY.get(table, table)}", table) for table in PUBLISHED
)
ALL_BOUNDARIES = (*FEED_BOUNDARIES, FEATURE_BOUNDARY, *SCORE_BOUNDARIES)

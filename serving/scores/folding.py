"""Which ranked tables are stored as one row per list, and by which key. No database code."""

from __future__ import annotations

from collections.abc import Mapping

FOLDED: Mapping[str, tuple[str, ...]] = {
    "recommendations": ("merchant_id", "consumer_id"),
    "popular_items": ("merchant_id",),
    "rebuy_reminders": ("consumer_id",),
    "session_links": ("sku_id",),
}
"""Table name to the key of a list; the items lie in a JSON array ordered by `rank`."""

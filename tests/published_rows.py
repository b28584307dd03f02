"""Tiny publications whose every value names their version, for the tests of loading and switching."""

import json
from datetime import UTC, date, datetime, timedelta

from models.contracts import PUBLISHED_TABLES
from serving.scores.contracts import PublicationManifest, TableEntry

AS_OF = datetime(2017, 12, 31, 4, 0, tzinfo=UTC)


def rows_of(version, size=40):
    """Rows of every published table, at least one each."""
    text = json.dumps({"by": version})
    return {
        "recommendations": [
            ("m1", f"c{n % 4}", n // 4 + 1, f"s{n}", 1.0, "repeat", version, 0.5) for n in range(size)
        ],
        "session_links": [("s1", 1, "s2", 0.5)],
        "popular_items": [("m1", n + 1, f"s{n}", 1.0, version) for n in range(size)],
        "prices": [
            ("m1", f"s{n}", 1, 9, 5, 2, 8, 5, None, -1.0, version, "publish", text) for n in range(size)
        ],
        "demand_forecasts": [("m1", "l2-a", date(2018, 1, 1), 1, 1.0, 0.5, 1.0, 2.0, version)],
        "demand_outlook": [
            ("m1", "l2-a", "month", date(2018, 1, 1), date(2018, 1, 31), 4.0, 1.0, 4.0, 8.0, version)
        ],
        "reorder_suggestions": [("s-1", "s1", 1, None, 1.0, 2.0, 3, 2, None, False, version, text)],
        "reorder_merchant_shares": [("m1", "s1", "s-1", 1.0, 2)],
        "sku_forecasts": [("s1", date(2018, 1, 1), "l2-a", 1, 1.0, 0.5, 1.0, 2.0, 0.0, version)],
        "supplier_grades": [("s-1", "A", None, 0.9, 0.8, 1.0, 0.9, 0.9, None, 1, 9, date(2025, 6, 30), "[]")],
        "channel_scores": [
            ("s-1", "milk", 1, "A", None, 0.9, 0.8, 1.0, 0.9, 0.9, None, 9, date(2025, 6, 30), "[]")
        ],
        "supply_resilience": [("l2-a", 1.0, 1, "s-1", 1.0, True, 0.0, True, 0.4, "[]", 0.0, 0)],
        "supply_proposals": [("l2-a", "s1", "s-1", 1.0, 0.6)],
        "assortment_suggestions": [
            (
                "m1",
                1,
                "s9",
                "general",
                "l2-a",
                56,
                1.5,
                300,
                500,
                "s-1",
                300,
                "[]",
                False,
                1.0,
                "rule",
                "fits_demand",
                "[]",
            )
        ],
        "party_reviews": [
            (
                "agent",
                "a1",
                date(2017, 12, 1),
                "m1",
                "gold",
                "east",
                "from_1_year",
                True,
                True,
                *(1, 1, 9, 9, 9, 0, 3, 9, 1, 1, 0, 1, 1, 1),
                "orders",
                9,
                9.0,
                *(1, 1, 2, 5),
                '["level"]',
                "{}",
                "[]",
                "[]",
                "sells",
                0,
                0.5,
            )
        ],
        "agent_suggestions": [("a1", "m1", 1, "s1", 5, 6, version)],
        "supply_failures": [("s-1", 28, 1, 28.0, 28.0, 100, 0, None, 1, "[]")],
        "clearance_warnings": [("s-1", "s1", 9, 1.0, 30, 0.1, 270.0, 5, 1, -1.0, "[]")],
        "wakeup_list": [("c1", "m1", 1, 30, 0.5, 100, True, None, None, None, "[]", True)],
        "rebuy_reminders": [("c1", 1, "l3-a", 0.5, version)],
        "profiles": [("c1", json.dumps({"by": version}), "f", AS_OF)],
        "segments": [("loyal", version, 1)],
        "segment_members": [("loyal", "c1", date(2018, 1, 1), None)],
    }


def manifest_of(version, rows, *, carried=None, sha="a", counts=None, kind="full"):
    """The manifest of those rows; `counts` overrides what it claims."""
    claimed = {name: len(rows[name]) for name in PUBLISHED_TABLES} | (counts or {})
    return PublicationManifest.build(
        version=version,
        created_at=AS_OF,
        as_of=AS_OF,
        data_from=AS_OF - timedelta(days=365),
        data_to=AS_OF,
        model_versions={},
        kind=kind,
        tables={
            name: TableEntry(rows=claimed[name], sha256=sha * 64, carried_from=(carried or {}).get(name))
            for name in PUBLISHED_TABLES
        },
    )

"""A small hand-written publication: two merchants, a few consumers, known values."""

import json
from datetime import UTC, date, datetime, timedelta

from feature_store.contracts import ProfileSchema, RefreshClass, TagField, TagType
from models.contracts import PUBLISHED_TABLES
from serving.scores.contracts import PublicationManifest, TableEntry

AS_OF = datetime(2017, 12, 31, 4, 0, tzinfo=UTC)
SCHEMA = ProfileSchema(
    fields=(
        TagField(name="order_count_28d", type=TagType.INT, unit="orders", refresh=RefreshClass.DAY),
        TagField(name="last_search", type=TagType.TEXT, unit="", refresh=RefreshClass.QUARTER_HOUR),
        TagField(name="favourite_category", type=TagType.TEXT, unit="", refresh=RefreshClass.DAY),
    )
)
TAGS = {"order_count_28d": 3, "last_search": "milk", "favourite_category": None}


LADDER = json.dumps(
    [
        {
            "cut_bps": cut,
            "price_cents": 119 * (10_000 - cut) // 10_000,
            "days_to_clear": 300.5,
            "margin_cost_cents": cut,
            "is_below_floor": cut > 2000,
        }
        for cut in (500, 1000, 2000, 3000)
    ]
)
UNLISTED = json.dumps(
    [
        {
            "cut_bps": 500,
            "price_cents": None,
            "days_to_clear": None,
            "margin_cost_cents": None,
            "is_below_floor": None,
        }
    ]
)


BACKUP = '[{"supplier_id": "s-70", "grade": "B", "supply_price_cents": 290}]'


def suggested(merchant, rank, sku, *, supplier="s-69", category="l2-grocery/milk", is_new=False):
    """A row of `assortment_suggestions`."""
    chance, reason = (0.25, "new_product") if is_new else (1.0, "popular_in_scene")
    why = json.dumps([{"code": reason, "merchants": 83, "place": 18}])
    found = (1.8, 210, 399, supplier, 282, BACKUP, is_new, chance, "popular_in_scene", reason, why)
    return (merchant, rank, sku, "general", category, 56, *found)


UNRANKED = {
    "rank": None,
    "rank_low": None,
    "rank_high": None,
    "peers": 2,
    "peers_share": "[]",
    "peers_do": "{}",
    "best_skus": "[]",
    "cents": 100,
    "margin_cents": None,
}


def reviewed(party_type, party_id, *, month=date(2017, 11, 1), merchant="m1", cents=1_000, rank=1, **changes):
    """A row of `party_reviews`: six peers, places uncertain by one."""
    sku = {"sku_id": "s1", "units": 3.5, "net_sales_cents": cents, "refunded_cents": 10, "margin_cents": -70}
    row = {
        "party_type": party_type,
        "party_id": party_id,
        "month_start_on": month,
        "merchant_id": merchant,
        "level": "gold",
        "region_code": "east",
        "tenure": "from_1_year",
        "is_active": True,
        "is_whole": month < date(2017, 12, 1),
        "order_count": 9,
        "known_order_count": 7,
        "net_sales_cents": cents,
        "settled_cents": cents - 100,
        "paid_cents": cents + 10,
        "refunded_cents": 10,
        "margin_cents": cents // 4,
        "costed_cents": cents,
        "buyer_count": 4,
        "new_buyer_count": 1,
        "repeat_buyer_count": 3,
        "customer_count": 10,
        "visitor_count": 6,
        "cart_count": 5,
        "basis": "settled",
        "ranked_cents": cents - 100,
        "error_cents": 50.0,
        "rank": rank,
        "rank_low": rank and max(1, rank - 1),
        "rank_high": rank and min(6, rank + 1),
        "peers": 6,
        "peers_share": '["level", "tenure"]',
        "peers_do": json.dumps({"repeat_rate": {"median": 0.5, "leaders": 0.625}}),
        "best_skus": json.dumps([sku]),
        "worst_skus": "[]",
        "state": "sells",
        "quiet_months": 0,
        "churn_risk": 0.25,
    } | changes
    return tuple(row[column.name] for column in PUBLISHED_TABLES["party_reviews"].columns)


def small_tables(version="v1"):
    """Rows of every published table; `version` is planted in texts so that mixtures can be seen."""
    explanation = json.dumps({"summary": f"made by {version}", "steps": ["cost", "anchor"]})
    mode = "anchor_index"
    lanes = ("repeat", "discovery", "popular")
    return {
        "recommendations": [
            (merchant, consumer, rank, f"{merchant}-s{rank}", 1 / rank, lanes[rank % 3], version, 0.5)
            for merchant, consumer in (("m1", "c1"), ("m1", "c2"), ("m2", "c1"))
            for rank in (3, 1, 2, 4, 5)
        ],
        "popular_items": [
            (merchant, rank, f"{merchant}-p{rank}", 1 / rank, version)
            for merchant in ("m1", "m2")
            for rank in range(1, 31)
        ],
        "session_links": [("m1-s3", 1, "m1-s5", 0.4), ("m1-s3", 2, "m1-s4", 0.2)],
        "prices": [
            *(
                ("m1", f"s{n:02}", 86, 129, 119, 95, 142, 117, None, -1.5, mode, "publish", explanation)
                for n in range(25)
            ),
            ("m2", "s00", 50, 80, 75, 54, 90, 75, 77, -0.8, mode, "await_approval", explanation),
        ],
        "demand_forecasts": [("m1", "l2-grocery/milk", date(2018, 1, 1), 1, 10.0, 5.0, 9.5, 16.0, "lstm")],
        "demand_outlook": [
            ("m1", "l2-grocery/milk", "day", date(2018, 1, 1), date(2018, 1, 1), 1.4, 0.0, 1.0, 3.0, "lstm")
        ],
        "reorder_suggestions": [
            ("s-69", "s00", 40, 5, 61.5, 79.0, 120, 80, date(2018, 1, 2), False, "below_target", explanation),
            ("s-69", "s01", None, None, 1.0, 2.0, 3, 0, None, True, "slow_mover", explanation),
            ("s-69", "s02", 10, 5, 20.0, 25.0, 30, 20, date(2018, 1, 5), False, "below_target", explanation),
        ],
        "reorder_merchant_shares": [
            ("m1", "s00", "s-69", 40.5, 50),
            ("m2", "s00", "s-69", 21.0, 30),
            ("m1", "s02", "s-69", 20.0, 20),
        ],
        "sku_forecasts": [
            ("s00", date(2018, 1, 1), "l2-grocery/milk", 1, 6.0, 2.0, 5.0, 10.0, 0.0, "share_of_sales")
        ],
        "supply_resilience": [
            ("l2-grocery/milk", 10.0, 2, "s-69", 0.9, True, 0.3, False, 0.1, '["s00"]', 0.3, 120),
            ("l2-pens", 4.0, 2, "s-70", 0.5, False, 0.5, False, 0.0, "[]", 0.0, 0),
        ],
        "supply_proposals": [
            ("l2-grocery/milk", "s00", "s-69", 9.0, 6.0),
            ("l2-grocery/milk", "s00", "s-70", 1.0, 3.0),
        ],
        "assortment_suggestions": [
            suggested("m1", 1, "s40"),
            suggested("m1", 2, "s41", is_new=True),
            suggested("m2", 1, "s40"),
        ],
        "party_reviews": [
            *(
                reviewed("agent", agent, merchant=merchant, cents=1_000 * (7 - rank), rank=rank)
                for rank, (agent, merchant) in enumerate(
                    (
                        ("a1", "m1"),
                        ("ag", "m1"),
                        ("own-agent", "m2"),
                        ("a4", "m2"),
                        ("a5", "m2"),
                        ("a6", "m2"),
                    ),
                    start=1,
                )
            ),
            reviewed("agent", "ag", month=date(2017, 12, 1), cents=77),
            reviewed("agent", "new", merchant=None, **UNRANKED),
            *(reviewed("merchant", merchant, merchant=merchant) for merchant in ("m1", "own-merchant")),
        ],
        "agent_suggestions": [
            ("ag", "m1", 1, "s1", 6, 8, version),
            ("own-agent", "m2", 1, "s2", 5, 5, version),
        ],
        "supply_failures": [
            ("s-69", 28, 3, 252.0, 42.0, 21000, 4200, 1.5, 9, '["s00"]'),
            ("s-70", 28, 1, 56.0, 0.0, 0, -30, None, None, "[]"),
        ],
        "clearance_warnings": [
            ("s-69", "s00", 40, 3.0, 30, 0.0698, 400.0, 119, 86, -1.5, LADDER),
            ("s-69", "s31", 7, 0.0, 30, 0.0, None, None, None, -1.5, UNLISTED),
            ("s-70", "s00", 90, 1.0, 30, 0.011, 2700.0, 119, 88, -1.5, LADDER),
            ("s-70", "s02", 50, 5.0, 30, 0.0909, 300.0, 119, 86, -1.5, LADDER),
        ],
        "supplier_grades": [
            ("s-69", "B", None, 0.71, 0.64, 0.78, 0.8, 0.7, None, 2, 400, date(2017, 12, 31), explanation),
            (
                "s-70",
                "D",
                "licence_expired",
                0.9,
                0.8,
                1.0,
                0.9,
                0.9,
                None,
                1,
                90,
                date(2017, 12, 31),
                explanation,
            ),
        ],
        "channel_scores": [
            (
                "s-69",
                "l2-bread",
                1,
                "A",
                None,
                0.9,
                0.8,
                1.0,
                0.9,
                0.9,
                None,
                300,
                date(2017, 12, 31),
                explanation,
            ),
            (
                "s-69",
                "l2-milk",
                2,
                "C",
                None,
                0.6,
                0.5,
                0.7,
                0.6,
                0.6,
                None,
                100,
                date(2017, 12, 31),
                explanation,
            ),
            (
                "s-70",
                "l2-milk",
                1,
                "D",
                "licence_expired",
                0.9,
                0.8,
                1.0,
                0.9,
                0.9,
                None,
                90,
                date(2017, 12, 31),
                explanation,
            ),
        ],
        "wakeup_list": [
            ("c1", "m1", 1, 41, 0.7, 5400, True, "wake-10", 3000, 300, '["long_gap"]', False),
            ("c2", "m1", 2, 35, 0.6, 3000, False, None, None, None, '["long_gap"]', True),
            ("c3", "m2", 3, 33, 0.5, 2000, False, "wake-5", 2000, 100, '["fading"]', False),
        ],
        "rebuy_reminders": [("c1", 2, "l3-b", 0.4, version), ("c1", 1, "l3-a", 0.6, version)],
        "profiles": [
            ("c1", json.dumps(TAGS), SCHEMA.fingerprint, AS_OF - timedelta(hours=2)),
            ("c2", json.dumps(TAGS), SCHEMA.fingerprint, AS_OF - timedelta(days=3)),
            ("c3", json.dumps({"old_tag": 1, "empty_tag": None}), "of-another-release", AS_OF),
            ("c4", json.dumps({"order_count_28d": "three"}), SCHEMA.fingerprint, AS_OF),
        ],
        "segments": [
            ("loyal", "Bought in each of the last three months.", 3),
            ("nobody", "A rule that holds for nobody.", 0),
        ],
        "segment_members": [
            ("loyal", "c1", date(2017, 12, 30), None),
            ("loyal", "c2", date(2017, 11, 1), None),
            ("loyal", "c3", date(2017, 10, 1), date(2017, 12, 31)),
            ("loyal", "c4", date(2017, 12, 1), None),
        ],
    }


def manifest_of(version, tables, *, carried=None, as_of=AS_OF, sha="a"):
    """A manifest for rows; `carried` maps table name to the version that it is taken from."""
    carried = carried or {}
    return PublicationManifest.build(
        version=version,
        created_at=as_of,
        as_of=as_of,
        data_from=as_of - timedelta(days=365),
        data_to=as_of,
        model_versions={"demand_lstm": "3"},
        tables={
            name: TableEntry(rows=len(tables[name]), sha256=sha * 64, carried_from=carried.get(name))
            for name in PUBLISHED_TABLES
        },
    )

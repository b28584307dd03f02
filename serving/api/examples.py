"""Example answers for the OpenAPI document; a test checks each against its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_VERSION = {"publication_version": "20171231T0400-6f1c2a", "as_of": "2017-12-31T04:00:00Z"}
_PRICES = {**_VERSION, "revision": 37, "prices_as_of": "2017-12-31T13:15:00Z"}
_PRICE = {
    "merchant_id": "367",
    "sku_id": "1095275",
    "cost_cents": 86,
    "list_price_cents": 129,
    "price_cents": 119,
    "floor_cents": 95,
    "ceiling_cents": 142,
    "anchor_cents": 117,
    "printed_formula_cents": None,
    "elasticity": -1.62,
    "pricing_mode": "auto",
    "action": "publish",
    "explanation": [
        {
            "step": "anchor",
            "before_cents": 86,
            "after_cents": 117,
            "rule": "cost_plus",
            "markup": 0.35,
            "current_cents": 125,
        },
        {"step": "policy", "before_cents": 117, "after_cents": 117, "rule": "anchor"},
        {"step": "step", "before_cents": 117, "after_cents": 119, "most_bps": 500},
    ],
}

_PROFILE = {
    "consumer_id": "1228",
    "profile_as_of": "2017-12-31T04:00:00Z",
    "schema_fingerprint": "0f3a9c1d2b4e5f60",
    "schema_matches": True,
    "classes": {
        "15m": {"as_of": "2017-12-31T13:15:00Z", "ttl_s": 3600, "expires_at": "2017-12-31T14:15:00Z"},
        "1d": {"as_of": "2017-12-31T04:00:00Z", "ttl_s": 172800, "expires_at": "2018-01-02T04:00:00Z"},
    },
    "tags": {
        "order_count_28d": {"value": 3, "status": "present", "refresh": "15m"},
        "favourite_category": {"value": None, "status": "null", "refresh": "1d"},
    },
}

ANSWERS: Mapping[str, Any] = {
    "/v1/recommendations": {
        **_VERSION,
        "merchant_id": "367",
        "consumer_id": "1228",
        "fallback": None,
        "items": [
            {
                "rank": 1,
                "sku_id": "1095275",
                "score": 0.83,
                "lane": "repeat",
                "reason_code": "bought_often",
                "propensity": 0.31,
            }
        ],
    },
    "/v1/prices/{merchant_id}/{sku_id}": {**_PRICES, "price": _PRICE},
    "/v1/prices/{merchant_id}": {**_PRICES, "prices": [_PRICE], "next_cursor": None},
    "/v1/reorder-suggestions": {
        **_VERSION,
        "suggestions": [
            {
                "supplier_id": "s-69",
                "sku_id": "1095275",
                "on_hand_qty": 40,
                "lead_time_days": 5,
                "demand_mean_qty": 61.5,
                "demand_p90_qty": 79.0,
                "order_up_to_qty": 120,
                "reorder_qty": 80,
                "order_by_on": "2018-01-02",
                "is_stalled": False,
                "reason_code": "below_order_up_to",
                "explanation": {"review_days": 7},
            }
        ],
        "shares": [],
        "next_cursor": None,
    },
    "/v1/supplier-grades": {
        **_VERSION,
        "grades": [
            {
                "supplier_id": "s-69",
                "grade": "B",
                "gate": None,
                "score": 0.71,
                "score_low": 0.64,
                "score_high": 0.78,
                "quality": 0.8,
                "fulfilment": 0.7,
                "price": 0.6,
                "line_count": 400,
                "graded_on": "2017-12-31",
                "channels": 2,
                "explanation": {
                    "channels": [
                        {"category_id": "l2-milk", "grade": "B", "score_low": 0.64, "line_count": 380}
                    ]
                },
            }
        ],
        "next_cursor": None,
    },
    "/v1/channel-scores": {
        **_VERSION,
        "channels": [
            {
                "supplier_id": "s-69",
                "grade": "B",
                "gate": None,
                "score": 0.71,
                "score_low": 0.64,
                "score_high": 0.78,
                "quality": 0.8,
                "fulfilment": 0.7,
                "price": 0.6,
                "line_count": 380,
                "graded_on": "2017-12-31",
                "category_id": "l2-milk",
                "rank": 3,
                "explanation": {
                    "signals": [
                        {
                            "signal": "fault",
                            "count": 380,
                            "value": 0.02,
                            "low": 0.01,
                            "high": 0.03,
                            "category": 0.03,
                            "prior_of": "category",
                            "points": 0.32,
                            "of": 0.4,
                        }
                    ],
                    "next": {"line": 0.75, "grade": "A"},
                    "raise": [{"signal": "fault", "from": 0.02, "to": 0.0}],
                    "is_proven": True,
                },
            }
        ],
        "next_cursor": None,
    },
    "/v1/clearance-warnings": {
        **_VERSION,
        "warnings": [
            {
                "supplier_id": "s-69",
                "sku_id": "1095275",
                "on_hand_qty": 100,
                "sold_qty": 15.0,
                "window_days": 30,
                "turnover_rate": 0.1304,
                "days_to_clear_now": 200.0,
                "price_cents": 1000,
                "cost_cents": 800,
                "elasticity": -2.0,
                "cuts": [
                    {
                        "cut_bps": 500,
                        "price_cents": 950,
                        "days_to_clear": 180.5,
                        "margin_cost_cents": 5000,
                        "is_below_floor": False,
                    }
                ],
            }
        ],
        "next_cursor": None,
    },
    "/v1/assortment-suggestions": {
        **_VERSION,
        "suggestions": [
            {
                "merchant_id": "367",
                "rank": 1,
                "sku_id": "1095275",
                "scene": "general",
                "category_id": "l2-grocery/milk",
                "horizon_days": 56,
                "expected_qty": 1.8,
                "expected_margin_cents": 210,
                "list_price_cents": 399,
                "supplier_id": "s-69",
                "supply_price_cents": 282,
                "backups": [{"supplier_id": "s-70", "grade": "B", "supply_price_cents": 290}],
                "is_new_product": False,
                "propensity": 1.0,
                "basis": "supply_assortment",
                "reason_code": "popular_in_scene",
                "explanation": [{"code": "popular_in_scene", "merchants": 83, "place": 18}],
                "decision": None,
            }
        ],
        "next_cursor": None,
    },
    "/v1/supply-resilience": {
        **_VERSION,
        "categories": [
            {
                "category_id": "l2-grocery/milk",
                "units_per_day": 10.0,
                "suppliers": 2,
                "main_supplier_id": "s-69",
                "main_share": 0.9,
                "is_main_too_large": True,
                "backup_share": 0.3,
                "is_backup_too_small": False,
                "trial_share": 0.1,
                "trial_skus": ["1095275"],
                "moved_share": 0.3,
                "extra_cents_per_day": 120,
            }
        ],
        "next_cursor": None,
    },
    "/v1/supply-proposals": {
        **_VERSION,
        "proposals": [
            {
                "category_id": "l2-grocery/milk",
                "sku_id": "1095275",
                "supplier_id": "s-70",
                "units_per_day": 1.0,
                "proposed_per_day": 4.0,
            }
        ],
        "next_cursor": None,
    },
    "/v1/supply-failures": {
        **_VERSION,
        "failures": [
            {
                "supplier_id": "s-69",
                "horizon_days": 28,
                "skus": 3,
                "units": 252.0,
                "lost_units": 42.0,
                "lost_sales_cents": 21000,
                "extra_cost_cents": 4200,
                "extra_days": 1.5,
                "days_until_short": 9,
                "lost_skus": ["1095275"],
            }
        ],
        "next_cursor": None,
    },
    "/v1/wakeup-list": {
        **_VERSION,
        "entries": [
            {
                "consumer_id": "1228",
                "merchant_id": "367",
                "rank": 1,
                "dormant_days": 41,
                "churn_probability": 0.72,
                "expected_value_cents": 5400,
                "is_high_value": True,
                "offer_code": "coupon-199-50",
                "offer_threshold_cents": 19900,
                "offer_value_cents": 5000,
                "reason_codes": ["dormant_30d", "overdue_against_own_rhythm", "response_assumed", "model"],
            }
        ],
        "next_cursor": None,
    },
    "/v1/segments": {
        **_VERSION,
        "days": 7,
        "segments": [
            {
                "segment": "loyal",
                "description": "Bought in each of the last three months.",
                "member_count": 812,
                "entered_count": 9,
                "left_count": 4,
            }
        ],
    },
    "/v1/segments/{name}": {
        **_VERSION,
        "segment": "loyal",
        "description": "Bought in each of the last three months.",
        "member_count": 812,
        "entered_count": 9,
        "left_count": 4,
        "days": 7,
        "members": [{"consumer_id": "1228", "entered_on": "2017-12-30", "left_on": None}],
        "next_cursor": None,
    },
    "/v1/consumers/{consumer_id}/profile": {**_VERSION, "revision": 37, **_PROFILE},
    "/v1/profiles/{consumer_id}": {**_VERSION, "revision": 37, **_PROFILE},
    "/v1/profiles": {**_VERSION, "revision": 37, "profiles": [_PROFILE], "unknown": ["nobody"]},
    "/v1/consumers/{consumer_id}/rebuy-reminders": {
        **_VERSION,
        "consumer_id": "1228",
        "reminders": [
            {
                "rank": 1,
                "category_id": "l3-grocery/milk/fluid-milk",
                "rebuy_probability": 0.64,
                "reason_code": "due_now",
            }
        ],
    },
}

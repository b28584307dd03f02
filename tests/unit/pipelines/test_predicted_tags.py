"""What the champions said, as tags of consumers; and the elasticities of what a consumer bought."""

from datetime import UTC, datetime, timedelta

import polars as pl

from feature_store.predicted import SCHEMA
from models.pricing.bundle import PricingBundle
from models.pricing.elasticities.sensitivity import price_sensitivity
from pipelines.scoring.predicted import predicted_tags

NOW = datetime(2024, 7, 1, tzinfo=UTC)
NOBODY_ELASTIC = pl.DataFrame(schema={"consumer_id": pl.String, "elasticity": pl.Float64})


def test_one_row_a_consumer_with_the_likeliest_product_type() -> None:
    churn = pl.DataFrame({"consumer_id": ["b", "a"], "probability": [0.2, 0.7]})
    rebuy = pl.DataFrame(
        {
            "consumer_id": ["a", "a", "c", "c"],
            "category_id": ["tea", "milk", "pot", "cup"],
            "rebuy_probability": [0.4, 0.6, 0.5, 0.5],
        }
    )
    elastic = pl.DataFrame({"consumer_id": ["a"], "elasticity": [-1.5]})
    versions = {
        "lifecycle_churn": "version 3",
        "lifecycle_rebuy": "version 1",
        "pricing_elasticity": "version 2",
        "lifecycle_value": "version 4",
    }
    value = pl.DataFrame({"consumer_id": ["b"], "expected_orders": [1.25], "value_cents": [999.6]})
    found = predicted_tags(churn, rebuy, elastic, value, versions)
    assert found.schema == SCHEMA
    assert found.rows() == [
        ("a", 0.7, "lifecycle_churn version 3", "milk", 0.6, "lifecycle_rebuy version 1", -1.5,
         "pricing_elasticity version 2", None, None, None),
        ("b", 0.2, "lifecycle_churn version 3", None, None, None, None, None, 1.25, 1000,
         "lifecycle_value version 4"),
        ("c", None, None, "cup", 0.5, "lifecycle_rebuy version 1", None, None, None, None, None),
    ]  # fmt: skip
    assert predicted_tags(churn.clear(), rebuy.clear(), NOBODY_ELASTIC, value.clear(), {}).height == 0


def test_sensitivity_weighs_elasticities_by_what_was_paid_and_known() -> None:
    bundle = PricingBundle(
        skus=pl.DataFrame({"sku_id": ["s1", "s2"], "elasticity": [-1.0, -3.0], "deviation": [0.1, 0.1]}),
        categories=pl.DataFrame(
            {
                "level": ["l3", "all"],
                "category_id": ["tea", "all"],
                "elasticity": [-2.0, -2.5],
                "deviation": [0.2, 0.2],
            }
        ),
        max_elasticity=-0.1,
    )
    never = None
    later, long_ago = NOW + timedelta(days=1), NOW - timedelta(days=365)
    rows = [
        # 300 at -1 and 100 at -3: -1.5.
        ("a", "s1", "tea", NOW, 300, True, NOW, never),
        ("a", "s2", "tea", NOW - timedelta(days=9), 100, True, NOW, never),
        # Not known yet, corrected since, too old, no merchandise, nothing paid, placed later.
        ("a", "s2", "tea", NOW, 900, True, later, never),
        ("a", "s2", "tea", NOW, 900, True, long_ago, NOW),
        ("a", "s2", "tea", long_ago, 900, True, long_ago, never),
        ("a", "s2", "tea", NOW, 900, False, NOW, never),
        ("a", "s2", "tea", NOW, 0, True, NOW, never),
        ("a", "s2", "tea", later, 900, True, NOW, never),
        # A sku that was never seen takes its category's elasticity, else that of all.
        ("b", "new", "tea", NOW, 50, True, NOW, later),
        ("c", "newer", "pot", NOW, 50, True, NOW, never),
        (None, "s1", "tea", NOW, 50, True, NOW, never),
    ]
    instant = pl.Datetime("us", "UTC")
    lines = pl.DataFrame(
        rows,
        schema={
            "consumer_id": pl.String,
            "sku_id": pl.String,
            "category_l3_id": pl.String,
            "placed_at": instant,
            "net_paid_cents": pl.Int64,
            "is_merchandise": pl.Boolean,
            "received_at": instant,
            "superseded_at": instant,
        },
        orient="row",
    )
    found = price_sensitivity(lines, NOW, bundle)
    assert found.rows() == [("a", -1.5), ("b", -2.0), ("c", -2.5)]
    assert price_sensitivity(lines.clear(), NOW, bundle).height == 0

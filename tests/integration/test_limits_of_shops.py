"""Shipped limits at the real boundary: no legal shop is blocked, real disasters are.

Batches are judged by Great Expectations and by comparison with the last good batch, as the graph judges them.
"""

import polars as pl
import pytest
from empty_tables import empty_table
from legal_shops import LEGAL, shop

from pipelines.limits.document import load_limits
from pipelines.limits.judging import Batch, judge
from pipelines.limits.suites import ALL_BOUNDARIES, PUBLISHED

BOUNDARIES = {boundary.suite: boundary for boundary in ALL_BOUNDARIES}
TABLES = ("orders", "order_lines", "products", "consumers")


@pytest.fixture(scope="module")
def data_docs(tmp_path_factory):
    from pipelines.limits.quality import DataDocs

    docs = DataDocs(tmp_path_factory.mktemp("quality"))
    return lambda: docs


@pytest.fixture
def judged(data_docs, tmp_path):
    """Judges a frame at a boundary by the shipped limits."""

    def judge_frame(suite, frame, last=None, quarantined=0.0):
        batch = Batch(lambda: frame.drop("day", strict=False), frame.lazy, lambda: quarantined)
        return judge(BOUNDARIES[suite], batch, load_limits(tmp_path).at(suite), last, data_docs)

    return judge_frame


def until(frame, share):
    """The rows of the first days, as an earlier batch of the same shop; all where no day is known."""
    if "day" not in frame.columns:
        return frame
    days = frame["day"].unique().sort()
    return frame.filter(pl.col("day") <= days[int(share * (len(days) - 1))])


@pytest.mark.parametrize("name", LEGAL)
def test_no_shipped_limit_blocks_a_legal_shop(judged, name):
    """Neither its first batch, nor the next one with a further month, nor the same again."""
    frames = LEGAL[name]()
    for table in TABLES:
        first = judged(f"accepted_{table}", until(frames[table], 2 / 3))
        assert not first.breaches, (table, first.as_markdown())
        longer = judged(f"accepted_{table}", frames[table], first.profile)
        assert not longer.breaches, (table, longer.as_markdown())
        again = judged(f"accepted_{table}", frames[table], longer.profile)
        assert not again.breaches, (table, again.as_markdown())


def later(frame, **columns):
    return frame.with_columns(**columns)


DISASTERS = {
    "a table suddenly halved": (
        "orders",
        lambda frame: frame.head(frame.height // 2),
        "sales_keep_their_volume",
    ),
    "the lines suddenly halved": (
        "order_lines",
        lambda frame: frame.head(frame.height // 2),
        "sales_keep_their_volume",
    ),
    "consumers gone": ("consumers", lambda frame: frame.head(0), "sales_keep_their_volume"),
    "yuan for fen": (
        "order_lines",
        lambda frame: later(frame, list_price_cents=pl.col("list_price_cents") * 100),
        "unit_prices_keep_their_level",
    ),
    "fen for yuan": (
        "order_lines",
        lambda frame: later(frame, list_price_cents=pl.col("list_price_cents") // 100),
        "unit_prices_keep_their_level",
    ),
    "a column lost": (
        "orders",
        lambda frame: later(frame, consumer_id=pl.lit(None, pl.String)),
        "sales_keep_their_columns",
    ),
    "a column half lost": (
        "orders",
        lambda frame: later(frame, consumer_id=pl.when(pl.int_range(pl.len()) % 2 == 0).then("consumer_id")),
        "sales_keep_their_columns",
    ),
    "thousandths for units": (
        "order_lines",
        lambda frame: later(frame, qty_milli=pl.col("qty_milli") * 1000),
        "quantities_keep_their_level",
    ),
    "no order at all": ("orders", lambda frame: frame.head(0), "sales_are_there"),
}


@pytest.mark.parametrize("name", DISASTERS)
def test_a_disaster_is_blocked_against_the_last_good_batch(judged, name):
    table, spoil, limit = DISASTERS[name]
    good = shop(1500, (200, 3000))[table]
    first = judged(f"accepted_{table}", good)
    assert not first.errors
    bad = judged(f"accepted_{table}", spoil(good), first.profile)
    assert limit in {breach.limit for breach in bad.errors}, bad.as_markdown()


def test_a_disaster_in_the_newest_days_is_blocked_although_the_history_is_sound(judged):
    good = shop(1500, (200, 3000))["order_lines"]
    last = judged("accepted_order_lines", good).profile
    newest = pl.col("day") >= good["day"].unique().sort()[-10]
    for column, limit in (
        ("list_price_cents", "unit_prices_keep_the_level_of_their_sku"),
        ("qty_milli", "quantities_keep_the_level_of_their_sku"),
    ):
        bad = good.with_columns(pl.when(newest).then(pl.col(column) * 1000).otherwise(column).alias(column))
        found = judged("accepted_order_lines", bad, last)
        assert limit in {breach.limit for breach in found.errors}, found.as_markdown()


def test_a_growing_quarantine_is_told_and_does_not_block(judged):
    orders = shop(1500, (200, 3000))["orders"]
    last = judged("accepted_orders", orders, quarantined=0.01).profile
    found = judged("accepted_orders", orders, last, quarantined=0.045)
    assert [breach.limit for breach in found.warnings] == ["quarantine_does_not_grow"]
    assert not found.errors


COUNTS = ("orders_lifetime", "orders_90d", "net_spend_lifetime", "net_spend_365d")
KNOWN_OF_BUYERS = ("recency_days", "first_order_days", "r_score", "f_score", "m_score")


def tags(consumers, non_buyers):
    """Tags as the feature store writes them: who never bought has counts of 0 and no recency, no scores."""
    buyers = consumers - non_buyers
    return pl.DataFrame(
        {
            "consumer_id": [f"c-{n}" for n in range(consumers)],
            **dict.fromkeys(COUNTS, [3] * buyers + [0] * non_buyers),
            **dict.fromkeys(KNOWN_OF_BUYERS, [5] * buyers + [None] * non_buyers),
        },
        schema_overrides=dict.fromkeys(KNOWN_OF_BUYERS, pl.Int64),
    )


@pytest.mark.parametrize(("consumers", "non_buyers"), [(70, 10), (70, 70), (60, 0), (1, 1), (0, 0)])
def test_members_who_never_bought_and_guests_pass_the_feature_boundary(judged, consumers, non_buyers):
    found = judged("features_consumer_tags", tags(consumers, non_buyers))
    assert not found.breaches, found.as_markdown()


def test_a_buyer_without_recency_is_blocked(judged):
    frame = tags(70, 10).with_columns(recency_days=pl.when(pl.int_range(pl.len()) > 30).then("recency_days"))
    found = judged("features_consumer_tags", frame)
    assert [breach.limit for breach in found.errors] == ["features_of_buyers_have_a_recency"]


@pytest.mark.parametrize("table", PUBLISHED)
def test_an_empty_published_table_is_safe_to_serve(judged, table):
    found = judged(f"published_{table}", empty_table(table))
    assert not found.breaches, found.as_markdown()

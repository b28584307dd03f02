"""What agents could speak about: counts of customers, nobody recognisable, only lists of the own shop."""

import polars as pl

from models.contracts import PUBLISHED_TABLES
from models.reviews.config import ReviewConfig
from models.reviews.suggestions import agent_suggestions


def customers(*rows):
    return pl.DataFrame(list(rows), schema=["agent_id", "merchant_id", "consumer_id"], orient="row")


def lists(*rows):
    return pl.DataFrame(
        [(*row, f"because-{row[3]}") for row in rows],
        schema=["merchant_id", "consumer_id", "rank", "sku_id", "reason_code"],
        orient="row",
    )


def told(found):
    return [
        tuple(row) for row in found.select("agent_id", "rank", "sku_id", "customers", "of_customers").rows()
    ]


def test_skus_stand_by_the_customers_in_whose_list_they_are():
    seven = [("a1", "m1", f"c{n}") for n in range(7)]
    rows = [("m1", f"c{n}", 1, "tea") for n in range(7)] + [("m1", f"c{n}", 2, "jam") for n in range(5)]
    rows += [("m1", f"c{n}", 3, "rice") for n in range(4)]  # one too few
    rows += [("m2", f"c{n}", 1, "soap") for n in range(7)]  # another shop
    found = agent_suggestions(customers(*seven, *seven), lists(*rows), ReviewConfig())
    assert told(found) == [("a1", 1, "tea", 7, 7), ("a1", 2, "jam", 5, 7)]
    assert found["reason_code"].to_list() == ["because-tea", "because-jam"]
    assert found.columns == [column.name for column in PUBLISHED_TABLES["agent_suggestions"].columns]


def test_what_stands_deep_in_a_list_or_too_far_down_is_left_out():
    five = [("a1", "m1", f"c{n}") for n in range(5)]
    rows = [("m1", f"c{n}", rank, f"s{rank}") for n in range(5) for rank in range(1, 31)]
    config = ReviewConfig(list_depth=10, longest_list=4)
    assert [row[2] for row in told(agent_suggestions(customers(*five), lists(*rows), config))] == [
        "s1", "s2", "s3", "s4",
    ]  # fmt: skip
    assert agent_suggestions(customers(*five).clear(), lists(*rows), config).is_empty()

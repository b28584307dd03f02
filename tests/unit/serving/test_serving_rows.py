import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts import PUBLISHED_TABLES
from serving.errors import PublicationRejectedError
from serving.scores.rows import database_columns, database_rows

POPULAR = PUBLISHED_TABLES["popular_items"]


def test_a_ranked_table_is_folded_by_hand():
    rows = [("m2", 1, "x", 0.5, "r"), ("m1", 2, "b", 0.1, "r"), ("m1", 1, "a", 0.9, "r")]
    assert database_columns(POPULAR) == ("merchant_id", "item_count", "items")
    folded = [(*row[:2], json.loads(row[2])) for row in database_rows(POPULAR, rows)]
    assert folded == [
        (
            "m1",
            2,
            [
                {"rank": 1, "sku_id": "a", "score": 0.9, "reason_code": "r"},
                {"rank": 2, "sku_id": "b", "score": 0.1, "reason_code": "r"},
            ],
        ),
        ("m2", 1, [{"rank": 1, "sku_id": "x", "score": 0.5, "reason_code": "r"}]),
    ]


@given(
    sizes=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 12), max_size=8),
    seed=st.integers(),
)
def test_folding_keeps_every_row_whatever_the_order(sizes, seed):
    rows = [(name, rank, f"s{rank}", 1.0, "r") for name, size in sizes.items() for rank in range(1, size + 1)]
    random.Random(seed).shuffle(rows)
    unfolded = [
        (name, item["rank"], item["sku_id"], item["score"], item["reason_code"])
        for name, count, text in database_rows(POPULAR, rows)
        for item in json.loads(text)
        if count == sizes[name]
    ]
    assert unfolded == sorted(rows)


def test_documents_may_come_as_objects():
    profiles = PUBLISHED_TABLES["profiles"]
    rows = list(database_rows(profiles, [("c1", {"a": 1}, "f", "2018-01-01Z")]))
    assert rows == [("c1", '{"a":1}', "f", "2018-01-01Z")]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_only_finite_scores(value):
    with pytest.raises(PublicationRejectedError, match="score is"):
        list(database_rows(POPULAR, [("m1", 1, "a", value, "r")]))


def test_large_finite_scores_that_sum_to_infinity_are_fine():
    rows = [("m1", 1, "a", 1.7e308, "r"), ("m1", 2, "b", 1.7e308, "r")]
    assert len(list(database_rows(POPULAR, rows))) == 1


def test_a_stream_without_a_column_is_refused():
    import pyarrow as pa

    with pytest.raises(PublicationRejectedError, match=r"columns \['reason_code'\] are missing"):
        list(
            database_rows(
                POPULAR, pa.table({"merchant_id": ["m"], "rank": [1], "sku_id": ["a"], "score": [1.0]})
            )
        )

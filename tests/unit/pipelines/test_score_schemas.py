"""What a scored table must look like before it can be published."""

import datetime as dt

import polars as pl
import pytest
from empty_tables import empty_table

from models.contracts import PUBLISHED_TABLES
from pipelines.stores.publication import ScoreSchemaError, conform


@pytest.mark.parametrize("name", PUBLISHED_TABLES)
def test_an_empty_table_conforms(name):
    assert empty_table(name).columns == [c.name for c in PUBLISHED_TABLES[name].columns]


def _reminders(**columns):
    base = {
        "consumer_id": ["c-2", "c-1", "c-1"],
        "rank": [1, 2, 1],
        "category_id": ["l3-a", "l3-b", "l3-a"],
        "rebuy_probability": [0.1, 0.2, 0.3],
        "reason_code": ["due", "due", "due"],
    }
    return pl.DataFrame(base | columns)


def test_rows_come_in_key_order_with_the_published_types_and_nothing_else():
    frame = conform(
        "rebuy_reminders", _reminders(secret=[1, 2, 3]).with_columns(pl.col("rank").cast(pl.Int32))
    )
    assert frame.select("consumer_id", "rank").rows() == [("c-1", 1), ("c-1", 2), ("c-2", 1)]
    assert frame.schema["rank"] == pl.Int64
    assert "secret" not in frame.columns


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (_reminders().drop("rank"), "rank"),
        (_reminders(rank=["first", "second", "third"]), "rebuy_reminders"),
        (_reminders(category_id=["l3-a", None, "l3-a"]), "category_id"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_by_name(frame, named):
    with pytest.raises(ScoreSchemaError, match="rebuy_reminders") as caught:
        conform("rebuy_reminders", frame)
    assert named in str(caught.value)


def test_times_must_be_utc():
    frame = pl.DataFrame(
        {
            "consumer_id": ["c-1"],
            "tags": ["{}"],
            "schema_fingerprint": ["f"],
            "as_of": [dt.datetime(2025, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=8)))],
        }
    )
    assert conform("profiles", frame)["as_of"][0] == dt.datetime(2024, 12, 31, 16, tzinfo=dt.UTC)

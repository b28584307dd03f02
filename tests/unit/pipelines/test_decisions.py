"""Decisions are logged with the tags they were made from, and those can be made again."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from lifecycle_panels import at, simulated

from models.lifecycle.features.history import read_history
from models.lifecycle.features.orders import tags_of_orders, warehouse_of_orders
from models.lifecycle.features.rebuy_features import named_pairs as named_kinds
from models.lifecycle.features.rebuy_features import rebuy_features
from models.recommendation.config import RankerParams
from models.recommendation.interactions import index_lines
from models.recommendation.lists.tenancy import by_history, histories
from models.recommendation.rankers.ranker import named_pairs as named_skus
from models.recommendation.rankers.ranker import pair_features
from pipelines.decisions import own_features, skew
from pipelines.decisions.kept import log_own
from pipelines.decisions.log import RETENTION, DecisionLog
from pipelines.decisions.own_features import REBUY, rebuy_again
from pipelines.lake.tables import Lake

TAGS = ["recency_days", "orders_90d", "visit_gap_mean_182d", "aov_90d"]
MOMENT = at(200)


def moments(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col("consumer_id").unique().sort()).with_columns(
        as_of=pl.lit(MOMENT, dtype=pl.Datetime("us", "UTC"))
    )


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    return simulated(consumers=30, days=260)


@pytest.fixture
def logged(panel: pl.DataFrame) -> pl.DataFrame:
    """What serving would log at the moment: nothing later is known."""
    known = panel.filter(pl.col("placed_at") <= MOMENT)
    rows = moments(known)
    return skew.vectors(rows, tags_of_orders(known)(rows, TAGS)).with_columns(churn_probability=pl.lit(0.5))


def test_vectors_are_made_again_although_more_is_known_by_now(
    panel: pl.DataFrame, logged: pl.DataFrame
) -> None:
    # Since then came new orders, and late ones that had been placed before.
    late = panel.filter(pl.col("placed_at") <= MOMENT).with_columns(
        pl.col("order_id") + "-late", received_at=pl.lit(MOMENT + timedelta(seconds=1))
    )
    found = skew.recomputed(warehouse_of_orders(pl.concat([panel, late])), logged, "UTC")
    assert (found.rows, found.tags, found.differences, found.examples) == (logged.height, 4, 0, [])


def test_another_value_or_another_moment_is_a_difference(panel: pl.DataFrame, logged: pl.DataFrame) -> None:
    touched = logged.with_columns(
        orders_90d=pl.when(pl.int_range(pl.len()) == 3).then(99).otherwise("orders_90d")
    )
    found = skew.recomputed(warehouse_of_orders(panel), touched, "UTC")
    assert found.differences == 1
    assert found.examples[0].startswith(f"{logged['consumer_id'][3]} orders_90d: 99, ")
    shifted = logged.with_columns(pl.col("as_of") - timedelta(days=1))
    assert skew.recomputed(warehouse_of_orders(panel), shifted, "UTC").differences > 0
    # A row that came without its time of receipt changes the past, and is noticed.
    silent = panel.filter(pl.col("placed_at") <= MOMENT).with_columns(pl.col("order_id") + "-silent")
    found = skew.recomputed(warehouse_of_orders(pl.concat([panel, silent])), logged, "UTC")
    assert found.differences > 0
    assert len(found.examples) == 5


def rebuy_vectors(panel: pl.DataFrame) -> pl.DataFrame:
    history = read_history(panel, MOMENT)
    return named_kinds(rebuy_features(history, MOMENT, 2), history)


def repeat_vectors(panel: pl.DataFrame) -> pl.DataFrame:
    agreed = set(AGREED) & set(panel["consumer_id"])
    data = index_lines(by_history(panel, agreed), MOMENT)
    named = named_skus(pair_features(data, MOMENT, RankerParams()), data)
    behind = histories(panel, agreed)
    return named.rename({"consumer_id": "history"}).join(behind, on="history").drop("history")


AGREED = ["c003", "c004"]


def repeat_again(lines: pl.DataFrame, logged: pl.DataFrame) -> skew.Skew:
    return own_features.repeat_again(lines, logged, lambda moment: AGREED)


OWN = pytest.mark.parametrize(
    ("vectors_at", "again", "feature"),
    [(rebuy_vectors, rebuy_again, "mean_qty"), (repeat_vectors, repeat_again, "decay_30d")],
)


@OWN
def test_what_a_model_makes_itself_is_made_again_although_more_is_known(
    panel: pl.DataFrame, vectors_at, again, feature: str
) -> None:
    lines = panel.with_columns(sku_id="category_l3_id", category_l2_id=pl.lit("l2"))
    before = lines.filter(pl.col("placed_at") <= MOMENT)
    logged = vectors_at(before).with_columns(as_of=pl.lit(MOMENT, dtype=pl.Datetime("us", "UTC")))
    late = before.with_columns(
        pl.col("order_id") + "-late", received_at=pl.lit(MOMENT + timedelta(seconds=1))
    )
    found = again(pl.concat([lines, late]), logged)
    assert (found.rows, found.differences, found.examples) == (logged.height, 0, [])
    assert found.rows > 100
    touched = logged.with_columns(
        pl.when(pl.int_range(pl.len()) == 5).then(-1).otherwise(feature).alias(feature)
    )
    found = again(lines, touched)
    assert found.differences == 1
    assert f" {feature}: -1.0, " in found.examples[0]
    # Rows that came without their time of receipt change the past, and so does a pair that is no more.
    silent = before.with_columns(pl.col("order_id") + "-silent")
    assert again(pl.concat([lines, silent]), logged).differences > 0
    gone = lines.filter(pl.col("consumer_id") != logged["consumer_id"][0])
    assert again(gone, logged).differences > 0
    assert again(lines, logged.clear()).note.endswith("decided nothing")
    assert again(lines, logged.drop(feature)).note.endswith("logged with other features")


def test_who_agreed_and_was_not_logged_is_one_history_all_the_same(panel: pl.DataFrame) -> None:
    lines = panel.filter(pl.col("placed_at") <= MOMENT).with_columns(
        sku_id="category_l3_id", category_l2_id=pl.lit("l2")
    )
    logged = repeat_vectors(lines).with_columns(as_of=pl.lit(MOMENT, dtype=pl.Datetime("us", "UTC")))
    found = repeat_again(lines, logged.filter(~pl.col("consumer_id").is_in(AGREED)))
    assert found.rows > 100
    assert found.differences == 0


def test_a_log_holds_so_many_vectors_of_the_same_consumers(tmp_path, panel: pl.DataFrame) -> None:
    vectors = rebuy_vectors(panel)
    kept = skew.bounded(vectors, 40)
    assert kept.height == 40
    assert (
        skew.bounded(vectors.sample(fraction=1.0, shuffle=True, seed=1), 40)["consumer_id"]
        .unique()
        .sort()
        .equals(kept["consumer_id"].unique().sort())
    )
    assert skew.bounded(vectors, vectors.height).equals(vectors)
    log = log_own(REBUY, vectors, MOMENT, "version 3", Lake(tmp_path))
    stored = pl.read_parquet(log.files()[0])
    assert stored["model_version"].unique().to_list() == ["version 3"]
    assert stored["as_of"].unique().to_list() == [MOMENT]
    assert log_own(REBUY, vectors.clear(), at(201), "simple rule", Lake(tmp_path)).files() == log.files()


def test_another_schema_and_nothing_logged_are_said(panel: pl.DataFrame, logged: pl.DataFrame) -> None:
    other = logged.with_columns(schema_fingerprint=pl.lit("other"))
    assert "another schema" in skew.recomputed(warehouse_of_orders(panel), other, "UTC").note
    assert skew.recomputed(warehouse_of_orders(panel), logged.clear(), "UTC").rows == 0


def test_logs_are_kept_for_ninety_days_and_a_moment_is_logged_once(tmp_path, logged: pl.DataFrame) -> None:
    log = DecisionLog(Lake(tmp_path), "wakeup_list")
    assert log.files() == []
    newest = datetime(2024, 7, 1, tzinfo=UTC)
    for moment in (newest - RETENTION - timedelta(microseconds=1), newest - RETENTION, newest, newest):
        path = log.write(logged, moment)
    assert len(log.files()) == 2
    assert (
        path == log.files()[-1] == tmp_path / "decisions" / "wakeup_list" / "20240701T000000000000Z.parquet"
    )
    assert pl.read_parquet(path).equals(logged)


def test_a_person_is_forgotten_in_every_file(tmp_path, logged: pl.DataFrame) -> None:
    log = DecisionLog(Lake(tmp_path), "wakeup_list")
    for day in (1, 2):
        log.write(logged, datetime(2024, 7, day, tzinfo=UTC))
    gone = logged["consumer_id"][0]
    assert log.consumers() == set(logged["consumer_id"])
    assert log.forget([gone, "nobody"]) == 2
    assert log.forget([gone]) == 0
    for file in log.files():
        assert gone.encode() not in file.read_bytes()
        assert pl.read_parquet(file).height == logged.height - 1

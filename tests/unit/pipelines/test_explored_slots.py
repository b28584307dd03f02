"""The log of slots that explore: what they earned, and what other ways to fill them would have."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.recommendation.lists.blend import DISCOVERY, Offer, explore, unit_draws
from models.recommendation.scoring import EXPLORED_SCHEMA
from pipelines.decisions.explored import EXPLORED, POLICIES, WINDOW, estimates, logged, rewarded
from pipelines.decisions.kept import log_own
from pipelines.decisions.log import DecisionLog
from pipelines.lake.tables import Lake

MOMENT = datetime(2025, 3, 1, tzinfo=UTC)
SALES = {
    "consumer_id": pl.String,
    "merchant_id": pl.String,
    "sku_id": pl.String,
    "placed_at": pl.Datetime("us", "UTC"),
}


def slots(rows: list[tuple[str, str, int, str, float, float, str, list[str]]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=EXPLORED_SCHEMA, orient="row")
    return frame.with_columns(as_of=pl.lit(MOMENT, dtype=pl.Datetime("us", "UTC")))


def sale(consumer: str, merchant: str, sku: str, after: timedelta) -> tuple[str, str, str, datetime]:
    return consumer, merchant, sku, MOMENT + after


def test_a_slot_earned_what_was_bought_of_it_there_in_time() -> None:
    frame = slots([(f"c{n}", "m", 10, "a", 0.9, 0.1, "a", ["x"]) for n in range(6)])
    sales = [
        sale("c0", "m", "a", timedelta(seconds=1)),
        sale("c0", "m", "a", timedelta(days=2)),
        sale("c1", "m", "a", WINDOW),
        sale("c2", "m", "a", WINDOW + timedelta(seconds=1)),
        sale("c3", "m", "a", timedelta(0)),
        sale("c4", "elsewhere", "a", timedelta(days=1)),
        sale("c5", "m", "x", timedelta(days=1)),
    ]
    found = rewarded(frame, pl.DataFrame(sales, schema=SALES, orient="row"))
    assert found["reward"].to_list() == [1, 1, 0, 0, 0, 0]


def simulated(rate: float = 0.3, n: int = 4000) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Usual items are bought by 5%, the first of the pool by 10%, the second by 40%."""
    rng = np.random.default_rng(2)
    pool = [Offer(item, 0.0, DISCOVERY, "", 0, "") for item in (1, 2)]
    buys = {0: 0.05, 1: 0.1, 2: 0.4}
    rows, sales = [], []
    for number in range(n):
        offer, propensity = explore(pool[0]._replace(item=0), pool, rate, unit_draws("s", str(number)))
        shown = f"s{offer.item}"
        rows.append((f"c{number}", "m", 10 + 5 * (number % 2), shown, propensity, rate, "s0", ["s1", "s2"]))
        if rng.random() < buys[offer.item]:
            sales.append(sale(f"c{number}", "m", shown, timedelta(days=3)))
    return slots(rows), pl.DataFrame(sales, schema=SALES, orient="row")


def test_every_policy_is_told_with_its_truth_in_the_interval() -> None:
    frame, sales = simulated()
    found = estimates(frame, sales, MOMENT + WINDOW)
    truth = {"as_logged": 0.7 * 0.05 + 0.3 * 0.25, "usual": 0.05, "uniform_pool": 0.25, "first_of_pool": 0.1}
    assert found.height == 2 * len(POLICIES)
    assert set(truth) == set(POLICIES)
    for row in found.iter_rows(named=True):
        assert row["refused"] is None, row
        assert row["low"] < truth[row["policy"]] < row["high"], row
        assert row["decisions"] == 4000
    effective = dict(found.select("policy", "effective").iter_rows())
    assert effective["as_logged"] == pytest.approx(4000)
    assert effective["first_of_pool"] < effective["uniform_pool"] < effective["usual"] < 4000


def test_what_is_not_ripe_or_too_little_is_refused() -> None:
    frame, sales = simulated(n=600)
    early = estimates(frame, sales, MOMENT + WINDOW - timedelta(seconds=1))
    assert early["decisions"].to_list() == [0] * 8
    assert early["value"].null_count() == 8
    assert early["refused"].str.starts_with("effective sample of 0 decisions").all()
    few = estimates(frame, sales, MOMENT + WINDOW)
    assert few.filter(policy="first_of_pool")["refused"].null_count() == 0
    assert few.filter(policy="usual", estimator="snips")["value"].null_count() == 0


def test_the_log_keeps_the_propensities(tmp_path) -> None:
    lake = Lake(tmp_path)
    assert logged(DecisionLog(lake, EXPLORED)).height == 0
    assert estimates(logged(DecisionLog(lake, EXPLORED)), pl.DataFrame(schema=SALES), MOMENT).height == 8
    frame, _ = simulated(n=50)
    for day in (0, 1):
        log = log_own(EXPLORED, frame.drop("as_of"), MOMENT + timedelta(days=day), "version 1", lake)
    kept = logged(log)
    assert kept.height == 100
    assert kept.filter(pl.col("as_of") == MOMENT).drop("as_of").equals(frame.drop("as_of"))
    log.forget(["c1"])
    assert logged(log).height == 98

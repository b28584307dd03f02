import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.supply.watch.config import WatchConfig
from models.supply.watch.delays import estimate_delays
from models.supply.watch.ways import SCANS, Spread, learn

START = datetime(2026, 9, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONFIG = WatchConfig()
PROMISE = 72.0


def scans(rows):
    """(id, supplier, lane, status, hours after START, promise in hours, arrival in hours or None)."""
    return pl.DataFrame(
        [
            (
                name,
                supplier,
                lane,
                status,
                START + at * HOUR,
                START + promised * HOUR,
                None if arrived is None else START + arrived * HOUR,
            )
            for name, supplier, lane, status, at, promised, arrived in rows
        ],
        schema=SCANS,
        orient="row",
    )


def past(count=400, lost=4, slow=frozenset(), seed=1, spread=0.12):
    """Parcels of two suppliers that take about two thirds of their promise, those of `slow` twice that."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        supplier = f"s{number % 2}"
        at = 24.0 * (number % 40)
        taken = PROMISE * float(rng.lognormal(-0.4, spread)) * (2.0 if supplier in slow else 1.0)
        arrived = None if number < lost else at + taken
        rows.append((f"p{number}", supplier, "a > b", "picked_up", at, at + PROMISE, arrived))
    return scans(rows)


def judged(ways, hours_since, supplier="s0", promised=PROMISE, status="picked_up"):
    newest = scans([("x", supplier, "a > b", status, 0.0, promised, None)])
    now = START + timedelta(hours=hours_since)
    (row,) = estimate_delays(ways, newest, now, CONFIG).to_dicts()
    return row["hours_late"], row["probability"]


def test_survival_counts_those_that_never_came_and_one_more():
    spread = Spread(np.array([1.0, 2.0, 3.0]), 1)
    assert spread.survival(np.array([0.0, 1.0, 2.5, 3.0, 9.0])).tolist() == [1.0, 0.8, 0.6, 0.4, 0.4]


def test_the_value_of_a_survival_is_the_smallest_with_at_most_that_many_above():
    spread = Spread(np.array([1.0, 2.0, 3.0]), 1)
    found = spread.value_at(np.array([1.0, 0.8, 0.79, 0.6, 0.4, 0.39])).tolist()
    assert found == [1.0, 1.0, 2.0, 2.0, 3.0, math.inf]
    for survival, value in zip([0.8, 0.79, 0.6, 0.4], found[1:5], strict=True):
        assert spread.survival(np.array([value]))[0] <= survival + 1e-12


def test_a_parcel_that_left_just_now_is_expected_as_those_before_it():
    late, probability = judged(learn(past(), CONFIG), 0.1)
    # The 20% quantile of a lognormal lies 0.8416 spreads below its median.
    assert late == pytest.approx(PROMISE * math.exp(-0.4 - 0.8416 * 0.12) - PROMISE, abs=2.0)
    assert probability < 0.05


def test_the_longer_nothing_is_heard_the_later_and_the_surer():
    ways = learn(past(lost=10), CONFIG)
    seen = [judged(ways, hours) for hours in (1, 48, 60, 72, 84, 95, 97)]
    lates, probabilities = zip(*seen, strict=True)
    assert list(lates) == sorted(lates)
    assert list(probabilities) == sorted(probabilities)
    assert probabilities[-1] == 1.0


def test_a_parcel_that_is_a_day_late_already_is_late_for_sure():
    _, just = judged(learn(past(), CONFIG), PROMISE + 24)
    late, probability = judged(learn(past(), CONFIG), PROMISE + 24.1)
    assert probability == 1.0
    assert late >= 24.1
    assert just <= 1.0


def test_a_slow_supplier_is_foreseen_at_departure():
    ways = learn(past(slow={"s1"}), CONFIG)
    quick, _ = judged(ways, 0.1, "s0")
    slow, probability = judged(ways, 0.1, "s1")
    assert slow > quick + 30
    assert probability > 0.1
    unknown, _ = judged(ways, 0.1, "nobody knows")
    assert quick < unknown < slow


def test_a_word_that_was_hardly_seen_takes_the_spread_of_all():
    ways = learn(past(), CONFIG)
    assert judged(ways, 10, status="exception")[0] == pytest.approx(judged(ways, 10)[0], abs=1.0)


def test_without_a_past_a_parcel_is_as_late_as_it_is():
    assert learn(past(40, 0), CONFIG) is None
    assert judged(None, PROMISE + 24) == (24.0, 0.0)
    assert judged(None, PROMISE + 25) == (25.0, 1.0)


def test_nothing_under_way_is_nothing():
    assert estimate_delays(learn(past(), CONFIG), scans([]), START, CONFIG).height == 0


def test_probabilities_are_kept():
    """Of parcels that have not come after 60 hours, about so many come a day late as is told."""
    ways = learn(past(4000, 0, seed=2, spread=0.5), CONFIG)
    taken = PROMISE * np.random.default_rng(3).lognormal(-0.4, 0.5, 100_000)
    truth = float(np.mean(taken[taken > 60] > PROMISE + 24))
    assert 0.2 < truth < 0.6
    assert judged(ways, 60)[1] == pytest.approx(truth, abs=0.03)

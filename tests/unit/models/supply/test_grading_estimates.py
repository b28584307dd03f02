"""Evidence is decayed, channels are shrunk to their category; against hand sums, SciPy and simulation."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from grading_rows import AS_OF, ago, deliveries, happened, lines, offer
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from models.supply.grading.config import GradingConfig
from models.supply.grading.estimates import DEFAULT_STRENGTH, estimate
from models.supply.grading.evidence import channels_of, evidence_of

CONFIG = GradingConfig()


def evidence(what, signal):
    return evidence_of(what, AS_OF, CONFIG).filter(pl.col("signal") == signal)


def estimates(what, config=CONFIG):
    return estimate(channels_of(what), evidence_of(what, AS_OF, config), config)


def of(frame, supplier, signal="fault", category="milk"):
    (row,) = frame.filter(supplier_id=supplier, signal=signal, category_id=category).iter_rows(named=True)
    return row


def test_evidence_counts_half_after_a_half_life():
    sold = [
        *lines("s", 4, 1, days=60),
        *lines("s", 2, 0),
        *lines("s", 8, 8, days=-1),
    ]  # tomorrow's do not count
    (row,) = evidence(happened(sold), "fault").iter_rows(named=True)
    assert (row["count"], row["n"], row["total"]) == (6, pytest.approx(4 * 0.5 + 2), pytest.approx(0.5))
    assert row["weight_squares"] == pytest.approx(4 * 0.25 + 2)


def test_days_late_are_of_late_parcels_that_came():
    sent = [*deliveries("s", 3, 1, by=2.0), *deliveries("s", 1, 1, by=None)]
    (late,) = evidence(happened(sent=sent), "late").iter_rows(named=True)
    (days,) = evidence(happened(sent=sent), "days_late").iter_rows(named=True)
    assert (late["n"], late["total"]) == (4, 2)
    assert (days["n"], days["total"]) == (1, pytest.approx(math.log(3)))


def test_a_price_stands_against_the_others_and_the_market():
    offered = [offer("a", "m1", 100), offer("b", "m1", 110), offer("c", "m1", 121), offer("a", "alone", 50)]
    what = happened(offered=offered, market=[("m1", 200.0), ("alone", 0.0)])
    # Against the mean log of the other two: log 100 - (log 110 + log 121) / 2.
    position = {row["supplier_id"]: row["total"] for row in evidence(what, "offers").iter_rows(named=True)}
    assert position["a"] == pytest.approx(math.log(100) - (math.log(110) + math.log(121)) / 2)
    assert position["c"] == pytest.approx(-position["a"])
    market = {row["supplier_id"]: row["total"] for row in evidence(what, "market").iter_rows(named=True)}
    assert market["b"] == pytest.approx(math.log(110 / 200))


def test_a_move_is_a_change_beyond_three_percent_of_the_last_days():
    offered = [
        offer("a", "m1", 1000, days=300, current=False),
        offer("a", "m1", 2000, days=200, current=False),  # before the days that are looked at
        offer("a", "m1", 2060, days=50, current=False),  # 3% is none
        offer("a", "m1", 2122, days=20),  # 3.01% is one
        offer("b", "m1", 7, days=5),  # a first version moves nothing
    ]
    (row,) = evidence(happened(offered=offered), "moves").iter_rows(named=True)
    assert (row["count"], row["total"]) == (2, pytest.approx(0.5 ** (20 / 60)))


def many(faulty_share=0.05, channels=30, sold=200, category="milk"):
    rng = np.random.default_rng(4)
    rates = rng.beta(4, 4 / faulty_share - 4, channels)
    return [
        line
        for number, rate in enumerate(rates)
        for line in lines(f"{category}-{number}", sold, int(rng.binomial(sold, rate)), category=category)
    ]


def test_three_lucky_parcels_do_not_beat_three_thousand_good_ones():
    sent = [
        *deliveries("lucky", 3, 0),
        *deliveries("good", 3000, 60),
        *(row for number in range(10) for row in deliveries(f"s{number}", 300, 10 + 5 * number)),
    ]
    told = estimates(happened(sent=sent))
    lucky, good = of(told, "lucky", "late"), of(told, "good", "late")
    assert good["high"] < lucky["high"], "a low share late with certainty beats a lucky start"
    assert lucky["n"] == 3


def test_the_posterior_is_the_conjugate_one():
    told = estimates(happened([*many(), *lines("new", 1, 1)]))
    row = of(told, "new")
    others = [of(told, f"milk-{number}") for number in range(30)]
    # Two equations from any other channel give the prior back: mean (a + x) / (a + b + n).
    a_plus_b = {
        (one["n"] * (raw_share(one) - one["mean"])) / (one["mean"] - one["prior_mean"]) for one in others
    }
    strength = np.mean(list(a_plus_b))
    assert np.ptp(list(a_plus_b)) < 1e-6 * strength
    a, b = row["prior_mean"] * strength + 1, (1 - row["prior_mean"]) * strength
    assert row["mean"] == pytest.approx(a / (a + b))
    assert (row["low"], row["high"]) == pytest.approx((beta.ppf(0.05, a, b), beta.ppf(0.95, a, b)))
    assert row["sd"] == pytest.approx(beta.std(a, b))


def raw_share(row):
    sold = [line for line in many() if line[0] == row["supplier_id"]]
    return sum(line[3] for line in sold) / len(sold)


def test_one_order_with_one_complaint_is_hardly_worse_than_its_category():
    told = estimates(happened([*many(), *lines("new", 1, 1)]))
    row = of(told, "new")
    assert row["prior_of"] == "category"
    assert row["prior_mean"] < row["mean"] < row["prior_mean"] + 0.05
    assert row["low"] < row["prior_mean"]


def test_a_category_without_a_prior_takes_everybodys_and_says_so():
    told = estimates(happened([*many(), *lines("lonely", 40, 2, category="rockets")]))
    row = of(told, "lonely", category="rockets")
    assert row["prior_of"] == "all"
    assert row["prior_mean"] == pytest.approx((sum(line[3] for line in many()) + 2) / (len(many()) + 40))


@pytest.mark.parametrize(
    ("channels", "sold", "prior_of"), [(5, 10, "category"), (4, 20, "all"), (5, 9, "all")]
)
def test_a_category_needs_five_channels_and_fifty_pieces(channels, sold, prior_of):
    sold_lines = [line for n in range(channels) for line in lines(f"s{n}", sold, n, category="few")]
    told = estimates(happened([*many(), *sold_lines]))
    assert of(told, "s0", category="few")["prior_of"] == prior_of


def test_where_nobody_can_teach_a_prior_the_default_serves():
    row = of(estimates(happened(lines("first", 1, 1))), "first")
    assert row["prior_of"] == "default"
    assert row["mean"] == pytest.approx((0.03 * DEFAULT_STRENGTH + 1) / (DEFAULT_STRENGTH + 1))


def test_a_channel_without_evidence_stands_at_its_prior():
    told = estimates(happened([*many(), *lines("mute", 1, 0)], deliveries("milk-1", 60, 3)))
    row = of(told, "mute", "late")
    assert (row["n"], row["count"]) == (0, 0)
    assert row["mean"] == pytest.approx(row["prior_mean"])
    assert "offers" not in set(told["signal"]), "what nobody has evidence of is not measured"


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(8)
    rates = rng.beta(3, 57, 600)
    sizes = rng.integers(5, 200, 600)
    sold = [
        line
        for number, (size, rate) in enumerate(zip(sizes, rates, strict=True))
        for line in lines(f"s{number}", int(size), int(rng.binomial(size, rate)))
    ]
    told = estimates(happened(sold)).join(
        pl.DataFrame({"supplier_id": [f"s{n}" for n in range(600)], "truth": rates}), on="supplier_id"
    )
    covered = ((told["low"] <= told["truth"]) & (told["truth"] <= told["high"])).mean()
    assert abs(covered - 0.90) <= 4 * math.sqrt(0.9 * 0.1 / 600)


def test_log_means_are_shrunk_by_the_variances():
    # Five channels with the means 0, .1, .2, .3, .4 and the same spread within: MSW = .02, n0 = 20.
    sent = [
        (f"s{number}", "milk", ago(0), True, math.expm1(0.1 * number + 1 + sign * 0.1))
        for number in range(5)
        for sign in (-1, 1)
        for _ in range(10)
    ]
    told = estimates(happened(sent=sent))
    within = 5 * 20 * 0.01 / (100 - 5)
    between = (20 * 5 * 0.02 / 4 - within) / 20
    row = of(told, "s0", "days_late")
    precision = 20 / within + 1 / between
    assert row["mean"] == pytest.approx((20 * 1.0 / within + 1.2 / between) / precision)
    assert row["sd"] == pytest.approx(precision**-0.5)


@pytest.mark.parametrize("days", [0, 60, 240])
def test_the_spread_between_channels_is_found_however_old_and_few_the_evidence_is(days):
    """2,000 channels of three pieces each: the strength of the prior is that of the truth, Beta(2, 18)."""
    rng = np.random.default_rng(11)
    rates = rng.beta(2, 18, 2_000)
    sold = [
        (f"s{number}", "milk", ago(days * age), bool(hit))
        for number, rate in enumerate(rates)
        for age, hit in zip((0.2, 0.6, 1.0), rng.random(3) < rate, strict=True)
    ]
    told = estimates(happened(sold))
    seen = evidence(happened(sold), "fault").join(told, on="supplier_id").filter(pl.col("total") > 0)
    row = seen.row(0, named=True)
    share = row["total"] / row["n"]
    strength = row["n"] * (share - row["mean"]) / (row["mean"] - row["prior_mean"])
    # The estimate of an intra-class correlation of 1 / 21 from 2,000 channels.
    assert 12 < strength < 40


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 40), st.integers(0, 40), st.sampled_from(["x", "y"])),
        min_size=1,
        max_size=15,
    )
)
def test_whatever_happened_every_belief_is_a_rate_between_the_prior_and_what_was_seen(rows):
    sold = [
        line
        for number, (supplier, count, faults, category) in enumerate(rows)
        for line in lines(f"s{supplier}", count, min(faults, count), category=category, days=number)
    ]
    told = estimates(happened(sold))
    seen = evidence(happened(sold), "fault").with_columns(seen=pl.col("total") / pl.col("n"))
    both = told.join(seen.select("supplier_id", "category_id", "seen"), on=["supplier_id", "category_id"])
    assert both.height == told.height
    for row in both.iter_rows(named=True):
        low, high = sorted((row["seen"], row["prior_mean"]))
        assert low - 1e-9 <= row["mean"] <= high + 1e-9
        assert 0 <= row["low"] <= row["mean"] + 1e-9
        assert row["low"] < row["high"] <= 1

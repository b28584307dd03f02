"""Complaint rates over the window: the posterior by hand, maturing, priors, who is to blame."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta

from models.supply.brake.config import BrakeConfig
from models.supply.brake.estimates import DELIVERED, ESTIMATES, estimate
from models.supply.brake.ladder import Estimate, Level, level_of
from models.supply.brake.priors import fit, prior_of

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
PLAIN = BrakeConfig(lines={"tea": 0.02})


def ago(days):
    return None if days is None else AS_OF - timedelta(days=days)


def delivered(*rows):
    """Lines of (sku, order, days since the delivery, days since the complaint or None), and more by name."""
    return pl.DataFrame(
        [
            {
                "sku_id": sku,
                "order_id": order,
                "supplier_id": more.get("supplier", "s1"),
                "batch_id": more.get("batch"),
                "category_id": more.get("category", "tea"),
                "units": more.get("units", 1.0),
                "delivered_at": ago(days),
                "complained_at": ago(complained),
                "harmed_at": ago(more.get("harmed")),
            }
            for sku, order, days, complained, more in ((*row, {})[:5] for row in rows)
        ],
        schema=DELIVERED,
    )


def one(frame, config=PLAIN, counted_from=None):
    found = estimate(frame, AS_OF, config, counted_from)
    assert found.schema == pl.Schema(ESTIMATES)
    return found.row(0, named=True)


def asks_for(row, config=PLAIN):
    known = Estimate(row["mean"], row["above"], row["line"], row["orders"], row["complaints"], row["safety"])
    return level_of(known, config.rules)


def share_come(days, config=PLAIN):
    """The exponential delay by hand, cut at the window's end."""
    return (1 - np.exp(-days / config.usual_delay_days)) / (
        1 - np.exp(-config.window_days / config.usual_delay_days)
    )


def test_the_posterior_by_hand():
    rows = [("a", f"o{number}", 10.0, 4.0 if number < 3 else None) for number in range(40)]
    found = one(delivered(*rows))
    matured = 40 * share_come(10.0)
    a = PLAIN.default_rate * PLAIN.least_strength + 3
    b = (1 - PLAIN.default_rate) * PLAIN.least_strength + matured - 3
    assert found["matured_units"] == pytest.approx(matured, rel=1e-12)
    assert found["mean"] == pytest.approx(a / (a + b), rel=1e-12)
    light = PLAIN.default_rate * PLAIN.watchful_units + 3, (1 - PLAIN.default_rate) * PLAIN.watchful_units
    assert found["above"] == pytest.approx(beta(light[0], light[1] + matured - 3).sf(0.02), rel=1e-9)
    assert (found["orders"], found["complaints"], found["units"]) == (40, 3, 40.0)


def test_fresh_deliveries_prove_little():
    old = one(delivered(*(("a", f"o{n}", 25.0, None) for n in range(100))))
    fresh = one(delivered(*(("a", f"o{n}", 0.5, None) for n in range(100))))
    assert fresh["matured_units"] < 0.1 * old["matured_units"]
    assert fresh["mean"] > old["mean"]


def test_the_delay_is_learned_from_what_is_old_enough():
    old = [("b", f"x{n}", 60.0, 60.0 - 2.0) for n in range(100)]  # all complained after two days
    found = estimate(delivered(*old, ("a", "o1", 1.0, None), ("a", "o2", 5.0, None)), AS_OF, PLAIN)
    row = found.filter(pl.col("sku_id") == "a").row(0, named=True)
    # After one day none of them had come, after five all had.
    assert row["matured_units"] == pytest.approx(1.0)


def test_the_window_is_thirty_days_of_deliveries():
    rows = [("a", "o1", 29.999, 1.0), ("a", "o2", 30.0, 1.0), ("a", "o3", 31.0, 5.0)]
    found = one(delivered(*rows))
    assert (found["orders"], found["complaints"]) == (1, 1)


def test_what_is_later_than_the_moment_is_not_known():
    found = one(delivered(("a", "o1", 5.0, -1.0), ("a", "o2", -1.0, None)))
    assert (found["orders"], found["complaints"]) == (1, 0)


def test_a_complaint_about_safety_counts_by_its_own_day():
    found = one(delivered(("a", "o1", 400.0, None, {"harmed": 29.0, "supplier": "s9"})))
    assert (found["orders"], found["safety"], found["suppliers"]) == (0, 1, ["s9"])
    assert asks_for(found) == (Level.RECALL, "safety_complaint")
    stale = estimate(delivered(("a", "o1", 400.0, None, {"harmed": 30.0})), AS_OF, PLAIN)
    assert stale.is_empty()


def test_what_a_closed_case_answered_counts_no_more():
    rows = [("a", f"o{n}", 20.0, 10.0, {"harmed": 10.0}) for n in range(5)]
    rows += [("a", "fresh", 2.0, None)]
    since = pl.DataFrame(
        {"sku_id": ["a"], "counted_from": [AS_OF - timedelta(days=3)]},
        schema={"sku_id": pl.String, "counted_from": pl.Datetime("us", "UTC")},
    )
    found = one(delivered(*rows), counted_from=since)
    assert (found["orders"], found["complaints"], found["safety"]) == (1, 0, 0)


def test_one_order_with_one_complaint_finds_nothing():
    config = BrakeConfig()
    found = one(delivered(("a", "o1", 3.0, 1.0)), config)
    assert found["prior_source"] == "default"
    assert asks_for(found, config) == (Level.FREE, "below_line")


def market(rng, rate, skus, units):
    bad = rng.random((skus, units)) < rate
    return [
        (f"tea-{sku}", f"{sku}-{n}", 60.0, 58.0 if bad[sku, n] else None)
        for sku in range(skus)
        for n in range(units)
    ], bad.mean()


def test_a_category_without_prior_takes_the_platforms_and_says_so():
    rng = np.random.default_rng(5)
    rows, rate = market(rng, 0.02, 10, 200)
    rows += [("new-1", "n1", 5.0, None, {"category": "new"})]
    found = estimate(delivered(*rows, ("tea-0", "w", 5.0, None)), AS_OF, BrakeConfig())
    sources = dict(zip(found["category_id"], found["prior_source"], strict=True))
    assert sources == {"tea": "category", "new": "platform"}
    means = found["prior_mean"].to_list()
    assert means[0] == pytest.approx(rate, rel=0.01)
    assert means[0] == pytest.approx(means[1], rel=0.01)  # the platform is nearly that one category


def test_the_line_is_the_setting_else_learned_else_the_default():
    config = BrakeConfig(lines={"tea": 0.07})
    assert prior_of("tea", (0.01, 100.0), "category", config).line == 0.07
    learned = prior_of("rice", (0.01, 100.0), "category", config)
    assert learned.line == pytest.approx(beta(1, 99).ppf(0.95))
    assert prior_of("rice", (0.0001, 1000.0), "category", config).line == config.least_line
    assert prior_of("rice", None, "default", config).line == config.default_line
    assert learned.strength == 100.0


def test_the_fit_recovers_what_was_planted_and_bad_skus_do_not_shape_it():
    rng = np.random.default_rng(7)
    units = np.full(400, 300.0)
    rates = rng.beta(2.0, 198.0, 400)
    complaints = rng.binomial(300, rates).astype(float)
    mean, strength = fit(units, complaints, BrakeConfig())
    assert mean == pytest.approx(0.01, rel=0.15)
    assert 120 < strength < 420
    bad = np.append(complaints, np.full(8, 45.0))  # eight skus at 15%
    spoiled, _ = fit(np.append(units, np.full(8, 300.0)), bad, BrakeConfig())
    assert spoiled == pytest.approx(mean, rel=0.02)


def test_skus_that_sell_little_tell_the_usual_rate_as_well():
    """Most of them have no complaint at all, and one complaint is nothing that stands out."""
    rng = np.random.default_rng(11)
    units = rng.integers(1, 60, 3000).astype(float)
    complaints = rng.binomial(units.astype(int), 0.005).astype(float)
    assert (complaints == 0).mean() > 0.8
    mean, strength = fit(units, complaints, BrakeConfig())
    assert mean == pytest.approx(complaints.sum() / units.sum(), rel=0.05)
    assert strength > 500


@pytest.mark.parametrize(
    ("units", "complaints"),
    [([600.0] * 4, [6.0] * 4), ([10.0] * 20, [1.0] * 20), ([100.0] * 20, [0.0] * 20)],
    ids=["few skus", "few units", "no complaint"],
)
def test_too_little_gives_no_prior(units, complaints):
    assert fit(np.array(units), np.array(complaints), BrakeConfig()) is None


def test_the_suppliers_to_blame_are_those_above_the_line_that_recalls():
    rows = [("a", f"g{n}", 29.0, None, {"supplier": "good"}) for n in range(100)]
    rows += [("a", f"b{n}", 29.0, 20.0 if n < 30 else None, {"supplier": "bad"}) for n in range(100)]
    found = one(delivered(*rows))
    assert found["suppliers"] == ["bad"]
    assert asks_for(found)[0] is Level.RECALL


def test_a_batch_is_judged_beside_its_sku():
    rows = [("a", f"g{n}", 29.0, None, {"batch": "b1"}) for n in range(300)]
    rows += [("a", f"b{n}", 29.0, 20.0 if n < 12 else None, {"batch": "b2"}) for n in range(40)]
    rows += [("a", f"u{n}", 29.0, None) for n in range(10)]
    found = estimate(delivered(*rows), AS_OF, PLAIN)
    alone = [
        estimate(delivered(*part), AS_OF, PLAIN).row(0, named=True) for part in (rows[:300], rows[300:340])
    ]
    assert found["batch_id"].to_list() == [None, "b1", "b2"]
    assert found["orders"].to_list() == [350, 300, 40]
    assert found["mean"].to_list()[1:] == [row["mean"] for row in alone]
    assert [asks_for(row)[0] for row in found.iter_rows(named=True)] == [
        Level.LIMIT,
        Level.FREE,
        Level.RECALL,
    ]
    assert found["suppliers"].to_list() == [[], [], ["s1"]]


def test_nothing_delivered_is_no_row():
    assert estimate(pl.DataFrame(schema=DELIVERED), AS_OF, PLAIN).is_empty()


@pytest.mark.parametrize(
    "setting",
    [
        {"lines": {"tea": 0.0}},
        {"line_quantile": 1.0},
        {"window_days": 0},
        {"least_strength": 0.0},
        {"watchful_units": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match="brake config"):
        BrakeConfig(**setting)

"""The common backtest by hand, with models that say what they were told to say."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from models.backtest import Metric, backtest
from models.data import Panel, Purchases
from models.errors import InsufficientDataError
from models.measures import auc_of, ece_of, mape, ndcg_at, quantile_loss, recall_at, wape
from models.splits import Cut, Steps, rolling_steps

ORIGIN, END = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 20, tzinfo=UTC)
CUT = Cut(ORIGIN, END)


@dataclass
class Fixed:
    """Ranks the same items for everybody, and remembers what it was shown."""

    name: str
    items: tuple[str, ...]
    seen = None

    def fit(self, purchases, until):
        self.seen = purchases.frame["at"].max()
        return SimpleNamespace(rank=lambda users, k, within=None: [list(self.items[:k]) for _ in users])


def bought(*rows):
    """(consumer, item, day of January), each one piece."""
    columns = zip(*rows, strict=True)
    consumer, item, day = columns
    days = [date(2026, 1, one) for one in day]
    return Purchases.from_frame(pl.DataFrame({"consumer_id": consumer, "item_id": item, "at": days}))


SHOP = bought(("u", "a", 1), ("v", "b", 2), ("u", "a", 12), ("u", "c", 13), ("v", "b", 14), ("new", "a", 15))


def test_recall_and_ndcg_by_hand():
    """u buys a and c, v buys b; a stranger is not judged. The model ranks a, b; the rule c, d."""
    family, rule = Fixed("model", ("a", "b")), Fixed("rule", ("c", "d"))
    found = backtest(family, SHOP, [CUT], [recall_at(2), ndcg_at(2)], {"rule": rule}, draws=20)
    value = {(row["system"], row["metric"]): row["value"] for row in found.leaderboard.iter_rows(named=True)}
    second = 1 / np.log2(3)
    assert value["model", "recall_at_2"] == pytest.approx((0.5 + 1) / 2)
    assert value["rule", "recall_at_2"] == pytest.approx((0.5 + 0) / 2)
    assert value["model", "ndcg_at_2"] == pytest.approx((1 / (1 + second) + second) / 2)
    assert found.leaderboard["units"].unique().to_list() == [2]
    assert found.decision.baseline == "rule"
    assert [one.metric for one in found.decision.judged] == ["ndcg_at_2"]


def test_a_model_is_shown_nothing_that_came_after_its_origin():
    family = Fixed("model", ("a",))
    backtest(family, SHOP, [CUT], [recall_at(1)], {"rule": Fixed("rule", ("b",))}, draws=5)
    assert family.seen == datetime(2026, 1, 2, tzinfo=UTC)


def test_the_winner_passes_the_gate_and_the_loser_does_not():
    shop = bought(*[(f"u{n}", "a", day) for n in range(30) for day in (1, 12)])
    good, bad = Fixed("good", ("a",)), Fixed("bad", ("b",))
    assert backtest(good, shop, [CUT], [recall_at(1)], {"bad": bad}, draws=50).decision.promoted
    refused = backtest(bad, shop, [CUT], [recall_at(1)], {"good": good}, draws=50).decision
    assert not refused.promoted
    assert refused.lift.mean == -1.0


def test_what_was_sent_back_was_not_bought():
    lines = pl.DataFrame(
        {
            "consumer_id": "u",
            "item_id": ["a", "a", "b", "b"],
            "at": [date(2026, 1, day) for day in (1, 12, 13, 14)],
            "quantity": [1, 1, 1, -1],
        }
    )
    found = backtest(
        Fixed("model", ("b",)),
        Purchases.from_frame(lines),
        [CUT],
        [recall_at(1)],
        {"rule": Fixed("rule", ("a",))},
    )
    assert dict(zip(found.leaderboard["system"], found.leaderboard["value"], strict=True)) == {
        "model": 0,
        "rule": 1,
    }


@dataclass
class Level:
    """Forecasts the last seen value times a factor, with half and twice of it as quantiles."""

    name: str
    factor: float = 1.0

    def fit(self, panel, until):
        assert np.isnan(panel.target[:, until:]).all()
        return self

    levels = (0.1, 0.9)

    def predict(self, panel, origin, horizon):
        assert np.isnan(panel.target[:, origin:]).all()
        mean = np.repeat(panel.target[:, origin - 1 : origin] * self.factor, horizon, axis=1)
        return SimpleNamespace(mean=mean, quantiles=np.stack([mean / 2, mean * 2], axis=-1))


def panel():
    """Two series of four steps; the last step of the second was not observed."""
    frame = pl.DataFrame(
        {"id": [1] * 4 + [2] * 4, "step": [0, 1, 2, 3] * 2, "units": [4, 4, 8, 2, 10, 10, 5, None]}
    )
    return Panel.from_frame(frame, id="id", time="step", target="units")


def test_errors_of_forecasts_by_hand():
    """Series 1: 4 for 8 and 2; series 2: 10 for 5 and for what nobody saw."""
    metrics = [wape(), mape(), quantile_loss([0.1, 0.9])]
    found = backtest(Level("last"), panel(), [Steps(2, 4)], metrics, {"half": Level("half", 0.5)}, draws=20)
    value = {
        row["metric"]: row["value"] for row in found.leaderboard.filter(system="last").iter_rows(named=True)
    }
    assert value["wape"] == pytest.approx((4 + 2 + 5) / (8 + 2 + 5))
    assert value["mape"] == pytest.approx(100 * (4 / 8 + 2 / 2 + 5 / 5) / 3)
    # Quantiles 2 and 8 for 8 and 2; 5 and 20 for 5.
    losses = [(0.1 * 6 + 0.0) / 2, (0.0 + 0.1 * 6) / 2, (0.0 + 0.1 * 15) / 2]
    assert value["quantile_loss"] == pytest.approx(2 * sum(losses) / 15)


def test_cuts_of_a_panel():
    assert rolling_steps(10, 2, 2, stride=1) == [Steps(7, 9), Steps(8, 10)]
    with pytest.raises(InsufficientDataError, match="4 steps are too few for 2 cuts of 2 steps"):
        rolling_steps(4, 2, 2)
    with pytest.raises(ValueError, match="must be positive"):
        rolling_steps(10, 0, 2)


class Churn:
    """Says a fixed probability for each consumer."""

    def __init__(self, name, **probability):
        self.name, self.probability = name, probability

    def fit(self, purchases, until):
        return self

    def predict(self, purchases, at):
        return pl.DataFrame(
            {"consumer_id": list(self.probability), "probability": list(self.probability.values())}
        )


def test_probabilities_are_judged_by_what_happened():
    def came_back(purchases, cut, keys):
        later = purchases.between(cut.origin, cut.end).frame["consumer_id"]
        return keys["consumer_id"].is_in(later.implode())

    shop = bought(("u", "a", 1), ("v", "a", 1), ("w", "a", 1), ("u", "a", 12))
    found = backtest(
        Churn("model", u=0.9, v=0.2, w=0.1),
        shop,
        [CUT],
        [auc_of(came_back)],
        {"rule": Churn("rule", u=0.3, v=0.5, w=0.1)},
    )
    assert dict(zip(found.leaderboard["system"], found.leaderboard["value"], strict=True)) == {
        "model": 1.0,
        "rule": 0.5,
    }


def test_units_are_drawn_with_all_their_rows():
    """A unit of two rows in two cuts counts twice; values of drawn units by hand."""
    rows = {ORIGIN: [("x", 1.0), ("y", 4.0)], END: [("x", 3.0)]}

    def observe(fitted, data, cut):
        return pl.DataFrame(rows[cut.origin], schema=["unit", "v"], orient="row").with_columns(
            pl.col("v") + fitted
        )

    metric = Metric("mean", True, observe, lambda frame: float(frame["v"].mean()))
    model = SimpleNamespace(name="model", fit=lambda data, until: 1.0)
    rule = SimpleNamespace(name="rule", fit=lambda data, until: 0.0)
    cuts = [Cut(ORIGIN, END), Cut(END, END)]
    found = backtest(model, None, cuts, [metric], {"rule": rule}, draws=200)
    values = dict(zip(found.leaderboard["system"], found.leaderboard["value"], strict=True))
    assert values == {"model": pytest.approx(11 / 3), "rule": pytest.approx(8 / 3)}
    assert found.decision.lift.low == found.decision.lift.high == pytest.approx(1.0)
    low, high = found.leaderboard.filter(system="rule").select("low", "high").row(0)
    assert (low, high) == (2.0, 4.0)  # only x drawn, only y drawn


@pytest.mark.parametrize(("rules_value", "is_promoted"), [(1.25, True), (1.3125, False)])
def test_where_another_metric_decides_the_family_may_be_worse_by_the_tolerance(rules_value, is_promoted):
    """The family has 1 in the second metric: a quarter behind is allowed, more is not."""

    def observe(fitted, data, cut):
        return pl.DataFrame({"unit": ["x", "y"], "v": [fitted, fitted]})

    decides = Metric("first", True, observe, lambda frame: -float(frame["v"].mean()))
    kept = Metric("second", True, observe, lambda frame: float(frame["v"].mean()), tolerance=0.25)
    model = SimpleNamespace(name="model", fit=lambda data, until: 1.0)
    rule = SimpleNamespace(name="rule", fit=lambda data, until: rules_value)
    found = backtest(model, None, [CUT], [decides, kept], {"rule": rule}, draws=20)
    assert found.decision.promoted is is_promoted
    assert found.decision.judged[0].value == 1.0


def test_a_rule_that_tells_nobody_apart_but_is_calibrated_does_not_keep_a_family_out():
    """Every second one comes back. The rule says .5 of all, error 0; the family is .009 beside the truth."""

    def came_back(purchases, cut, keys):
        return keys["consumer_id"].is_in([f"u{n:02}" for n in range(0, 20, 2)])

    users = [f"u{n:02}" for n in range(20)]
    shop = bought(*[(user, "a", 1) for user in users])
    knows = Churn("knows", **{user: 0.009 if n % 2 else 0.991 for n, user in enumerate(users)})
    flat = Churn("flat", **dict.fromkeys(users, 0.5))
    tried = {
        metric.tolerance: backtest(knows, shop, [CUT], [auc_of(came_back), metric], {"flat": flat}).decision
        for metric in (ece_of(came_back), ece_of(came_back, 0.0))
    }
    assert (tried[0.01].promoted, tried[0.0].promoted) == (True, False)
    assert "ece is 0.0090 where flat has 0.0000" in tried[0.0].reason


def test_nothing_to_measure_and_nothing_to_compare_with_are_named():
    with pytest.raises(InsufficientDataError, match="recall_at_1 has nothing to measure"):
        backtest(Fixed("m", ("a",)), bought(("u", "a", 1)), [CUT], [recall_at(1)], {"r": Fixed("r", ("b",))})
    with pytest.raises(ValueError, match="one simple rule"):
        backtest(Fixed("m", ("a",)), SHOP, [CUT], [recall_at(1)], {})


def test_a_metric_whose_rows_depend_on_the_model_is_refused():
    def observe(fitted, data, cut):
        return pl.DataFrame({"unit": [fitted], "v": [1.0]})

    metric = Metric("odd", True, observe, lambda frame: 1.0)
    model = SimpleNamespace(name="model", fit=lambda data, until: "x")
    rule = SimpleNamespace(name="rule", fit=lambda data, until: "y")
    with pytest.raises(ValueError, match="odd has other rows for rule than for model"):
        backtest(model, None, [CUT], [metric], {"rule": rule})

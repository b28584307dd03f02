"""Documents of experiments that are refused, each with its reason."""

import pytest

from serving.experiments.document import digest, load
from serving.experiments.errors import ExperimentRefusedError

LISTS = {
    "experiment_id": "lists",
    "title": "Own lists",
    "surface": "recommendations",
    "unit": "consumer",
    "layer": "lists",
    "arms": [
        {"name": "control", "share_bps": 5_000},
        {"name": "popular", "share_bps": 5_000, "list": "popular"},
    ],
    "metric": "margin_cents",
    "guardrail": "returned",
}


def arms(*listed):
    return [{"name": name, "share_bps": share, **more} for name, share, more in listed]


def test_a_document_says_the_same_whatever_the_order_of_its_keys():
    one = load(LISTS)
    assert one.weights == (("control", 5_000), ("popular", 5_000))
    assert (one.traffic_bps, one.metric_days, one.runs_days) == (10_000, 14, 28)
    assert digest(one) == digest(load(dict(reversed(LISTS.items()))))
    assert digest(one) != digest(load(LISTS | {"metric_days": 7}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"surface": "prices", "arms": arms(("a", 5_000, {}), ("b", 5_000, {"price": "hold"}))},
            "never tested",
        ),
        ({"unit": "sku", "metric": "units", "guardrail": None}, "recommendations are tested by consumer"),
        ({"arms": arms(("a", 5_000, {}), ("b", 4_000, {"list": "popular"}))}, "must sum to 10000"),
        ({"arms": arms(("a", 5_000, {}), ("a", 5_000, {"list": "popular"}))}, "two arms have one name"),
        ({"arms": arms(("a", 5_000, {}), ("b", 5_000, {}))}, "all arms mean the same"),
        ({"arms": arms(("a", 5_000, {}), ("b", 5_000, {"price": "hold"}))}, "price is no lever of recommen"),
        ({"arms": arms(("a", 5_000, {}), ("b", 5_000, {"list": "popular", "session": False}))}, "neither"),
        ({"arms": arms(("a", 10_000, {}))}, "at least 2"),
        ({"metric": "units"}, "units is no metric of a consumer"),
        ({"guardrail": "margin_cents"}, "the guardrail is the metric itself"),
        ({"traffic_bps": 0}, "traffic_bps"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_refused(change, reason):
    with pytest.raises(ExperimentRefusedError, match=reason):
        load(LISTS | change)


def test_prices_are_tested_by_sku_or_merchant():
    held = arms(("let_go", 5_000, {}), ("held", 5_000, {"price": "hold"}))
    for unit in ("sku", "merchant"):
        load(LISTS | {"surface": "prices", "unit": unit, "arms": held, "guardrail": "units"})

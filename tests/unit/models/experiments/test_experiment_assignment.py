"""Who gets which arm: uniform, for ever, exclusive within a layer, independent between layers."""

import hashlib
from collections import Counter

import pytest

from models.experiments.assignment import Places, arm_at, arm_of, draw, free_places
from models.experiments.sample_ratio import ratio_probability

ALL = Places(0, 10_000)
HALVES = (("a", 5_000), ("b", 5_000))
UNITS = [f"u{n}" for n in range(20_000)]


def arms(experiment, layer="list", places=ALL, weights=HALVES, tenant="t"):
    return {unit: arm_of(tenant, experiment, layer, places, weights, unit) for unit in UNITS}


def test_the_number_is_the_first_64_bits_of_the_hash():
    told = int(hashlib.sha256(b"t\x1flayer\x1flist\x1fu1").hexdigest()[:16], 16) / 2**64
    assert draw("t", "layer", "list", "u1") == told
    assert draw("t", "layer", "list", "u1") != draw("t", "layer", "listu", "1")


def test_arms_lie_in_their_order_with_their_shares():
    weights = (("a", 1_000), ("b", 0), ("c", 9_000))
    assert [arm_at(number, weights) for number in (0.0, 0.0999, 0.1, 0.9999)] == ["a", "a", "c", "c"]
    with pytest.raises(ValueError, match="must sum to 10000"):
        arm_at(0.5, (("a", 4_000), ("b", 5_000)))


def test_the_shares_come_out():
    counted = Counter(arms("x", weights=(("a", 2_000), ("b", 3_000), ("c", 5_000))).values())
    assert ratio_probability([counted[name] for name in "abc"], (2, 3, 5)) > 0.001


def test_experiments_of_one_layer_share_no_unit():
    one, other = arms("x", places=Places(0, 3_000)), arms("y", places=Places(3_000, 10_000))
    inside = Counter((one[u] is None, other[u] is None) for u in UNITS)
    assert set(inside) == {(False, True), (True, False)}
    assert ratio_probability((inside[False, True], inside[True, False]), (3, 7)) > 0.001


@pytest.mark.parametrize("layers", [("list", "list"), ("list", "price")])
def test_two_experiments_are_independent(layers):
    one, other = arms("x", layers[0]), arms("y", layers[1])
    counted = Counter((one[u], other[u]) for u in UNITS)
    assert ratio_probability([counted[a, b] for a in "ab" for b in "ab"], (1, 1, 1, 1)) > 0.001


def test_places_of_two_layers_are_independent():
    one, other = arms("x", "list", Places(0, 5_000)), arms("y", "price", Places(0, 5_000))
    counted = Counter((one[u] is None, other[u] is None) for u in UNITS)
    assert ratio_probability(list(counted.values()), (1,) * 4) > 0.001


def test_another_tenant_draws_anew():
    one, other = arms("x"), arms("x", tenant="u")
    assert 0.45 < sum(one[u] == other[u] for u in UNITS) / len(UNITS) < 0.55


def test_the_first_gap_that_is_wide_enough():
    taken = [Places(6_000, 8_000), Places(0, 2_000)]
    assert free_places(taken, 4_000) == Places(2_000, 6_000)
    assert free_places(taken, 2_000) == Places(2_000, 4_000)
    assert free_places(taken, 4_001) is None
    assert free_places([], 10_000) == Places(0, 10_000)

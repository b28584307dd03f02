"""The lift of a training: exact where it can be, honest where nothing happens, found where something does."""

import random

import pytest

from models.reviews.lift import Lift, Unit, lift_of


def lots(rng, *, effect, sizes=((15, 15), (6, 24)), noise=200.0):
    units = []
    for number, (seats, others) in enumerate(sizes):
        month = 1_000 * (number + 1)  # lots differ in their months, and in the share that is drawn
        for place in range(seats + others):
            before = month + rng.gauss(0, 400)
            after = 0.8 * before + rng.gauss(0, noise) + (effect if place < seats else 0)
            units.append(Unit(f"t{number}", "gold", place < seats, round(after), round(before)))
    return units


def test_without_noise_the_effect_is_found_to_the_cent_over_lots_of_any_share():
    rng = random.Random(1)
    found = lift_of(lots(rng, effect=150, noise=0))
    assert found.cents == pytest.approx(150, abs=1)
    assert (found.drawn, found.not_drawn, found.word) == (21, 39, "gain")
    assert found.low <= found.cents <= found.high


def test_where_nothing_happens_a_gain_or_loss_is_told_once_in_twenty():
    rng = random.Random(2)
    told = [lift_of(lots(rng, effect=0)).word != "not_shown" for _ in range(1_000)]
    assert 0.03 < sum(told) / len(told) < 0.08


def test_a_real_gain_is_found_and_the_interval_holds_it():
    rng = random.Random(3)
    found = [lift_of(lots(rng, effect=200)) for _ in range(300)]
    assert sum(one.word == "gain" for one in found) > 270
    held = sum(one.low <= 200 <= one.high for one in found) / len(found)
    assert 0.91 < held < 0.99


def test_too_few_say_nothing():
    rng = random.Random(4)
    assert lift_of([]) == Lift(0, 0, None, None, None, None, "too_few")
    assert lift_of(lots(rng, effect=900, sizes=((9, 40),))).word == "too_few"
    # Ten a side over lots that are drawn whole: nobody is left to compare with.
    whole = [Unit(f"t{lot}", "gold", lot == 0, 100, 100) for lot in (0, 1) for _ in range(15)]
    assert lift_of(whole).word == "too_few"


def test_the_share_is_of_what_parties_without_a_seat_sold():
    rng = random.Random(5)
    found = lift_of(lots(rng, effect=-300, sizes=((20, 20),), noise=0))
    assert found.word == "loss"
    assert found.share == pytest.approx(-300 / 800, abs=0.05)
    silent = [Unit("t", "gold", place < 10, 0, 0) for place in range(30)]
    assert (lift_of(silent).share, lift_of(silent).word) == (None, "not_shown")

"""Who gets a seat: half by lot until a gain is measured, then by what a seat is expected to keep."""

import pytest

from models.experiments.assignment import draw
from models.reviews.allotment import Candidate, allot
from models.reviews.lift import Lift

UNKNOWN = Lift(0, 0, None, None, None, None, "too_few")


def gain(share, word="gain"):
    return Lift(20, 20, 100.0, 10.0, 190.0, share, word)


PARTIES = [Candidate(f"a{n:02}", "gold" if n % 2 else "silver", n / 40, 1_000) for n in range(1, 21)]


def ways(places, way):
    return [one.party_id for one in places if one.way == way]


def test_as_long_as_nothing_is_measured_half_of_the_seats_go_by_lot():
    places = allot(PARTIES, 7, UNKNOWN, {}, "seed")
    assert ways(places, "score") == ["a20", "a19", "a18"]
    assert (len(ways(places, "lot")), len(ways(places, "not_drawn"))) == (4, 13)
    numbers = {one.party_id: draw("training", "seed", one.party_id) for one in PARTIES}
    rest = sorted((number, party) for party, number in numbers.items() if party not in ("a20", "a19", "a18"))
    assert ways(places, "lot") == [party for _, party in rest[:4]]
    assert all(one.drawn == numbers[one.party_id] for one in places if one.way != "score")
    assert {one.lift for one in places} == {1.0}


def test_the_same_seed_is_the_same_lot_and_another_one_is_not():
    lot = [ways(allot(PARTIES, 8, UNKNOWN, {}, seed), "lot") for seed in ("s1", "s1", "s2")]
    assert lot[0] == lot[1] != lot[2]


def test_the_lot_is_fair():
    counts = dict.fromkeys((one.party_id for one in PARTIES), 0)
    for seed in range(2_000):
        for party in ways(allot(PARTIES, 8, UNKNOWN, {}, str(seed)), "lot"):
            counts[party] += 1
    drawn = [count / 2_000 for party, count in counts.items() if party not in ("a20", "a19", "a18", "a17")]
    assert min(drawn) > 0.21
    assert max(drawn) < 0.29  # 4 of 16


def test_a_measured_gain_gives_every_seat_by_score_and_levels_by_their_own_lift():
    places = allot(PARTIES, 6, gain(0.2), {}, "seed")
    assert ways(places, "score") == ["a20", "a19", "a18", "a17", "a16", "a15"]
    assert ways(places, "lot") == []
    assert places[0].score == pytest.approx(0.5 * 1_000 * 0.2)
    # The training works with silver ones only: the even numbers get the seats.
    by_level = {"gold": gain(-0.1, "loss"), "silver": gain(0.3)}
    places = allot(PARTIES, 6, gain(0.2), by_level, "seed")
    assert ways(places, "score") == ["a20", "a18", "a16", "a14", "a12", "a10"]
    # Seats that are left over do no harm either: ten silver ones by score, gold ones are out of the lot.
    more = allot(PARTIES, 14, gain(0.2), by_level, "seed")
    assert {one.level for one in more} == {"silver"}
    assert (len(ways(more, "score")), ways(more, "lot")) == (10, [])
    # A level about which nothing is shown counts as all do.
    same = allot(PARTIES, 6, gain(0.2), {"gold": gain(9.0, "not_shown")}, "seed")
    assert ways(same, "score") == ["a20", "a19", "a18", "a17", "a16", "a15"]


@pytest.mark.parametrize("word", ["not_shown", "loss", "too_few"])
def test_without_a_gain_the_lot_goes_on(word):
    assert len(ways(allot(PARTIES, 6, gain(0.2, word), {}, "seed"), "lot")) == 3


def test_who_brings_nothing_gets_a_seat_by_lot_only_and_nobody_gets_two():
    idle = [Candidate(f"b{n}", "gold", 1.0, 0) for n in range(6)]
    places = allot(idle, 4, gain(0.2), {}, "seed")
    assert (ways(places, "score"), len(ways(places, "lot"))) == ([], 4)
    few = allot(PARTIES[:3], 10, UNKNOWN, {}, "seed")
    assert len(few) == 3
    assert ways(few, "not_drawn") == []
    assert allot([], 3, UNKNOWN, {}, "seed") == []

"""Limits on facts: what breaks them, what does not, and what they say."""

import pytest

from pipelines.limits.comparison import breaches, mix_distance
from pipelines.limits.document import Limit
from pipelines.limits.profile import Profile


def limit(fact, **way):
    return {"it": Limit(boundary="b", severity="error", reason="Because.", fact=fact, **way)}


def broken(limits, now, last):
    return [breach.found for breach in breaches(limits, now, last)]


VOLUME = limit("rows", ratio_to_last_good={"least": 0.6, "most": 5})
NULLS = limit("null_share.*", rise_over_last_good={"most": 0.2})
LEVEL = limit("median.p", ratio_to_last_good={"least": 0.1, "most": 10})
MIX = limit("mix.state", distance_from_last_good={"most": 0.3})
VALUE = limit("newest.p", value={"least": 0.1, "most": 10})


@pytest.mark.parametrize(
    ("now", "is_broken"), [(1000, False), (600, False), (599, True), (5000, False), (5001, True), (0, True)]
)
def test_volume_against_the_last_good_batch(now, is_broken):
    assert bool(broken(VOLUME, Profile(now), Profile(1000))) is is_broken


def test_a_halved_table_says_how_many_there_were():
    (found,) = broken(VOLUME, Profile(500), Profile(1000))
    assert found == (
        "rows is 500, 0.5 times the 1,000 of the last good batch (admitted: at least 0.6, at most 5 times)"
    )


def test_a_handful_of_rows_is_not_compared():
    assert not broken(VOLUME, Profile(4), Profile(12))
    assert not broken(NULLS, Profile(12, {"null_share.a": 1.0}), Profile(1000, {"null_share.a": 0.0}))


def test_without_a_last_good_batch_only_values_are_judged():
    now = Profile(1000, {"median.p": 5.0, "newest.p": 100.0})
    assert not broken(LEVEL, now, None)
    assert broken(VALUE, now, None) == ["newest.p is 100 (admitted: at least 0.1, at most 10)"]


def test_null_shares_name_the_column_that_rose():
    last = Profile(1000, {"null_share.a": 0.0, "null_share.b": 0.7})
    now = Profile(1000, {"null_share.a": 0.3, "null_share.b": 0.8, "null_share.new": 1.0})
    assert broken(NULLS, now, last) == [
        "null_share.a is 30.0% after 0.0% in the last good batch (admitted: at most 0.2 more)"
    ]


@pytest.mark.parametrize(("now", "is_broken"), [(9.9, False), (100.0, True), (0.01, True), (0.2, False)])
def test_levels_are_compared_by_their_ratio(now, is_broken):
    found = broken(LEVEL, Profile(50, {"median.p": now}), Profile(50, {"median.p": 1.0}))
    assert bool(found) is is_broken


def test_a_level_that_was_nothing_is_not_divided_by():
    assert not broken(LEVEL, Profile(50, {"median.p": 7.0}), Profile(50, {"median.p": 0.0}))


def test_mixes():
    assert mix_distance({"a": 0.5, "b": 0.5}, {"a": 1.0}) == 0.5
    assert mix_distance({"a": 1.0}, {"b": 1.0}) == 1
    last = Profile(50, {}, {"mix.state": {"paid": 0.9, "cancelled": 0.1}})
    assert not broken(MIX, Profile(50, {}, {"mix.state": {"paid": 0.7, "cancelled": 0.3}}), last)
    (found,) = broken(MIX, Profile(50, {}, {"mix.state": {"cancelled": 1.0}}), last)
    assert found.startswith("mix.state is cancelled 100% after paid 90%, cancelled 10%")


def test_a_breach_says_its_name_its_reason_and_whether_it_blocks():
    (breach,) = breaches(VOLUME, Profile(1), Profile(1000))
    assert breach.is_error
    assert str(breach).startswith("it: rows is 1,")
    assert str(breach).endswith("Because.")
    warning = {"it": VOLUME["it"].model_copy(update={"severity": "warning"})}
    assert not breaches(warning, Profile(1), Profile(1000))[0].is_error

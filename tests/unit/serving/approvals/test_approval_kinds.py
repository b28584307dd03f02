"""Rails, second persons and quiet times by hand-computed cases; suggestions hold codes and numbers only."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.approvals.catalogue import MANUAL_POSTING, PENALTY
from serving.approvals.effects import Effects, Wired
from serving.approvals.errors import NotAllowedError, SuggestionError
from serving.approvals.kinds import Kind, Rail
from serving.approvals.suggestions import check_suggestion, digest_of
from serving.jobs.effects import EFFECTS
from serving.security import Principal, Role, Scope

PRICE = Kind(
    name="price",
    roles=frozenset({Role.OPERATOR, Role.MERCHANT}),
    scope=Scope.PRICES,
    reasons=frozenset({"too_high"}),
    validity=dt.timedelta(days=1),
    rails={"price_cents": Rail("floor_cents", "ceiling_cents")},
    second_above_cents=10_000,
    watched="price_cents",
    moves_bps=500,
)
SUGGESTED = {"price_cents": 1_000, "floor_cents": 900, "ceiling_cents": 1_200}


def key(role, scopes, party_id=None):
    return Principal("k", "t", role, party_id, frozenset(scopes))


@pytest.mark.parametrize(
    ("value", "by_a_person", "needed"),
    [(10_000, False, 1), (10_001, False, 2), (10_001, True, 1), (0, True, 1)],
)
def test_a_job_needs_two_persons_above_the_limit(value, by_a_person, needed):
    assert PRICE.approvals_needed(value, by_a_person=by_a_person) == needed


def test_money_of_a_job_always_needs_two_persons():
    assert MANUAL_POSTING.approvals_needed(1, by_a_person=False) == 2
    assert MANUAL_POSTING.approvals_needed(1, by_a_person=True) == 1
    assert not any(EFFECTS.kind(name).asker_may_decide for name in EFFECTS.kinds())


@pytest.mark.parametrize("number", [900, 1_000, 1_200])
def test_inside_the_rails(number):
    assert PRICE.adjusted(SUGGESTED, {"price_cents": number}) == {**SUGGESTED, "price_cents": number}


@pytest.mark.parametrize(
    "wanted", [{"price_cents": 899}, {"price_cents": 1_201}, {"floor_cents": 800}, {"other": 1}, {}]
)
def test_outside_the_rails(wanted):
    with pytest.raises(SuggestionError):
        PRICE.adjusted(SUGGESTED, wanted)


def test_a_penalty_is_lowered_and_never_raised():
    asked = {"amount_cents": 5_000, "most_cents": 5_000}
    assert PENALTY.adjusted(asked, {"amount_cents": 1})["amount_cents"] == 1
    for cents in (5_001, 0, -5_000):
        with pytest.raises(SuggestionError):
            PENALTY.adjusted(asked, {"amount_cents": cents})


@pytest.mark.parametrize(("price", "moved"), [(1_050, False), (1_051, True), (950, False), (949, True)])
def test_a_rejected_price_is_asked_again_when_it_moved_by_more_than_five_percent(price, moved):
    before = ({"price_cents": 1_000}, 0)
    assert PRICE.has_moved(before, ({"price_cents": price}, 0)) is moved


@pytest.mark.parametrize(
    "principal",
    [
        key(Role.SUPPLIER, {Scope.PRICES}, "m1"),
        key(Role.OPERATOR, {Scope.LEDGER_POST}),
        key(Role.MERCHANT, {Scope.PRICES}, "m2"),
    ],
    ids=["role", "scope", "party"],
)
def test_who_may_not_decide(principal):
    with pytest.raises(NotAllowedError):
        PRICE.require_decider(principal, ("merchant", "m1"))


def test_who_may_decide():
    PRICE.require_decider(key(Role.MERCHANT, {Scope.PRICES}, "m1"), ("merchant", "m1"))
    PRICE.require_decider(key(Role.OPERATOR, {Scope.PRICES}), None)
    with pytest.raises(NotAllowedError):
        PRICE.require_decider(key(Role.MERCHANT, {Scope.PRICES}, "m1"), None)


def test_two_kinds_of_one_name_are_refused():
    wired = [Wired(PRICE, lambda *_: {}), Wired(PRICE, lambda *_: {})]
    with pytest.raises(ValueError, match="price"):
        Effects(wired)


@pytest.mark.parametrize(
    "suggestion",
    [
        {"note": "please look at this"},
        {"ratio": 0.5},
        {"recipient": "x"},
        {"phone_number": "13800001234"},
        {"Field": 1},
        {"rows": [{"shop_name": "x"}]},
        {"code": "x" * 129},
        {"amount_cents": 10**15 + 1},
        {"code": "a\x00"},
        {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)},
    ],
)
def test_prose_personal_values_and_fractions_are_refused(suggestion):
    with pytest.raises(SuggestionError):
        check_suggestion(suggestion)


def test_codes_numbers_and_ids_pass():
    check_suggestion(
        {
            "amount_cents": -5,
            "party_id": "Shop 1",
            "at": "2026-01-01T00:00:00+00:00",
            "rows": [{"ok": True}],
            "x": None,
        }
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text("abcxyz_09", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), values, max_size=5), st.randoms())
def test_the_digest_knows_no_order_and_every_value(document, chosen):
    check_suggestion(document)
    turned = list(document.items())
    chosen.shuffle(turned)
    assert digest_of(dict(turned)) == digest_of(document)
    assert digest_of({**document, "d": 1}) != digest_of(document)

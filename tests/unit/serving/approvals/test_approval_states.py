"""The table of states against the rules as the design tells them, written as conditions."""

import pytest

from serving.approvals.errors import ImpossibleMoveError
from serving.approvals.states import MOVES, OPEN, Move, State, after, possible


def told(state, move):
    """The state after a move, by the words of the design; None: impossible."""
    waits = state in ("pending", "half_approved")
    is_open = waits or state == "snoozed"
    if move == "approve":
        return "approved" if waits else None
    if move == "half_approve":
        return "half_approved" if state == "pending" else None
    if move == "adjust":
        return "pending" if waits else None
    if move == "reject":
        return "rejected" if waits else None
    if move == "snooze":
        return "snoozed" if state == "pending" else None
    if move == "wake":
        return "pending" if state == "snoozed" else None
    if move == "withdraw":
        return "withdrawn" if is_open or state == "approved" else None
    if move == "supersede":
        return "superseded" if is_open or state in ("approved", "in_effect") else None
    if move == "expire":
        return "expired" if is_open else None
    if move == "take_effect":
        return "in_effect" if state == "approved" else None
    raise AssertionError(move)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("move", Move)
def test_every_state_and_every_move(state, move):
    expected = told(str(state), str(move))
    if expected is None:
        with pytest.raises(ImpossibleMoveError) as refused:
            after("approval 7", state, move)
        assert refused.value.possible == possible(state)
        assert str(move) not in refused.value.possible
    else:
        assert after("approval 7", state, move) == expected
        assert str(move) in possible(state)


def test_what_is_over_stays_over():
    over = {State.REJECTED, State.SUPERSEDED, State.EXPIRED, State.WITHDRAWN}
    assert {state for state in State if not possible(state)} == over
    assert {state for state, _ in MOVES} | over == set(State)


def test_nothing_takes_effect_without_an_approval():
    into = {state for (state, _), found in MOVES.items() if found is State.IN_EFFECT}
    assert into == {State.APPROVED}
    assert {state for (state, _), found in MOVES.items() if found is State.APPROVED} < OPEN

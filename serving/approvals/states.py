"""The states of a request for approval, as a table. Pure; a move that is not in it is impossible.

Source: the approvals of the console's design.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from serving.approvals.errors import ImpossibleMoveError


class State(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    HALF_APPROVED = "half_approved"
    APPROVED = "approved"
    IN_EFFECT = "in_effect"
    REJECTED = "rejected"
    SNOOZED = "snoozed"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Move(StrEnum):
    """What may happen to a request; `half_approve` when a second approval is needed after it."""

    APPROVE = "approve"
    HALF_APPROVE = "half_approve"
    ADJUST = "adjust"
    REJECT = "reject"
    SNOOZE = "snooze"
    WAKE = "wake"
    WITHDRAW = "withdraw"
    SUPERSEDE = "supersede"
    EXPIRE = "expire"
    TAKE_EFFECT = "take_effect"


OPEN = frozenset({State.PENDING, State.HALF_APPROVED, State.SNOOZED})
"""States in which a request still waits; there is one such request for a subject."""

MOVES: Mapping[tuple[State, Move], State] = {
    (State.PENDING, Move.APPROVE): State.APPROVED,
    (State.PENDING, Move.HALF_APPROVE): State.HALF_APPROVED,
    # Other numbers than before: whoever gave a half gave it to the old ones.
    (State.PENDING, Move.ADJUST): State.PENDING,
    (State.HALF_APPROVED, Move.ADJUST): State.PENDING,
    (State.PENDING, Move.REJECT): State.REJECTED,
    (State.PENDING, Move.SNOOZE): State.SNOOZED,
    (State.SNOOZED, Move.WAKE): State.PENDING,
    (State.HALF_APPROVED, Move.APPROVE): State.APPROVED,
    (State.HALF_APPROVED, Move.REJECT): State.REJECTED,
    (State.APPROVED, Move.TAKE_EFFECT): State.IN_EFFECT,
    **{(state, Move.WITHDRAW): State.WITHDRAWN for state in (*OPEN, State.APPROVED)},
    **{(state, Move.SUPERSEDE): State.SUPERSEDED for state in (*OPEN, State.APPROVED, State.IN_EFFECT)},
    **{(state, Move.EXPIRE): State.EXPIRED for state in OPEN},
}
"""(state, move) to the state after it."""


def after(what: str, state: State, move: Move) -> State:
    """The state after a move.

    Args:
        what: The request, for the message.
        state: Where it is.
        move: What shall happen.

    Raises:
        ImpossibleMoveError: There is no such move.
    """
    found = MOVES.get((state, move))
    if found is None:
        raise ImpossibleMoveError(what, state, move, possible(state))
    return found


def possible(state: State) -> list[str]:
    """The moves that a state knows, by name."""
    return sorted(str(move) for known, move in MOVES if known is state)

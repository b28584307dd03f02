"""The typed errors of approvals. HTTP mapping lives in `serving.api.refusals`; nothing is raised here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from serving.errors import ServingError


class ApprovalError(ServingError):
    """Base of all errors of approvals; nothing was decided."""


class UnknownApprovalError(ApprovalError):
    """There is no such request, or it is another party's."""


class UnknownBatchError(ApprovalError):
    """There is no such frozen selection."""


class SuggestionError(ApprovalError):
    """A suggestion holds something else than codes and numbers, or an adjustment leaves its rails."""


class BatchRefusedError(ApprovalError):
    """A selection is empty, mixes kinds or buckets, or names requests that do not wait."""


class NotAllowedError(ApprovalError):
    """The role or the scopes of the key do not reach this kind."""


class OwnRequestError(ApprovalError):
    """Whoever asked may not decide."""


class SecondPersonError(ApprovalError):
    """The second half must come from somebody else than the first."""


class RequestConflictError(ApprovalError):
    """The subject was asked about before, with another suggestion."""


class ApprovalExpiredError(ApprovalError):
    """The request is no longer valid."""


@dataclass(frozen=True, slots=True)
class Winner:
    """What was decided before: who, when, what."""

    by: str
    at: datetime
    what: str


class LostRaceError(ApprovalError):
    """The request, or the selection, is no longer what was shown."""

    def __init__(self, what: str, winner: Winner) -> None:
        self.winner = winner
        super().__init__(
            f"{what} is no longer as it was shown: {winner.what} by {winner.by} at {winner.at.isoformat()}"
        )


class ImpossibleMoveError(ApprovalError):
    """The state knows no such move."""

    def __init__(self, what: str, state: str, move: str, possible: Sequence[str]) -> None:
        self.possible = possible
        super().__init__(f"{what} is {state}: {move} is impossible")

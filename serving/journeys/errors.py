"""What journeys refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from serving.errors import ServingError


class Refusal(NamedTuple):
    """One reason for which a definition is refused.

    Attributes:
        code: Word for programs.
        step: Where; None: the journey as a whole.
        message: Sentence for a person, with the remedy.
    """

    code: str
    step: str | None
    message: str

    def __str__(self) -> str:
        return self.message if self.step is None else f"step {self.step}: {self.message}"


class JourneyError(ServingError):
    """Something about a journey is refused."""


class JourneyRefusedError(JourneyError):
    """A definition cannot run.

    Attributes:
        refusals: Every reason that was found.
    """

    def __init__(self, journey: str, refusals: Sequence[Refusal]) -> None:
        super().__init__(f"journey {journey} is refused: " + "; ".join(map(str, refusals)))
        self.refusals = tuple(refusals)


class JourneyStateError(JourneyError):
    """The journey or task is not in a state in which this can be done."""


class JourneyUnknownError(JourneyError):
    """There is no such journey, version, run or task."""

"""What reviews and trainings refuse."""

from __future__ import annotations

from serving.errors import ServingError


class ReviewError(ServingError):
    """Something about a review or a training is refused."""


class ReviewUnknownError(ReviewError):
    """The current publication has no such review, or there is no such training."""


class TrainingConflictError(ReviewError):
    """The id was used for another plan."""


class TrainingRefusedError(ReviewError):
    """A training like this may not be."""

"""What reviews refuse."""

from __future__ import annotations

from serving.errors import ServingError


class ReviewError(ServingError):
    """Something about a review is refused."""


class ReviewUnknownError(ReviewError):
    """The current publication has no such review."""

"""What feedback refuses."""

from __future__ import annotations

from serving.errors import ServingError


class FeedbackError(ServingError):
    """Something about a text is refused."""


class FeedbackUnknownError(FeedbackError):
    """There is no such text, or it is another merchant's."""


class FeedbackConflictError(FeedbackError):
    """The id was used for another text."""

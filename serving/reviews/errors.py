"""What reviews refuse."""


class ReviewError(Exception):
    """A review refuses."""


class ReviewUnknownError(ReviewError):
    """The current publication has no such review."""

"""What communities refuse."""

from __future__ import annotations

from serving.errors import ServingError


class CommunityError(ServingError):
    """Something about a community is refused."""


class CommunityUnknownError(CommunityError):
    """There is no such community, or it is another shop's; or no such member of it."""


class ForbiddenWordsError(CommunityError):
    """A text that members are shown says what advertisements must not say."""


class CommunityConflictError(CommunityError):
    """The id was used for something else."""


class CommunityClosedError(CommunityError):
    """The community is closed."""

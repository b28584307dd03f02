"""What short links refuse."""

from __future__ import annotations

from serving.errors import ServingError


class LinkError(ServingError):
    """Something about a short link is refused."""


class LinkUnknownError(LinkError):
    """There is no such link, destination or click here."""


class LinkRefusedError(LinkError):
    """A link or a destination like this may not be."""


class LinkStateError(LinkError):
    """It exists and says something else, or is over."""


class LinkGoneError(LinkError):
    """The link ended, was revoked, or leads nowhere any more."""

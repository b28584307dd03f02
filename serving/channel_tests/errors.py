"""What tests of channels refuse."""

from __future__ import annotations

from serving.errors import ServingError


class ChannelTestError(ServingError):
    """Something about a test of a channel is refused."""


class ChannelTestUnknownError(ChannelTestError):
    """There is no such test."""


class ChannelTestRefusedError(ChannelTestError):
    """A test like this would tell nothing, or was declared too late."""


class ChannelTestStateError(ChannelTestError):
    """Another test of the channel stands in the way, or this one is over."""

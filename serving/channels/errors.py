"""The typed errors of payment channels. HTTP mapping: `serving.api.channels.channels`."""

from __future__ import annotations

from enum import StrEnum

from serving.errors import ServingError


class ChannelError(ServingError):
    """Base of all errors about payment channels."""


class Doubt(StrEnum):
    """Why a notice is not believed."""

    CHANNEL = "channel"
    SIGNATURE = "signature"
    SERIAL = "serial"
    TIMESTAMP = "timestamp"
    NONCE = "nonce"
    CONTENT = "content"
    MERCHANT = "merchant"


class NoticeRefusedError(ChannelError):
    """A notice does not prove that the channel sent it now; nothing was booked."""

    def __init__(self, doubt: Doubt, message: str) -> None:
        self.doubt = doubt
        super().__init__(message)


class ChannelKeyError(ChannelError):
    """A key or secret of a channel account cannot be used."""


class ChannelUnavailableError(ChannelError):
    """The channel does not answer, is busy, or answers what it did not sign; the same may be asked again.

    Attributes:
        code: The channel's word for why, where it said one.
    """

    def __init__(self, message: str, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class ChannelRefusedError(ChannelError):
    """The channel will not do what was asked, however often it is asked.

    Attributes:
        code: The channel's word for why.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")


class UnknownChannelError(ChannelError):
    """There is no channel account of that id, or it was ended."""


class ChannelAccountError(ChannelError):
    """A channel account cannot be registered or changed as asked."""


class UnknownRequestError(ChannelError):
    """There is no request to a channel of that id."""


class RequestStateError(ChannelError):
    """A request to a channel is not in a state in which that can be done."""

"""Calls to a channel over HTTP: one request, one answer, with an end. What is said lives in the adapters."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from serving.channels.errors import ChannelUnavailableError

LONGEST_ANSWER = 64 * 2**20
"""Bytes; a bill is the longest that a channel answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a channel answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire(Protocol):
    """Sends one request."""

    def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer, whatever its status.

        Raises:
            ChannelUnavailableError: No answer came.
        """


class HttpWire:
    """http or https without redirects; the address is the operator's, so it may be inside the own network.

    Args:
        timeout_s: Seconds to wait for the connection and for each part of the answer.
    """

    def __init__(self, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s

    def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See `Wire`."""
        parts = urlsplit(url)
        try:
            host, port = parts.hostname or "", parts.port
            connection: http.client.HTTPConnection
            if parts.scheme == "https":
                context = ssl.create_default_context()
                connection = http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
            else:
                connection = http.client.HTTPConnection(host, port, timeout=self._timeout_s)
            try:
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request(method, target, body=body or None, headers=dict(headers))
                answer = connection.getresponse()
                text = answer.read(LONGEST_ANSWER + 1)
                named = {name.lower(): value for name, value in answer.getheaders()}
            finally:
                connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ChannelUnavailableError(f"no answer from {parts.netloc}: {type(error).__name__}") from error
        if len(text) > LONGEST_ANSWER:
            raise ChannelUnavailableError(f"the answer of {parts.netloc} is longer than 64 MiB")
        return Answer(answer.status, named, text)

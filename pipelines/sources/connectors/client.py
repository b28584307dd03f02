"""One request: who asks, how often, how patiently, and the answer with the digits it was written with.

What lives here: everything about HTTP. What does not: which page is asked for (`paging`), what a pull is
(`pull`). Headers are never part of a message.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import tenacity

from pipelines.sources.connectors.declaration import Auth, Connector
from pipelines.sources.connectors.errors import ConnectorError

MOST_BYTES = 64 * 1024 * 1024
"""Longest answer that is read."""

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may do better."""


class UnansweredError(ConnectorError):
    """A request had no answer that could be read; the same request may have one later.

    Attributes:
        wait_s: Seconds after which the other side wants to be asked again; None where it does not say.
    """

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Client:
    """Asks the resources of one connector.

    Args:
        connector: The declaration.
        environment: Where the secrets are.
        sleep: Waits so many seconds.
        monotonic: Seconds of a clock that only goes forward.

    Raises:
        ConnectorError: A secret is not in the environment, or no header can carry it.
    """

    def __init__(
        self,
        connector: Connector,
        environment: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connector = connector
        self._sleep = sleep
        self._monotonic = monotonic
        self._next_at = 0.0
        self.waits = 0
        """How often a request had to be made again."""
        headers, basic = _credentials(connector, environment)
        # It logs every address that it asks, and a cursor may hold what nobody should read.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._http = httpx.Client(
            headers={"Accept": "application/json", **headers},
            auth=basic,
            timeout=connector.timeout_s,
            follow_redirects=False,
            trust_env=False,
        )

    @property
    def attempts(self) -> int:
        """How often a request is made at most."""
        return self._connector.retry.attempts

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def get(self, path: str, params: Mapping[str, str]) -> Any:
        """The answer to a request as JSON; numbers with decimals as the text they are written with.

        Args:
            path: Path below the base address, or a whole address of the same host.
            params: Parameters.

        Raises:
            UnansweredError: There was no readable answer, however often it was asked for.
            ConnectorError: It was refused.
        """
        address = self._address(path)
        retry = self._connector.retry
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(retry.attempts),
            wait=self._wait_s,
            retry=tenacity.retry_if_exception(_is_worth_waiting(retry.longest_wait_s)),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self._ask, address, dict(params))

    def _address(self, path: str) -> str:
        base = self._connector.base_url
        try:
            address = base + path if path.startswith("/") else urljoin(base + "/", path)
            httpx.URL(address)
            host = _host(address)
        except (ValueError, httpx.InvalidURL):
            raise ConnectorError("the answer names an address of the next page that is none") from None
        if host != _host(base):
            raise ConnectorError(
                f"the next page lies at another host ({urlsplit(address).hostname}); "
                "secrets are not sent there"
            )
        return address

    def _ask(self, address: str, params: dict[str, str]) -> Any:
        self._keep_pace()
        place = urlsplit(address).path
        try:
            with self._http.stream("GET", address, params=params or None) as response:
                if response.status_code != httpx.codes.OK:
                    raise _refused(place, response)
                body = _body(place, response)
        except httpx.RequestError as error:
            raise UnansweredError(f"{place}: no answer ({type(error).__name__}: {error})") from None
        return _exact_json(place, body)

    def _keep_pace(self) -> None:
        pace = self._connector.pace
        now = self._monotonic()
        if now < self._next_at:
            self._sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + pace.per_seconds / pace.requests

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        self.waits += 1
        retry = self._connector.retry
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_s if isinstance(error, UnansweredError) else None
        if asked is not None:
            return asked
        return float(min(retry.first_wait_s * 2 ** (state.attempt_number - 1), retry.longest_wait_s))


def _is_worth_waiting(longest_s: float) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, UnansweredError) and (error.wait_s or 0.0) <= longest_s


def _host(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


def _credentials(
    connector: Connector, environment: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, str] | None]:
    """Headers, and user and password."""
    auth: Auth = connector.auth

    def secret(variable: str) -> str:
        if not environment.get(variable):
            raise ConnectorError(
                f"the environment variable {variable} is not set; `auth` of {connector.connector} names it"
            )
        return environment[variable]

    def carried(variable: str) -> str:
        value = secret(variable)
        if value != value.strip() or not (value.isascii() and value.isprintable()):
            # Who sends it would say the whole header in the message of its error.
            raise ConnectorError(
                f"the environment variable {variable} holds what no header can carry, such as a blank or a "
                "line break at its end; set it without"
            )
        return value

    headers = {name: carried(variable) for name, variable in auth.headers.items()}
    if auth.bearer is not None:
        headers["Authorization"] = f"Bearer {carried(auth.bearer)}"
    basic = (secret(auth.basic[0]), secret(auth.basic[1])) if auth.basic is not None else None
    return headers, basic


def _refused(place: str, response: httpx.Response) -> ConnectorError:
    status = response.status_code
    if status in _AGAIN:
        return UnansweredError(f"{place}: answered {status}", _retry_after_s(response))
    if status in (401, 403):
        return ConnectorError(f"{place}: answered {status}; see whether the secrets of `auth` are in force")
    if response.is_redirect:
        return ConnectorError(f"{place}: moved ({status}); write the new address as `base_url`")
    return ConnectorError(f"{place}: answered {status}; see whether path and parameters are right")


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds that the other side asks to wait, from a number or a date (RFC 9110, 10.2.3)."""
    text = str(response.headers.get("Retry-After", "")).strip()
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return max(0.0, float((at - dt.datetime.now(dt.UTC)).total_seconds()))


def _body(place: str, response: httpx.Response) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes():
        size += len(part)
        if size > MOST_BYTES:
            raise ConnectorError(f"{place}: the answer is longer than {MOST_BYTES:,} bytes; ask for less")
        parts.append(part)
    return b"".join(parts)


def _exact_json(place: str, body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=str, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnansweredError(f"{place}: the answer is not JSON ({error})") from None


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")

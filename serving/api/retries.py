"""A request whose transaction PostgreSQL ended for the sake of another one is answered by running it again.

The transaction was rolled back, so the request may be made anew as it came: an ASGI layer keeps the body that
was read and holds the answer back until it is known whether it is one.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, ReceiveMessage, Scope, Send

from serving.db.retries import ATTEMPTS, pause_s
from serving.observability import Metrics
from serving.problems import LOST_TRANSACTION

_OF_THE_FRAMEWORK = "_ls_"


class RetryLost:
    """ASGI layer inside of `RequestContext`: up to five attempts, each counted by its reason."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        read: list[ReceiveMessage] = []
        for attempt in range(1, ATTEMPTS + 1):
            again = await self._attempt(scope, receive, send, read, is_last=attempt == ATTEMPTS)
            if not again:
                return
            await asyncio.sleep(pause_s(attempt))

    async def _attempt(
        self, scope: Scope, receive: Receive, send: Send, read: list[ReceiveMessage], *, is_last: bool
    ) -> bool:
        """Run the application once; whether it has to be run again."""
        state: dict[str, Any] = scope["state"]
        state.pop(LOST_TRANSACTION, None)
        waiting = iter(list(read))
        is_dropped = False

        async def receive_again() -> ReceiveMessage:
            known = next(waiting, None)
            if known is not None:
                return known
            message = await receive()
            if message["type"] == "http.request":
                read.append(message)
            return message

        async def send_unless_lost(message: Message) -> None:
            nonlocal is_dropped
            reason = state.get(LOST_TRANSACTION)
            if message["type"] == "http.response.start" and reason is not None:
                self._metrics.lost_transactions.labels(reason).inc()
                is_dropped = not is_last
                structlog.get_logger().warning("transaction_lost", reason=reason, is_given_up=is_last)
            if not is_dropped:
                await send(message)

        await self._app(scope, receive_again, send_unless_lost)
        if is_dropped:
            # What the framework remembered of the request, such as its body that was read.
            for name in [name for name in state if str(name).startswith(_OF_THE_FRAMEWORK)]:
                del state[name]
        return is_dropped

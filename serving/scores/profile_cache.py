"""Answers about profiles, remembered in the process as long as nothing they rest on has changed.

A published version never changes; what readers see changes by a switch, a delta, a consent or an erasure. A
watch asks the database for these four every `POLL_S` seconds. An answer is given from memory only while the
watch has asked within the last `LEASE_S` seconds, so nothing is older than that; who waits `LEASE_S` after a
commit knows that every process shows it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from serving.db.pool import Pool
from serving.errors import DatabaseUnavailableError
from serving.scores import queries

POLL_S = 0.1
LEASE_S = 0.25
_IDLE_S = 5.0
"""Without a question for so long the watch sleeps."""

Key: TypeAlias = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An encoded answer.

    Attributes:
        body: The JSON document.
        version: The published version that it names.
        newest: The latest moment that anything of it is for, for `Settings.business_now`.
        fresh_until: When a tag of it will expire; None when none will.
    """

    body: bytes
    version: str
    newest: datetime
    fresh_until: datetime | None


class Watch:
    """Knows whether anything changed that readers see. Belongs to one event loop."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._state: tuple[Any, ...] | None = None
        self._trusted_until = 0.0
        self._wanted_at = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.generation = 0
        """Rises whenever something changed."""

    def start(self) -> None:
        """Begin to ask, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def is_trusted(self) -> bool:
        """Whether `generation` is at most `LEASE_S` seconds old; asks to be kept so for a while."""
        now = time.monotonic()
        self._wanted_at = now
        if now < self._trusted_until:
            return True
        self._wake.set()
        return False

    async def look(self) -> None:
        """Ask once.

        Raises:
            DatabaseUnavailableError: The database does not answer; nothing is trusted meanwhile.
        """
        asked_at = time.monotonic()
        rows = await self._pool.fetch(queries.HEAD, {})
        state = rows[0] if rows else None
        if state != self._state:
            self._state = state
            self.generation += 1
        self._trusted_until = asked_at + LEASE_S

    async def _run(self) -> None:
        while True:
            if time.monotonic() - self._wanted_at > _IDLE_S:
                self._wake.clear()
                await self._wake.wait()
            with suppress(DatabaseUnavailableError):
                await self.look()
            await asyncio.sleep(POLL_S)


class ProfileCache:
    """The most recently used answers, up to a size.

    Args:
        watch: Says what is still right.
        most_bytes: Of all bodies together; 0 remembers nothing.
    """

    def __init__(self, watch: Watch, *, most_bytes: int) -> None:
        self._watch = watch
        self._most_bytes = most_bytes
        self._bytes = 0
        self._generation = watch.generation
        self._answers: OrderedDict[Key, CachedAnswer] = OrderedDict()

    def get(self, key: Key) -> CachedAnswer | None:
        """The answer, if it is known and nothing has changed since."""
        if not self._watch.is_trusted():
            return None
        if self._watch.generation != self._generation:
            self._answers.clear()
            self._bytes = 0
            self._generation = self._watch.generation
            return None
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def generation(self) -> int:
        """Take it before reading, and hand it to `put`."""
        return self._watch.generation

    def put(self, key: Key, answer: CachedAnswer, *, generation: int) -> None:
        """Remember an answer, unless something changed since its reading began."""
        if generation != self._watch.generation or generation != self._generation:
            return
        before = self._answers.pop(key, None)
        self._bytes += len(answer.body) - (len(before.body) if before is not None else 0)
        self._answers[key] = answer
        while self._bytes > self._most_bytes:
            _, dropped = self._answers.popitem(last=False)
            self._bytes -= len(dropped.body)

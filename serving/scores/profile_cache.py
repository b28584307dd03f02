"""Profiles, remembered in the process as long as nothing that they rest on has changed.

A published version never changes; what readers see changes by a switch, a delta, a consent or an erasure. A
watch for each tenant asks the database for these four every `POLL_S` seconds, and forgets whom a change was
about. Memory is used only while the watch has asked within the last `LEASE_S` seconds, so nothing is older
than that; who waits `LEASE_S` after a commit knows that every process shows it. All tenants share one bound.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from serving.consumers.erased import consumer_digest
from serving.db.pool import Pool
from serving.errors import DatabaseUnavailableError
from serving.scores import queries
from serving.scores.live import read_instants
from serving.scores.profile_answer import Ages, EncodedTags
from serving.scores.reader import Shown

POLL_S = 0.1
LEASE_S = 0.25
_IDLE_S = 5.0
"""Without a question for so long the watch sleeps."""
_MOST_CHANGED = 20_000
"""A change about more consumers than these empties the memory."""
_ENTRY_BYTES = 600
"""What an entry takes beside its text, about."""

Key: TypeAlias = tuple[str, str | None]
"""A consumer, and the merchant whose key asks; None for keys that see every merchant's consumers."""


class _Head(NamedTuple):
    """What `queries.HEAD` answers with."""

    version: str
    as_of: datetime
    snapshot_id: int
    revision: int
    live_as_of: dict[str, str] | None
    change_no: int


class ProfileMemory:
    """The most recently used profiles of all tenants, up to a size.

    Args:
        most_bytes: Of all entries together; 0 remembers nothing.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self.entries: OrderedDict[tuple[str, Key], EncodedTags] = OrderedDict()
        """By tenant and key, the least recently used first."""

    def get(self, tenant_id: str, key: Key) -> EncodedTags | None:
        """What is remembered; it counts as used."""
        found = self.entries.get((tenant_id, key))
        if found is not None:
            self.entries.move_to_end((tenant_id, key))
        return found

    def put(self, tenant_id: str, key: Key, tags: EncodedTags) -> None:
        """Remember, and forget the least recently used beyond the bound."""
        self.drop(tenant_id, key)
        self.bytes += len(tags.text) + _ENTRY_BYTES
        self.entries[tenant_id, key] = tags
        while self.bytes > self.most_bytes:
            self.drop(*next(iter(self.entries)))

    def drop(self, tenant_id: str, key: Key) -> None:
        """Forget one."""
        dropped = self.entries.pop((tenant_id, key), None)
        if dropped is not None:
            self.bytes -= len(dropped.text) + _ENTRY_BYTES

    def keys_of(self, tenant_id: str) -> list[Key]:
        """What is remembered of a tenant."""
        return [key for tenant, key in self.entries if tenant == tenant_id]


class ProfileCaches:
    """A cache for each tenant that asks, with one bound for all. Belongs to one event loop.

    Args:
        pool: Connections to the database.
        most_bytes: Of all entries together; 0 remembers nothing.
    """

    def __init__(self, pool: Pool, *, most_bytes: int) -> None:
        self._pool = pool
        self.memory = ProfileMemory(most_bytes)
        self._caches: dict[str, ProfileCache] = {}

    def of(self, tenant_id: str) -> ProfileCache:
        """The cache of a tenant; the first question begins its watch, in the running event loop."""
        found = self._caches.get(tenant_id)
        if found is None:
            found = self._caches[tenant_id] = ProfileCache(self._pool, tenant_id, self.memory)
            found.start()
        return found

    async def stop(self) -> None:
        """Stop every watch."""
        for cache in self._caches.values():
            await cache.stop()


class ProfileCache:
    """The remembered profiles of one tenant. Belongs to one event loop.

    Args:
        pool: Connections to the database.
        tenant_id: Whose profiles.
        memory: Where they are kept.
    """

    def __init__(self, pool: Pool, tenant_id: str, memory: ProfileMemory) -> None:
        self._pool = pool
        self._tenant_id = tenant_id
        self._memory = memory
        self._ages: dict[tuple[datetime, str, bool], Ages] = {}
        self._head: _Head | None = None
        self._trusted_until = 0.0
        self._wanted_at = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.shown: Shown | None = None
        """The version and revision that readers see."""
        self.generation = 0
        """Rises with every change; take it before reading, and hand it to `put`."""

    def start(self) -> None:
        """Begin to watch, in the running event loop."""
        if self._memory.most_bytes:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def get(self, key: Key) -> EncodedTags | None:
        """The tags, if they are known and the watch is not behind; `shown` goes with them."""
        now = time.monotonic()
        self._wanted_at = now
        if now >= self._trusted_until:
            self._wake.set()
            return None
        return self._memory.get(self._tenant_id, key)

    def ages(self, found: EncodedTags, now: datetime) -> Ages | None:
        """What an answer with these tags says besides them; None when a tag of theirs expired since."""
        key = (found.as_of, found.fingerprint, found.matches)
        ages = self._ages.get(key)
        if ages is None or not ages.holds(now):
            assert self.shown is not None
            ages = self._ages[key] = Ages.of(self.shown, found, now)
        return ages if ages.expired == found.expired else None

    def put(self, key: Key, tags: EncodedTags, shown: Shown, *, generation: int) -> None:
        """Remember tags, unless something changed since their reading began.

        Tags of a newer revision than the watch knows of are not remembered: answers name one revision.
        """
        if generation != self.generation or shown != self.shown:
            return
        self._memory.put(self._tenant_id, key, tags)

    async def look(self) -> None:
        """Ask once what readers see, and forget what changed.

        Raises:
            DatabaseUnavailableError: The database does not answer; nothing is trusted meanwhile.
        """
        asked_at = time.monotonic()
        rows = await self._pool.fetch(queries.HEAD, {}, tenant_id=self._tenant_id)
        head = _Head(*rows[0]) if rows else None
        if head != self._head:
            await self._forget(self._head, head)
            self._head = head
            self.shown = (
                Shown(head.version, head.as_of, head.revision, read_instants(head.live_as_of))
                if head is not None
                else None
            )
            self._ages.clear()
            self.generation += 1
        self._trusted_until = asked_at + LEASE_S

    async def _forget(self, before: _Head | None, after: _Head | None) -> None:
        """Forget whom the changes between two heads were about; everybody when that cannot be said."""
        is_refined = (
            before is not None
            and after is not None
            and before[:3] == after[:3]
            and before.revision <= after.revision
            and before.change_no <= after.change_no
        )
        rows: list[tuple[Any, ...]] = []
        if before is not None and is_refined:
            values = {
                "snapshot": before.snapshot_id,
                "revision": before.revision,
                "change": before.change_no,
                "rows": _MOST_CHANGED + 1,
            }
            rows = await self._pool.fetch(queries.CHANGED, values, tenant_id=self._tenant_id)
        is_anybody = not is_refined or len(rows) > _MOST_CHANGED
        changed = {row[0] for row in rows}
        erased = {row[1] for row in rows} - {None}
        if not (is_anybody or changed):
            return
        for key in self._memory.keys_of(self._tenant_id):
            is_erased = erased and consumer_digest(self._tenant_id, key[0]) in erased
            if is_anybody or key[0] in changed or is_erased:
                self._memory.drop(self._tenant_id, key)

    async def _watch(self) -> None:
        while True:
            if time.monotonic() - self._wanted_at > _IDLE_S:
                self._wake.clear()
                await self._wake.wait()
            with suppress(DatabaseUnavailableError):
                await self.look()
            await asyncio.sleep(POLL_S)

"""Token buckets: how many requests a key may still make, in one process or in all that share a file."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_SLOT = struct.Struct("=8sdd")
"""Digest of the name (zero: free), tokens, and the moment of the clock at which they were that many."""
_FREE = bytes(8)
WAYS = 4
"""Places that a name may have; of these the one that was used least recently is given to another name."""


class RateLimiter:
    """One token bucket a name; those that were not used for long are forgotten (and start full again).

    Args:
        file: Shared with other processes of the machine; None keeps the buckets in this process.
        most_names: Buckets, at least `WAYS`; all processes of a file say the same.
        clock: Seconds that run alike in all of them.
    """

    def __init__(
        self,
        file: Path | None = None,
        *,
        most_names: int = 65_536,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._sets = max(1, most_names // WAYS)
        size = self._sets * WAYS * _SLOT.size
        self._file: int | None = None
        if file is None:
            self._slots = mmap.mmap(-1, size)
        else:
            self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._file, size)  # what is there stays
            self._slots = mmap.mmap(self._file, size)

    def take(self, name: str, *, rate_per_s: float, burst: int) -> float:
        """Take one token.

        Args:
            name: Whose bucket.
            rate_per_s: Tokens that flow in per second.
            burst: Tokens a full bucket holds.

        Returns:
            0.0 when the token was there, else the seconds until it will be.
        """
        with self._slot_of(name) as (place, tag):
            now = self._clock()
            known, tokens, seen = _SLOT.unpack_from(self._slots, place)
            if known != tag or seen > now:  # a new name, or a file of before the machine started
                tokens, seen = float(burst), now
            tokens = min(float(burst), tokens + (now - seen) * rate_per_s)
            wait = 0.0 if tokens >= 1.0 else (1.0 - tokens) / rate_per_s
            _SLOT.pack_into(self._slots, place, tag, tokens - 1.0 if wait == 0.0 else tokens, now)
            return wait

    def give_back(self, name: str) -> None:
        """Undo a `take` that need not have been."""
        with self._slot_of(name) as (place, tag):
            known, tokens, seen = _SLOT.unpack_from(self._slots, place)
            if known == tag:
                _SLOT.pack_into(self._slots, place, tag, tokens + 1.0, seen)

    @contextmanager
    def _slot_of(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Place of the name's bucket, or of the one it takes over, and its digest; nobody else changes it."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        tag = digest[:8] if digest[:8] != _FREE else digest[8:]
        start = int.from_bytes(digest[8:], "big") % self._sets * WAYS * _SLOT.size
        width = WAYS * _SLOT.size
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_EX, width, start)
        try:
            places = range(start, start + width, _SLOT.size)
            slots = [(place, *_SLOT.unpack_from(self._slots, place)) for place in places]
            own = next((slot[0] for slot in slots if slot[1] == tag), None)
            yield (own if own is not None else min(slots, key=lambda slot: slot[3])[0]), tag
        finally:
            if self._file is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, width, start)

"""Token buckets: how many requests a key may still make. One process, monotonic time, no HTTP."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable


class RateLimiter:
    """One token bucket a name; the least recently used are forgotten (and start full again)."""

    def __init__(self, *, most_names: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._most_names = most_names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, *, rate_per_s: float, burst: int) -> float:
        """Take one token.

        Args:
            name: Whose bucket.
            rate_per_s: Tokens that flow in per second.
            burst: Tokens a full bucket holds.

        Returns:
            0.0 when the token was there, else the seconds until it will be.
        """
        now = self._clock()
        tokens, seen = self._buckets.pop(name, (float(burst), now))
        tokens = min(float(burst), tokens + (now - seen) * rate_per_s)
        wait = 0.0 if tokens >= 1.0 else (1.0 - tokens) / rate_per_s
        self._buckets[name] = (tokens - 1.0 if wait == 0.0 else tokens, now)
        if len(self._buckets) > self._most_names:
            self._buckets.popitem(last=False)
        return wait

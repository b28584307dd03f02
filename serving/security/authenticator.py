"""Looking up keys, remembering the answers for a moment, rate limits. Whom a route lets in: `guard`."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from serving.db.pool import Pool
from serving.problems import ApiError
from serving.rate_limit import RateLimiter
from serving.security.keys import hash_key
from serving.security.principal import Principal
from serving.security.roles import Role
from serving.settings import Settings

_MOST_CACHED_KEYS = 5_000
_UNKNOWN_KEYS_PER_S = 5.0
_UNKNOWN_KEYS_BURST = 50


class Authenticator:
    """Looks up keys, remembers the answers for a moment, and applies the rate limits.

    All processes of a server share the limits by `Settings.limits_file`.
    """

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._limiter = RateLimiter(settings.limits_file)
        self._cache: OrderedDict[bytes, tuple[float, Principal | None]] = OrderedDict()

    async def principal(self, key: str, client: str) -> Principal:
        """Who a key belongs to.

        Args:
            key: The key as sent.
            client: Address of the caller; limits how fast keys can be tried.

        Raises:
            ApiError: 401 for an unknown or revoked key, 429 for too many of them.
        """
        digest = hash_key(key)
        now = time.monotonic()
        expires, found = self._cache.get(digest, (0.0, None))
        is_strange = found is None
        if is_strange:  # counted before the database is asked, and given back when the key is known
            self._count_strange(client)
        if expires <= now:
            found = await self._look_up(digest)
            self._cache[digest] = (now + self._settings.key_cache_s, found)
            self._cache.move_to_end(digest)
            while len(self._cache) > _MOST_CACHED_KEYS:
                self._cache.popitem(last=False)
        if found is None:
            if not is_strange:  # it worked until a moment ago
                self._count_strange(client)
            raise unauthorized("The key is unknown or was revoked.")
        if is_strange:
            self._limiter.give_back(_strangers(client))
        return found

    def _count_strange(self, client: str) -> None:
        wait = self._limiter.take(
            _strangers(client), rate_per_s=_UNKNOWN_KEYS_PER_S, burst=_UNKNOWN_KEYS_BURST
        )
        if wait > 0:
            raise _too_many(wait)

    def limit(self, principal: Principal) -> None:
        """Count a request.

        Raises:
            ApiError: 429 with `Retry-After` when the key asks too often.
        """
        wait = self._limiter.take(
            principal.key_id,
            rate_per_s=principal.rate_per_s or self._settings.rate_limit_per_s,
            burst=principal.burst or self._settings.rate_limit_burst,
        )
        if wait > 0:
            raise _too_many(wait)

    async def _look_up(self, digest: bytes) -> Principal | None:
        rows = await self._pool.fetch(
            "select key_id, tenant_id, role, party_id, scopes, rate_per_s, burst from ops.key_of(%(digest)s)",
            {"digest": digest},
        )
        if not rows:
            return None
        key_id, tenant_id, role, party_id, scopes, rate_per_s, burst = rows[0]
        return Principal(key_id, tenant_id, Role(role), party_id, frozenset(scopes), rate_per_s, burst)


def _strangers(client: str) -> str:
    return f"unknown:{client}"


def unauthorized(detail: str) -> ApiError:
    """401 with the challenge that says how to send a key."""
    return ApiError(
        401, "unauthorized", "A valid API key is needed", detail, headers={"WWW-Authenticate": "Bearer"}
    )


def _too_many(wait_s: float) -> ApiError:
    return ApiError(
        429,
        "too-many-requests",
        "Too many requests",
        f"The rate limit is reached; the next request is possible in {wait_s:.2f} seconds.",
        headers={"Retry-After": str(max(1, math.ceil(wait_s)))},
    )

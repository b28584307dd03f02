"""API keys: making, hashing, looking up, scopes, and the guard of the routes.

A key is `muyun_<key id>_<secret>`. The secret has 256 random bits, so a plain SHA-256 of the whole key is
enough to keep: there is nothing to guess. Only the hash is stored.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from serving.db.pool import Pool
from serving.db.urls import libpq_url
from serving.errors import ApiKeyError, DatabaseUnavailableError
from serving.problems import ApiError
from serving.rate_limit import RateLimiter
from serving.settings import Settings

_MOST_CACHED_KEYS = 5_000
_UNKNOWN_KEYS_PER_S = 5.0
_UNKNOWN_KEYS_BURST = 50


class Scope(StrEnum):
    """What a key may do."""

    RECOMMENDATIONS = "recommendations:read"
    PRICES = "prices:read"
    REORDER = "reorder:read"
    WAKEUP = "wakeup:read"
    WAKEUP_CONTROL = "wakeup:control"
    PROFILES = "profiles:read"
    PUBLICATIONS = "publications:read"


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        key_id: Public part of the key; it may be logged.
        scopes: What the key may do.
        merchant_id: The only merchant the key may see, or None for an operator's key.
        rate_per_s: The key's own limit, or None for the default.
        burst: The key's own burst, or None for the default.
    """

    key_id: str
    scopes: frozenset[str]
    merchant_id: str | None
    rate_per_s: float | None
    burst: int | None

    def require_merchant(self, merchant_id: str) -> None:
        """Refuse another merchant's data.

        Raises:
            ApiError: 403, whether or not that merchant exists.
        """
        if self.merchant_id is not None and self.merchant_id != merchant_id:
            raise ApiError(
                403,
                "merchant-out-of-scope",
                "Another merchant's data",
                "This key belongs to one merchant and cannot read another one's data.",
            )


@dataclass(frozen=True)
class IssuedKey:
    """A new key; `secret` is the whole key and is shown only once."""

    key_id: str
    secret: str


def issue_key(
    conn_url: str,
    *,
    name: str,
    scopes: Sequence[str],
    merchant_id: str | None = None,
    rate_per_s: float | None = None,
    burst: int | None = None,
) -> IssuedKey:
    """Make an API key.

    Args:
        conn_url: Address of the migrated database.
        name: For the operator's list of keys.
        scopes: Values of `Scope`.
        merchant_id: Restrict the key to one merchant.
        rate_per_s: Own rate limit; None takes the default.
        burst: Own burst; None takes the default.

    Raises:
        ApiKeyError: A scope is unknown, none is given, or a limit is not positive.
        DatabaseUnavailableError: PostgreSQL does not answer.
    """
    unknown = sorted(set(scopes) - set(Scope))
    if unknown or not scopes:
        raise ApiKeyError(f"unknown scopes {unknown}: choose from {', '.join(Scope)}")
    if not name.strip():
        raise ApiKeyError("a key needs a name, so that the operator knows whose it is")
    if (rate_per_s is not None and rate_per_s <= 0) or (burst is not None and burst < 1):
        raise ApiKeyError("rate and burst of a key must be above 0")
    key_id = secrets.token_hex(6)
    secret = f"muyun_{key_id}_{secrets.token_urlsafe(32)}"
    _write(
        conn_url,
        "insert into ops.api_key (key_id, key_hash, name, scopes, merchant_id, rate_per_s, burst)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (key_id, hash_key(secret), name, sorted(set(scopes)), merchant_id, rate_per_s, burst),
    )
    return IssuedKey(key_id, secret)


def revoke_key(conn_url: str, key_id: str) -> None:
    """End a key; the API notices within `Settings.key_cache_s` seconds.

    Raises:
        ApiKeyError: There is no such key that still works.
    """
    changed = _write(
        conn_url,
        "update ops.api_key set revoked_at = clock_timestamp() where key_id = %s and revoked_at is null",
        (key_id,),
    )
    if not changed:
        raise ApiKeyError(f"there is no working key with id {key_id!r}")


def hash_key(key: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class Authenticator:
    """Looks up keys, remembers the answers for a moment, and applies the rate limits."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._limiter = RateLimiter()
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
        if expires <= now:
            found = await self._look_up(digest)
            self._cache[digest] = (now + self._settings.key_cache_s, found)
            self._cache.move_to_end(digest)
            while len(self._cache) > _MOST_CACHED_KEYS:
                self._cache.popitem(last=False)
        if found is None:
            wait = self._limiter.take(
                f"unknown:{client}", rate_per_s=_UNKNOWN_KEYS_PER_S, burst=_UNKNOWN_KEYS_BURST
            )
            if wait > 0:
                raise _too_many(wait)
            raise _unauthorized("The key is unknown or was revoked.")
        return found

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
            "select key_id, scopes, merchant_id, rate_per_s, burst from ops.api_key"
            " where key_hash = %(digest)s and revoked_at is null",
            {"digest": digest},
        )
        if not rows:
            return None
        key_id, scopes, merchant_id, rate_per_s, burst = rows[0]
        return Principal(key_id, frozenset(scopes), merchant_id, rate_per_s, burst)


async def require_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: a valid key with the route's scope, within its rate; leaves the principal in the state.

    Raises:
        ApiError: 401, 403 or 429.
    """
    authenticator: Authenticator = connection.app.state.authenticator
    client = connection.client.host if connection.client is not None else ""
    principal = await authenticator.principal(_key_of(connection), client)
    connection.scope["state"]["key_id"] = principal.key_id
    authenticator.limit(principal)
    needed = handler.opt["scope"]
    if needed not in principal.scopes:
        raise ApiError(
            403,
            "scope-missing",
            "The key lacks a scope",
            f"This resource needs the scope {needed}.",
            remedy=f"Create a key with it: `python -m serving.keys create --scopes {needed} ...`.",
        )
    connection.scope["state"]["principal"] = principal


def _key_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    key = connection.headers.get("x-api-key")
    if key is not None:
        return key
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    raise _unauthorized("Send the key as X-API-Key, or as Authorization: Bearer.")


def _unauthorized(detail: str) -> ApiError:
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


def _write(conn_url: str, query: str, values: tuple[object, ...]) -> int:
    try:
        with psycopg.connect(libpq_url(conn_url), connect_timeout=10) as connection:
            return connection.execute(query.encode(), values).rowcount
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"PostgreSQL does not answer: {error}") from error

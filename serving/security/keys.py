"""API keys: making, hashing, ending.

A key is `muyun_<key id>_<secret>`. The secret has 256 random bits, so a plain SHA-256 of the whole key is
enough to keep: there is nothing to guess. Only the hash is stored.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from serving.db.urls import libpq_url
from serving.errors import ApiKeyError, DatabaseUnavailableError
from serving.security.roles import PARTY_ROLES, ROLE_SCOPES, Role, Scope
from serving.settings import DEFAULT_TENANT


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
    role: str | None = None,
    party_id: str | None = None,
    tenant_id: str = DEFAULT_TENANT,
    merchant_id: str | None = None,
    rate_per_s: float | None = None,
    burst: int | None = None,
) -> IssuedKey:
    """Make an API key.

    Args:
        conn_url: Address of the migrated database.
        name: For the operator's list of keys.
        scopes: Values of `Scope`, within what the role may be given.
        role: Value of `Role`; None means merchant when `merchant_id` is given, else operator.
        party_id: The supplier, merchant or agent that the key belongs to.
        tenant_id: Tenant whose rows the key may touch.
        merchant_id: The same as `role="merchant"` with that `party_id`.
        rate_per_s: Own rate limit; None takes the default.
        burst: Own burst; None takes the default.

    Raises:
        ApiKeyError: A scope is unknown, none is given or the role may not have it; the role is unknown or
            does not fit the party; or a limit is not positive.
        DatabaseUnavailableError: PostgreSQL does not answer.
    """
    granted = _known_scopes(scopes)
    if not name.strip():
        raise ApiKeyError("a key needs a name, so that the operator knows whose it is")
    if not tenant_id.strip():
        raise ApiKeyError("a key needs a tenant: leave --tenant out for the default one")
    if (rate_per_s is not None and rate_per_s <= 0) or (burst is not None and burst < 1):
        raise ApiKeyError("rate and burst of a key must be above 0")
    whose, party = _role_and_party(role, party_id, merchant_id)
    too_much = sorted(granted - ROLE_SCOPES[whose])
    if too_much:
        raise ApiKeyError(
            f"a key of the role {whose} may not have {', '.join(too_much)}: "
            f"choose from {', '.join(sorted(ROLE_SCOPES[whose]))}"
        )
    key_id = secrets.token_hex(6)
    secret = f"muyun_{key_id}_{secrets.token_urlsafe(32)}"
    _write(
        conn_url,
        "insert into ops.api_key"
        " (key_id, key_hash, name, scopes, tenant_id, role, party_id, merchant_id, rate_per_s, burst)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(key_id, hash_key(secret), name, sorted(granted), tenant_id, whose, party),
            *(party if whose is Role.MERCHANT else None, rate_per_s, burst),
        ),
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


def _known_scopes(scopes: Sequence[str]) -> frozenset[Scope]:
    unknown = sorted(set(scopes) - set(Scope))
    if unknown or not scopes:
        raise ApiKeyError(f"unknown scopes {unknown}: choose from {', '.join(Scope)}")
    return frozenset(Scope(scope) for scope in scopes)


def _role_and_party(
    role: str | None, party_id: str | None, merchant_id: str | None
) -> tuple[Role, str | None]:
    if role is not None and role not in set(Role):
        raise ApiKeyError(f"unknown role {role!r}: choose from {', '.join(Role)}")
    whose = Role(role) if role is not None else (Role.OPERATOR if merchant_id is None else Role.MERCHANT)
    if merchant_id is not None and (whose is not Role.MERCHANT or party_id not in (None, merchant_id)):
        raise ApiKeyError(
            "a key with a merchant is that merchant's: give it no other role and no other party"
        )
    party = party_id if party_id is not None else merchant_id
    if whose in PARTY_ROLES and (party is None or not party.strip()):
        raise ApiKeyError(f"a key of the role {whose} needs a party: name the {whose} it belongs to")
    if whose not in PARTY_ROLES and party is not None:
        raise ApiKeyError(f"a key of the role {whose} sees every party: do not name one")
    return whose, party


def _write(conn_url: str, query: str, values: tuple[object, ...]) -> int:
    try:
        with psycopg.connect(libpq_url(conn_url), connect_timeout=10) as connection:
            return connection.execute(query.encode(), values).rowcount
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"PostgreSQL does not answer: {error}") from error

"""The guard of the routes: key, scope, role, owner. A route declares in `opt` whom it lets in.

`scope` is a `Scope`, `roles` a frozenset of `Role`, `owner` the kind of party whose data the route shows, or
None. With an owner, the party that the path or the query names in `<owner>_id` must be the key's own. What
belongs to whom behind other ids only the resource knows; it answers 404 for things of another party. A party
that is named by `party_type` and `party_id` is checked on every route.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from serving.authority import Authority, authority_of
from serving.problems import ApiError
from serving.security.authenticator import Authenticator, unauthorized
from serving.security.roles import Role, Scope


@dataclass(frozen=True)
class Access:
    """Whom a route lets in.

    Attributes:
        scope: What the key must be allowed to do.
        roles: Roles that may ask.
        owner: `supplier`, `merchant` or `agent` when the route shows one party's data, else None.
    """

    scope: Scope
    roles: frozenset[Role]
    owner: str | None


def declared_access(handler: BaseRouteHandler) -> Access:
    """What a keyed route declares; who may state a fact stands in the table of authorities.

    Raises:
        KeyError: The route declares no scope, no roles or no owner; it then lets nobody in.
    """
    authority = stated_authority(handler)
    roles = handler.opt["roles"] if authority is None else frozenset(map(Role, authority.roles))
    return Access(handler.opt["scope"], roles, handler.opt["owner"])


def stated_authority(handler: BaseRouteHandler) -> Authority | None:
    """The authority that a route uses; None for a route that states nothing."""
    methods: set[str] = getattr(handler, "http_methods", set())
    found = (
        authority_of(method, f"/v1{path}") for method in sorted(methods) for path in sorted(handler.paths)
    )
    return next((authority for authority in found if authority is not None), None)


async def require_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: a valid key within its rate, with the scope, the role and the party that the route asks for.

    Leaves the principal in the state of the request.

    Raises:
        ApiError: 401, 403 or 429.
    """
    authenticator: Authenticator = connection.app.state.authenticator
    client = connection.client.host if connection.client is not None else ""
    principal = await authenticator.principal(_key_of(connection), client)
    connection.scope["state"]["key_id"] = principal.key_id
    authenticator.limit(principal)
    if connection.scope.get("method") == "OPTIONS":
        return  # the framework's own answer, the methods of the path: a key is enough
    access = declared_access(handler)
    if access.scope not in principal.scopes:
        raise ApiError(
            403,
            "scope-missing",
            "The key lacks a scope",
            f"This resource needs the scope {access.scope}.",
            remedy=f"Create a key with it: `python -m serving.keys create --scopes {access.scope} ...`.",
        )
    if principal.role not in access.roles:
        authority = stated_authority(handler)
        fact = "" if authority is None else f" It states the fact {authority.fact}."
        raise ApiError(
            403,
            "role-not-allowed",
            "Not for this role",
            f"This resource is for {', '.join(sorted(access.roles))}; the key has the role {principal.role}."
            + fact,
        )
    if access.owner is not None:
        for party_id in _values_of(connection, f"{access.owner}_id"):
            principal.require_owner(access.owner, party_id)
    for party_id in _values_of(connection, "party_id"):
        for party_type in _values_of(connection, "party_type") or [""]:
            principal.require_owner(party_type, party_id)
    connection.scope["state"]["principal"] = principal


def _values_of(connection: ASGIConnection[Any, Any, Any, Any], parameter: str) -> list[str]:
    in_path = [str(connection.path_params[parameter])] if parameter in connection.path_params else []
    return in_path + list(connection.query_params.getall(parameter, []))


def _key_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    key = connection.headers.get("x-api-key")
    if key is not None:
        return key
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    raise unauthorized("Send the key as X-API-Key, or as Authorization: Bearer.")

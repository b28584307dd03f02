"""`x-scope`, `x-roles`, `x-owner` of keyed operations in the OpenAPI document, as the guard enforces them."""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.routes import HTTPRoute

from serving.security.guard import declared_access, require_scope


def describe_access(app: Litestar, document: dict[str, Any]) -> None:
    """Write whom each route lets in into the operations of an OpenAPI document, in place.

    Operations without a key get nothing.

    Raises:
        KeyError: A keyed route does not declare its scope, roles or owner.
    """
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        operations = document["paths"].get(route.path_format or "/", {})
        for handler in route.route_handlers:
            # The answers to OPTIONS are the framework's own and show nothing.
            if require_scope not in handler.resolve_guards() or handler.http_methods == {"OPTIONS"}:
                continue
            access = declared_access(handler)
            for method in handler.http_methods:
                operation = operations.get(method.lower())
                if operation is not None:
                    operation["x-scope"] = str(access.scope)
                    operation["x-roles"] = sorted(str(role) for role in access.roles)
                    operation["x-owner"] = access.owner

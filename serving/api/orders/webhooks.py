"""`/v1/webhooks`: where a party wants to be told. Signing and sending: `serving.orders.webhooks.delivery`."""

from __future__ import annotations

from typing import Any

from litestar import Request, delete, get, post, put

from serving.api.answers import principal_of, problem_responses
from serving.api.orders.order_work import OptionalIdempotencyKey, made_once, order_transaction
from serving.api.parameters import Identifier
from serving.api.transactions import note, vault_of
from serving.audit import Detail
from serving.orders.contracts import EndpointChange, EndpointPage, EndpointRequest, EndpointView
from serving.orders.errors import InvalidRequestError, NotFoundError
from serving.orders.webhooks import webhooks
from serving.orders.webhooks.webhook_addresses import AddressRefusedError, address_rules, parse, resolve
from serving.security import PARTY_ROLES, Principal, Role, Scope

_OPT = {
    "scope": Scope.WEBHOOKS_WRITE,
    "roles": frozenset({Role.OPERATOR, Role.SUPPLIER, Role.MERCHANT}),
    "owner": None,
}


@post(
    "/webhooks",
    opt=_OPT,
    tags=["Webhooks"],
    summary="Register an address",
    responses=problem_responses(),
    sync_to_thread=True,
)
def add_webhook(
    request: Request[Any, Any, Any],
    data: EndpointRequest,
    idempotency_key: OptionalIdempotencyKey = None,
) -> EndpointView:
    """The secret that signs the messages is in this answer only. An operator names the party.

    A repetition under an `Idempotency-Key` names the same address, without the secret.

    The address is https, outside of the own network, and its host is looked up now; it is kept in one form.
    """
    principal = principal_of(request)
    with order_transaction(request) as (conn, _):
        party_type, party_id = _party(principal, data)
        made: list[EndpointView] = []

        def add() -> dict[str, Detail]:
            url = _looked_up(request, data.url)
            endpoint, secret = webhooks.add_endpoint(
                conn, vault_of(request), principal.tenant_id, party_type, party_id, url
            )
            made.append(_view(endpoint, secret))
            return {"endpoint_id": endpoint.endpoint_id, "party_type": party_type, "party_id": party_id}

        outcome, details = made_once(conn, principal, "webhook.add", idempotency_key, data, add)
        endpoint_id = str(details["endpoint_id"])
        note(request, conn, "webhook.add", "webhook", endpoint_id, outcome=outcome, details=details)
        return made[0] if made else _view(webhooks.find_endpoint(conn, principal.tenant_id, endpoint_id))


@get(
    "/webhooks",
    opt=_OPT,
    tags=["Webhooks"],
    summary="Registered addresses",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_webhooks(request: Request[Any, Any, Any]) -> EndpointPage:
    """Those of the key's party; an operator sees all, the newest first, at most 500."""
    principal = principal_of(request)
    party_type = str(principal.role) if principal.role in PARTY_ROLES else None
    with order_transaction(request) as (conn, _):
        found = webhooks.endpoints_of(conn, principal.tenant_id, party_type, principal.party_id)
    return EndpointPage(endpoints=[_view(endpoint) for endpoint in found])


@get(
    "/webhooks/{endpoint_id:str}",
    opt=_OPT,
    tags=["Webhooks"],
    summary="One registered address",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_webhook(request: Request[Any, Any, Any], endpoint_id: Identifier) -> EndpointView:
    """Without its secret."""
    with order_transaction(request) as (conn, _):
        return _view(_reachable(conn, principal_of(request), endpoint_id))


@put(
    "/webhooks/{endpoint_id:str}",
    opt=_OPT,
    tags=["Webhooks"],
    summary="Change an address",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def change_webhook(
    request: Request[Any, Any, Any], endpoint_id: Identifier, data: EndpointChange
) -> EndpointView:
    """The secret stays. Ended ones (`is_active` false) are sent nothing; what waited for them is given up."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, _):
        known = _reachable(conn, principal, endpoint_id)
        # An address that leads nowhere any more can still be ended.
        is_kept = data.url == known.url and not data.is_active
        url = known.url if is_kept else _looked_up(request, data.url)
        webhooks.change_endpoint(conn, principal.tenant_id, endpoint_id, url, data.is_active)
        note(request, conn, "webhook.change", "webhook", endpoint_id)
        return _view(webhooks.find_endpoint(conn, principal.tenant_id, endpoint_id))


@delete(
    "/webhooks/{endpoint_id:str}",
    opt=_OPT,
    tags=["Webhooks"],
    summary="End an address",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def end_webhook(request: Request[Any, Any, Any], endpoint_id: Identifier) -> None:
    """It is sent nothing more; what waited for it is given up. Its record stays."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, _):
        endpoint = _reachable(conn, principal, endpoint_id)
        webhooks.change_endpoint(conn, principal.tenant_id, endpoint_id, endpoint.url, False)
        note(request, conn, "webhook.end", "webhook", endpoint_id)


def _looked_up(request: Request[Any, Any, Any], url: str) -> str:
    """The address in its one form.

    Raises:
        InvalidRequestError: Nothing may be sent there.
    """
    rules = address_rules(request.app.state.settings)
    try:
        address = parse(url, rules)
        resolve(address, rules)
    except AddressRefusedError as error:
        raise InvalidRequestError("url", str(error)) from error
    return str(address)


def _party(principal: Principal, data: EndpointRequest) -> tuple[str, str]:
    if principal.role in PARTY_ROLES:
        party_type = data.party_type or str(principal.role)
        party_id = data.party_id or str(principal.party_id)
        principal.require_owner(party_type, party_id)
        return party_type, party_id
    if data.party_type is None or data.party_id is None:
        raise InvalidRequestError("party_id", "name party_type and party_id: whose address it is")
    return data.party_type, data.party_id


def _reachable(conn: Any, principal: Principal, endpoint_id: str) -> webhooks.Endpoint:
    endpoint = webhooks.find_endpoint(conn, principal.tenant_id, endpoint_id)
    if not principal.owns(endpoint.party_type, endpoint.party_id):
        raise NotFoundError("webhook-endpoint", endpoint_id)
    return endpoint


def _view(endpoint: webhooks.Endpoint, secret: str | None = None) -> EndpointView:
    return EndpointView(
        endpoint_id=endpoint.endpoint_id,
        party_type=endpoint.party_type,
        party_id=endpoint.party_id,
        url=endpoint.url,
        is_active=endpoint.is_active,
        secret=secret,
    )


WEBHOOK_ROUTES = (
    add_webhook,
    change_webhook,
    end_webhook,
    get_webhook,
    list_webhooks,
)
"""Handlers of this resource, for the application."""

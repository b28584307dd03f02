"""`POST /v1/events`: behaviour events in batches."""

from __future__ import annotations

from typing import Any

import psycopg
from litestar import Request, post

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.feeds.batch_body import batch_operation
from serving.api.transactions import note, tenant_transaction
from serving.events.contracts import MOST_EVENTS, Event, EventReceipt
from serving.events.intake import receive
from serving.events.reading import EventBatchError, MerchantLimit, read_batch
from serving.problems import ApiError
from serving.security import Principal, Role, Scope

_ROLES = frozenset({Role.OPERATOR, Role.MERCHANT, Role.AGENT})


@post(
    "/events",
    opt={"scope": Scope.EVENTS_WRITE, "roles": _ROLES, "owner": None},
    tags=["Events"],
    summary="Take in behaviour events",
    status_code=200,
    responses=problem_responses(413),
    operation_class=batch_operation(Event, "events", MOST_EVENTS),
    sync_to_thread=True,
)
def post_events(request: Request[Any, Any, Any], body: bytes) -> EventReceipt:
    """Good events are stored once each, by `event_id`; the others are reported with index and reason.

    A merchant's key sends events of its merchant only, an agent's key those of the merchant it sells for. The
    whole batch may be sent again after a failure.
    """
    principal = principal_of(request)
    with tenant_transaction(request) as conn:
        now = now_of(request, conn)
        try:
            batch = read_batch(body, received_at=now, only=_only_merchant(conn, principal))
        except EventBatchError as error:
            raise ApiError(422, "invalid-event-batch", "Not a batch of events", str(error)) from error
        receipt = receive(conn, principal.tenant_id, batch, now)
        note(
            request,
            conn,
            "event.receive",
            "event_batch",
            request.scope["state"]["request_id"],
            details={"received": receipt.received, "accepted": receipt.accepted, "refused": receipt.refused},
        )
    return receipt


def _only_merchant(conn: psycopg.Connection[Any], principal: Principal) -> MerchantLimit | None:
    """The merchant that the key speaks for; None for operators, who speak for all."""
    if principal.role is Role.OPERATOR:
        return None
    if principal.role is not Role.AGENT:
        return MerchantLimit(principal.merchant_id)
    row = conn.execute(
        "select merchant_id from agents.agent where tenant_id = %s and agent_id = %s",
        (principal.tenant_id, principal.party_id),
    ).fetchone()
    return MerchantLimit(row[0] if row else None)

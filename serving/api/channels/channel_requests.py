"""`/v1/channel-requests`: what payment channels are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.channels.channels import channel_problems
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import order_transaction
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note
from serving.channels.requests import Request as Asked
from serving.channels.requests import requests_page, retry_request
from serving.security import Role, Scope

_State = Annotated[
    Literal["requested", "accepted", "done", "failed"] | None, Parameter(description="Only these; else all.")
]


class ChannelRequestView(Struct, frozen=True, kw_only=True):
    """A request to a channel."""

    reference: Annotated[str, Meta(description="Our id of it at the channel.")]
    kind: Annotated[str, Meta(description="`refund`, `payout`, `split`, `split_return` or `unfreeze`.")]
    subject: Annotated[str, Meta(description="The refund, the pay-out, or `misfit:<id>`.")]
    channel_id: str
    order_id: str | None
    party_type: str | None
    party_id: str | None
    amount_cents: int
    state: Annotated[str, Meta(description="`requested`, `accepted`, `done` or `failed`.")]
    attempts: int
    last_answer: str | None
    failure: str | None
    requested_at: datetime
    resolved_at: datetime | None


class ChannelRequestPage(Struct, frozen=True, kw_only=True):
    """Requests by reference."""

    requests: list[ChannelRequestView]
    next_cursor: str | None


@get(
    "/channel-requests",
    opt={"scope": Scope.LEDGER_READ, "roles": frozenset({Role.OPERATOR, Role.AUDITOR}), "owner": None},
    tags=["Channels"],
    summary="Refunds and pay-outs asked of channels",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_channel_requests(
    request: Request[Any, Any, Any],
    status: _State = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> ChannelRequestPage:
    """What is failed needs somebody: the buyer is still owed a refund; a pay-out is the party's again."""
    position = read_cursor(cursor, "channel_requests")
    after = "" if position is None else str(position.key[0])
    with order_transaction(request) as (conn, _):
        found = requests_page(conn, principal_of(request).tenant_id, status, after=after, limit=limit + 1)
        note(request, conn, "channel_request.list", "channel_request", status or "all")
    return ChannelRequestPage(
        requests=[_view(one) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "channel_requests", lambda one: [one.reference]),
    )


@post(
    "/channel-requests/{reference:str}/retry",
    opt={"scope": Scope.PAYMENTS_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Channels"],
    summary="Ask a channel again",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_channel_request_retry(request: Request[Any, Any, Any], reference: Identifier) -> ChannelRequestView:
    """Under the same reference, so that the channel does it once; the worker asks within seconds."""
    with channel_problems(), order_transaction(request) as (conn, _):
        found = retry_request(conn, principal_of(request).tenant_id, reference, datetime.now(UTC))
        note(request, conn, "channel_request.retry", "channel_request", reference)
    return _view(found)


CHANNEL_REQUEST_ROUTES = (list_channel_requests, post_channel_request_retry)
"""Handlers of this resource, for the application."""


def _view(asked: Asked) -> ChannelRequestView:
    return ChannelRequestView(
        reference=asked.reference,
        kind=asked.kind,
        subject=asked.subject,
        channel_id=asked.channel_id,
        order_id=asked.order_id,
        party_type=asked.party_type,
        party_id=asked.party_id,
        amount_cents=asked.amount_cents,
        state=asked.state,
        attempts=asked.attempts,
        last_answer=asked.last_answer,
        failure=asked.failure,
        requested_at=asked.requested_at,
        resolved_at=asked.resolved_at,
    )

"""`/v1/stock-pushes`: stock that a supplier's system pushes under its own signature; the systems."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import psycopg
from litestar import Request, Router, get, post, put
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.channels.channels import channel_problems, refusals_limited
from serving.api.orders.order_work import order_problems, order_transaction
from serving.api.orders.stock import take_stock
from serving.api.parameters import Identifier
from serving.api.transactions import note
from serving.audit import record
from serving.db.operations import Operations
from serving.orders.assortment.stock_pushes import (
    PushSource,
    Signed,
    add_source,
    believed,
    change_source,
    sources_of,
    tenant_of_push,
)
from serving.orders.clock import BusinessClock
from serving.orders.contracts import StockBatch, TakenOver
from serving.problems import ApiError
from serving.rate_limit import RateLimiter
from serving.security import Principal, Role, Scope, stated_authority

LONGEST_PUSH = 512 * 1024
"""Bytes of a message: a thousand lines have room."""
_PUSHED_PER_S = 5.0
_PUSHED_BURST = 50
_WRITE = {
    "scope": Scope.STOCK_WRITE,
    "roles": frozenset({Role.OPERATOR, Role.SUPPLIER}),
    "owner": "supplier",
}
_OF_SUPPLIER = "/suppliers/{supplier_id:str}/push-sources"
_Pem = Annotated[
    str, Meta(min_length=1, max_length=20_000, description="Public key or certificate, PEM: RSA or Ed25519.")
]
_Call = Request[Any, Any, Any]


class NewPushSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A system that will push stock."""

    public_key: _Pem


class PushSourceChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new key, or the end of a system."""

    public_key: _Pem
    is_active: bool = True


class PushSourceView(Struct, frozen=True, kw_only=True):
    """A system that pushes stock."""

    source_id: str
    public_key: str
    is_active: bool
    created_at: datetime
    path: Annotated[str, Meta(description="Where it is to push to.")]


class PushSourceList(Struct, frozen=True, kw_only=True):
    """Systems of a supplier, the oldest first, at most 500."""

    sources: list[PushSourceView]


@post(
    _OF_SUPPLIER,
    opt=_WRITE,
    tags=["Fulfilment"],
    summary="Register a system that pushes stock",
    responses=problem_responses(422),
    sync_to_thread=True,
)
def post_push_source(request: _Call, supplier_id: Identifier, data: NewPushSource) -> PushSourceView:
    """What is signed by the key of this public key states the supplier's stock, without a key of ours."""
    with channel_problems(), order_transaction(request) as (conn, now):
        made = add_source(conn, principal_of(request).tenant_id, supplier_id, data.public_key, now)
        note(request, conn, "push_source.add", "push_source", made.source_id)
    return _view(made)


@get(
    _OF_SUPPLIER,
    opt={
        "scope": Scope.FULFILMENT_READ,
        "roles": frozenset({Role.OPERATOR, Role.SUPPLIER, Role.AUDITOR}),
        "owner": "supplier",
    },
    tags=["Fulfilment"],
    summary="Systems that push stock",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_push_sources(request: _Call, supplier_id: Identifier) -> PushSourceList:
    """Ended ones, too."""
    with order_transaction(request) as (conn, _):
        found = sources_of(conn, principal_of(request).tenant_id, supplier_id)
    return PushSourceList(sources=[_view(one) for one in found])


@put(
    _OF_SUPPLIER + "/{source_id:str}",
    opt=_WRITE,
    tags=["Fulfilment"],
    summary="Renew the key of a system that pushes stock, or end it",
    status_code=204,
    responses=problem_responses(404, 409, 422),
    sync_to_thread=True,
)
def put_push_source(
    request: _Call, supplier_id: Identifier, source_id: Identifier, data: PushSourceChange
) -> None:
    """From now on what the old key signed is not believed."""
    tenant_id = principal_of(request).tenant_id
    with channel_problems(), order_transaction(request) as (conn, _):
        change_source(conn, tenant_id, supplier_id, source_id, data.public_key, data.is_active)
        note(
            request,
            conn,
            "push_source.change",
            "push_source",
            source_id,
            details={"is_active": data.is_active},
        )


@post(
    "/stock-pushes/{source_id:str}",
    tags=["Fulfilment"],
    summary="What a supplier's system pushes",
    description=(
        "Without a key of ours: the signature of the system is the proof, over `source_id`, `timestamp`,"
        " `nonce` and the body as sent, each followed by a line break. Headers `Muyun-Timestamp` (seconds"
        " since 1970, five minutes off our clock at most), `Muyun-Nonce` (once), `Muyun-Signature` (base64)."
        " The body is that of `PUT /v1/suppliers/{supplier_id}/stock`, with the same rules. Of what is"
        " refused nothing is taken; the same counts may be signed again with another nonce."
    ),
    status_code=200,
    responses=problem_responses(),
    request_max_body_size=LONGEST_PUSH,
    sync_to_thread=True,
)
def post_stock_push(
    request: _Call,
    source_id: Annotated[str, Parameter(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+(?!\n)$")],
    body: bytes,
) -> TakenOver:
    """Verify, take in, and spend the nonce, in one transaction."""
    operations: Operations = request.app.state.operations
    clock: BusinessClock = request.app.state.clock
    signed = Signed(
        *(request.headers.get(f"muyun-{name}", "") for name in ("timestamp", "nonce", "signature"))
    )
    with refusals_limited(request), order_problems():
        with operations.transaction("") as conn:
            tenant = tenant_of_push(conn, source_id)
        with operations.transaction(tenant) as conn:
            supplier_id = believed(conn, tenant, source_id, signed, body, datetime.now(UTC))
            _limit(request, source_id)
            data = _batch(body)
            taken = take_stock(conn, tenant, supplier_id, data, clock.now(conn, tenant))
            _note(
                request,
                conn,
                Principal(source_id, tenant, Role.SUPPLIER, supplier_id, frozenset()),
                data,
                taken,
            )
    return taken


def _limit(request: _Call, source_id: str) -> None:
    """Only what is believed takes from a system's pace: nobody else can use it up."""
    limiter: RateLimiter = request.app.state.notice_limiter
    wait = limiter.take(f"push {source_id}", rate_per_s=_PUSHED_PER_S, burst=_PUSHED_BURST)
    if wait > 0:
        raise ApiError(
            429,
            "too-many-requests",
            "Too many requests",
            "The system pushes faster than its counts can be taken in.",
            headers={"Retry-After": str(int(wait) + 1)},
        )


def _note(
    request: _Call, conn: psycopg.Connection[Any], system: Principal, data: StockBatch, taken: TakenOver
) -> None:
    """What a system states stands in the log as what a key states; the system stands for the key."""
    authority = stated_authority(request.route_handler)
    record(
        conn,
        system,
        "stock.push",
        "supplier",
        str(system.party_id),
        request_id=request.scope["state"].get("request_id", ""),
        details={"skus": len(data.stock), "accepted": len(taken.accepted)},
        authority=None if authority is None else authority.fact,
    )


def _batch(body: bytes) -> StockBatch:
    try:
        return msgspec.json.decode(body, type=StockBatch)
    except msgspec.MsgspecError as error:
        raise ApiError(
            422,
            "stock-push-body",
            "Not a statement of stock",
            str(error),
            remedy="Send what PUT /v1/suppliers/{supplier_id}/stock takes.",
        ) from error


def _view(source: PushSource) -> PushSourceView:
    return PushSourceView(
        source_id=source.source_id,
        public_key=source.public_key,
        is_active=source.is_active,
        created_at=source.created_at,
        path=f"/v1/stock-pushes/{source.source_id}",
    )


PUSH_SOURCE_ROUTES = (post_push_source, list_push_sources, put_push_source)
"""Handlers of this resource that ask for a key, for the application."""


def pushes_router() -> Router:
    """The route that suppliers' systems call: no key is asked for."""
    return Router("/v1", route_handlers=[post_stock_push])

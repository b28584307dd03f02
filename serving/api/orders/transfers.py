"""`/v1/transfers`: units that go from one warehouse of a supplier to another, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import (
    IdempotencyKey,
    OptionalIdempotencyKey,
    noted_move,
    order_transaction,
)
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note
from serving.audit import Detail, Outcome
from serving.db.idempotency import once
from serving.orders.contracts import Id, Qty, StockQty
from serving.security import Role, Scope
from serving.transfers.moving import NewTransfer, cancel, plan, receive, ship
from serving.transfers.records import Transfer, find_transfer, transfers_page

_OPERATOR = {"scope": Scope.PURCHASES_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None}
_SUPPLIER = {
    "scope": Scope.FULFILMENT_WRITE,
    "roles": frozenset({Role.OPERATOR, Role.SUPPLIER}),
    "owner": "supplier",
}
_OF_SUPPLIER = "/suppliers/{supplier_id:str}/transfers"
_Reason = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}(?!\n)$", examples=["not_needed"])]
_Status = Annotated[
    Literal["planned", "shipped", "received", "cancelled"] | None,
    Parameter(description="Only these; else all."),
]
_Call = Request[Any, Any, Any]


class _Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is taken: a misspelt field is told, not ignored."""


class PlanTransfer(_Body, frozen=True, kw_only=True):
    """Free units of a sku that shall go to another warehouse of their supplier."""

    supplier_id: Id
    sku_id: Id
    from_warehouse_id: Id
    to_warehouse_id: Id
    qty: Qty
    expected_on: Annotated[date, Meta(description="Day by which they should be there.")]


class TransferUnits(_Body, frozen=True, kw_only=True):
    """Units that left or arrived, as counted."""

    qty: Annotated[StockQty | None, Meta(description="Null: all of them.")] = None


class TransferReason(_Body, frozen=True, kw_only=True):
    """Why."""

    reason_code: _Reason


class TransferView(Struct, frozen=True, kw_only=True):
    """A transfer."""

    transfer_id: str
    supplier_id: str
    sku_id: str
    from_warehouse_id: str
    to_warehouse_id: str
    status: Annotated[
        str,
        Meta(
            description="`planned`: the units are kept where they lie; `shipped`: they lie in no warehouse"
            " and cannot be ordered; `received`; `cancelled`."
        ),
    ]
    cause: Annotated[
        str, Meta(description="`approved`, `stated`, or `alarm`: an alternative of one was taken.")
    ]
    planned_qty: int
    shipped_qty: int
    received_qty: Annotated[int, Meta(description="What is missing against `shipped_qty` is lost.")]
    planned_at: datetime
    expected_on: date
    shipped_at: datetime | None
    closed_at: datetime | None
    reason_code: str | None


class TransferPage(Struct, frozen=True, kw_only=True):
    """Transfers by id."""

    transfers: list[TransferView]
    next_cursor: str | None


@get(
    "/transfers",
    opt={"scope": Scope.REORDER, "roles": frozenset({Role.OPERATOR, Role.AUDITOR}), "owner": None},
    tags=["Transfers"],
    summary="Transfers between warehouses",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_transfers(
    request: _Call, status: _Status = None, limit: PageSize = 100, cursor: CursorText = None
) -> TransferPage:
    """Of all suppliers. What is suggested waits as an approval of the kind `transfer`."""
    return _page(request, None, status, limit, cursor)


@get(
    _OF_SUPPLIER,
    opt={
        "scope": Scope.REORDER,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.SUPPLIER}),
        "owner": "supplier",
    },
    tags=["Transfers"],
    summary="Transfers of a supplier",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_supplier_transfers(
    request: _Call,
    supplier_id: Identifier,
    status: _Status = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> TransferPage:
    """What it shall send to another warehouse; new ones come as the webhook `transfer.planned` as well."""
    return _page(request, supplier_id, status, limit, cursor)


@post(
    "/transfers",
    opt=_OPERATOR,
    tags=["Transfers"],
    summary="Plan a transfer by hand",
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_transfer(request: _Call, data: PlanTransfer, idempotency_key: IdempotencyKey) -> TransferView:
    """Only of a sku that its supplier counts by warehouse; the units are kept for it at once."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):

        def make() -> tuple[int, dict[str, str]]:
            new = NewTransfer(
                data.supplier_id,
                data.sku_id,
                data.from_warehouse_id,
                data.to_warehouse_id,
                data.qty,
                data.expected_on,
            )
            planned = plan(conn, principal.tenant_id, new, "stated", principal.key_id, now)
            return 201, {"transfer_id": planned}

        answer = once(conn, principal, "transfer.plan", idempotency_key, data, make)
        transfer_id = answer.document["transfer_id"]
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        note(request, conn, "transfer.plan", "transfer", transfer_id, outcome=outcome)
        return _view(find_transfer(conn, principal.tenant_id, transfer_id))


@post(
    "/transfers/{transfer_id:str}/cancel",
    opt=_OPERATOR,
    tags=["Transfers"],
    summary="Take a transfer back that has not left",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_transfer_cancel(
    request: _Call,
    transfer_id: Identifier,
    data: TransferReason,
    idempotency_key: OptionalIdempotencyKey = None,
) -> TransferView:
    """Its units are free again."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        cancel(conn, tenant, transfer_id, data.reason_code, now)
        return {"reason_code": data.reason_code}

    return _moved(request, "cancel", transfer_id, idempotency_key, data, move)


@post(
    f"{_OF_SUPPLIER}/{{transfer_id:str}}/shipment",
    opt=_SUPPLIER,
    tags=["Transfers"],
    summary="Units of a transfer left their warehouse",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_transfer_shipment(
    request: _Call,
    supplier_id: Identifier,
    transfer_id: Identifier,
    data: TransferUnits,
    idempotency_key: OptionalIdempotencyKey = None,
) -> TransferView:
    """Once; fewer than planned frees the rest. Nobody can order them until they arrive."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        return {"qty": ship(conn, tenant, supplier_id, transfer_id, data.qty, now)}

    return _moved(request, "ship", transfer_id, idempotency_key, data, move)


@post(
    f"{_OF_SUPPLIER}/{{transfer_id:str}}/receipt",
    opt=_SUPPLIER,
    tags=["Transfers"],
    summary="Units of a transfer arrived",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_transfer_receipt(
    request: _Call,
    supplier_id: Identifier,
    transfer_id: Identifier,
    data: TransferUnits,
    idempotency_key: OptionalIdempotencyKey = None,
) -> TransferView:
    """Once; they can be ordered from the other warehouse at once. Fewer than left: the rest is lost."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        return {"qty": receive(conn, tenant, supplier_id, transfer_id, data.qty, now)}

    return _moved(request, "receive", transfer_id, idempotency_key, data, move)


TRANSFER_ROUTES = (
    list_transfers,
    list_supplier_transfers,
    post_transfer,
    post_transfer_cancel,
    post_transfer_shipment,
    post_transfer_receipt,
)
"""Handlers of this resource, for the application."""


def _moved(
    request: _Call,
    act: str,
    transfer_id: str,
    key: str | None,
    body: object,
    move: Callable[[Any, str, datetime], Mapping[str, Detail]],
) -> TransferView:
    tenant, thing = principal_of(request).tenant_id, ("transfer", transfer_id)
    with order_transaction(request) as (conn, now):
        noted_move(request, conn, f"transfer.{act}", thing, key, body, lambda: move(conn, tenant, now))
        return _view(find_transfer(conn, tenant, transfer_id))


def _page(
    request: _Call, supplier_id: str | None, status: str | None, limit: int, cursor: str | None
) -> TransferPage:
    position = read_cursor(cursor, "transfers")
    with order_transaction(request) as (conn, _):
        found = transfers_page(
            conn,
            principal_of(request).tenant_id,
            supplier_id=supplier_id,
            status=status,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
        note(request, conn, "transfer.list", "supplier", supplier_id or "all")
    return TransferPage(
        transfers=[_view(one) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "transfers", lambda one: [one.transfer_id]),
    )


def _view(transfer: Transfer) -> TransferView:
    return TransferView(**{name: getattr(transfer, name) for name in TransferView.__struct_fields__})

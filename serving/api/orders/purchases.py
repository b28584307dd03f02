"""`/v1/purchase-orders`: what suppliers are to bring in, what they answer and ship, and what arrived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post, put
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import (
    IdempotencyKey,
    OptionalIdempotencyKey,
    noted_move,
    once_each,
    order_transaction,
)
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note
from serving.audit import Detail, Outcome
from serving.db.idempotency import once
from serving.orders.contracts import Cents, Id, Qty, StockQty
from serving.purchasing.answering import (
    Promise,
    agree_purchase,
    answer_purchase,
    cancel_purchase,
    decline_purchase,
)
from serving.purchasing.arrivals import close_short, receive_purchase, ship_purchase
from serving.purchasing.placing import place_stated
from serving.purchasing.policies import ALL_OTHERS, Policy, policies_of, put_policy
from serving.purchasing.records import PurchaseOrder, find_purchase, purchases_page, shares_page
from serving.security import Role, Scope

_OPERATOR = {"scope": Scope.PURCHASES_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None}
_SUPPLIER = {
    "scope": Scope.FULFILMENT_WRITE,
    "roles": frozenset({Role.OPERATOR, Role.SUPPLIER}),
    "owner": "supplier",
}
_READ = {"scope": Scope.REORDER, "roles": frozenset({Role.OPERATOR, Role.AUDITOR}), "owner": None}
_ONE = "/purchase-orders/{purchase_order_id:str}"
_OF_SUPPLIER = "/suppliers/{supplier_id:str}/purchase-orders"
_Reason = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}(?!\n)$", examples=["out_of_season"])]
_Status = Annotated[
    Literal["placed", "changed", "confirmed", "shipped", "received", "closed", "declined", "cancelled"]
    | None,
    Parameter(description="Only these; else all."),
]
_Call = Request[Any, Any, Any]


class _Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is taken: a misspelt field is told, not ignored."""


class UnitsOfSku(_Body, frozen=True, kw_only=True):
    """Units of a sku."""

    sku_id: Id
    qty: Qty


_Lines = Annotated[list[UnitsOfSku], Meta(min_length=1, max_length=1000)]


class PlacePurchase(_Body, frozen=True, kw_only=True):
    """A purchase order that an operator states; prices are those of the offers in force."""

    supplier_id: Id
    lines: _Lines


class PromiseOfSku(_Body, frozen=True, kw_only=True):
    """What the supplier brings of a sku, 0 for none, and by which day."""

    sku_id: Id
    qty: StockQty
    promised_on: date


class AnswerPurchase(_Body, frozen=True, kw_only=True):
    """The supplier's answer; a sku that is not named is brought as ordered."""

    lines: Annotated[list[PromiseOfSku], Meta(max_length=1000)] = []


class PurchaseReason(_Body, frozen=True, kw_only=True):
    """Why."""

    reason_code: _Reason


class PurchaseUnits(_Body, frozen=True, kw_only=True):
    """Units on their way."""

    lines: _Lines


class PurchaseReceipt(_Body, frozen=True, kw_only=True):
    """Units as they were counted when they arrived, and in which warehouse."""

    lines: _Lines
    warehouse_id: Annotated[
        Id | None, Meta(description="Null: the fullest one, of skus that are counted by warehouse.")
    ] = None


class PurchaseLineView(Struct, frozen=True, kw_only=True):
    """One sku of a purchase order; null before the supplier answered."""

    sku_id: str
    ordered_qty: int
    confirmed_qty: int | None
    shipped_qty: int
    received_qty: int
    supply_price_cents: Cents
    promised_on: date | None


class PurchaseView(Struct, frozen=True, kw_only=True):
    """A purchase order."""

    purchase_order_id: str
    supplier_id: str
    status: Annotated[
        str,
        Meta(
            description="`placed`, `changed` (by the supplier: agree or cancel), `confirmed`, `shipped`,"
            " `received`, `declined` or `cancelled`."
        ),
    ]
    cause: Annotated[str, Meta(description="`auto`, `approved` or `stated`.")]
    placed_at: datetime
    expected_on: date
    answered_at: datetime | None
    shipped_at: datetime | None
    closed_at: datetime | None
    reason_code: str | None
    lines: list[PurchaseLineView]


class PurchasePage(Struct, frozen=True, kw_only=True):
    """Purchase orders by id."""

    purchase_orders: list[PurchaseView]
    next_cursor: str | None


class MerchantPurchase(Struct, frozen=True, kw_only=True):
    """A line that a merchant's customers wait for; `qty` units of it are expected to sell there."""

    purchase_order_id: str
    sku_id: str
    status: str
    expected_on: Annotated[date, Meta(description="What the supplier promised, else the offer's lead time.")]
    ordered_qty: int
    received_qty: int
    qty: int


class MerchantPurchasePage(Struct, frozen=True, kw_only=True):
    """Lines by purchase order and sku."""

    lines: list[MerchantPurchase]
    next_cursor: str | None


class PurchasePolicy(_Body, frozen=True, kw_only=True):
    """How the suggestions of a category become purchase orders."""

    category_id: Annotated[
        Id, Meta(description=f"With all below it; `{ALL_OTHERS}`: every one without a policy.")
    ]
    mode: Annotated[
        Literal["auto", "approve", "off"],
        Meta(description="Ordered at once, asked for, or left to whoever reads the suggestions."),
    ]
    max_cents: Annotated[Cents, Meta(description="`auto`: what a line may be worth; more is asked for.")] = 0


class PurchasePolicies(Struct, frozen=True, kw_only=True):
    """Policies by category."""

    policies: list[PurchasePolicy]


@get(
    "/purchase-orders",
    opt=_READ,
    tags=["Purchasing"],
    summary="Purchase orders",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_purchases(
    request: _Call, status: _Status = None, limit: PageSize = 100, cursor: CursorText = None
) -> PurchasePage:
    """Of all suppliers."""
    return _page(request, None, status, limit, cursor)


@get(
    _OF_SUPPLIER,
    opt={
        "scope": Scope.REORDER,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.SUPPLIER}),
        "owner": "supplier",
    },
    tags=["Purchasing"],
    summary="Purchase orders of a supplier",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_supplier_purchases(
    request: _Call,
    supplier_id: Identifier,
    status: _Status = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> PurchasePage:
    """What it is asked for; new ones come as the webhook `purchase_order.placed` as well."""
    return _page(request, supplier_id, status, limit, cursor)


@get(
    "/merchants/{merchant_id:str}/purchase-orders",
    opt={
        "scope": Scope.REORDER,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT}),
        "owner": "merchant",
    },
    tags=["Purchasing"],
    summary="What is on its way for a merchant",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_merchant_purchases(
    request: _Call,
    merchant_id: Identifier,
    status: _Status = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> MerchantPurchasePage:
    """Its share of each line, as the suggestion was made; without suppliers' prices."""
    position = read_cursor(cursor, "merchant_purchases")
    after = (str(position.key[0]), str(position.key[1])) if position else ("", "")
    with order_transaction(request) as (conn, _):
        tenant = principal_of(request).tenant_id
        found = shares_page(conn, tenant, merchant_id, status=status, after=after, limit=limit + 1)
        note(request, conn, "purchase.list", "merchant", merchant_id)
    return MerchantPurchasePage(
        lines=[
            MerchantPurchase(**{name: getattr(one, name) for name in MerchantPurchase.__struct_fields__})
            for one in found[:limit]
        ],
        next_cursor=cursor_after(
            found, limit, "merchant_purchases", lambda one: [one.purchase_order_id, one.sku_id]
        ),
    )


@post(
    "/purchase-orders",
    opt=_OPERATOR,
    tags=["Purchasing"],
    summary="Order at a supplier",
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_purchase(request: _Call, data: PlacePurchase, idempotency_key: IdempotencyKey) -> PurchaseView:
    """By hand; suggestions are ordered every night by the policies of their categories."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        once_each("lines", [line.sku_id for line in data.lines])

        def place() -> tuple[int, dict[str, str]]:
            placed = place_stated(
                conn, principal.tenant_id, data.supplier_id, _units(data.lines), now, principal.key_id
            )
            return 201, {"purchase_order_id": placed}

        answer = once(conn, principal, "purchase.place", idempotency_key, data, place)
        purchase_order_id = answer.document["purchase_order_id"]
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        note(request, conn, "purchase.place", "purchase_order", purchase_order_id, outcome=outcome)
        return _view(find_purchase(conn, principal.tenant_id, purchase_order_id))


@post(
    f"{_OF_SUPPLIER}/{{purchase_order_id:str}}/answer",
    opt=_SUPPLIER,
    tags=["Purchasing"],
    summary="A supplier says what it brings",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_purchase_answer(
    request: _Call,
    supplier_id: Identifier,
    purchase_order_id: Identifier,
    data: AnswerPurchase,
    idempotency_key: OptionalIdempotencyKey = None,
) -> PurchaseView:
    """As ordered: `confirmed`. Fewer units or a later day: `changed`, until the operator decides."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        once_each("lines", [line.sku_id for line in data.lines])
        promises = {line.sku_id: Promise(line.qty, line.promised_on) for line in data.lines}
        event = answer_purchase(conn, tenant, supplier_id, purchase_order_id, promises, now)
        return {"event": event}

    return _moved(request, "answer", purchase_order_id, idempotency_key, data, move)


@post(
    f"{_OF_SUPPLIER}/{{purchase_order_id:str}}/decline",
    opt=_SUPPLIER,
    tags=["Purchasing"],
    summary="A supplier brings nothing of an order",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_purchase_decline(
    request: _Call,
    supplier_id: Identifier,
    purchase_order_id: Identifier,
    data: PurchaseReason,
    idempotency_key: OptionalIdempotencyKey = None,
) -> PurchaseView:
    """The order ends."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        decline_purchase(conn, tenant, supplier_id, purchase_order_id, data.reason_code, now)
        return {"reason_code": data.reason_code}

    return _moved(request, "decline", purchase_order_id, idempotency_key, data, move)


@post(
    f"{_OF_SUPPLIER}/{{purchase_order_id:str}}/shipments",
    opt=_SUPPLIER,
    tags=["Purchasing"],
    summary="Units of a purchase order are on their way",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_purchase_shipment(
    request: _Call,
    supplier_id: Identifier,
    purchase_order_id: Identifier,
    data: PurchaseUnits,
    idempotency_key: IdempotencyKey,
) -> PurchaseView:
    """In parts or whole; never more than what was confirmed."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        once_each("lines", [line.sku_id for line in data.lines])
        ship_purchase(conn, tenant, supplier_id, purchase_order_id, _units(data.lines), now)
        return {"skus": len(data.lines)}

    return _moved(request, "ship", purchase_order_id, idempotency_key, data, move)


@post(
    f"{_ONE}/agree",
    opt=_OPERATOR,
    tags=["Purchasing"],
    summary="Take what a supplier changed",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_purchase_agree(
    request: _Call, purchase_order_id: Identifier, idempotency_key: OptionalIdempotencyKey = None
) -> PurchaseView:
    """The order is confirmed as the supplier changed it."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        agree_purchase(conn, tenant, purchase_order_id)
        return {}

    return _moved(request, "agree", purchase_order_id, idempotency_key, None, move)


@post(
    f"{_ONE}/cancel",
    opt=_OPERATOR,
    tags=["Purchasing"],
    summary="Take a purchase order back",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_purchase_cancel(
    request: _Call,
    purchase_order_id: Identifier,
    data: PurchaseReason,
    idempotency_key: OptionalIdempotencyKey = None,
) -> PurchaseView:
    """As long as nothing of it was shipped."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        cancel_purchase(conn, tenant, purchase_order_id, data.reason_code, now)
        return {"reason_code": data.reason_code}

    return _moved(request, "cancel", purchase_order_id, idempotency_key, data, move)


@post(
    f"{_ONE}/receipts",
    opt=_OPERATOR,
    tags=["Purchasing"],
    summary="Units of a purchase order arrived",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_purchase_receipt(
    request: _Call, purchase_order_id: Identifier, data: PurchaseReceipt, idempotency_key: IdempotencyKey
) -> PurchaseView:
    """They are stock of the supplier's offers at once; with the last of what was confirmed it closes."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        once_each("lines", [line.sku_id for line in data.lines])
        receive_purchase(conn, tenant, purchase_order_id, _units(data.lines), now, data.warehouse_id)
        return {"skus": len(data.lines)}

    return _moved(request, "receive", purchase_order_id, idempotency_key, data, move)


@post(
    f"{_ONE}/close",
    opt=_OPERATOR,
    tags=["Purchasing"],
    summary="Wait no longer for the rest of a purchase order",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_purchase_close(
    request: _Call,
    purchase_order_id: Identifier,
    data: PurchaseReason,
    idempotency_key: OptionalIdempotencyKey = None,
) -> PurchaseView:
    """What is missing counts as not on order from now on."""

    def move(conn: Any, tenant: str, now: datetime) -> Mapping[str, Detail]:
        close_short(conn, tenant, purchase_order_id, data.reason_code, now)
        return {"reason_code": data.reason_code}

    return _moved(request, "close", purchase_order_id, idempotency_key, data, move)


@get(
    "/purchase-policies",
    opt=_READ,
    tags=["Purchasing"],
    summary="How suggestions become purchase orders",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_purchase_policies(request: _Call) -> PurchasePolicies:
    """Of every category that has a policy."""
    with order_transaction(request) as (conn, _):
        found = policies_of(conn, principal_of(request).tenant_id)
    return PurchasePolicies(
        policies=[
            PurchasePolicy(category_id=one.category_id, mode=one.mode, max_cents=one.max_cents)
            for one in found
        ]
    )


@put(
    "/purchase-policies",
    opt=_OPERATOR,
    tags=["Purchasing"],
    summary="State how the suggestions of a category become purchase orders",
    status_code=204,
    responses=problem_responses(),
    sync_to_thread=True,
)
def put_purchase_policy(request: _Call, data: PurchasePolicy) -> None:
    """From the next night on; without any policy nothing is ordered by itself."""
    with order_transaction(request) as (conn, now):
        policy = Policy(data.category_id, data.mode, data.max_cents)
        put_policy(conn, principal_of(request).tenant_id, policy, now)
        details: dict[str, Detail] = {"mode": data.mode, "max_cents": data.max_cents}
        note(request, conn, "purchase_policy.put", "category", data.category_id, details=details)


PURCHASE_ROUTES = (
    list_purchases,
    list_supplier_purchases,
    list_merchant_purchases,
    post_purchase,
    post_purchase_answer,
    post_purchase_decline,
    post_purchase_shipment,
    post_purchase_agree,
    post_purchase_cancel,
    post_purchase_receipt,
    post_purchase_close,
    get_purchase_policies,
    put_purchase_policy,
)
"""Handlers of this resource, for the application."""


def _units(lines: list[UnitsOfSku]) -> dict[str, int]:
    return {line.sku_id: line.qty for line in lines}


def _moved(
    request: _Call,
    act: str,
    purchase_order_id: str,
    key: str | None,
    body: object,
    move: Callable[[Any, str, datetime], Mapping[str, Detail]],
) -> PurchaseView:
    tenant, thing = principal_of(request).tenant_id, ("purchase_order", purchase_order_id)
    with order_transaction(request) as (conn, now):
        noted_move(request, conn, f"purchase.{act}", thing, key, body, lambda: move(conn, tenant, now))
        return _view(find_purchase(conn, tenant, purchase_order_id))


def _page(
    request: _Call, supplier_id: str | None, status: str | None, limit: int, cursor: str | None
) -> PurchasePage:
    position = read_cursor(cursor, "purchases")
    with order_transaction(request) as (conn, _):
        found = purchases_page(
            conn,
            principal_of(request).tenant_id,
            supplier_id=supplier_id,
            status=status,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
        note(request, conn, "purchase.list", "supplier", supplier_id or "all")
    return PurchasePage(
        purchase_orders=[_view(one) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "purchases", lambda one: [one.purchase_order_id]),
    )


def _view(order: PurchaseOrder) -> PurchaseView:
    return PurchaseView(
        **{
            name: getattr(order, name)
            for name in PurchaseView.__struct_fields__
            if name not in ("lines", "status")
        },
        status=str(order.status),
        lines=[
            PurchaseLineView(**{name: getattr(line, name) for name in PurchaseLineView.__struct_fields__})
            for line in order.lines
        ],
    )

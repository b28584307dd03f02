"""`POST /v1/prices/{merchant_id}/approvals`: suggestions that ask become requests for a decision."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Request, post
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.parameters import Identifier
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.orders.contracts import Id
from serving.scores import price_moves
from serving.security import Role, Scope

_Cause = Literal["suggested", "cost_jumped", "below_floor", "above_ceiling"]


class PriceSelection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of a merchant's suggestions that ask; all conditions hold together."""

    sku_ids: (
        Annotated[list[Id], Meta(min_length=1, max_length=price_moves.MOST, description="Only these.")] | None
    ) = None
    category_id: Annotated[Id, Meta(description="Only skus whose product states this category.")] | None = (
        None
    )
    cause: Annotated[_Cause, Meta(description="What forces the move; `suggested`: nothing does.")] | None = (
        None
    )
    most: Annotated[
        int, Meta(ge=1, le=price_moves.MOST, description="At most so many, the farthest moves first.")
    ] = 100


class AskedMove(Struct, frozen=True, kw_only=True):
    """A suggestion that waits for a decision; `POST /v1/approvals/{approval_id}/approve` names the rest."""

    approval_id: int
    sku_id: str
    price_cents: Annotated[int, Meta(description="The suggested unit price, fen.")]
    current_cents: Annotated[int, Meta(description="The price in force, fen.")]
    cause: Annotated[str, Meta(description="The bucket of the request.")]
    state: str
    version: int
    digest: str
    approvals_needed: int


class AskedPrices(Struct, frozen=True, kw_only=True):
    """What waits for decisions now."""

    approvals: list[AskedMove]
    new: Annotated[int, Meta(description="Requests that this call made; the others waited already.")]
    beyond: Annotated[int, Meta(description="Suggestions that fit as well and were left out by `most`.")]
    causes: Annotated[
        dict[str, int], Meta(description="Suggestions of the selection by cause, whatever cause it names.")
    ]


@post(
    "/prices/{merchant_id:str}/approvals",
    opt={"scope": Scope.APPROVALS_DECIDE, "roles": frozenset({Role.OPERATOR}), "owner": "merchant"},
    tags=["Prices"],
    status_code=200,
    summary="Put suggested prices before a person",
    responses=problem_responses(),
    sync_to_thread=True,
)
def ask_prices(request: Request[Any, Any, Any], merchant_id: Identifier, data: PriceSelection) -> AskedPrices:
    """Prices with the action `await_approval` become requests of the kind `price_move`, each asked once.

    An approved price is in force at once: the price is read as published, and the next prices start from it.
    A request is for one suggestion; it lasts two days, and a newer suggestion takes its place when asked for.
    """
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        asked = price_moves.ask_moves(
            conn,
            principal.tenant_id,
            merchant_id,
            now_of(request, conn),
            sku_ids=data.sku_ids,
            category_id=data.category_id,
            cause=data.cause,
            most=data.most,
        )
        details = {"asked": len(asked.approvals), "new": asked.new, "beyond": asked.beyond}
        note(request, conn, "price.ask", "merchant", merchant_id, details=details)
    return AskedPrices(
        approvals=[
            AskedMove(
                approval_id=one.approval_id,
                sku_id=one.suggestion["sku_id"],
                price_cents=one.suggestion["price_cents"],
                current_cents=one.suggestion["current_cents"],
                cause=one.bucket,
                state=str(one.state),
                version=one.version,
                digest=one.digest,
                approvals_needed=one.approvals_needed,
            )
            for one in asked.approvals
        ],
        new=asked.new,
        beyond=asked.beyond,
        causes=asked.causes,
    )

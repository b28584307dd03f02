"""`POST /v1/product-matches/undo`: an accepted pair of skus is two products after all."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, post
from msgspec import Meta, Struct

from serving.api.answers import principal_of
from serving.api.approvals.four_eyes import Waiting, ask_another, two_people_responses
from serving.api.clock import now_of
from serving.api.refusals import typed_problems
from serving.api.transactions import tenant_transaction
from serving.orders.contracts import Id
from serving.security import Role, Scope
from serving.supply.matches import PRODUCT_MATCH, undo_ask


class UndoRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pair, and why."""

    sku_id: Id
    stands_for_id: Annotated[Id, Meta(description="The other sku; which stands for which does not matter.")]
    reason_code: Annotated[str, Meta(pattern=rf"^({'|'.join(sorted(PRODUCT_MATCH.reasons))})(?!\n)$")]


@post(
    "/product-matches/undo",
    opt={"scope": Scope.STOCK_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Supply"],
    summary="Ask that an accepted pair of skus be two products again",
    status_code=202,
    responses=two_people_responses(404),
    sync_to_thread=True,
)
def post_undo(request: Request[Any, Any, Any], data: UndoRequest) -> Waiting:
    """Another person must approve it (`/v1/approvals?kind=product_match`).

    With the next load of offers each sku has its own again, and what follows from offers sees two products.
    """
    with typed_problems(), tenant_transaction(request) as conn:
        tenant = principal_of(request).tenant_id
        ask = undo_ask(conn, tenant, data.sku_id, data.stands_for_id, data.reason_code)
        return ask_another(request, conn, ask, now_of(request, conn))

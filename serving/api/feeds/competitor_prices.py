"""`POST /v1/competitor-prices`: observed prices of competitors in batches."""

from __future__ import annotations

from typing import Any

from litestar import Request, post

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.feeds.batch_body import batch_operation
from serving.api.transactions import note, tenant_transaction
from serving.market.competitor_prices import (
    MOST_OBSERVATIONS,
    CompetitorPrice,
    PriceBatchError,
    PriceReceipt,
    read_prices,
    store_prices,
)
from serving.problems import ApiError
from serving.security import Role, Scope


@post(
    "/competitor-prices",
    opt={
        "scope": Scope.COMPETITOR_PRICES_WRITE,
        "roles": frozenset({Role.OPERATOR, Role.MERCHANT}),
        "owner": None,
    },
    tags=["Prices"],
    summary="Take in competitor prices",
    status_code=200,
    responses=problem_responses(413),
    operation_class=batch_operation(CompetitorPrice, "prices", MOST_OBSERVATIONS),
    sync_to_thread=True,
)
def post_competitor_prices(request: Request[Any, Any, Any], body: bytes) -> PriceReceipt:
    """Good observations are stored once each; the others are reported with index and reason.

    A merchant's key states prices for its merchant only. The whole batch may be sent again after a failure.
    The hourly prices and the live loop read them from the warehouse.
    """
    principal = principal_of(request)
    with tenant_transaction(request) as conn:
        now = now_of(request, conn)
        try:
            batch = read_prices(body, received_at=now, only_merchant=principal.merchant_id)
        except PriceBatchError as error:
            raise ApiError(422, "invalid-price-batch", "Not a batch of prices", str(error)) from error
        receipt = store_prices(conn, principal.tenant_id, batch, now)
        note(
            request,
            conn,
            "competitor_price.receive",
            "competitor_price_batch",
            request.scope["state"]["request_id"],
            details={"received": receipt.received, "accepted": receipt.accepted, "refused": receipt.refused},
        )
    return receipt

"""`POST /v1/observations`: what was seen of parcels, capacities, stock and devices, in batches."""

from __future__ import annotations

from typing import Any

from litestar import Request, post

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.feeds.batch_body import batch_operation
from serving.api.transactions import note, tenant_transaction
from serving.problems import ApiError
from serving.security import Role, Scope
from serving.watch.intake.contracts import MOST_OBSERVATIONS, Observation, ObservationReceipt
from serving.watch.intake.reading import ObservationBatchError, read_batch
from serving.watch.intake.receiving import receive


@post(
    "/observations",
    opt={
        "scope": Scope.OBSERVATIONS_WRITE,
        "roles": frozenset({Role.OPERATOR, Role.SUPPLIER}),
        "owner": None,
    },
    tags=["Supply"],
    summary="Take in observations of the supply side",
    status_code=200,
    responses=problem_responses(413),
    operation_class=batch_operation(Observation, "observations", MOST_OBSERVATIONS),
    sync_to_thread=True,
)
def post_observations(request: Request[Any, Any, Any], body: bytes) -> ObservationReceipt:
    """Good observations are stored once each, by `observation_id`; the others are reported with a reason.

    A supplier's key states what is its own: its parcels, its capacity, its stock. The whole batch may be
    sent again after a failure.
    """
    principal = principal_of(request)
    only = principal.party_id if principal.role is Role.SUPPLIER else None
    with tenant_transaction(request) as conn:
        now = now_of(request, conn)
        try:
            batch = read_batch(body, received_at=now, only=only)
        except ObservationBatchError as error:
            raise ApiError(
                422, "invalid-observation-batch", "Not a batch of observations", str(error)
            ) from error
        receipt = receive(conn, principal.tenant_id, batch, only, now)
        note(
            request,
            conn,
            "observation.receive",
            "observation_batch",
            request.scope["state"]["request_id"],
            details={"received": receipt.received, "accepted": receipt.accepted, "refused": receipt.refused},
        )
    return receipt

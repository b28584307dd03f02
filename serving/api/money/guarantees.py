"""`/v1/guarantees`: guarantees of parties, the common fund, and claims of buyers that they meet."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, post
from msgspec import Meta, Struct

from serving.api.agents.party_names import Amount, PartyName
from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.orders.contracts import Id
from serving.security import Role, Scope
from serving.settlement.beside.guarantees import COMMON_FUND, meet_claims, pay_into_guarantee
from serving.settlement.beside.on_file import on_file
from serving.settlement.sharing.clearing import GuaranteeClaim

_RUN = {"scope": Scope.SETTLEMENT_RUN, "roles": frozenset({Role.OPERATOR}), "owner": None}


class GuaranteePayment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is set aside; without a party it comes from the platform's fees into the common fund."""

    payment_id: Annotated[Id, Meta(description="The same id books once.")]
    party: PartyName | None = None
    cents: Amount


class GuaranteePaid(Struct, frozen=True, kw_only=True):
    """A booked payment."""

    transaction_id: int
    is_new: Annotated[bool, Meta(description="False when the id had booked it before.")]


class ClaimRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a buyer is owed by the party."""

    claim_id: Id
    cents: Amount


class ClearingRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Claims against a party that are met together."""

    clearing_id: Annotated[Id, Meta(description="Used once.")]
    party: PartyName
    claims: Annotated[list[ClaimRequest], Meta(min_length=1, max_length=500)]


class ClaimView(Struct, frozen=True, kw_only=True):
    """How a claim is met, fen; `unpaid_cents` stays owed to the buyer."""

    claim_id: str
    own_cents: int
    fund_cents: int
    unpaid_cents: int


class Clearing(Struct, frozen=True, kw_only=True):
    """What a clearing paid."""

    clearing_id: str
    claims: list[ClaimView]


@post(
    "/guarantees/payments",
    opt={**_RUN},
    tags=["Fees"],
    summary="Pay into a guarantee",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_guarantee_payment(request: Request[Any, Any, Any], data: GuaranteePayment) -> GuaranteePaid:
    """Out of what the party has available; no more than that."""
    tenant = principal_of(request).tenant_id
    with typed_problems(), tenant_transaction(request) as conn:
        party = COMMON_FUND
        if data.party is not None:
            party = data.party.party
            on_file(conn, tenant, party)
        posted = pay_into_guarantee(conn, tenant, data.payment_id, party, data.cents, now_of(request, conn))
        note(
            request,
            conn,
            "guarantee.pay_in",
            "guarantee",
            data.payment_id,
            outcome="done" if posted.is_new else "repeated",
            details={"party": party.party_id, "cents": data.cents},
        )
    return GuaranteePaid(transaction_id=posted.transaction_id, is_new=posted.is_new)


@post(
    "/guarantees/clearings",
    opt={**_RUN},
    tags=["Fees"],
    summary="Meet claims of buyers",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_guarantee_clearing(request: Request[Any, Any, Any], data: ClearingRequest) -> Clearing:
    """First from the party's own guarantee, then from the common fund; what neither has is told."""
    tenant = principal_of(request).tenant_id
    with typed_problems(), tenant_transaction(request) as conn:
        party = data.party.party
        on_file(conn, tenant, party)
        claims = [GuaranteeClaim(claim.claim_id, claim.cents) for claim in data.claims]
        cleared = meet_claims(conn, tenant, data.clearing_id, party, claims, now_of(request, conn))
        paid = sum(claim.own_cents + claim.fund_cents for claim in cleared)
        note(request, conn, "guarantee.clear", "guarantee", data.clearing_id, details={"cents": paid})
    return Clearing(
        clearing_id=data.clearing_id,
        claims=[
            ClaimView(
                claim_id=claim.claim_id,
                own_cents=claim.own_cents,
                fund_cents=claim.fund_cents,
                unpaid_cents=claim.unpaid_cents,
            )
            for claim in cleared
        ],
    )


GUARANTEE_ROUTES = [post_guarantee_payment, post_guarantee_clearing]

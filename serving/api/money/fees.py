"""`/v1/fees`: service fees, slot fees, penalties and compensations, and giving them back."""

from __future__ import annotations

from typing import Annotated, Any

import psycopg
from litestar import Request, Response, get, post
from msgspec import Meta, Struct

from serving.api.agents.party_names import Amount, PartyName
from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, amount_ask, answer, two_people, two_people_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.approvals.asking import Ask
from serving.approvals.catalogue import PENALTY, REGION_COMPENSATION
from serving.ledger.accounts import Party
from serving.orders.contracts import Id
from serving.security import PARTY_ROLES, Role, Scope
from serving.settlement.beside.fees import (
    Fee,
    charge_penalty,
    charge_slot_fee,
    compensate_region,
    fees_page,
    plan_of_leg,
    recognise_service_fee,
    reverse_fee,
    service_month,
)
from serving.settlement.beside.on_file import on_file
from serving.settlement.plans.store import ALL_OTHERS, plan_in_force

_RUN = {"scope": Scope.SETTLEMENT_RUN, "roles": frozenset({Role.OPERATOR}), "owner": None}
_Code = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$", examples=["late_delivery"])]


class ServiceFeeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A month's service fee of a company, as it is earned; never what was merely paid in advance."""

    fee_id: Annotated[Id, Meta(description="The same id books once.")]
    payer: PartyName
    recognised_cents: Amount
    recruiter: Annotated[PartyName | None, Meta(description="Who brought the company.")] = None


class SlotFeeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A live anchor's slot fee, paid by a merchant."""

    fee_id: Annotated[Id, Meta(description="The same id books once.")]
    merchant_id: Id
    anchor: PartyName
    slot_fee_cents: Amount


class PenaltyRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A penalty."""

    fee_id: Annotated[Id, Meta(description="The same id books once.")]
    payer: PartyName
    cents: Amount
    reason_code: _Code


class CompensationRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a seller's share for the agent of a protected region."""

    fee_id: Annotated[Id, Meta(description="The same id books once.")]
    leg_id: Annotated[int, Meta(ge=1, le=2**63 - 1, description="The seller's leg.")]
    protected_agent_id: Id
    share_bps: Annotated[int, Meta(ge=1, le=10_000, description="Of what refunds have left of the leg.")]


class ReversalRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is given back of a fee."""

    reversal_id: Annotated[Id, Meta(description="The same id books once.")]
    cents: Amount


class FeeView(Struct, frozen=True, kw_only=True):
    """A fee; the beneficiary's share waits seven days, the rest is the platform's."""

    fee_id: str
    kind: Annotated[str, Meta(description="`service_fee`, `slot_fee`, `penalty` or `compensation`.")]
    payer_type: str
    payer_id: str
    beneficiary_type: str | None
    beneficiary_id: str | None
    amount_cents: int
    share_cents: int
    reversed_cents: int
    state: Annotated[str, Meta(description="`pending`, `released` or `voided`.")]


class FeePage(Struct, frozen=True, kw_only=True):
    """Fees by id."""

    fees: list[FeeView]
    next_cursor: str | None


@post(
    "/fees/service",
    opt={**_RUN},
    tags=["Fees"],
    summary="Recognise a service fee",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_service_fee(request: Request[Any, Any, Any], data: ServiceFeeRequest) -> FeeView:
    """The recruiter gets the plan's share in the company's first months; which month it is, the books say."""
    tenant = principal_of(request).tenant_id
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        payer = data.payer.party
        on_file(conn, tenant, payer)
        recruiter = on_file(conn, tenant, data.recruiter.party) if data.recruiter else None
        fee = recognise_service_fee(
            conn,
            tenant,
            data.fee_id,
            plan_in_force(conn, tenant, _merchant(payer), now),
            payer,
            data.recognised_cents,
            service_month(conn, tenant, data.fee_id, payer, now),
            recruiter,
            now,
        )
        _note(request, conn, "fee.recognise", fee)
    return _view(fee)


@post(
    "/fees/slot",
    opt={**_RUN},
    tags=["Fees"],
    summary="Charge a slot fee",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_slot_fee(request: Request[Any, Any, Any], data: SlotFeeRequest) -> FeeView:
    """The platform keeps the plan's share, the anchor gets the rest; what the merchant lacks is its debt."""
    tenant = principal_of(request).tenant_id
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        payer = Party("merchant", data.merchant_id)
        on_file(conn, tenant, payer)
        fee = charge_slot_fee(
            conn,
            tenant,
            data.fee_id,
            plan_in_force(conn, tenant, data.merchant_id, now),
            payer,
            data.slot_fee_cents,
            on_file(conn, tenant, data.anchor.party),
            now,
        )
        _note(request, conn, "fee.charge_slot", fee)
    return _view(fee)


@post(
    "/fees/penalties",
    opt={**_RUN},
    tags=["Fees"],
    summary="Charge a penalty",
    status_code=201,
    responses=two_people_responses(404, 409),
    sync_to_thread=True,
)
def post_penalty(request: Request[Any, Any, Any], data: PenaltyRequest) -> Response[FeeView | Waiting]:
    """It comes off what the party has available; what is missing is its debt.

    202: another person must approve it first. 201: it lies within `MUYUN_ALONE_FEE_CENTS`.
    """
    tenant = principal_of(request).tenant_id
    payer = data.payer.party
    ask = amount_ask(PENALTY, ("fee", data.fee_id), payer, data.cents, data.reason_code)
    with typed_problems(), tenant_transaction(request) as conn:
        on_file(conn, tenant, payer)
        now = now_of(request, conn)

        def act() -> FeeView:
            fee = charge_penalty(conn, tenant, data.fee_id, payer, data.cents, data.reason_code, now)
            _note(request, conn, "fee.charge_penalty", fee)
            return _view(fee)

        found = two_people(request, conn, ask, now, act)
    return answer(found)


@post(
    "/fees/compensations",
    opt={**_RUN},
    tags=["Fees"],
    summary="Compensate a protected region",
    status_code=201,
    responses=two_people_responses(404, 409),
    sync_to_thread=True,
)
def post_compensation(
    request: Request[Any, Any, Any], data: CompensationRequest
) -> Response[FeeView | Waiting]:
    """All compensations of a leg together take at most what the plan allows of it.

    202: another person must approve it first. 201: it lies within `MUYUN_ALONE_FEE_CENTS`.
    """
    tenant = principal_of(request).tenant_id
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        protected = Party("agent", data.protected_agent_id)
        on_file(conn, tenant, protected)
        plan = plan_of_leg(conn, tenant, data.leg_id)

        def act() -> FeeView:
            fee = compensate_region(
                conn, tenant, data.fee_id, plan, data.leg_id, protected, data.share_bps, now
            )
            _note(request, conn, "fee.compensate", fee)
            return _view(fee)

        with conn.transaction(force_rollback=True):
            wanted = act()
        ask = Ask(
            kind=REGION_COMPENSATION,
            subject=("fee", data.fee_id),
            party=(wanted.payer_type, wanted.payer_id),
            suggestion={
                "leg_id": data.leg_id,
                "agent_id": data.protected_agent_id,
                "share_bps": data.share_bps,
                "most_bps": data.share_bps,
            },
            value_cents=wanted.amount_cents,
        )
        found = two_people(request, conn, ask, now, act)
    return answer(found)


@post(
    "/fees/{fee_id:str}/reversals",
    opt={**_RUN},
    tags=["Fees"],
    summary="Give back a fee",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_fee_reversal(request: Request[Any, Any, Any], fee_id: Identifier, data: ReversalRequest) -> FeeView:
    """In part or in full; the beneficiary's share goes back in proportion."""
    tenant = principal_of(request).tenant_id
    with typed_problems(), tenant_transaction(request) as conn:
        fee = reverse_fee(conn, tenant, data.reversal_id, fee_id, data.cents, now_of(request, conn))
        _note(request, conn, "fee.reverse", fee, reversal=data.reversal_id)
    return _view(fee)


@get(
    "/fees",
    opt={"scope": Scope.SETTLEMENT_READ, "roles": frozenset(Role), "owner": None},
    tags=["Fees"],
    summary="Fees by id",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_fees(request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None) -> FeePage:
    """Operators and auditors see all; the key of a party what that party pays or gets."""
    principal = principal_of(request)
    position = read_cursor(cursor, "fees")
    party = None
    if principal.role in PARTY_ROLES:
        party = Party(str(principal.role), principal.party_id or "")
    with tenant_transaction(request) as conn:
        after = str(position.key[0]) if position else ""
        found = fees_page(conn, principal.tenant_id, party, after, limit + 1)
    shown = found[:limit]
    return FeePage(
        fees=[_view(fee) for fee in shown],
        next_cursor=cursor_after(found, limit, "fees", lambda one: [one.fee_id]),
    )


FEE_ROUTES = [
    post_service_fee,
    post_slot_fee,
    post_penalty,
    post_compensation,
    post_fee_reversal,
    list_fees,
]


def _merchant(payer: Party) -> str:
    """Whose plan a payer falls under."""
    return payer.party_id if payer.party_type == "merchant" else ALL_OTHERS


def _note(
    request: Request[Any, Any, Any],
    conn: psycopg.Connection[Any],
    action: str,
    fee: Fee,
    **details: str,
) -> None:
    note(request, conn, action, "fee", fee.fee_id, details={"cents": fee.amount_cents, **details})


def _view(fee: Fee) -> FeeView:
    return FeeView(
        fee_id=fee.fee_id,
        kind=fee.kind,
        payer_type=fee.payer.party_type,
        payer_id=fee.payer.party_id,
        beneficiary_type=fee.beneficiary.party_type if fee.beneficiary else None,
        beneficiary_id=fee.beneficiary.party_id if fee.beneficiary else None,
        amount_cents=fee.amount_cents,
        share_cents=fee.share_cents,
        reversed_cents=fee.reversed_cents,
        state=fee.state,
    )

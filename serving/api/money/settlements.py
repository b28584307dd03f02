"""`/v1/settlements`, `/v1/holds`, `/v1/payout-batches`, `/v1/payouts`: what becomes of paid money."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, answer, two_people, two_people_responses
from serving.api.channels.channels import channel_problems
from serving.api.clock import now_of
from serving.api.parameters import Identifier
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.channels.requests import require_by_hand
from serving.jobs.pay_outs import Transfers
from serving.ledger.accounts import Party
from serving.orders.contracts import Id, Moment
from serving.problems import ApiError
from serving.security import PARTY_ROLES, Principal, Role, Scope
from serving.settlement.control.holds import (
    Hold,
    HoldTarget,
    confirm_hold,
    lift_hold,
    on_leg,
    on_order,
    on_party,
    on_sub_order,
    place_hold,
)
from serving.settlement.payouts import Payout, confirm_payout, fail_payout
from serving.settlement.reports.explain import Explanation, explain

_EVERYBODY = frozenset(Role)
_OPERATOR = frozenset({Role.OPERATOR})
_APPROVE = {"scope": Scope.SETTLEMENT_APPROVE, "roles": _OPERATOR, "owner": None}
_HoldNumber = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="`hold_id` of the hold.")]


class HoldRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to hold back, and why. The target is named by the fields of its type."""

    target_type: Literal["leg", "sub_order", "order", "party"]
    order_id: Annotated[Id | None, Meta(description="For a leg, a sub-order or an order.")] = None
    leg_id: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    supplier_id: Annotated[Id | None, Meta(description="For a sub-order.")] = None
    party_type: Literal["supplier", "merchant", "agent"] | None = None
    party_id: Id | None = None
    source: Literal["risk", "violation", "diversion", "composition", "operator"] = "operator"
    reason_code: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$", examples=["under_review"])]
    expires_at: Moment | None = None


class HoldView(Struct, frozen=True, kw_only=True):
    """A hold; it is resolved once."""

    hold_id: int
    target_type: str
    target_id: str
    source: str
    reason_code: str
    state: Annotated[str, Meta(description="`standing`, `lifted` or `confirmed`.")]
    placed_at: datetime
    expires_at: datetime | None
    resolved_at: datetime | None
    resolved_by: str | None


class PayoutBatchRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch of transfers to everybody who has money available."""

    batch_id: Id
    adapter: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$", examples=["simulated"])]
    threshold_cents: Annotated[int, Meta(ge=1, le=10**12, description="Least amount of a transfer, fen.")] = 1
    party_types: Annotated[tuple[Literal["supplier", "merchant", "agent"], ...], Meta(max_length=3)] = (
        "supplier",
        "merchant",
        "agent",
    )


class PayoutView(Struct, frozen=True, kw_only=True):
    """One payment to a party."""

    payout_id: str
    batch_id: str
    party_type: str
    party_id: str
    amount_cents: int
    state: Annotated[str, Meta(description="`in_transit`, `paid` or `failed`.")]
    order_id: Annotated[
        str | None, Meta(description="The order whose payment is split for it; null for a transfer.")
    ]


class PayoutBatch(Struct, frozen=True, kw_only=True):
    """A batch of transfers."""

    batch_id: str
    payouts: list[PayoutView]


class FailureRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a transfer did not arrive."""

    failure: Id


@get(
    "/settlements/{order_id:str}/explain",
    opt={"scope": Scope.SETTLEMENT_READ, "roles": _EVERYBODY, "owner": None},
    tags=["Settlement"],
    summary="Where every fen of an order went",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def explain_settlement(request: Request[Any, Any, Any], order_id: Identifier) -> Explanation:
    """Every leg with its formula, its cuts, its reversals and its ledger transactions.

    The key of a party sees its own shares only, and 404 for an order in which it has none.
    """
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        shown = explain(conn, principal.tenant_id, order_id, _viewer(principal))
        note(request, conn, "settlement.explain", "order", order_id)
    return shown


@post(
    "/holds",
    opt={**_APPROVE},
    tags=["Settlement"],
    summary="Hold money back",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_hold(request: Request[Any, Any, Any], data: HoldRequest) -> HoldView:
    """Nothing of the target is released while the hold stands. The same source and reason prolong it."""
    target = _target(data)
    with typed_problems(), tenant_transaction(request) as conn:
        tenant = principal_of(request).tenant_id
        hold = place_hold(
            conn, tenant, target, data.source, data.reason_code, now_of(request, conn), data.expires_at
        )
        note(request, conn, "hold.place", "hold", str(hold.hold_id), details={"target": target.target_id})
    return _hold(hold)


@post(
    "/holds/{hold_id:int}/lift",
    opt={**_APPROVE},
    tags=["Settlement"],
    summary="Lift a hold",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_hold_lift(request: Request[Any, Any, Any], hold_id: _HoldNumber) -> HoldView:
    """What it held back is released by the next run."""
    with typed_problems(), tenant_transaction(request) as conn:
        principal = principal_of(request)
        hold = lift_hold(conn, principal.tenant_id, hold_id, principal.key_id, now_of(request, conn))
        note(request, conn, "hold.lift", "hold", str(hold_id))
    return _hold(hold)


@post(
    "/holds/{hold_id:int}/confirm",
    opt={**_APPROVE},
    tags=["Settlement"],
    summary="Confirm a hold for good",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_hold_confirm(request: Request[Any, Any, Any], hold_id: _HoldNumber) -> HoldView:
    """What it holds back of an order goes to the platform."""
    with typed_problems(), tenant_transaction(request) as conn:
        principal = principal_of(request)
        hold = confirm_hold(conn, principal.tenant_id, hold_id, principal.key_id, now_of(request, conn))
        note(request, conn, "hold.confirm", "hold", str(hold_id))
    return _hold(hold)


@post(
    "/payout-batches",
    opt={"scope": Scope.SETTLEMENT_RUN, "roles": _OPERATOR, "owner": None},
    tags=["Settlement"],
    summary="Send what is available",
    status_code=201,
    responses=two_people_responses(409),
    sync_to_thread=True,
)
def post_payout_batch(
    request: Request[Any, Any, Any], data: PayoutBatchRequest
) -> Response[PayoutBatch | Waiting]:
    """One transfer to every verified party without holds and debts; once per batch id.

    202: another person must approve the list of the transfers first. 201: they lie within
    `MUYUN_ALONE_PAYOUT_CENTS` each and `MUYUN_ALONE_PAYOUT_BATCH_CENTS` together.
    """
    tenant = principal_of(request).tenant_id
    wanted = Transfers(
        batch_id=data.batch_id,
        adapter=data.adapter,
        threshold_cents=data.threshold_cents,
        party_types=data.party_types,
    )
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)

        def act() -> PayoutBatch:
            payouts = wanted.prepare(conn, tenant, now)
            details = {"payouts": len(payouts)}
            note(request, conn, "payout.prepare", "payout_batch", data.batch_id, details=details)
            return PayoutBatch(batch_id=data.batch_id, payouts=[_payout(payout) for payout in payouts])

        ask = wanted.ask(conn, tenant, now)
        found = act() if ask is None else two_people(request, conn, ask, now, act)
    return answer(found)


@post(
    "/payouts/{payout_id:str}/confirm",
    opt={"scope": Scope.SETTLEMENT_RUN, "roles": _OPERATOR, "owner": None},
    tags=["Settlement"],
    summary="A transfer arrived",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_payout_confirm(request: Request[Any, Any, Any], payout_id: Identifier) -> PayoutView:
    """Once; repeating it changes nothing."""
    with channel_problems(), typed_problems(), tenant_transaction(request) as conn:
        require_by_hand(conn, principal_of(request).tenant_id, payout_id)
        payout = confirm_payout(conn, principal_of(request).tenant_id, payout_id, now_of(request, conn))
        note(request, conn, "payout.confirm", "payout", payout_id)
    return _payout(payout)


@post(
    "/payouts/{payout_id:str}/fail",
    opt={"scope": Scope.SETTLEMENT_RUN, "roles": _OPERATOR, "owner": None},
    tags=["Settlement"],
    summary="A transfer did not arrive",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_payout_fail(
    request: Request[Any, Any, Any], payout_id: Identifier, data: FailureRequest
) -> PayoutView:
    """The party has the money again; once."""
    with channel_problems(), typed_problems(), tenant_transaction(request) as conn:
        tenant = principal_of(request).tenant_id
        require_by_hand(conn, tenant, payout_id)
        payout = fail_payout(conn, tenant, payout_id, now_of(request, conn), data.failure)
        note(request, conn, "payout.fail", "payout", payout_id)
    return _payout(payout)


SETTLEMENT_ROUTES = [
    explain_settlement,
    post_hold,
    post_hold_lift,
    post_hold_confirm,
    post_payout_batch,
    post_payout_confirm,
    post_payout_fail,
]


def _viewer(principal: Principal) -> Party | None:
    """The party of the key; None for those who see everything."""
    if principal.role not in PARTY_ROLES:
        return None
    return Party(str(principal.role), principal.party_id or "")


def _target(wanted: HoldRequest) -> HoldTarget:
    match wanted:
        case HoldRequest(target_type="leg", leg_id=int(leg_id), order_id=str(order_id)):
            return on_leg(leg_id, order_id)
        case HoldRequest(target_type="sub_order", order_id=str(order_id), supplier_id=str(supplier_id)):
            return on_sub_order(order_id, supplier_id)
        case HoldRequest(target_type="order", order_id=str(order_id)):
            return on_order(order_id)
        case HoldRequest(target_type="party", party_type=str(party_type), party_id=str(party_id)):
            return on_party(Party(party_type, party_id))
    raise ApiError(
        422,
        "hold-target-incomplete",
        "The target is incomplete",
        f"A hold on a {wanted.target_type} lacks ids of its target.",
        remedy="Name order_id and leg_id, order_id and supplier_id, order_id, or party_type and party_id.",
    )


def _hold(hold: Hold) -> HoldView:
    return HoldView(**hold._asdict())


def _payout(payout: Payout) -> PayoutView:
    return PayoutView(
        payout_id=payout.payout_id,
        batch_id=payout.batch_id,
        party_type=payout.party.party_type,
        party_id=payout.party.party_id,
        amount_cents=payout.amount_cents,
        state=payout.state,
        order_id=payout.order_id,
    )

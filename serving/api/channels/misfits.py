"""`/v1/misfits`: money that fits no order, refund or pay-out, and the acts by which it leaves suspense."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.agents.party_names import PartyName
from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, answer, two_people, two_people_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import order_transaction
from serving.api.parameters import CursorText, PageSize
from serving.api.transactions import note
from serving.approvals.asking import Ask
from serving.approvals.catalogue import MISFIT_ACT
from serving.orders.contracts import Id
from serving.orders.paying.misfits import match_misfit
from serving.problems import ApiError
from serving.security import Role, Scope
from serving.settlement.beside.on_file import on_file
from serving.settlement.channel.misfit_acts import Act, Resolution, resolve_misfit
from serving.settlement.channel.suspense import StoredMisfit, find_misfit, misfits_of

_State = Annotated[Literal["open", "closed"] | None, Parameter(description="Only these; else all.")]
_MisfitNumber = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="`misfit_id`.")]
_ALONE = frozenset({Act.REFUND})


class ResolutionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with money in suspense, and why."""

    act: Annotated[
        Literal["match", "refund", "give_to_party", "charge_party", "absorb", "correct"],
        Meta(description="See `POST /v1/misfits/{misfit_id}/resolutions`."),
    ]
    reason_code: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$", examples=["wrong_order_number"])]
    order_id: Annotated[Id | None, Meta(description="For `match`.")] = None
    party: Annotated[PartyName | None, Meta(description="For `give_to_party`, `charge_party`.")] = None


class MisfitView(Struct, frozen=True, kw_only=True):
    """Money that fits nothing, and what became of it."""

    misfit_id: int
    kind: str
    channel_id: str | None
    reference: str
    order_ref: str | None
    amount_cents: int
    booked_cents: Annotated[int, Meta(description="In suspense while open; below 0: it left the channel.")]
    currency: str
    occurred_at: datetime
    detail: str | None
    state: str
    act: str | None
    reason: str | None
    closed_by: str | None
    closed_at: datetime | None


class MisfitPage(Struct, frozen=True, kw_only=True):
    """Misfits, the oldest first."""

    misfits: list[MisfitView]
    next_cursor: str | None


@get(
    "/misfits",
    opt={"scope": Scope.LEDGER_READ, "roles": frozenset({Role.OPERATOR, Role.AUDITOR}), "owner": None},
    tags=["Channels"],
    summary="Money that fits nothing",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_misfits(
    request: Request[Any, Any, Any],
    status: _State = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> MisfitPage:
    """Payments too late, too often, too large, too small or foreign, charge-backs, differences of bills."""
    position = read_cursor(cursor, "misfits")
    after = 0 if position is None else int(position.key[0])
    with order_transaction(request) as (conn, _):
        found = misfits_of(conn, principal_of(request).tenant_id, status, after=after, limit=limit + 1)
        note(request, conn, "misfit.list", "misfit", status or "all")
    rows = found[:limit]
    following = cursor_after(found, limit, "misfits", lambda one: [one.misfit_id])
    return MisfitPage(misfits=[_view(row) for row in rows], next_cursor=following)


@post(
    "/misfits/{misfit_id:int}/resolutions",
    opt={"scope": Scope.SETTLEMENT_RUN, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Channels"],
    summary="Take money out of suspense",
    description=(
        "`match`: it pays an order. `refund`: back to the buyer through the channel. `give_to_party`,"
        " `charge_party`: a party gets what came, or bears what left. `absorb`: the platform does. `correct`:"
        " there was no difference. What moves money to or from a party or the platform above"
        " `MUYUN_ALONE_POSTING_CENTS` needs a second person: 202."
    ),
    status_code=201,
    responses=two_people_responses(404, 409),
    sync_to_thread=True,
)
def post_misfit_resolution(
    request: Request[Any, Any, Any], misfit_id: _MisfitNumber, data: ResolutionRequest
) -> Response[MisfitView | Waiting]:
    """Once; the reason is kept with the misfit."""
    principal = principal_of(request)
    tenant = principal.tenant_id
    with order_transaction(request) as (conn, now):
        if data.act == "match":
            if data.order_id is None:
                raise _lacks("order_id")
            paid = match_misfit(
                conn, tenant, misfit_id, data.order_id, data.reason_code, f"key:{principal.key_id}", now
            )
            note(request, conn, "misfit.match", "misfit", str(misfit_id), details={"order": data.order_id})
            return answer(_view(paid))
        party = None if data.party is None else data.party.party
        if party is not None:
            on_file(conn, tenant, party)
        resolution = Resolution(Act(data.act), data.reason_code, f"key:{principal.key_id}", party)

        def act() -> MisfitView:
            done = resolve_misfit(conn, tenant, misfit_id, resolution, now)
            note(request, conn, "misfit.resolve", "misfit", str(misfit_id), details={"act": data.act})
            return _view(done)

        if resolution.act in _ALONE:
            return answer(act())
        value = abs(find_misfit(conn, tenant, misfit_id).booked_cents)
        ask = Ask(
            kind=MISFIT_ACT,
            subject=("misfit", str(misfit_id)),
            suggestion={
                "act": data.act,
                "reason_code": data.reason_code,
                "party_type": "none" if party is None else party.party_type,
                "party_id": "none" if party is None else party.party_id,
            },
            value_cents=value,
        )
        return answer(two_people(request, conn, ask, now, act))


MISFIT_ROUTES = (list_misfits, post_misfit_resolution)
"""Handlers of this resource, for the application."""


def _lacks(name: str) -> ApiError:
    return ApiError(422, "resolution-incomplete", "The act is incomplete", f"`match` names its {name}.")


def _view(misfit: StoredMisfit) -> MisfitView:
    return MisfitView(**misfit._asdict())

"""`/v1/invitations`: links by which consumers follow agents into a shop."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.agents import invitations
from serving.agents.relations import get
from serving.api.agents.agent_documents import Id
from serving.api.agents.agents import agent_problems
from serving.api.answers import principal_of, problem_responses
from serving.api.orders.order_work import IdempotencyKey, in_range, order_transaction
from serving.api.transactions import note, vault_of
from serving.audit import Outcome
from serving.db.idempotency import once
from serving.orders.errors import InvalidRequestError
from serving.security import Principal, Role, Scope
from serving.settings import Settings

_INVITERS = frozenset({Role.OPERATOR, Role.MERCHANT, Role.AGENT})
_SHOPS = frozenset({Role.OPERATOR, Role.MERCHANT})
Token = Annotated[
    str,
    Parameter(
        min_length=1,
        max_length=1_000,
        pattern=r"^[A-Za-z0-9_.-]+(?!\n)$",
        description="What the link carries.",
    ),
]


class InvitationBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link of an agent into a shop; a key of an agent or merchant may leave its own id out."""

    agent_id: Id | None = None
    merchant_id: Annotated[Id | None, Meta(description="Left out: the shop that the agent sells for.")] = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class InvitationAnswer(Struct, frozen=True, kw_only=True):
    """A link; `token` goes into its address."""

    invitation_id: str
    agent_id: str
    merchant_id: str
    expires_at: datetime
    token: str


class BindingBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The consumer who followed the link."""

    consumer_id: Id


class BindingAnswer(Struct, frozen=True, kw_only=True):
    """A relation; it counts in that shop only, from `bound_at` until before `valid_to`."""

    consumer_id: str
    agent_id: str
    merchant_id: str
    bound_at: datetime
    valid_to: datetime | None
    is_new: bool


@post(
    "/invitations",
    opt={"scope": Scope.INVITATIONS_WRITE, "roles": _INVITERS, "owner": None},
    tags=["Agents"],
    summary="Make an invitation link",
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_invitation(
    request: Request[Any, Any, Any], data: InvitationBody, idempotency_key: IdempotencyKey
) -> InvitationAnswer:
    """Brings one consumer. An agent invites by its own key, a merchant for agents who may sell there."""
    principal = principal_of(request)
    settings: Settings = request.app.state.settings
    with order_transaction(request) as (conn, now), agent_problems():

        def work() -> tuple[int, InvitationAnswer]:
            agent_id = _named("agent", Role.AGENT, data.agent_id, principal)
            shop = data.merchant_id or principal.merchant_id or get(conn, agent_id).merchant_id
            merchant_id = _named("merchant", Role.MERCHANT, shop, principal)
            latest = now + timedelta(days=settings.invitation_days)
            ends = latest if data.expires_at is None else in_range("expires_at", data.expires_at)
            if ends > latest:
                raise InvalidRequestError(
                    "expires_at", f"an invitation is open for {settings.invitation_days} days at most"
                )
            by = f"key:{principal.key_id}"
            made = invitations.invite(
                conn, vault_of(request), principal.tenant_id, agent_id, merchant_id, ends, by, now
            )
            names = InvitationAnswer.__struct_fields__
            return 201, InvitationAnswer(**{name: getattr(made, name) for name in names})

        answer = once(conn, principal, "invitation.make", idempotency_key, data, work)
        link = msgspec.convert(answer.document, InvitationAnswer)
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        note(
            request,
            conn,
            "invitation.make",
            "invitation",
            link.invitation_id,
            outcome=outcome,
            details={"agent_id": link.agent_id, "merchant_id": link.merchant_id},
        )
        return link


@post(
    "/invitations/{token:str}/bind",
    opt={"scope": Scope.INVITATIONS_WRITE, "roles": _SHOPS, "owner": None},
    tags=["Agents"],
    summary="A consumer followed an invitation",
    status_code=200,
    responses=problem_responses(404, 409, 410),
    sync_to_thread=True,
)
def bind_invitation(request: Request[Any, Any, Any], token: Token, data: BindingBody) -> BindingAnswer:
    """By the storefront of the shop that the link names, when the consumer opens it there; once.

    The first agent counts for as long as the relation does; the same consumer again changes nothing.
    """
    principal = principal_of(request)
    settings: Settings = request.app.state.settings
    with order_transaction(request) as (conn, now), agent_problems():
        invitation = invitations.read(conn, vault_of(request), principal.tenant_id, token)
        principal.require_merchant(invitation.merchant_id)
        bound = invitations.bind(
            conn,
            principal.tenant_id,
            invitation,
            data.consumer_id,
            timedelta(days=settings.referral_window_days),
            f"key:{principal.key_id}",
            now,
        )
        note(
            request,
            conn,
            "invitation.bind",
            "invitation",
            invitation.invitation_id,
            outcome="done" if bound.is_new else "repeated",
            details={"agent_id": bound.agent_id, "merchant_id": bound.merchant_id},
        )
    return BindingAnswer(**{name: getattr(bound, name) for name in BindingAnswer.__struct_fields__})


def _named(what: str, role: Role, given: str | None, principal: Principal) -> str:
    """The party that a request means: the key's own, or the one it names.

    Raises:
        InvalidRequestError: It names none, and the key has none.
        ApiError: 403 for another party of the key's own kind.
    """
    named = given or (principal.party_id if principal.role is role else None)
    if named is None:
        raise InvalidRequestError(f"{what}_id", f"name the {what}")
    if principal.role is role:
        principal.require_owner(role, named)
    return named


INVITATION_ROUTES = [post_invitation, bind_invitation]

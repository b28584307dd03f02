"""`/v1/identity/visitors/{anonymous_id}/...`: which anonymous visitor is which consumer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, post

from serving.api.answers import erased_problem, principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.parameters import Identifier
from serving.api.transactions import note, tenant_transaction
from serving.consumers.erased import consumer_digest
from serving.consumers.errors import ConsumerErasedError
from serving.identity.edges import Edge, Evidence, edges_of, link, unlink
from serving.problems import invalid_parameter
from serving.security import Role, Scope

_OPT: dict[str, Any] = {
    "scope": Scope.IDENTITY_WRITE,
    "roles": frozenset({Role.OPERATOR}),
    "owner": None,
}
_AHEAD = timedelta(hours=1)
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+(?!\n)$")]


class LinkBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A visitor is a consumer from a moment on."""

    consumer_id: _Id
    valid_from: Annotated[
        datetime,
        msgspec.Meta(tz=True, description="E.g. the begin of the visit in which the consumer logged in."),
    ]
    evidence: Annotated[
        Evidence, msgspec.Meta(description="What shows it. Holding the same device is no evidence.")
    ]


class UnlinkBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A visitor is a consumer no more, from a moment on."""

    consumer_id: _Id
    revoked_at: Annotated[
        datetime,
        msgspec.Meta(
            tz=True, description="Earlier events stay joined; the `valid_from` of the edge undoes it whole."
        ),
    ]


class EdgeLine(msgspec.Struct, frozen=True):
    """One edge."""

    consumer_id: str
    valid_from: datetime
    evidence: str
    revoked_at: datetime | None


class VisitorAnswer(msgspec.Struct, frozen=True):
    """All edges of a visitor; `changed` is false when the request said nothing new."""

    anonymous_id: str
    changed: bool
    edges: list[EdgeLine]


@post(
    "/identity/visitors/{anonymous_id:str}/links",
    opt=_OPT,
    tags=["Consumers"],
    summary="State that a visitor is a consumer",
    status_code=200,
    responses=problem_responses(410),
    sync_to_thread=True,
)
def post_link(request: Request[Any, Any, Any], anonymous_id: Identifier, data: LinkBody) -> VisitorAnswer:
    """Anonymous events of the visitor from `valid_from` on belong to the consumer, unless two claim them.

    The same statement again changes nothing; a revoked one stays revoked: state it with a later `valid_from`.
    """
    tenant_id = principal_of(request).tenant_id
    with tenant_transaction(request) as conn:
        now = now_of(request, conn)
        if data.valid_from > now + _AHEAD:
            raise invalid_parameter("valid_from", f"it lies in the future of {now.isoformat()}")
        try:
            is_new = link(
                conn, tenant_id, anonymous_id, data.consumer_id, data.valid_from, data.evidence, now
            )
        except ConsumerErasedError as error:
            raise erased_problem(error) from error
        note(
            request,
            conn,
            "identity.link",
            "visitor",
            consumer_digest(tenant_id, anonymous_id),
            outcome="done" if is_new else "repeated",
            details={"evidence": data.evidence},
        )
        edges = [_line(edge) for edge in edges_of(conn, tenant_id, anonymous_id)]
    return VisitorAnswer(anonymous_id, is_new, edges)


@post(
    "/identity/visitors/{anonymous_id:str}/revocations",
    opt=_OPT,
    tags=["Consumers"],
    summary="Undo that a visitor is a consumer",
    status_code=200,
    responses=problem_responses(),
    sync_to_thread=True,
)
def post_revocation(
    request: Request[Any, Any, Any], anonymous_id: Identifier, data: UnlinkBody
) -> VisitorAnswer:
    """Ends the edges between the two that hold at `revoked_at`; nothing is deleted."""
    tenant_id = principal_of(request).tenant_id
    with tenant_transaction(request) as conn:
        ended = unlink(conn, tenant_id, anonymous_id, data.consumer_id, data.revoked_at)
        visitor = consumer_digest(tenant_id, anonymous_id)
        note(request, conn, "identity.unlink", "visitor", visitor, details={"ended": ended})
        edges = [_line(edge) for edge in edges_of(conn, tenant_id, anonymous_id)]
    return VisitorAnswer(anonymous_id, ended > 0, edges)


def _line(edge: Edge) -> EdgeLine:
    return EdgeLine(edge.consumer_id, edge.valid_from, edge.evidence, edge.revoked_at)


IDENTITY_ROUTES = (post_link, post_revocation)

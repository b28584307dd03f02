"""`/v1/approvals`: what waits for a decision, and deciding. Rules: `serving.approvals`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import psycopg
from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, OptionalIdentifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.approvals import decisions
from serving.approvals.decisions import Decider, Seen
from serving.approvals.documents import document_of
from serving.approvals.errors import UnknownApprovalError
from serving.approvals.records import (
    Approval,
    ApprovalFilter,
    Decision,
    page_of_approvals,
    read_approval,
    read_decisions,
)
from serving.approvals.states import State
from serving.audit import Detail
from serving.jobs.effects import EFFECTS
from serving.orders.contracts import Moment
from serving.security import PARTY_ROLES, Principal, Role, Scope

_READ = {"scope": Scope.APPROVALS_READ, "roles": frozenset(Role), "owner": None}
_DECIDE = {"scope": Scope.APPROVALS_DECIDE, "roles": frozenset({Role.OPERATOR}), "owner": None}
_Number = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="`approval_id` of the request.")]
_Digest = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$", description="`digest` as it was shown.", examples=["0" * 64])
]
_Version = Annotated[int, Meta(ge=1, le=2**31 - 1, description="`version` as it was shown.")]
Word = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$", examples=["wrong_amount"])]
_State = Literal[
    "pending",
    "half_approved",
    "approved",
    "in_effect",
    "rejected",
    "snoozed",
    "superseded",
    "expired",
    "withdrawn",
]


class ApprovalView(Struct, frozen=True, kw_only=True):
    """A request: codes and numbers, and what a decision must name (`version`, `digest`)."""

    approval_id: int
    kind: str
    subject_type: str
    subject_id: str
    party_type: str | None
    party_id: str | None
    suggestion: dict[str, Any]
    adjusted: Annotated[dict[str, Any] | None, Meta(description="What a decider made of it.")]
    digest: str
    source: Annotated[str, Meta(description="Version of the publication, or of what else it was made from.")]
    value_cents: Annotated[int, Meta(description="Value at stake, fen.")]
    bucket: str
    state: str
    version: int
    asked_by: Annotated[str | None, Meta(description="Key, or `job:<name>`; null for the key of a party.")]
    asked_at: datetime
    expires_at: datetime
    effect_at: Annotated[datetime | None, Meta(description="Null: with the final approval.")]
    approvals_needed: Annotated[int, Meta(description="Persons who must approve, besides whoever asked.")]
    first_approver: Annotated[str | None, Meta(description="Null for the key of a party.")]
    second_approver: Annotated[str | None, Meta(description="Null for the key of a party.")]
    snoozed_until: datetime | None
    superseded_by: int | None
    effect: Annotated[dict[str, Any] | None, Meta(description="What it made, as ids and numbers.")]


class DecisionView(Struct, frozen=True, kw_only=True):
    """One move of a request."""

    version: int
    action: str
    from_state: str | None
    to_state: str
    decided_by: Annotated[str | None, Meta(description="Null for the key of a party.")]
    role: str
    decided_at: datetime
    digest: str
    reason_code: str | None
    batch_id: int | None
    details: dict[str, Any]


class ApprovalPage(Struct, frozen=True, kw_only=True):
    """A page of requests, newest first."""

    approvals: list[ApprovalView]
    next_cursor: str | None


class ApprovalWithDecisions(Struct, frozen=True, kw_only=True):
    """A request and everything that happened to it, in order."""

    approval: ApprovalView
    decisions: list[DecisionView]


class DocumentView(Struct, frozen=True, kw_only=True):
    """The text that a request is about."""

    sha256: str
    body: str


class ApproveRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was shown to whoever decides."""

    version: _Version
    digest: _Digest


class AdjustRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other numbers, inside the rails of the kind."""

    version: _Version
    digest: _Digest
    adjusted: Annotated[
        dict[str, Annotated[int, Meta(ge=-(10**15), le=10**15)]], Meta(min_length=1, max_length=20)
    ]


class RejectRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No, and why."""

    version: _Version
    digest: _Digest
    reason_code: Word


class SnoozeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Later."""

    version: _Version
    digest: _Digest
    until: Moment


@get(
    "/approvals",
    opt={**_READ},
    tags=["Approvals"],
    summary="What waits for a decision",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_approvals(
    request: Request[Any, Any, Any],
    kind: OptionalIdentifier = None,
    # Litestar keeps the name `state` for itself.
    is_state: Annotated[
        _State | None, Parameter(query="state", description="Only requests that stand there.")
    ] = None,
    bucket: OptionalIdentifier = None,
    party_type: OptionalIdentifier = None,
    party_id: OptionalIdentifier = None,
    limit: PageSize = 50,
    cursor: CursorText = None,
) -> ApprovalPage:
    """Newest first. The key of a party sees what is about it, without the keys of those who acted."""
    position = read_cursor(cursor, "approvals")
    principal = principal_of(request)
    if principal.role in PARTY_ROLES:
        party_type, party_id = str(principal.role), principal.party_id
    wanted = ApprovalFilter(
        kind=kind, state=is_state, bucket=bucket, party_type=party_type, party_id=party_id
    )
    before = int(position.key[0]) if position else None
    with tenant_transaction(request) as conn:
        found = page_of_approvals(conn, principal.tenant_id, wanted, before=before, limit=limit + 1)
    rows = found[:limit]
    return ApprovalPage(
        approvals=[view_of(row, principal) for row in rows],
        next_cursor=cursor_after(found, limit, "approvals", lambda one: [one.approval_id]),
    )


@get(
    "/approvals/{approval_id:int}",
    opt={**_READ},
    tags=["Approvals"],
    summary="A request with its decisions",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_approval(request: Request[Any, Any, Any], approval_id: _Number) -> ApprovalWithDecisions:
    """What was asked, what was decided, by whom and when."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        found = _visible(conn, principal, approval_id)
        log = read_decisions(conn, principal.tenant_id, approval_id)
    return ApprovalWithDecisions(
        approval=view_of(found, principal), decisions=[_decision(one, principal) for one in log]
    )


@get(
    "/approvals/{approval_id:int}/document",
    opt={**_READ},
    tags=["Approvals"],
    summary="The text that a request is about",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_approval_document(request: Request[Any, Any, Any], approval_id: _Number) -> DocumentView:
    """A plan as YAML, the transfers of a pay-out as JSON lines; the suggestion has its `document_sha256`."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        found = _visible(conn, principal, approval_id)
        body = document_of(conn, principal.tenant_id, found)
    return DocumentView(sha256=found.wanted["document_sha256"], body=body)


@post(
    "/approvals/{approval_id:int}/approve",
    opt={**_DECIDE},
    tags=["Approvals"],
    summary="Approve",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_approve(request: Request[Any, Any, Any], approval_id: _Number, data: ApproveRequest) -> ApprovalView:
    """Yes, or half of it where two persons must say so; the final yes takes effect at once, or not at all."""
    seen = Seen(approval_id=approval_id, version=data.version, digest=data.digest)
    return _decided(
        request, seen, "approval.approve", lambda conn, by: decisions.approve(conn, EFFECTS, seen, by)
    )


@post(
    "/approvals/{approval_id:int}/adjust",
    opt={**_DECIDE},
    tags=["Approvals"],
    summary="Change numbers inside the rails",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_adjust(request: Request[Any, Any, Any], approval_id: _Number, data: AdjustRequest) -> ApprovalView:
    """The request waits on with other numbers; a half that was given is void."""
    seen = Seen(approval_id=approval_id, version=data.version, digest=data.digest)
    return _decided(
        request,
        seen,
        "approval.adjust",
        lambda conn, by: decisions.adjust(conn, EFFECTS, seen, by, data.adjusted),
    )


@post(
    "/approvals/{approval_id:int}/reject",
    opt={**_DECIDE},
    tags=["Approvals"],
    summary="Reject",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_reject(request: Request[Any, Any, Any], approval_id: _Number, data: RejectRequest) -> ApprovalView:
    """No, with a reason that the kind knows."""
    seen = Seen(approval_id=approval_id, version=data.version, digest=data.digest)
    return _decided(
        request,
        seen,
        "approval.reject",
        lambda conn, by: decisions.reject(conn, EFFECTS, seen, by, data.reason_code),
    )


@post(
    "/approvals/{approval_id:int}/snooze",
    opt={**_DECIDE},
    tags=["Approvals"],
    summary="Look at it later",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_snooze(request: Request[Any, Any, Any], approval_id: _Number, data: SnoozeRequest) -> ApprovalView:
    """It comes back at `until`, which lies before its end."""
    seen = Seen(approval_id=approval_id, version=data.version, digest=data.digest)
    return _decided(
        request,
        seen,
        "approval.snooze",
        lambda conn, by: decisions.snooze(conn, EFFECTS, seen, by, data.until),
    )


@post(
    "/approvals/{approval_id:int}/withdraw",
    opt={**_DECIDE},
    tags=["Approvals"],
    summary="Take a request back",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_withdraw(
    request: Request[Any, Any, Any], approval_id: _Number, data: ApproveRequest
) -> ApprovalView:
    """Before it takes effect: by whoever asked, or whoever may decide."""
    seen = Seen(approval_id=approval_id, version=data.version, digest=data.digest)
    return _decided(
        request, seen, "approval.withdraw", lambda conn, by: decisions.withdraw(conn, EFFECTS, seen, by)
    )


APPROVAL_ROUTES = [
    list_approvals,
    get_approval,
    get_approval_document,
    post_approve,
    post_adjust,
    post_reject,
    post_snooze,
    post_withdraw,
]


def view_of(approval: Approval, principal: Principal) -> ApprovalView:
    """A request as this key may see it."""
    clear = principal.role not in PARTY_ROLES
    return ApprovalView(
        approval_id=approval.approval_id,
        kind=approval.kind,
        subject_type=approval.subject_type,
        subject_id=approval.subject_id,
        party_type=approval.party_type,
        party_id=approval.party_id,
        suggestion=dict(approval.suggestion),
        adjusted=None if approval.adjusted is None else dict(approval.adjusted),
        digest=approval.digest,
        source=approval.source,
        value_cents=approval.value_cents,
        bucket=approval.bucket,
        state=str(approval.state),
        version=approval.version,
        asked_by=approval.asked_by if clear else None,
        asked_at=approval.asked_at,
        expires_at=approval.expires_at,
        effect_at=approval.effect_at,
        approvals_needed=EFFECTS.kind(approval.kind).persons(approval.approvals_needed, approval.wanted),
        first_approver=approval.first_approver if clear else None,
        second_approver=approval.second_approver if clear else None,
        snoozed_until=approval.snoozed_until,
        superseded_by=approval.superseded_by,
        effect=None if approval.effect is None else dict(approval.effect),
    )


def _decision(one: Decision, principal: Principal) -> DecisionView:
    return DecisionView(
        version=one.version,
        action=one.action,
        from_state=one.from_state,
        to_state=one.to_state,
        decided_by=one.decided_by if principal.role not in PARTY_ROLES else None,
        role=one.role,
        decided_at=one.decided_at,
        digest=one.digest,
        reason_code=one.reason_code,
        batch_id=one.batch_id,
        details=dict(one.details),
    )


def _visible(conn: psycopg.Connection[Any], principal: Principal, approval_id: int) -> Approval:
    """A request that this key may see.

    Raises:
        UnknownApprovalError: There is none, or it is another party's.
    """
    found = read_approval(conn, principal.tenant_id, approval_id)
    if principal.role in PARTY_ROLES and (found.party is None or not principal.owns(*found.party)):
        raise UnknownApprovalError(f"there is no request for approval {approval_id}")
    return found


def _decided(
    request: Request[Any, Any, Any],
    seen: Seen,
    action: str,
    act: Callable[[psycopg.Connection[Any], Decider], Approval],
) -> ApprovalView:
    """Decide, and note it, in one transaction."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        approval = act(conn, Decider(principal=principal, now=now_of(request, conn)))
        details: dict[str, Detail] = {
            "kind": approval.kind,
            "version": approval.version,
            "to": str(approval.state),
            "value_cents": approval.value_cents,
        }
        note(request, conn, action, "approval", str(seen.approval_id), details=details)
        if approval.state is State.IN_EFFECT:
            made: dict[str, Detail] = {"approval_id": approval.approval_id, **(approval.effect or {})}
            subject = (approval.subject_type, approval.subject_id)
            note(request, conn, "approval.take_effect", *subject, details=made)
    return view_of(approval, principal)

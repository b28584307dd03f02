"""`/v1/approval-batches`: freezing a selection of requests, and deciding it as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Request, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.approvals import Word
from serving.api.clock import now_of
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.approvals import batches
from serving.approvals.decisions import Decider
from serving.approvals.states import State
from serving.audit import Detail
from serving.jobs.effects import EFFECTS
from serving.orders.contracts import Id, Moment
from serving.security import Role, Scope

_DECIDE = {"scope": Scope.APPROVALS_DECIDE, "roles": frozenset({Role.OPERATOR}), "owner": None}
_Approval = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class FreezeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests: all that wait of a kind and a bucket, or some of them. A batch never mixes buckets."""

    kind: Word
    bucket: Word
    state: Literal["pending", "half_approved"] = "pending"
    party_type: Word | None = None
    party_id: Id | None = None
    approval_ids: Annotated[list[_Approval], Meta(min_length=1, max_length=batches.MOST)] | None = None


class ExtremeView(Struct, frozen=True, kw_only=True):
    """A request at one end of the selection."""

    approval_id: int
    value_cents: int


class BatchView(Struct, frozen=True, kw_only=True):
    """A frozen selection; a decision names its `digest`."""

    batch_id: int
    kind: str
    bucket: str
    digest: str
    count: int
    sum_cents: Annotated[int, Meta(description="Value of all of them, fen.")]
    lowest: ExtremeView
    highest: ExtremeView
    samples: Annotated[list[int], Meta(description="`approval_id` of five, evenly spread by value.")]
    beyond: Annotated[int, Meta(description="Requests that fit as well, but a batch holds at most 2,000.")]


class BatchDecision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is decided about all of them."""

    digest: Annotated[
        str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$", description="`digest` of the batch.", examples=["0" * 64])
    ]
    action: Literal["approve", "reject", "snooze"]
    reason_code: Annotated[Word | None, Meta(description="For a rejection.")] = None
    until: Annotated[Moment | None, Meta(description="For a snooze.")] = None


class LeftOutView(Struct, frozen=True, kw_only=True):
    """A request that was not decided."""

    approval_id: int
    reason: Annotated[
        str,
        Meta(
            description="`changed`, `expired`, `own_request`, `second_person_needed`, `impossible_move`, "
            "`not_allowed` or `effect_refused`."
        ),
    ]


class BatchResult(Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    batch_id: int
    action: str
    decided: int
    sum_cents: Annotated[int, Meta(description="Value of what was decided, fen.")]
    left_out: list[LeftOutView]


@post(
    "/approval-batches",
    opt={**_DECIDE},
    tags=["Approvals"],
    summary="Freeze a selection",
    status_code=201,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def post_approval_batch(request: Request[Any, Any, Any], data: FreezeRequest) -> BatchView:
    """Those with the most at stake first. What changes afterwards is left out of the decision."""
    party = (
        (data.party_type, data.party_id)
        if data.party_type is not None and data.party_id is not None
        else None
    )
    with typed_problems(), tenant_transaction(request) as conn:
        frozen = batches.freeze(
            conn,
            principal_of(request),
            now_of(request, conn),
            kind=data.kind,
            bucket=data.bucket,
            state=State(data.state),
            party=party,
            approval_ids=data.approval_ids,
        )
        details: dict[str, Detail] = {
            "count": frozen.count,
            "sum_cents": frozen.sum_cents,
            "kind": frozen.kind,
        }
        note(request, conn, "approval_batch.freeze", "approval_batch", str(frozen.batch_id), details=details)
    return BatchView(
        batch_id=frozen.batch_id,
        kind=frozen.kind,
        bucket=frozen.bucket,
        digest=frozen.digest,
        count=frozen.count,
        sum_cents=frozen.sum_cents,
        lowest=ExtremeView(approval_id=frozen.lowest[0], value_cents=frozen.lowest[1]),
        highest=ExtremeView(approval_id=frozen.highest[0], value_cents=frozen.highest[1]),
        samples=list(frozen.samples),
        beyond=frozen.beyond,
    )


@post(
    "/approval-batches/{batch_id:int}/decide",
    opt={**_DECIDE},
    tags=["Approvals"],
    summary="Decide a frozen selection",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_approval_batch_decision(
    request: Request[Any, Any, Any],
    batch_id: Annotated[int, Parameter(ge=1, le=2**63 - 1)],
    data: BatchDecision,
) -> BatchResult:
    """Once, in one transaction. Requests that changed, or that are not this key's to decide, are left out."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        done = batches.decide(
            conn,
            EFFECTS,
            batch_id,
            data.digest,
            Decider(principal=principal, now=now_of(request, conn)),
            data.action,
            reason_code=data.reason_code or "",
            until=data.until,
        )
        outcome: dict[str, Detail] = {
            "decided": done.decided,
            "left_out": len(done.left_out),
            "sum_cents": done.sum_cents,
        }
        note(request, conn, f"approval_batch.{data.action}", "approval_batch", str(batch_id), details=outcome)
    return BatchResult(
        batch_id=batch_id,
        action=done.action,
        decided=done.decided,
        sum_cents=done.sum_cents,
        left_out=[LeftOutView(approval_id=row.approval_id, reason=row.reason) for row in done.left_out],
    )


APPROVAL_BATCH_ROUTES = [post_approval_batch, post_approval_batch_decision]

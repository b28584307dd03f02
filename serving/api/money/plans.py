"""`/v1/plans`: publishing settlement plans and reading them. What they may contain: `serving.settlement`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get, post
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, answer, two_people, two_people_responses
from serving.api.clock import now_of
from serving.api.orders.order_work import in_range, order_transaction
from serving.api.parameters import Identifier
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.approvals.asking import Ask
from serving.approvals.catalogue import PLAN_ASSIGNMENT, PLAN_VERSION
from serving.approvals.documents import FIELD, keep_document
from serving.audit import Detail, Outcome
from serving.orders.contracts import Id, Moment, Text
from serving.problems import ApiError
from serving.security import Role, Scope
from serving.settlement.plans.assignments import (
    Assignment,
    LegalReview,
    assign_plan,
    assignments_of,
    is_settled,
    put_into_force,
)
from serving.settlement.plans.loader import load_plan
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.profiles import DEFAULT_PLAN, shipped_text
from serving.settlement.plans.store import ALL_OTHERS, plan_heads, publish_plan, published, put_legal_review

_READ = {
    "scope": Scope.SETTLEMENT_READ,
    "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT, Role.AGENT}),
    "owner": None,
}


_WRITE = {"scope": Scope.PLANS_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None}


class PlanRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan document."""

    document: Annotated[str, Meta(min_length=1, max_length=200_000, description="The plan as YAML text.")]


class LegalReviewRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signed legal review of a plan."""

    review_id: Annotated[Id, Meta(description="What the plan document names; used once.")]
    signed_by: Text
    signed_at: Moment
    reference: Annotated[Text, Meta(description="Where the signed paper is.")]


class InForceRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a plan needs to be in force; everything has a default."""

    document: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=200_000,
                description="The plan as YAML text; the strict plan that ships without.",
            ),
        ]
        | None
    ) = None
    legal_review: LegalReviewRequest | None = None
    merchant_id: Annotated[Id | None, Meta(description="Without: every merchant without its own plan.")] = (
        None
    )
    effective_at: Annotated[Moment | None, Meta(description="Without: as soon as may be.")] = None


class AssignmentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose orders a published plan settles, and from when."""

    merchant_id: Annotated[Id | None, Meta(description="Without: every merchant without its own plan.")] = (
        None
    )
    effective_at: Annotated[Moment | None, Meta(description="Without: as soon as may be.")] = None


class AssignmentView(Struct, frozen=True, kw_only=True):
    """A merchant (null: every merchant without its own) is settled by a plan from a moment on."""

    plan_id: str
    merchant_id: str | None
    effective_at: datetime


class AssignmentList(Struct, frozen=True, kw_only=True):
    """Every assignment, by merchant and time."""

    assignments: list[AssignmentView]


class LegalReviewView(Struct, frozen=True, kw_only=True):
    """A legal review on file."""

    plan_id: str
    review_id: str
    is_new: Annotated[bool, Meta(description="False when it was on file before; it stays as it is.")]


class PlanHead(Struct, frozen=True, kw_only=True):
    """A version of a plan; it is immutable."""

    plan_id: str
    version: int
    profile: str
    content_hash: str
    published_at: datetime
    effective_at: Annotated[datetime, Meta(description="Orders paid from then on are settled by it.")]


class PlanList(Struct, frozen=True, kw_only=True):
    """All versions of all plans."""

    plans: list[PlanHead]


class PlanView(Struct, frozen=True, kw_only=True):
    """A plan with the full documents of its versions, oldest first."""

    plan_id: str
    versions: list[dict[str, Any]]


@post(
    "/plans",
    opt={**_WRITE},
    tags=["Settlement"],
    summary="Publish a plan version",
    status_code=201,
    responses=two_people_responses(409),
    sync_to_thread=True,
)
def post_plan(request: Request[Any, Any, Any], data: PlanRequest) -> Response[PlanHead | Waiting]:
    """202: another person must approve it; 201: it is published already. Refusals are in `errors`.

    Later versions need seven days' notice, counted from the approval.
    """
    tenant_id = principal_of(request).tenant_id
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        plan = load_plan(data.document)
        known = published(conn, tenant_id, plan)
        if known is not None:
            note(request, conn, "plan.publish", "plan", plan.plan_id, outcome="repeated")
            return answer(_head(known))
        ask = Ask(
            kind=PLAN_VERSION,
            subject=("plan_version", f"{plan.plan_id}/{plan.version}"),
            suggestion={
                "plan_id": plan.plan_id,
                "version": plan.version,
                "profile": plan.profile,
                "content_hash": plan.content_hash,
                "effective_at": plan.effective_at.isoformat(),
                FIELD: keep_document(conn, tenant_id, data.document),
            },
            value_cents=0,
        )
        found = two_people(
            request, conn, ask, now, lambda: _head(publish_plan(conn, tenant_id, data.document, now))
        )
    return answer(found)


@get(
    "/plans",
    opt={**_READ},
    tags=["Settlement"],
    summary="Plans",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_plans(request: Request[Any, Any, Any]) -> PlanList:
    """Every version, by plan and number."""
    with tenant_transaction(request) as conn:
        rows = conn.execute(
            "select plan_id, version, profile, content_hash, published_at, effective_at"
            " from settlement.plan_version where tenant_id = %s order by plan_id, version",
            (principal_of(request).tenant_id,),
        ).fetchall()
    names = ("plan_id", "version", "profile", "content_hash", "published_at", "effective_at")
    return PlanList(plans=[PlanHead(**dict(zip(names, row, strict=True))) for row in rows])


@get(
    "/plans/{plan_id:str}",
    opt={**_READ},
    tags=["Settlement"],
    summary="A plan",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_plan(request: Request[Any, Any, Any], plan_id: Identifier) -> PlanView:
    """Every version as it was published."""
    with typed_problems(), tenant_transaction(request) as conn:
        found = plan_heads(conn, principal_of(request).tenant_id, plan_id)
    if not found:
        raise ApiError(404, "plan-not-found", "No such plan", f"There is no plan {plan_id!r}.")
    return PlanView(plan_id=plan_id, versions=[json.loads(head.document) for head in found])


@post(
    "/plans/{plan_id:str}/legal-reviews",
    opt={**_WRITE},
    tags=["Settlement"],
    summary="Put a signed legal review on file",
    status_code=201,
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_legal_review(
    request: Request[Any, Any, Any], plan_id: Identifier, data: LegalReviewRequest
) -> LegalReviewView:
    """Before a version that names it is published: profiles with a second paid level need one."""
    with order_transaction(request) as (conn, now):
        is_new = put_legal_review(
            conn,
            principal_of(request).tenant_id,
            data.review_id,
            plan_id,
            data.signed_by,
            in_range("signed_at", data.signed_at, latest=now),
            data.reference,
        )
        outcome: Outcome = "done" if is_new else "repeated"
        note(request, conn, "plan.review", "plan", plan_id, outcome=outcome, details={"id": data.review_id})
    return LegalReviewView(plan_id=plan_id, review_id=data.review_id, is_new=is_new)


@post(
    "/plans/in-force",
    opt={**_WRITE},
    tags=["Settlement"],
    summary="Put a plan into force",
    status_code=201,
    responses=two_people_responses(404, 409),
    sync_to_thread=True,
)
def post_plan_in_force(
    request: Request[Any, Any, Any], data: InForceRequest
) -> Response[AssignmentView | Waiting]:
    """Legal review, version and assignment in one act: 201, or 202 while another person must approve it.

    A tenant without any plan needs nobody else. Merchants who sell already are given seven days, counted from
    the approval; nothing takes effect in the past.
    """
    tenant_id = principal_of(request).tenant_id
    with order_transaction(request) as (conn, now):
        document = data.document or shipped_text(DEFAULT_PLAN)
        merchant_id = data.merchant_id or ALL_OTHERS
        effective_at = _moment(data.effective_at)
        review = None
        if data.legal_review is not None:
            signed = data.legal_review
            signed_at = in_range("signed_at", signed.signed_at, latest=now)
            review = LegalReview(signed.review_id, signed.signed_by, signed_at, signed.reference)

        def act() -> AssignmentView:
            made = put_into_force(
                conn,
                tenant_id,
                now,
                document=document,
                review=review,
                merchant_id=merchant_id,
                effective_at=effective_at,
            )
            note(request, conn, "plan.put_into_force", "plan", made.plan_id, details=_told(made))
            return _assignment(made)

        if not is_settled(conn, tenant_id):
            return answer(act())
        suggestion: dict[str, Any] = {
            "merchant_id": merchant_id,
            FIELD: keep_document(conn, tenant_id, document),
        }
        if review is not None:
            # On file at once, since a request holds no names; what it reviews waits.
            put_legal_review(conn, tenant_id, review.review_id, load_plan(document).plan_id, *review[1:])
            suggestion["review_id"] = review.review_id
        if effective_at is not None:
            suggestion["effective_at"] = effective_at.isoformat()
        ask = Ask(
            kind=PLAN_ASSIGNMENT,
            subject=("plan_assignment", data.merchant_id or "*"),
            suggestion=suggestion,
            value_cents=0,
        )
        return answer(two_people(request, conn, ask, now, act))


@post(
    "/plans/{plan_id:str}/assignments",
    opt={**_WRITE},
    tags=["Settlement"],
    summary="Settle a merchant by a published plan",
    status_code=201,
    responses=two_people_responses(404, 409),
    sync_to_thread=True,
)
def post_assignment(
    request: Request[Any, Any, Any], plan_id: Identifier, data: AssignmentRequest
) -> Response[AssignmentView | Waiting]:
    """From a moment on: 202 while another person must approve it.

    Merchants who sell already are given seven days, counted from the approval.
    """
    tenant_id = principal_of(request).tenant_id
    with order_transaction(request) as (conn, now):
        merchant_id = data.merchant_id or ALL_OTHERS
        effective_at = _moment(data.effective_at)

        def act() -> AssignmentView:
            made = assign_plan(conn, tenant_id, merchant_id, plan_id, effective_at, now)
            note(request, conn, "plan.assign", "plan", plan_id, details=_told(made))
            return _assignment(made)

        suggestion = {"merchant_id": merchant_id, "plan_id": plan_id}
        if effective_at is not None:
            suggestion["effective_at"] = effective_at.isoformat()
        ask = Ask(
            kind=PLAN_ASSIGNMENT,
            subject=("plan_assignment", data.merchant_id or "*"),
            suggestion=suggestion,
            value_cents=0,
        )
        return answer(two_people(request, conn, ask, now, act))


@get(
    "/plan-assignments",
    opt={"scope": Scope.SETTLEMENT_READ, "roles": frozenset({Role.OPERATOR, Role.AUDITOR}), "owner": None},
    tags=["Settlement"],
    summary="Which plan settles whom, from when",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_assignments(request: Request[Any, Any, Any]) -> AssignmentList:
    """By merchant and time; a merchant's own assignment goes before that of all others."""
    with tenant_transaction(request) as conn:
        found = assignments_of(conn, principal_of(request).tenant_id)
    return AssignmentList(assignments=[_assignment(one) for one in found])


def _moment(given: datetime | None) -> datetime | None:
    return None if given is None else in_range("effective_at", given)


def _told(made: Assignment) -> dict[str, Detail]:
    return {"merchant": made.merchant_id, "effective_at": made.effective_at.isoformat()}


def _assignment(made: Assignment) -> AssignmentView:
    return AssignmentView(
        plan_id=made.plan_id, merchant_id=made.merchant_id or None, effective_at=made.effective_at
    )


PLAN_ROUTES = [
    post_plan_in_force,
    post_assignment,
    list_assignments,
    post_legal_review,
    post_plan,
    list_plans,
    get_plan,
]


def _head(plan: PlanVersion) -> PlanHead:
    return PlanHead(
        plan_id=plan.plan_id,
        version=plan.version,
        profile=plan.profile,
        content_hash=plan.content_hash,
        published_at=plan.published_at,
        effective_at=plan.effective_at,
    )

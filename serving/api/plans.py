"""`/v1/plans`: publishing settlement plans and reading them. What they may contain: `serving.settlement`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get, post
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.four_eyes import Waiting, answer, two_people, two_people_responses
from serving.api.order_work import in_range, order_transaction
from serving.api.parameters import Identifier
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.approvals.asking import Ask
from serving.approvals.catalogue import PLAN_VERSION
from serving.approvals.documents import FIELD, keep_document
from serving.audit import Outcome
from serving.orders.contracts import Id, Moment, Text
from serving.problems import ApiError
from serving.security import Role, Scope
from serving.settlement.plans.loader import load_plan, plan_document
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.store import plan_versions, publish_plan, put_legal_review

_READ = {
    "scope": Scope.SETTLEMENT_READ,
    "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT, Role.AGENT}),
    "owner": None,
}


class PlanRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan document."""

    document: Annotated[str, Meta(min_length=1, max_length=200_000, description="The plan as YAML text.")]


class LegalReviewRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signed legal review of a plan."""

    review_id: Annotated[Id, Meta(description="What the plan document names; used once.")]
    signed_by: Text
    signed_at: Moment
    reference: Annotated[Text, Meta(description="Where the signed paper is.")]


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
    opt={"scope": Scope.PLANS_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None},
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
        known = [
            one
            for one in plan_versions(conn, tenant_id, plan.plan_id)
            if (one.version, one.content_hash) == (plan.version, plan.content_hash)
        ]
        if known:
            note(request, conn, "plan.publish", "plan", plan.plan_id, outcome="repeated")
            return answer(_head(known[0]))
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
    """Every version with its rules."""
    with typed_problems(), tenant_transaction(request) as conn:
        found = plan_versions(conn, principal_of(request).tenant_id, plan_id)
    if not found:
        raise ApiError(404, "plan-not-found", "No such plan", f"There is no plan {plan_id!r}.")
    return PlanView(plan_id=plan_id, versions=[plan_document(plan) for plan in found])


@post(
    "/plans/{plan_id:str}/legal-reviews",
    opt={"scope": Scope.PLANS_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None},
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


PLAN_ROUTES = [post_legal_review, post_plan, list_plans, get_plan]


def _head(plan: PlanVersion) -> PlanHead:
    return PlanHead(
        plan_id=plan.plan_id,
        version=plan.version,
        profile=plan.profile,
        content_hash=plan.content_hash,
        published_at=plan.published_at,
        effective_at=plan.effective_at,
    )

"""`/v1/quality`: levels of the quality brake and their history, overrides, improvement cases, recalls."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from models.supply.brake.ladder import Level
from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, ask_another, two_people_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import in_range
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.orders.contracts import Id
from serving.quality import cases, levels, recalls, records
from serving.quality.overrides import ask_of
from serving.security import PARTY_ROLES, Role, Scope

_OPERATOR = frozenset({Role.OPERATOR})
_WATCHERS = frozenset({Role.OPERATOR, Role.AUDITOR})
_CaseId = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="Number of the case.")]
_RecallId = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="Number of the recall.")]
_MinLevel = Annotated[int, Parameter(ge=1, le=4, description="Only levels of so much or more.")]
_Code = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$", examples=["new_batch_inspected"])]


class LevelView(Struct, frozen=True, kw_only=True):
    """How hard the brake holds a sku: 1 watch, 2 limit, 3 stop, 4 recall."""

    sku_id: str
    level: int
    reason_code: str
    held_level: Annotated[int, Meta(description="What the estimates say; another one where a person set it.")]
    override_until: datetime | None
    judged_at: datetime


class LevelPage(Struct, frozen=True, kw_only=True):
    """Levels by sku."""

    levels: list[LevelView]
    next_cursor: str | None


class ChangeView(Struct, frozen=True, kw_only=True):
    """A change of a level, with the numbers behind it."""

    changed_at: datetime
    from_level: int
    to_level: int
    cause: Annotated[
        str,
        Meta(
            description="`estimate`, `complaint` (about safety), `clean_days`, `case_closed`, `override` or"
            " `override_ended`."
        ),
    ]
    reason_code: str
    evidence: dict[str, Any]


class History(Struct, frozen=True, kw_only=True):
    """The newest changes of a sku, newest first."""

    sku_id: str
    changes: list[ChangeView]


class OverrideRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another level than the estimates say, for a while."""

    sku_id: Id
    level: Annotated[int, Meta(ge=0, le=4)]
    reason_code: _Code
    until: Annotated[datetime, Meta(tz=True, description="Within 30 days.")]


class SignOffRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A department signs with what it found."""

    department: Literal["service", "quality", "product", "research", "purchasing"]
    finding: Annotated[str, Meta(min_length=1, max_length=2_000, description="No names of consumers.")]


class SignOffView(Struct, frozen=True, kw_only=True):
    """A signature."""

    department: str
    finding: str
    signed_by: str
    signed_at: datetime


class CaseView(Struct, frozen=True, kw_only=True):
    """An improvement case."""

    case_id: int
    sku_id: str
    opened_level: int
    opened_at: datetime
    closed_at: datetime | None
    missing: Annotated[list[str], Meta(description="Departments that have not signed.")]
    sign_offs: list[SignOffView]


class CasePage(Struct, frozen=True, kw_only=True):
    """Cases by number."""

    cases: list[CaseView]
    next_cursor: str | None


class RecallView(Struct, frozen=True, kw_only=True):
    """A sku whose buyers are to be told, and why."""

    recall_id: int
    sku_id: str
    reason_code: str
    opened_at: datetime


class RecallPage(Struct, frozen=True, kw_only=True):
    """Recalls by number."""

    recalls: list[RecallView]
    next_cursor: str | None


class BuyerView(Struct, frozen=True, kw_only=True):
    """A line whose buyer is to be told."""

    order_id: str
    line_no: int
    merchant_id: str
    consumer_id: str
    supplier_id: str
    qty: int
    placed_at: datetime
    delivered_at: datetime | None


class BuyerPage(Struct, frozen=True, kw_only=True):
    """Lines by order; a merchant sees its own."""

    buyers: list[BuyerView]
    next_cursor: str | None


@get(
    "/quality/levels",
    opt={
        "scope": Scope.QUALITY_READ,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT, Role.SUPPLIER}),
        "owner": None,
    },
    tags=["Quality"],
    summary="Levels of the quality brake",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_levels(
    request: Request[Any, Any, Any],
    min_level: _MinLevel = 1,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> LevelPage:
    """By sku. A merchant sees what it lists, a supplier what it offers."""
    principal = principal_of(request)
    position = read_cursor(cursor, "quality_levels")
    party = None
    if principal.role in PARTY_ROLES:
        party = (str(principal.role), principal.party_id or "")
    with typed_problems(), tenant_transaction(request) as conn:
        found = levels.levels_page(
            conn,
            principal.tenant_id,
            party,
            now_of(request, conn),
            min_level=min_level,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
    shown = found[:limit]
    return LevelPage(
        levels=[LevelView(**asdict(one)) for one in shown],
        next_cursor=cursor_after(found, limit, "quality_levels", lambda one: [one.sku_id]),
    )


@get(
    "/quality/levels/{sku_id:str}/history",
    opt={"scope": Scope.QUALITY_READ, "roles": _WATCHERS, "owner": None},
    tags=["Quality"],
    summary="How a level came about",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_history(request: Request[Any, Any, Any], sku_id: Identifier, limit: PageSize = 100) -> History:
    """The newest changes, each with its rule and numbers; none for a sku that was never held."""
    with typed_problems(), tenant_transaction(request) as conn:
        found = records.history_of(conn, principal_of(request).tenant_id, sku_id, limit=limit)
    return History(
        sku_id=sku_id,
        changes=[ChangeView(**{**asdict(one), "evidence": dict(one.evidence)}) for one in found],
    )


@post(
    "/quality/overrides",
    opt={"scope": Scope.QUALITY_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Quality"],
    summary="Ask for another level",
    status_code=202,
    responses=two_people_responses(409),
    sync_to_thread=True,
)
def post_override(request: Request[Any, Any, Any], data: OverrideRequest) -> Waiting:
    """Another person must approve it. It holds until its end; then the estimates count again."""
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        until = in_range("until", data.until).astimezone(UTC)
        ask = ask_of(data.sku_id, Level(data.level), data.reason_code, until, now)
        return ask_another(request, conn, ask, now)


@get(
    "/quality/cases",
    opt={"scope": Scope.QUALITY_READ, "roles": _WATCHERS, "owner": None},
    tags=["Quality"],
    summary="Improvement cases",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_cases(
    request: Request[Any, Any, Any],
    open_only: bool = True,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> CasePage:
    """By number, with what the departments found; there is one open case for a sku at level 2 or more."""
    position = read_cursor(cursor, "quality_cases")
    with typed_problems(), tenant_transaction(request) as conn:
        found = cases.cases_page(
            conn,
            principal_of(request).tenant_id,
            after=int(position.key[0]) if position else 0,
            limit=limit + 1,
            open_only=open_only,
        )
    shown = found[:limit]
    return CasePage(
        cases=[_case(one) for one in shown],
        next_cursor=cursor_after(found, limit, "quality_cases", lambda one: [one.case_id]),
    )


@post(
    "/quality/cases/{improvement_case_id:int}/sign-offs",
    opt={"scope": Scope.QUALITY_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Quality"],
    summary="Sign an improvement case",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_sign_off(
    request: Request[Any, Any, Any], improvement_case_id: _CaseId, data: SignOffRequest
) -> CaseView:
    """A department signs once, and a key for one department. The fifth signature releases one level."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        found = cases.sign(
            conn,
            principal.tenant_id,
            improvement_case_id,
            cases.Department(data.department),
            data.finding,
            principal.key_id,
            now_of(request, conn),
        )
        details = {"department": data.department, "is_closed": int(found.closed_at is not None)}
        note(request, conn, "quality_case.sign", "quality_case", str(improvement_case_id), details=details)
    return _case(found)


@get(
    "/quality/recalls",
    opt={"scope": Scope.QUALITY_READ, "roles": _WATCHERS | {Role.MERCHANT}, "owner": None},
    tags=["Quality"],
    summary="Recalls",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_recalls(
    request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None
) -> RecallPage:
    """By number: every time that a sku came to level 4. A merchant sees those of skus that it lists."""
    principal = principal_of(request)
    position = read_cursor(cursor, "recalls")
    with typed_problems(), tenant_transaction(request) as conn:
        found = recalls.recalls_page(
            conn,
            principal.tenant_id,
            merchant_id=principal.party_id if principal.role is Role.MERCHANT else None,
            after=int(position.key[0]) if position else 0,
            limit=limit + 1,
        )
    shown = found[:limit]
    return RecallPage(
        recalls=[
            RecallView(
                recall_id=one.recall_id,
                sku_id=one.sku_id,
                reason_code=one.reason_code,
                opened_at=one.opened_at,
            )
            for one in shown
        ],
        next_cursor=cursor_after(found, limit, "recalls", lambda one: [one.recall_id]),
    )


@get(
    "/quality/recalls/{recall_id:int}/buyers",
    opt={
        "scope": Scope.QUALITY_READ,
        "roles": frozenset({Role.OPERATOR, Role.MERCHANT}),
        "owner": None,
    },
    tags=["Quality"],
    summary="Whom a recall concerns",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def list_buyers(
    request: Request[Any, Any, Any], recall_id: _RecallId, limit: PageSize = 100, cursor: CursorText = None
) -> BuyerPage:
    """Lines of the sku that were not called off, by order; a merchant sees those of its own shop."""
    principal = principal_of(request)
    position = read_cursor(cursor, "recall_buyers")
    with typed_problems(), tenant_transaction(request) as conn:
        found = recalls.buyers_page(
            conn,
            principal.tenant_id,
            recall_id,
            merchant_id=principal.party_id if principal.role is Role.MERCHANT else None,
            after=(str(position.key[0]), int(position.key[1])) if position else ("", 0),
            limit=limit + 1,
        )
        note(request, conn, "recall.read", "recall", str(recall_id), details={"lines": len(found[:limit])})
    shown = found[:limit]
    return BuyerPage(
        buyers=[BuyerView(**asdict(one)) for one in shown],
        next_cursor=cursor_after(found, limit, "recall_buyers", lambda one: [one.order_id, one.line_no]),
    )


QUALITY_ROUTES = (
    list_levels,
    get_history,
    post_override,
    list_cases,
    post_sign_off,
    list_recalls,
    list_buyers,
)
"""Handlers of this resource, for the application."""


def _case(found: cases.ImprovementCase) -> CaseView:
    return CaseView(
        case_id=found.case_id,
        sku_id=found.sku_id,
        opened_level=found.opened_level,
        opened_at=found.opened_at,
        closed_at=found.closed_at,
        missing=[str(one) for one in found.missing],
        sign_offs=[
            SignOffView(
                department=str(one.department),
                finding=one.finding,
                signed_by=one.signed_by,
                signed_at=one.signed_at,
            )
            for one in found.sign_offs
        ],
    )

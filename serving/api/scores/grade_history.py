"""`GET /v1/suppliers/{supplier_id}/grade-changes`: which grade a supplier held from when on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, get
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, OptionalIdentifier, PageSize
from serving.api.transactions import tenant_transaction
from serving.security import Role, Scope
from serving.supply.grade_history import changes_page


class GradeChange(Struct, frozen=True, kw_only=True):
    """A grade from when it holds, until the next one."""

    change_no: int
    category_id: Annotated[str | None, Meta(description="Of a channel; null: the supplier as a whole.")]
    grade: Annotated[str | None, Meta(description="A to D; null: graded no more.")]
    gate: Annotated[str | None, Meta(description="What stops the supplier, whatever its score.")]
    score_low: Annotated[float | None, Meta(description="Lower bound of the score as the grade began.")]
    graded_at: datetime


class GradeChangePage(Struct, frozen=True, kw_only=True):
    """Changes, the newest first."""

    changes: list[GradeChange]
    next_cursor: str | None


@get(
    "/suppliers/{supplier_id:str}/grade-changes",
    opt={
        "scope": Scope.GRADES,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.SUPPLIER}),
        "owner": "supplier",
    },
    tags=["Supply"],
    summary="History of a supplier's grades",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_grade_changes(
    request: Request[Any, Any, Any],
    supplier_id: Identifier,
    category_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> GradeChangePage:
    """Of the supplier as a whole, or with `category_id` of its channel. A supplier's key sees its own."""
    tenant_id = principal_of(request).tenant_id
    position = read_cursor(cursor, "grade_changes")
    before = int(position.key[0]) if position else None
    with tenant_transaction(request) as conn:
        found = changes_page(conn, tenant_id, supplier_id, category_id or "", before=before, limit=limit + 1)
    return GradeChangePage(
        changes=[
            GradeChange(
                change_no=one.change_no,
                category_id=category_id,
                grade=one.grade,
                gate=one.gate,
                score_low=one.score_low,
                graded_at=one.graded_at,
            )
            for one in found[:limit]
        ],
        next_cursor=cursor_after(found, limit, "grade_changes", lambda one: [one.change_no]),
    )

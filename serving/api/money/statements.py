"""`/v1/statements` and `/v1/periods`: what the platform owed a party in a month, and closing months."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.parameters import Identifier
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.ledger.accounts import Party
from serving.security import Role, Scope
from serving.settlement.reports.statement_lines import statement_csv, statement_lines
from serving.settlement.reports.statement_page import statement_page
from serving.settlement.reports.statements import (
    AccountFigures,
    DayFigures,
    Period,
    Statement,
    close_period,
    closed_periods,
    statement,
)

_MONTH = r"^(19|20|21)[0-9][0-9]-(0[1-9]|1[0-2])(?!\n)$"
_QueryMonth = Annotated[str, Parameter(query="period", pattern=_MONTH, description="Month, like 2026-01.")]
_PathMonth = Annotated[str, Parameter(pattern=_MONTH, description="Month, like 2026-01.")]
_Format = Literal["json", "csv", "html"]
_MEDIA_TYPES: dict[_Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
}


class StatementView(Struct, frozen=True, kw_only=True):
    """A statement: opening plus movements is closing, and closing is the opening of the next month."""

    party_type: str
    party_id: str
    period: str
    period_start: date
    period_end: Annotated[date, Meta(description="First day of the next month.")]
    is_closed: bool
    closed_at: datetime | None
    opening_cents: int
    movements_cents: int
    closing_cents: int
    accounts: list[AccountFigures]
    days: list[DayFigures]


class PeriodView(Struct, frozen=True, kw_only=True):
    """A closed month."""

    period: str
    statements: int
    is_new: Annotated[bool, Meta(description="False when it had been closed before.")]


class PeriodList(Struct, frozen=True, kw_only=True):
    """The closed months, oldest first."""

    periods: list[PeriodView]


@get(
    "/statements/{party_type:str}/{party_id:str}",
    opt={"scope": Scope.SETTLEMENT_READ, "roles": frozenset(Role), "owner": None},
    tags=["Settlement"],
    summary="Statement of a month",
    responses={
        **problem_responses(404, 409),
        200: ResponseSpec(
            data_container=StatementView,
            description="As JSON; as text/csv or text/html when `format` or the header Accept asks for it.",
            media_type="application/json",
            generate_examples=False,
        ),
    },
    sync_to_thread=True,
)
def get_statement(
    request: Request[Any, Any, Any],
    party_type: Literal["supplier", "merchant", "agent"],
    party_id: Identifier,
    month: _QueryMonth,
    shape: Annotated[
        _Format | None, Parameter(query="format", description="Without it the header Accept decides.")
    ] = None,
) -> Response[bytes]:
    """A closed month as it was closed, an open one as the ledger stands; the key of a party sees its own."""
    principal = principal_of(request)
    principal.require_owner(party_type, party_id)
    chosen = shape or _accepted(request.headers.get("accept", ""))
    # The entries must be those of the sums, whoever posts meanwhile.
    with typed_problems(), tenant_transaction(request, repeatable_read=chosen == "csv") as conn:
        shown = statement(conn, principal.tenant_id, Party(party_type, party_id), Period.parse(month))
        if chosen == "csv":
            text = statement_csv(shown, statement_lines(conn, principal.tenant_id, shown))
        else:
            text = statement_page(shown) if chosen == "html" else msgspec.json.encode(_view(shown)).decode()
        note(
            request, conn, "statement.read", party_type, party_id, details={"period": month, "format": chosen}
        )
    return Response(text.encode(), media_type=_MEDIA_TYPES[chosen])


@post(
    "/periods/{month:str}/close",
    opt={"scope": Scope.SETTLEMENT_APPROVE, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Settlement"],
    summary="Close a month",
    status_code=200,
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_period_close(request: Request[Any, Any, Any], month: _PathMonth) -> PeriodView:
    """Nothing can be booked into it any more; everybody's statement is stored. Repeating changes nothing."""
    with typed_problems(), tenant_transaction(request) as conn:
        tenant = principal_of(request).tenant_id
        closed = close_period(conn, tenant, Period.parse(month), now_of(request, conn))
        note(
            request,
            conn,
            "period.close",
            "period",
            month,
            outcome="done" if closed.is_new else "repeated",
            details={"statements": closed.statements},
        )
    return PeriodView(period=month, statements=closed.statements, is_new=closed.is_new)


@get(
    "/periods",
    opt={
        "scope": Scope.SETTLEMENT_READ,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR}),
        "owner": None,
    },
    tags=["Settlement"],
    summary="Closed months",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_periods(request: Request[Any, Any, Any]) -> PeriodList:
    """The months that take no booking any more."""
    with tenant_transaction(request) as conn:
        found = closed_periods(conn, principal_of(request).tenant_id)
    return PeriodList(
        periods=[PeriodView(period=str(p.period), statements=p.statements, is_new=False) for p in found]
    )


STATEMENT_ROUTES = [get_statement, post_period_close, get_periods]


def _accepted(header: str) -> _Format:
    """The first of our forms that an Accept header names; weights are not looked at."""
    for part in header.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind == "text/html":
            return "html"
        if kind == "text/csv":
            return "csv"
        if kind == "application/json":
            return "json"
    return "json"


def _view(shown: Statement) -> StatementView:
    return StatementView(
        party_type=shown.party.party_type,
        party_id=shown.party.party_id,
        period=str(shown.period),
        period_start=shown.period.first_day,
        period_end=shown.period.next_first_day,
        is_closed=shown.is_closed,
        closed_at=shown.closed_at,
        opening_cents=shown.opening_cents,
        movements_cents=shown.closing_cents - shown.opening_cents,
        closing_cents=shown.closing_cents,
        accounts=list(shown.accounts),
        days=list(shown.days),
    )

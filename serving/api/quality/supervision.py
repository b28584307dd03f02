"""`/v1/supervision`: cases against listings and offers, what parties say, decisions, deposits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

import psycopg
from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from models.supply.supervision.ladder import Rules
from serving.api.agents.party_names import Amount
from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, ask_another, two_people_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.approvals import asking
from serving.db.calendar import local_day, zone_of
from serving.orders.contracts import Id, Qty
from serving.security import PARTY_ROLES, Principal, Role, Scope
from serving.supervision import deposits, invoices, statements
from serving.supervision.cases import cases_page
from serving.supervision.records import ListingCase, Subject, changes_of

_OPERATOR = frozenset({Role.OPERATOR})
_PARTIES = frozenset({Role.MERCHANT, Role.SUPPLIER})
_READERS = _PARTIES | {Role.OPERATOR, Role.AUDITOR}
_CaseId = Annotated[int, Parameter(ge=1, le=2**63 - 1, description="Number of the case.")]
_Reference = Annotated[
    str, Meta(min_length=1, max_length=500, description="Where a document lies, such as its address.")
]


class ListingCaseView(Struct, frozen=True, kw_only=True):
    """A case against a listing of a merchant or an offer of a supplier."""

    case_id: int
    party_type: str
    party_id: str
    sku_id: str
    level: Annotated[int, Meta(description="1 papers are asked for, 2 held, 3 taken off; 0 has ended.")]
    score: Annotated[float, Meta(description="1 - product of (1 - weight x strength) of its signs.")]
    evidence: Annotated[dict[str, Any], Meta(description="Sign to its weight, strength and facts.")]
    opened_at: datetime
    due_at: Annotated[
        datetime | None, Meta(description="Until when the party answers; null: nothing is due.")
    ]
    has_statement: Annotated[bool, Meta(description="Whether something that was said waits for a decision.")]
    ended_at: datetime | None
    ended_by: Annotated[str | None, Meta(description="`cleared` or `clean_days`.")]


class ListingCasePage(Struct, frozen=True, kw_only=True):
    """Cases by number."""

    cases: list[ListingCaseView]
    next_cursor: str | None


class StatementView(Struct, frozen=True, kw_only=True):
    """What the party said."""

    kind: str
    body: str
    papers: list[str]
    stated_at: datetime
    decide_by: Annotated[datetime, Meta(description="By when the platform decides.")]
    decided_at: datetime | None


class DecisionView(Struct, frozen=True, kw_only=True):
    """What was decided."""

    outcome: str
    finding: str
    decided_by: Annotated[str | None, Meta(description="Key of the operator; not shown to the party.")]
    decided_at: datetime


class CaseChangeView(Struct, frozen=True, kw_only=True):
    """A change of what is done."""

    changed_at: datetime
    from_level: int
    to_level: int
    cause: Annotated[
        str,
        Meta(description="`signs`, `papers_overdue`, `unanswered`, `clean_days` or `cleared`."),
    ]
    score: float


class DepositView(Struct, frozen=True, kw_only=True):
    """What was set aside, fen."""

    amount_cents: int
    taken_at: datetime
    returned_at: datetime | None


class ListingCaseFile(Struct, frozen=True, kw_only=True):
    """A case with everything that was said, decided and done, oldest first."""

    case: ListingCaseView
    changes: list[CaseChangeView]
    statements: list[StatementView]
    decisions: list[DecisionView]
    invoices: Annotated[
        list[InvoiceView], Meta(description="That the party stated for the sku, 500 at most.")
    ]
    deposit: DepositView | None


class InvoiceRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A purchase invoice with the units of one sku on it; for another sku on it state it again."""

    sku_id: Id
    code: Annotated[
        Annotated[str, Meta(min_length=10, max_length=12)] | None,
        Meta(description="Of an older invoice, 10 or 12 digits; null: a fully digital one."),
    ] = None
    number: Annotated[
        str,
        Meta(
            min_length=8,
            max_length=20,
            description="20 digits, or 8 beside a code.",
            examples=["26442000000123456789"],
        ),
    ]
    issuer_tax_no: Annotated[
        str,
        Meta(
            min_length=18,
            max_length=18,
            description="Number of the legal entity that issued it.",
            examples=["91350100M000100Y43"],
        ),
    ]
    issued_on: Annotated[date, Meta(examples=["2026-05-01"])]
    amount_cents: Annotated[Amount, Meta(description="Fen, tax included.")]
    units: Qty


class InvoiceView(Struct, frozen=True, kw_only=True):
    """A purchase invoice that backs a listing or an offer."""

    invoice_id: Annotated[str, Meta(description="Its number, of an older one with its code before it.")]
    issuer_tax_no: str
    issued_on: date
    amount_cents: int
    units: Annotated[int, Meta(description="Of the sku.")]
    stated_at: datetime
    others: Annotated[int, Meta(description="Other parties that stated the same one.")]
    is_first: Annotated[bool, Meta(description="Whether this party stated it before them.")]


class StatementRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Papers that were asked for, or why the case is wrong."""

    kind: Literal["papers", "appeal"]
    body: Annotated[str, Meta(min_length=1, max_length=4_000, description="No names of consumers.")]
    papers: Annotated[list[_Reference], Meta(max_length=20)] = []


class DecisionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is decided, and why; the party reads it."""

    outcome: Literal["cleared", "upheld"]
    finding: Annotated[str, Meta(min_length=1, max_length=2_000, description="No names of consumers.")]


class DepositRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the party shall set aside."""

    cents: Amount


@get(
    "/supervision/cases",
    opt={"scope": Scope.QUALITY_READ, "roles": _READERS, "owner": None},
    tags=["Supervision"],
    summary="Cases of supervision",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_listing_cases(
    request: Request[Any, Any, Any],
    open_only: bool = True,
    late_only: bool = False,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> ListingCasePage:
    """By number, with their evidence. Parties see their own; `late_only`: past `decide_by`."""
    principal = principal_of(request)
    position = read_cursor(cursor, "listing_cases")
    with typed_problems(), tenant_transaction(request) as conn:
        found = cases_page(
            conn,
            principal.tenant_id,
            _party_of(principal),
            now_of(request, conn),
            open_only=open_only,
            late_only=late_only,
            after=int(position.key[0]) if position else 0,
            limit=limit + 1,
        )
    shown = found[:limit]
    return ListingCasePage(
        cases=[_view(one) for one in shown],
        next_cursor=cursor_after(found, limit, "listing_cases", lambda one: [one.case_id]),
    )


@get(
    "/supervision/cases/{listing_case_id:int}",
    opt={"scope": Scope.QUALITY_READ, "roles": _READERS, "owner": None},
    tags=["Supervision"],
    summary="A case of supervision",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_listing_case(request: Request[Any, Any, Any], listing_case_id: _CaseId) -> ListingCaseFile:
    """With what was said, decided and done."""
    with typed_problems(), tenant_transaction(request) as conn:
        return _file(conn, principal_of(request), listing_case_id)


@post(
    "/supervision/cases/{listing_case_id:int}/statements",
    opt={"scope": Scope.SUPERVISION_WRITE, "roles": _PARTIES, "owner": None},
    tags=["Supervision"],
    summary="Send papers or an appeal",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_statement(
    request: Request[Any, Any, Any], listing_case_id: _CaseId, data: StatementRequest
) -> ListingCaseFile:
    """The party has answered: nothing is due until an operator decided. One word at a time."""
    principal = principal_of(request)
    party = _party_of(principal)
    assert party is not None
    with typed_problems(), tenant_transaction(request) as conn:
        statements.state(
            conn,
            principal.tenant_id,
            party,
            listing_case_id,
            data.kind,
            data.body,
            data.papers,
            principal.key_id,
            Rules(),
            now_of(request, conn),
        )
        details = {"kind": data.kind, "papers": len(data.papers)}
        _note(request, conn, "state", listing_case_id, details)
        return _file(conn, principal, listing_case_id)


@post(
    "/supervision/cases/{listing_case_id:int}/decisions",
    opt={"scope": Scope.QUALITY_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Supervision"],
    summary="Decide about a case",
    status_code=201,
    responses=problem_responses(403, 404, 409),
    sync_to_thread=True,
)
def post_decision(
    request: Request[Any, Any, Any], listing_case_id: _CaseId, data: DecisionRequest
) -> ListingCaseFile:
    """`cleared` ends it, and it sells at once; `upheld` leaves it, with a new time to answer.

    A deposit that lies there goes back when another person agrees: clearing asks for that by itself.
    """
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        details: dict[str, str | int] = {"outcome": data.outcome}
        deposit = deposits.deposit_of(conn, principal.tenant_id, listing_case_id)
        if data.outcome == "cleared" and deposit is not None and deposit.returned_at is None:
            # Requests come before the brake in the order of locks.
            ask = deposits.ask_return(conn, principal.tenant_id, listing_case_id)
            asked = asking.request(conn, principal.tenant_id, ask, principal, now)
            details["deposit_return_approval_id"] = asked.approval.approval_id
        statements.decide(
            conn,
            principal.tenant_id,
            listing_case_id,
            data.outcome,
            data.finding,
            principal.key_id,
            Rules(),
            now,
        )
        deposits.require_unmoved(conn, principal.tenant_id, listing_case_id, deposit)
        _note(request, conn, "decide", listing_case_id, details)
        return _file(conn, principal, listing_case_id)


@post(
    "/supervision/cases/{listing_case_id:int}/deposits",
    opt={"scope": Scope.QUALITY_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Supervision"],
    summary="Ask for a deposit",
    status_code=202,
    responses=two_people_responses(404, 409),
    sync_to_thread=True,
)
def post_deposit(request: Request[Any, Any, Any], listing_case_id: _CaseId, data: DepositRequest) -> Waiting:
    """Of a party whose listing was taken off; another person must approve it, whatever the amount."""
    with typed_problems(), tenant_transaction(request) as conn:
        ask = deposits.ask_deposit(conn, principal_of(request).tenant_id, listing_case_id, data.cents)
        return ask_another(request, conn, ask, now_of(request, conn))


@post(
    "/supervision/cases/{listing_case_id:int}/deposit-returns",
    opt={"scope": Scope.QUALITY_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Supervision"],
    summary="Ask for the return of a deposit",
    status_code=202,
    responses=two_people_responses(404, 409),
    sync_to_thread=True,
)
def post_deposit_return(request: Request[Any, Any, Any], listing_case_id: _CaseId) -> Waiting:
    """Where the request that clearing made was rejected or has expired; it takes effect once cleared."""
    with typed_problems(), tenant_transaction(request) as conn:
        ask = deposits.ask_return(conn, principal_of(request).tenant_id, listing_case_id)
        return ask_another(request, conn, ask, now_of(request, conn))


@post(
    "/supervision/invoices",
    opt={"scope": Scope.SUPERVISION_WRITE, "roles": _PARTIES, "owner": None},
    tags=["Supervision"],
    summary="State a purchase invoice",
    status_code=201,
    responses=problem_responses(409, 422),
    sync_to_thread=True,
)
def post_invoice(request: Request[Any, Any, Any], data: InvoiceRequest) -> InvoiceView:
    """By which a party shows that its goods are genuine, asked or not; the same again changes nothing.

    One that somebody else stated before is a sign, and so are fewer units than the party sold since.
    """
    principal = principal_of(request)
    party = _party_of(principal)
    assert party is not None
    with typed_problems(), tenant_transaction(request) as conn:
        now = now_of(request, conn)
        made = invoices.state_invoice(
            conn,
            principal.tenant_id,
            Subject(*party, data.sku_id),
            invoices.NewInvoice(
                data.code,
                data.number,
                data.issuer_tax_no,
                data.issued_on,
                data.amount_cents,
                data.units,
            ),
            principal.key_id,
            local_day(now, zone_of(conn, principal.tenant_id)),
            now,
        )
        details: dict[str, str | int] = {"sku_id": data.sku_id, "units": data.units}
        note(request, conn, "invoice.state", "invoice", made.invoice_id, details=details)
    return InvoiceView(**asdict(made))


SUPERVISION_ROUTES = (
    list_listing_cases,
    get_listing_case,
    post_statement,
    post_decision,
    post_deposit,
    post_deposit_return,
    post_invoice,
)
"""Handlers of this resource, for the application."""


def _party_of(principal: Principal) -> tuple[str, str] | None:
    if principal.role not in PARTY_ROLES:
        return None
    return str(principal.role), principal.party_id or ""


def _note(
    request: Request[Any, Any, Any],
    conn: psycopg.Connection[Any],
    act: str,
    case_id: int,
    details: Mapping[str, str | int],
) -> None:
    note(request, conn, f"supervision_case.{act}", "supervision_case", str(case_id), details=details)


def _view(case: ListingCase) -> ListingCaseView:
    return ListingCaseView(
        case_id=case.case_id,
        party_type=case.party_type,
        party_id=case.party_id,
        sku_id=case.sku_id,
        level=int(case.level),
        score=case.score,
        evidence={sign: dict(facts) for sign, facts in case.evidence.items()},
        opened_at=case.opened_at,
        due_at=case.due_at,
        has_statement=case.has_word,
        ended_at=case.ended_at,
        ended_by=case.ended_by,
    )


def _file(conn: psycopg.Connection[Any], principal: Principal, case_id: int) -> ListingCaseFile:
    tenant, party = principal.tenant_id, _party_of(principal)
    case = statements.case_of(conn, tenant, case_id, party)
    deposit = deposits.deposit_of(conn, tenant, case_id)
    return ListingCaseFile(
        case=_view(case),
        changes=[
            CaseChangeView(
                changed_at=one.changed_at,
                from_level=one.from_level,
                to_level=one.to_level,
                cause=one.cause,
                score=one.score,
            )
            for one in changes_of(conn, tenant, case_id)
        ],
        statements=[
            StatementView(
                kind=one.kind,
                body=one.body,
                papers=list(one.papers),
                stated_at=one.stated_at,
                decide_by=one.decide_by,
                decided_at=one.decided_at,
            )
            for one in statements.statements_of(conn, tenant, case_id)
        ],
        decisions=[
            DecisionView(
                outcome=one.outcome,
                finding=one.finding,
                decided_by=one.decided_by if party is None else None,
                decided_at=one.decided_at,
            )
            for one in statements.decisions_of(conn, tenant, case_id)
        ],
        invoices=[InvoiceView(**asdict(one)) for one in invoices.invoices_of(conn, tenant, case.subject)],
        deposit=None
        if deposit is None
        else DepositView(
            amount_cents=deposit.amount_cents,
            taken_at=deposit.taken_at,
            returned_at=deposit.returned_at,
        ),
    )

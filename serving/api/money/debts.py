"""`/v1/debts` and `/v1/balances`: what parties owe and since when, what they pay back, what they hold."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get, post
from msgspec import Meta, Struct

from serving.api.agents.party_names import Amount, PartyName, PartyType
from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, amount_ask, answer, two_people, two_people_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.approvals.catalogue import WRITE_OFF
from serving.audit import Detail
from serving.ledger.accounts import Party
from serving.ledger.balances import party_balances
from serving.orders.contracts import Id
from serving.security import Role, Scope
from serving.settlement.beside.on_file import on_file
from serving.settlement.books.ageing import ageing
from serving.settlement.books.receivables import outstanding, repay, write_off


class DebtView(Struct, frozen=True, kw_only=True):
    """What a party owes, fen, by how long; later credits pay the oldest part first."""

    party_type: str
    party_id: str
    owed_cents: int
    since_at: Annotated[datetime, Meta(description="Of the oldest part that is still owed.")]
    days_0_30_cents: int
    days_31_90_cents: int
    days_91_cents: int


class DebtPage(Struct, frozen=True, kw_only=True):
    """Debts by party."""

    debts: list[DebtView]
    next_cursor: str | None


class RepaymentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money that a party paid in to settle what it owes."""

    repayment_id: Annotated[Id, Meta(description="The same id books once.")]
    party: PartyName
    cents: Amount


class WriteOffRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is given up of a debt."""

    write_off_id: Annotated[Id, Meta(description="The same id books once.")]
    party: PartyName
    cents: Amount
    reason_code: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$", examples=["insolvent"])]


class RepaymentView(Struct, frozen=True, kw_only=True):
    """A booked repayment or write-off."""

    transaction_id: int
    is_new: Annotated[bool, Meta(description="False when the id had booked it before.")]


class BalanceView(Struct, frozen=True, kw_only=True):
    """What one account of a party holds; negative is what it owes."""

    account: str
    unit: Annotated[str, Meta(description="`CNY` (fen) or `PT` (points).")]
    balance_cents: int


class BalanceList(Struct, frozen=True, kw_only=True):
    """Accounts of a party."""

    party_type: str
    party_id: str
    balances: list[BalanceView]


@get(
    "/debts",
    opt={
        "scope": Scope.SETTLEMENT_READ,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR}),
        "owner": None,
    },
    tags=["Fees"],
    summary="What parties owe, by age",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_debts(request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None) -> DebtPage:
    """By kind and id of the party."""
    tenant = principal_of(request).tenant_id
    position = read_cursor(cursor, "debts")
    after = Party(str(position.key[0]), str(position.key[1])) if position else Party("", "")
    with tenant_transaction(request) as conn:
        found = outstanding(conn, after=after, limit=limit + 1)
        now = now_of(request, conn)
        shown = [ageing(conn, tenant, debt, now) for debt in found[:limit]]
    return DebtPage(
        debts=[
            DebtView(
                party_type=debt.party.party_type,
                party_id=debt.party.party_id,
                owed_cents=debt.owed_cents,
                since_at=debt.since_at,
                days_0_30_cents=debt.young_cents,
                days_31_90_cents=debt.middle_cents,
                days_91_cents=debt.old_cents,
            )
            for debt in shown
        ],
        next_cursor=cursor_after(found, limit, "debts", lambda one: [*one.party]),
    )


@post(
    "/debts/repayments",
    opt={"scope": Scope.SETTLEMENT_RUN, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Fees"],
    summary="Book a repayment",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_repayment(request: Request[Any, Any, Any], data: RepaymentRequest) -> RepaymentView:
    """Up to what the party owes."""
    tenant = principal_of(request).tenant_id
    with typed_problems(), tenant_transaction(request) as conn:
        party = data.party.party
        on_file(conn, tenant, party)
        posted = repay(conn, tenant, data.repayment_id, party, data.cents, now_of(request, conn))
        note(
            request,
            conn,
            "debt.repay",
            "repayment",
            data.repayment_id,
            outcome="done" if posted.is_new else "repeated",
            details={"party": party.party_id, "cents": data.cents},
        )
    return RepaymentView(transaction_id=posted.transaction_id, is_new=posted.is_new)


@post(
    "/debts/write-offs",
    opt={"scope": Scope.SETTLEMENT_APPROVE, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Fees"],
    summary="Give up a debt",
    status_code=201,
    responses=two_people_responses(404, 409),
    sync_to_thread=True,
)
def post_write_off(
    request: Request[Any, Any, Any], data: WriteOffRequest
) -> Response[RepaymentView | Waiting]:
    """Up to what the party owes; the platform bears it.

    202: another person must approve it first. 201: it lies within `MUYUN_ALONE_FEE_CENTS`.
    """
    tenant = principal_of(request).tenant_id
    party = data.party.party
    ask = amount_ask(WRITE_OFF, ("write_off", data.write_off_id), party, data.cents, data.reason_code)
    with typed_problems(), tenant_transaction(request) as conn:
        on_file(conn, tenant, party)
        now = now_of(request, conn)

        def act() -> RepaymentView:
            posted = write_off(conn, tenant, data.write_off_id, party, data.cents, now)
            details: dict[str, Detail] = {"party": party.party_id, "cents": data.cents}
            note(request, conn, "debt.write_off", "write_off", data.write_off_id, details=details)
            return RepaymentView(transaction_id=posted.transaction_id, is_new=posted.is_new)

        found = two_people(request, conn, ask, now, act)
    return answer(found)


@get(
    "/balances/{party_type:str}/{party_id:str}",
    opt={"scope": Scope.SETTLEMENT_READ, "roles": frozenset(Role), "owner": None},
    tags=["Settlement"],
    summary="What a party holds now",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_balances(request: Request[Any, Any, Any], party_type: PartyType, party_id: Identifier) -> BalanceList:
    """Pending, locked, available, set aside and owed; the key of a party sees its own."""
    principal = principal_of(request)
    principal.require_owner(party_type, party_id)
    with tenant_transaction(request) as conn:
        found = party_balances(conn, Party(party_type, party_id))
        note(request, conn, "balance.read", party_type, party_id)
    return BalanceList(
        party_type=party_type,
        party_id=party_id,
        balances=[
            BalanceView(account=kind, unit=kind.unit, balance_cents=cents)
            for kind, cents in sorted(found.items())
        ],
    )


DEBT_ROUTES = [list_debts, post_repayment, post_write_off, get_balances]

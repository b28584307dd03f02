"""`/v1/withholdings`: the tax withheld from each payee in a year."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import Parameter
from msgspec import Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, PageSize
from serving.api.transactions import note, tenant_transaction
from serving.ledger.accounts import Party
from serving.security import PARTY_ROLES, Role, Scope
from serving.settlement.reports.withholding import withheld_in

_READERS = frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT, Role.AGENT})


class WithheldView(Struct, frozen=True, kw_only=True):
    """Of one payee, fen: commissions before tax, and the tax; refunds are taken off both."""

    party_type: str
    party_id: str
    commission_cents: int
    withheld_cents: int


class WithheldPage(Struct, frozen=True, kw_only=True):
    """Payees by kind and id."""

    year: int
    payees: list[WithheldView]
    next_cursor: str | None


@get(
    "/withholdings",
    opt={"scope": Scope.SETTLEMENT_READ, "roles": _READERS, "owner": None},
    tags=["Settlement"],
    summary="Tax withheld in a year, by payee",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_withholdings(
    request: Request[Any, Any, Any],
    year: Annotated[int, Parameter(ge=2000, le=2100, description="Calendar year of the tenant.")],
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> WithheldPage:
    """Of shares released in the year; the key of a party sees its own."""
    principal = principal_of(request)
    position = read_cursor(cursor, "withholdings")
    after = Party(str(position.key[0]), str(position.key[1])) if position else None
    own = Party(str(principal.role), principal.party_id or "") if principal.role in PARTY_ROLES else None
    with tenant_transaction(request) as conn:
        found = withheld_in(conn, principal.tenant_id, year, party=own, after=after, limit=limit + 1)
        note(request, conn, "withholding.list", "withholding", str(year))
    return WithheldPage(
        year=year,
        payees=[
            WithheldView(
                party_type=one.party.party_type,
                party_id=one.party.party_id,
                commission_cents=one.commission_cents,
                withheld_cents=one.withheld_cents,
            )
            for one in found[:limit]
        ],
        next_cursor=cursor_after(found, limit, "withholdings", lambda one: [*one.party]),
    )

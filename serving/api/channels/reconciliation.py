"""`/v1/channel-bills` and `/v1/reconciliations`: loading a channel's bill and comparing it with the books."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.channels.facts import BillLine
from serving.orders.contracts import Id, Moment
from serving.problems import ApiError
from serving.security import Role, Scope
from serving.settlement.channel.bill import Bill, as_csv, load_bill
from serving.settlement.channel.bill_breaks import hold_breaks
from serving.settlement.channel.reconciliation import (
    Break,
    Reconciliation,
    breaks_of,
    find_reconciliation,
    reconcile,
)

_RUN = {"scope": Scope.RECONCILIATION_RUN, "roles": frozenset({Role.OPERATOR}), "owner": None}
BillKind = Literal["payment", "refund", "payout", "chargeback", "payout_return", "split", "split_return"]
_Cents = Annotated[int, Meta(ge=-(10**15), le=10**15, description="Fen.")]


class BillLineRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a bill; amounts are above 0 whatever the direction, a returned fee is below 0."""

    kind: BillKind
    reference: Annotated[Id, Meta(description="Id of the payment, refund or pay-out.")]
    amount_cents: Annotated[int, Meta(ge=1, le=10**15, description="Fen.")]
    fee_cents: _Cents = 0
    occurred_at: Moment


class BillRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bill; larger ones are loaded as CSV with `python -m serving.jobs load-bill`."""

    bill_id: Id
    adapter: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$", examples=["simulated"])]
    channel_id: Annotated[
        Id | None, Meta(description="The account that it is of; without one: all accounts of the adapter.")
    ] = None
    kinds: Annotated[
        Annotated[list[BillKind], Meta(min_length=1, max_length=10)] | None,
        Meta(description="What it tells of; without any what bills of that account do, or everything."),
    ] = None
    bill_from: Moment
    bill_to: Annotated[Moment, Meta(description="First moment that it does not cover.")]
    lines: Annotated[list[BillLineRequest], Meta(max_length=20_000)]


class BillView(Struct, frozen=True, kw_only=True):
    """A loaded bill."""

    bill_id: str
    lines: int
    content_hash: str
    is_new: Annotated[bool, Meta(description="False when the same content had been loaded before.")]


class ReconciliationRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which bill to compare."""

    run_id: Id
    bill_id: Id


class BreakView(Struct, frozen=True, kw_only=True):
    """One difference; `expected_cents` is of the records, `found_cents` of the bill or the ledger."""

    break_type: str
    kind: str
    reference: str
    expected_cents: int | None
    found_cents: int | None
    details: str | None


class ReconciliationView(Struct, frozen=True, kw_only=True):
    """A finished run; `breaks` counts the differences by type."""

    run_id: str
    bill_id: str
    as_of: datetime
    lines: int
    records: int
    difference_cents: int
    breaks: dict[str, int]


class ReconciliationPage(Struct, frozen=True, kw_only=True):
    """A finished run with a page of its differences."""

    run: ReconciliationView
    differences: list[BreakView]
    next_cursor: str | None


@post(
    "/channel-bills",
    opt={**_RUN},
    tags=["Reconciliation"],
    summary="Load a channel's bill",
    status_code=201,
    responses=problem_responses(409, 413),
    sync_to_thread=True,
)
def post_channel_bill(request: Request[Any, Any, Any], data: BillRequest) -> BillView:
    """Loaded once per content: sending it again answers with the first."""
    kinds = None if data.kinds is None else frozenset[str](data.kinds)
    bill = Bill(data.bill_id, data.adapter, data.bill_from, data.bill_to, data.channel_id, kinds)
    lines = (
        BillLine(line.kind, line.reference, line.amount_cents, line.fee_cents, line.occurred_at)
        for line in data.lines
    )
    with typed_problems(), tenant_transaction(request) as conn:
        loaded = load_bill(conn, principal_of(request).tenant_id, bill, as_csv(lines))
        note(
            request,
            conn,
            "channel_bill.load",
            "channel_bill",
            loaded.bill_id,
            outcome="done" if loaded.is_new else "repeated",
            details={"lines": loaded.lines},
        )
    return BillView(
        bill_id=loaded.bill_id,
        lines=loaded.lines,
        content_hash=loaded.content_hash,
        is_new=loaded.is_new,
    )


@post(
    "/reconciliations",
    opt={**_RUN},
    tags=["Reconciliation"],
    summary="Compare a bill with the books",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_reconciliation(request: Request[Any, Any, Any], data: ReconciliationRequest) -> ReconciliationView:
    """Ledger, bill and records agree, or every difference has a type. A run id is used once."""
    with typed_problems(), tenant_transaction(request) as conn:
        done = reconcile(
            conn,
            principal_of(request).tenant_id,
            bill_id=data.bill_id,
            run_id=data.run_id,
            as_of=now_of(request, conn),
        )
        held = hold_breaks(conn, principal_of(request).tenant_id, data.run_id, now_of(request, conn))
        note(
            request,
            conn,
            "reconciliation.run",
            "reconciliation",
            data.run_id,
            outcome="done" if done.is_new else "repeated",
            details={"bill_id": data.bill_id, "differences": sum(done.breaks.values()), "held": held},
        )
    return _run(done)


@get(
    "/reconciliations/{run_id:str}",
    opt={"scope": Scope.LEDGER_READ, "roles": frozenset({Role.OPERATOR, Role.AUDITOR}), "owner": None},
    tags=["Reconciliation"],
    summary="A comparison and its differences",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_reconciliation(
    request: Request[Any, Any, Any], run_id: Identifier, limit: PageSize = 100, cursor: CursorText = None
) -> ReconciliationPage:
    """The differences by type, kind and reference."""
    position = read_cursor(cursor, "breaks")
    after = ("", "", "")
    if position is not None:
        break_type, kind, reference = (str(part) for part in position.key)
        after = (break_type, kind, reference)
    tenant = principal_of(request).tenant_id
    with tenant_transaction(request) as conn:
        run = find_reconciliation(conn, tenant, run_id)
        if run is None:
            raise ApiError(404, "run-not-found", "No such run", f"There is no reconciliation {run_id!r}.")
        found = breaks_of(conn, tenant, run_id, after=after, limit=limit + 1)
        note(request, conn, "reconciliation.read", "reconciliation", run_id)
    rows = found[:limit]
    return ReconciliationPage(
        run=_run(run),
        differences=[_break(row) for row in rows],
        next_cursor=cursor_after(found, limit, "breaks", lambda one: list(one[:3])),
    )


RECONCILIATION_ROUTES = [post_channel_bill, post_reconciliation, get_reconciliation]


def _run(run: Reconciliation) -> ReconciliationView:
    return ReconciliationView(
        run_id=run.run_id,
        bill_id=run.bill_id,
        as_of=run.as_of,
        lines=run.lines,
        records=run.records,
        difference_cents=run.difference_cents,
        breaks=run.breaks,
    )


def _break(row: Break) -> BreakView:
    return BreakView(**row._asdict())

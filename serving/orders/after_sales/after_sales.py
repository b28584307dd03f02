"""After-sale cases: opened on a line or on a freight, refunded in one or several steps, rejected or closed.

An open case stops the release of the money of its sub-order until it is rejected, closed, or all that it asks
for is given back; a refund is possible at any time, also after the money was paid out.

What was shipped is its supplier's loss as well: money goes back for it when the supplier agrees, when an
operator decides so, or when the supplier said nothing for some days. A disagreement, or a rejection by an
operator, binds later cases of the same line: silence about them is no consent.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from models.supply.brake.ladder import SAFETY_REASONS
from serving.db import locks
from serving.orders.after_sales import gifts
from serving.orders.after_sales.refunding import Give, end_empty_part, give_back, settle_status
from serving.orders.errors import ImpossibleMoveError, InvalidRequestError, NotFoundError, RefundRefusedError
from serving.orders.records import Order, OrderLine, find_order, find_sub_order, lines_of, touch
from serving.orders.settling import refund_line
from serving.orders.states import CASE, ENDED, ORDER, UNSHIPPED, CaseStatus
from serving.orders.webhooks import webhooks
from serving.orders.webhooks.recall_notices import tell_of_recalls
from serving.quality.harm import brake_for_harm

Connection = psycopg.Connection[Any]

ANSWER_DAYS = 3
"""Days that a supplier has for an answer, unless a setting says otherwise."""
FREIGHT = 0
"""Line number that stands for the freight of a supplier."""


@dataclass(frozen=True)
class Case:
    """A row of `orders.after_sale`.

    Attributes:
        case_id: Names the case.
        order_id: The order.
        line_no: The line; 0 for a freight.
        supplier_id: Who shipped it.
        kind: `refund`, `return` or `complaint`.
        reason_code: Why the buyer asks.
        status: See `states.CASE`.
        requested_cents: What is asked back, fen.
        refund_cents: What was given back, fen.
        opened_at: When it was opened.
        resolved_at: When money was given back or it ended.
        qty: Units that it is about; None for money only.
        supplier_answer: `agreed` or `disagreed`; None while the supplier is silent.
        answer_code: Why it disagrees.
        answered_at: When it answered.
        return_carrier: Who carries the goods back.
        return_tracking_no: Number of that parcel.
        sent_back_at: When it left.
        received_qty: Units that came back, by the supplier's count.
        restocked_qty: Units of them that are stock again.
        received_back_at: When they came.
        decision: `refund` or `reject`, by an operator where shop and supplier disagree.
        decision_code: Why.
        decided_at: When.
    """

    case_id: str
    order_id: str
    line_no: int
    supplier_id: str
    kind: str
    reason_code: str
    status: str
    requested_cents: int
    refund_cents: int
    opened_at: datetime
    resolved_at: datetime | None
    qty: int | None = None
    supplier_answer: str | None = None
    answer_code: str | None = None
    answered_at: datetime | None = None
    return_carrier: str | None = None
    return_tracking_no: str | None = None
    sent_back_at: datetime | None = None
    received_qty: int | None = None
    restocked_qty: int | None = None
    received_back_at: datetime | None = None
    decision: str | None = None
    decision_code: str | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True)
class CaseRefund:
    """A refund that was booked on a case."""

    refund_id: str
    case: Case
    refund_cents: int
    order_status: str


_COLUMNS = ", ".join(Case.__dataclass_fields__)


def open_case(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    line_no: int,
    supplier_id: str | None,
    kind: str,
    reason_code: str,
    requested_cents: int,
    now: datetime,
    qty: int | None = None,
    *,
    is_suppliers: bool = False,
    safety_reasons: Collection[str] = SAFETY_REASONS,
) -> Case:
    """Open a case. One about safety stops its sku at once: the quality brake goes to level 4.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: A paid order.
        line_no: The line; 0 for the freight of `supplier_id`.
        supplier_id: Needed for a freight; for a line it must be who ships it, if given.
        kind: `refund`, `return` or `complaint`.
        reason_code: Why.
        requested_cents: What is asked back, fen; refunds of the case never exceed it.
        now: Business time.
        qty: Units that it is about; bounds what is asked, and for a return what is given back.
        is_suppliers: The supplier opens it itself, and so agrees with it.
        safety_reasons: Reason codes that tell of harm.

    Raises:
        NotFoundError: There is no such order, line or part.
        InvalidRequestError: More units than the line has, or units of a freight.
        ImpossibleMoveError: The order was never paid.
        RefundRefusedError: More is asked than was paid and not yet refunded.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    if order.paid_at is None:
        raise ImpossibleMoveError(
            "order", order_id, order.status, "open an after-sale case", ORDER.possible(order.status)
        )
    supplier, open_cents = _target(conn, tenant_id, order_id, line_no, supplier_id)
    if requested_cents > open_cents:
        raise RefundRefusedError(
            f"{requested_cents} fen are asked back; {open_cents} were paid and not refunded."
        )
    if qty is not None:
        _check_units(conn, tenant_id, order_id, line_no, qty, requested_cents)
    case = Case(
        case_id=f"as-{secrets.token_hex(8)}",
        order_id=order_id,
        line_no=line_no,
        supplier_id=supplier,
        kind=kind,
        reason_code=reason_code,
        status="open",
        requested_cents=requested_cents,
        refund_cents=0,
        opened_at=now,
        resolved_at=None,
        qty=qty,
        supplier_answer="agreed" if is_suppliers else None,
        answered_at=now if is_suppliers else None,
    )
    conn.execute(
        "insert into orders.after_sale (tenant_id, case_id, order_id, line_no, supplier_id, kind,"
        " reason_code, status, requested_cents, opened_at, qty, supplier_answer, answered_at)"
        " values (%(tenant)s, %(case)s, %(order)s, %(line)s, %(supplier)s, %(kind)s, %(reason)s, 'open',"
        " %(cents)s, %(now)s, %(qty)s, %(answer)s, %(answered)s)",
        {
            "tenant": tenant_id,
            "case": case.case_id,
            "order": order_id,
            "line": line_no,
            "supplier": supplier,
            "kind": kind,
            "reason": reason_code,
            "cents": requested_cents,
            "now": now,
            "qty": qty,
            "answer": case.supplier_answer,
            "answered": case.answered_at,
        },
    )
    touch(conn, tenant_id, order_id)
    if line_no != FREIGHT and reason_code in safety_reasons:
        _brake(conn, tenant_id, case, now)
    webhooks.tell_merchant(conn, tenant_id, order.merchant_id, "after_sale.opened", order_id, case.case_id)
    webhooks.tell_supplier_of_case(conn, tenant_id, order_id, supplier, "after_sale.opened", case.case_id)
    return case


def _brake(conn: Connection, tenant_id: str, case: Case, now: datetime) -> None:
    lines = lines_of(conn, tenant_id, case.order_id)
    sku_id = next(line.sku_id for line in lines if line.line_no == case.line_no)
    if brake_for_harm(conn, tenant_id, sku_id, case.supplier_id, case.case_id, now):
        tell_of_recalls(conn, tenant_id, now)


def refund_case(
    conn: Connection,
    tenant_id: str,
    case_id: str,
    refund_cents: int,
    now: datetime,
    *,
    answer_days: int = ANSWER_DAYS,
) -> CaseRefund:
    """Give money back on a case; repeated refunds add up to at most what the case asked for.

    The last fen of an unshipped line frees its stock, and the freight of a part that has nothing left to ship
    goes back as well. So does a gift that was not sent, where what is left does not earn it. Of a line that
    cost nothing the units go back that came back, for 0 fen.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        case_id: The case.
        refund_cents: Fen; 0 only for units of a line that cost nothing, which came back.
        now: Business time.
        answer_days: After so many days without an answer the supplier of shipped goods agrees.

    Raises:
        NotFoundError: There is no such case.
        ImpossibleMoveError: The case is rejected or closed.
        RefundRefusedError: More than the case asked for, than is left of the line, or than what came back is
            worth; or the supplier of shipped goods neither agrees nor was silent for so long, and no operator
            decided for the buyer.
        GiftKeptError: The buyer has a gift that what is left does not earn, and too little stays paid for it.
    """
    case, order = _locked(conn, tenant_id, case_id)
    has_ended = case.status in (CaseStatus.REJECTED, CaseStatus.CLOSED)
    if not has_ended and case.refund_cents + refund_cents > case.requested_cents:
        raise RefundRefusedError(
            f"Case {case_id!r} asks for {case.requested_cents} fen, {case.refund_cents} are refunded: "
            f"{refund_cents} more are too many."
        )
    is_all = case.refund_cents + refund_cents == case.requested_cents
    status = CASE.move(case_id, case.status, "refund_all" if is_all else "refund")
    _, open_cents = _target(conn, tenant_id, case.order_id, case.line_no, case.supplier_id)
    if refund_cents > open_cents:
        raise RefundRefusedError(
            f"Only {open_cents} fen were paid and not refunded; {refund_cents} are asked."
        )
    _require_agreement(conn, tenant_id, case, now, timedelta(days=answer_days))
    _require_goods_back(conn, tenant_id, case, refund_cents)
    number = conn.execute(
        "select count(*) from settlement.refund where tenant_id = %(tenant)s and order_id = %(order)s"
        " and case_id = %(case)s",
        {"tenant": tenant_id, "order": case.order_id, "case": case_id},
    ).fetchone()
    assert number is not None, "count answers one row"
    refund_id = f"{case_id}:{number[0] + 1}"
    gift = None
    if case.line_no != FREIGHT:
        # Before any money moves: what the last fen frees is locked above it.
        line = _line(conn, tenant_id, case.order_id, case.line_no)
        gift = gifts.stake(conn, tenant_id, case.order_id)
        locks.stock(conn, tenant_id, [(line.supplier_id, line.sku_id), *(gift.stock_keys if gift else ())])
    _book(conn, tenant_id, order, case, refund_id, refund_cents, now)
    case = _write(conn, tenant_id, case, status, refund_cents, now)
    gifts.follow(conn, tenant_id, order, gift, now, refund_cents=refund_cents)
    order_status = settle_status(conn, tenant_id, case.order_id)
    webhooks.tell_merchant(
        conn, tenant_id, order.merchant_id, "after_sale.refunded", order.order_id, refund_id
    )
    return CaseRefund(refund_id, case, refund_cents, order_status)


def end_case(conn: Connection, tenant_id: str, case_id: str, event: str, now: datetime) -> Case:
    """Reject or close a case.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        case_id: The case.
        event: `reject` or `close`.
        now: Business time.

    Raises:
        NotFoundError: There is no such case.
        ImpossibleMoveError: The case has ended already, or money was given back on a case to be rejected.
    """
    case, _ = _locked(conn, tenant_id, case_id)
    return move_case(conn, tenant_id, case, event, now)


def move_case(conn: Connection, tenant_id: str, case: Case, event: str, now: datetime) -> Case:
    """The same for a case whose order is locked.

    Raises:
        ImpossibleMoveError: As above.
    """
    case_id = case.case_id
    order = find_order(conn, tenant_id, case.order_id)
    if event == "reject" and case.refund_cents:
        raise ImpossibleMoveError("after-sale case", case_id, "partly refunded", event, ["refund", "close"])
    status = CASE.move(case_id, case.status, event)
    ended = _write(conn, tenant_id, case, status, 0, now)
    touch(conn, tenant_id, case.order_id)
    webhooks.tell_merchant(
        conn, tenant_id, order.merchant_id, f"after_sale.{status}", order.order_id, case_id
    )
    return ended


def find_case(conn: Connection, tenant_id: str, case_id: str) -> Case:
    """One case.

    Raises:
        NotFoundError: There is no such case.
    """
    query = f"select {_COLUMNS} from orders.after_sale where tenant_id = %(tenant)s and case_id = %(case)s"
    with conn.cursor(row_factory=class_row(Case)) as cursor:
        found = cursor.execute(query.encode(), {"tenant": tenant_id, "case": case_id}).fetchone()
    if found is None:
        raise NotFoundError("after-sale-case", case_id)
    return found


def cases_of(conn: Connection, tenant_id: str, order_id: str, supplier_id: str | None = None) -> list[Case]:
    """Cases of an order by time; of one supplier when it is named."""
    query = (
        f"select {_COLUMNS} from orders.after_sale where tenant_id = %(tenant)s and order_id = %(order)s"
        " and (%(supplier)s::text is null or supplier_id = %(supplier)s) order by opened_at, case_id"
    )
    with conn.cursor(row_factory=class_row(Case)) as cursor:
        values = {"tenant": tenant_id, "order": order_id, "supplier": supplier_id}
        return cursor.execute(query.encode(), values).fetchall()


def _check_units(
    conn: Connection, tenant_id: str, order_id: str, line_no: int, qty: int, requested_cents: int
) -> None:
    if line_no == FREIGHT:
        raise InvalidRequestError("qty", "a freight has no units")
    line = _line(conn, tenant_id, order_id, line_no)
    if qty > line.qty:
        raise InvalidRequestError("qty", f"the line has {line.qty} units")
    worth = line.net_paid_cents * qty // line.qty
    if requested_cents > worth:
        raise RefundRefusedError(f"{requested_cents} fen are asked back for units that cost {worth}.")


def _require_agreement(
    conn: Connection, tenant_id: str, case: Case, now: datetime, time_to_answer: timedelta
) -> None:
    """Refuse what the supplier disputes, and what it did not have the time to dispute."""
    if case.decision == "refund" or case.supplier_answer == "agreed":
        return
    if case.supplier_answer == "disagreed":
        raise RefundRefusedError(
            f"The supplier disagrees with case {case.case_id!r}: an operator decides before money goes back."
        )
    part = find_sub_order(conn, tenant_id, case.order_id, case.supplier_id)
    # Who counted the goods that came back has taken them.
    if part.status in UNSHIPPED | ENDED or case.received_qty:
        return
    for other in cases_of(conn, tenant_id, case.order_id, case.supplier_id):
        is_disputed = other.supplier_answer == "disagreed" and other.decision is None
        if other.line_no == case.line_no and (is_disputed or other.decision == "reject"):
            raise RefundRefusedError(
                f"Case {other.case_id!r} of the same line was disputed or rejected: the supplier agrees with"
                f" case {case.case_id!r}, or an operator decides, before money goes back."
            )
    # Nobody disputes goods that have not left yet: the time to answer begins with the parcel, or the case.
    due = max(case.opened_at, part.shipped_at or case.opened_at) + time_to_answer
    if now < due:
        raise RefundRefusedError(
            f"The supplier shipped and has not answered case {case.case_id!r}: it agrees, an operator"
            f" decides, or it says nothing until {due.isoformat(timespec='minutes')}."
        )


def _require_goods_back(conn: Connection, tenant_id: str, case: Case, refund_cents: int) -> None:
    """Refuse money for units that did not come back."""
    if refund_cents == 0:
        _require_free_units_back(conn, tenant_id, case)
    if case.kind != "return" or case.qty is None:
        return
    line = _line(conn, tenant_id, case.order_id, case.line_no)
    received = case.received_qty or 0
    worth = line.net_paid_cents * received // line.qty
    if case.refund_cents + refund_cents > worth:
        raise RefundRefusedError(
            f"Case {case.case_id!r} is about {case.qty} units, {received} came back, worth {worth} fen;"
            f" {case.refund_cents} are refunded: {refund_cents} more are too many."
        )


def _require_free_units_back(conn: Connection, tenant_id: str, case: Case) -> None:
    if case.line_no == FREIGHT or not _free_back(_line(conn, tenant_id, case.order_id, case.line_no), case):
        raise RefundRefusedError(
            f"Case {case.case_id!r} gives no money back: 0 fen are for a return of a line that cost nothing,"
            " once units of it that were sent came back."
        )


def _free_back(line: OrderLine, case: Case) -> int:
    """Units that came back by a case, of those of a line that cost nothing which were out until then."""
    return 0 if line.net_paid_cents else min(case.received_qty or 0, line.sent_qty - line.back_qty)


def _locked(conn: Connection, tenant_id: str, case_id: str) -> tuple[Case, Order]:
    """The case as it is once its order is locked."""
    order = find_order(conn, tenant_id, find_case(conn, tenant_id, case_id).order_id, lock=True)
    return find_case(conn, tenant_id, case_id), order


def _target(
    conn: Connection, tenant_id: str, order_id: str, line_no: int, supplier_id: str | None
) -> tuple[str, int]:
    """Who ships what a case is about, and what may still be refunded, fen."""
    if line_no == FREIGHT:
        if supplier_id is None:
            raise InvalidRequestError("supplier_id", "a case on the freight (line 0) names its supplier")
        part = find_sub_order(conn, tenant_id, order_id, supplier_id)
        return supplier_id, part.open_freight_cents
    line = _line(conn, tenant_id, order_id, line_no)
    if supplier_id not in (None, line.supplier_id):
        raise NotFoundError("order-line", f"{order_id}/{line_no}")
    return line.supplier_id, line.open_cents


def _line(conn: Connection, tenant_id: str, order_id: str, line_no: int) -> OrderLine:
    for line in lines_of(conn, tenant_id, order_id):
        if line.line_no == line_no:
            return line
    raise NotFoundError("order-line", f"{order_id}/{line_no}")


def _book(
    conn: Connection, tenant_id: str, order: Order, case: Case, refund_id: str, cents: int, now: datetime
) -> None:
    supplier = case.supplier_id
    if case.line_no == FREIGHT:
        refund_line(conn, tenant_id, refund_id, order.order_id, FREIGHT, supplier, cents, now, case.case_id)
        return
    line = _line(conn, tenant_id, order.order_id, case.line_no)
    kept = 0 if cents == line.open_cents else line.reserved_qty
    give = Give(line.line_no, supplier, cents, 0, kept, _free_back(line, case))
    give_back(conn, tenant_id, order, line, give, refund_id, now, case.case_id)
    end_empty_part(conn, tenant_id, order, supplier, refund_id, now)


def _write(
    conn: Connection, tenant_id: str, case: Case, status: str, refund_cents: int, now: datetime
) -> Case:
    conn.execute(
        "update orders.after_sale set status = %(status)s, refund_cents = refund_cents + %(cents)s,"
        " resolved_at = %(now)s, xact_id = pg_current_xact_id()"
        " where tenant_id = %(tenant)s and case_id = %(case)s",
        {"tenant": tenant_id, "case": case.case_id, "status": status, "cents": refund_cents, "now": now},
    )
    return find_case(conn, tenant_id, case.case_id)

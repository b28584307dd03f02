"""How an after-sale case goes on between shop, supplier and operator: answer, parcel, arrival, arbitration.

A supplier answers a case; where it disagrees, nothing is given back before an operator decided, who
may decide before it answers. Goods that come back are counted by the supplier, and what it puts on its shelf
again is stock by its word.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import psycopg

from serving.db import locks
from serving.orders.after_sales.after_sales import FREIGHT, Case, cases_of, find_case, move_case
from serving.orders.assortment import stock
from serving.orders.errors import ImpossibleMoveError, InvalidRequestError
from serving.orders.records import OrderLine, find_order, lines_of, touch
from serving.orders.states import CASE, CaseStatus
from serving.orders.webhooks import webhooks
from serving.privacy.data_keys import Vault
from serving.privacy.personal_fields import RETURN_ADDRESS, Recipient

Connection = psycopg.Connection[Any]
Decision = Literal["refund", "reject"]


def answer_case(
    conn: Connection,
    tenant_id: str,
    case_id: str,
    *,
    agrees: bool,
    reason_code: str | None,
    now: datetime,
) -> Case:
    """The supplier says whether it agrees; it may think again until money went back or an operator decided.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        case_id: An open case.
        agrees: Whether the buyer is right.
        reason_code: Why not; needed where the supplier disagrees.
        now: Business time.

    Raises:
        NotFoundError: There is no such case.
        ImpossibleMoveError: The case has ended, money was given back, or an operator decided.
        InvalidRequestError: A disagreement without a reason.
    """
    if not agrees and reason_code is None:
        raise InvalidRequestError("reason_code", "say why: the operator decides on it")
    case = _open(conn, tenant_id, case_id, "answer")
    if case.refund_cents or case.decision is not None:
        raise ImpossibleMoveError("after-sale case", case_id, "decided", "answer", [])
    values = {"answer": "agreed" if agrees else "disagreed", "code": reason_code, "now": now}
    change = "supplier_answer = %(answer)s, answer_code = %(code)s, answered_at = %(now)s"
    return _changed(conn, tenant_id, case, change, values, "after_sale.answered")


def send_back(
    conn: Connection, tenant_id: str, case_id: str, carrier: str, tracking_no: str, now: datetime
) -> Case:
    """The buyer's goods are on their way back.

    Raises:
        NotFoundError: There is no such case.
        ImpossibleMoveError: The case has ended, is not about goods that come back, they came already, or no
            unit of the line is with the buyer: none left, or all are back.
    """
    case = _open(conn, tenant_id, case_id, "send back")
    _require_goods(conn, tenant_id, case, "send back")
    values = {"carrier": carrier, "tracking": tracking_no, "now": now}
    change = "return_carrier = %(carrier)s, return_tracking_no = %(tracking)s, sent_back_at = %(now)s"
    changed = _changed(conn, tenant_id, case, change, values, "after_sale.sent_back")
    webhooks.tell_supplier_of_case(
        conn, tenant_id, case.order_id, case.supplier_id, "after_sale.sent_back", case_id
    )
    return changed


def receive_back(
    conn: Connection, tenant_id: str, case_id: str, received_qty: int, restocked_qty: int, now: datetime
) -> Case:
    """The supplier counts what came back, and puts what can be sold again on its shelf.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        case_id: An open case with a quantity.
        received_qty: Units that came; refunds of the case are bound by them.
        restocked_qty: Units of them that are stock again.
        now: Business time.

    Raises:
        NotFoundError: There is no such case.
        ImpossibleMoveError: The case has ended, is not about goods that come back, they came already, or no
            unit of the line is with the buyer: none left, or all are back.
        InvalidRequestError: More came than was to come or is with the buyer, or more is stock than came.
    """
    case = _open(conn, tenant_id, case_id, "receive back")
    out = _require_goods(conn, tenant_id, case, "receive back")
    assert case.qty is not None, "a case about goods has a quantity"
    if received_qty > case.qty:
        raise InvalidRequestError("received_qty", f"the case is about {case.qty} units")
    if received_qty > out:
        raise InvalidRequestError("received_qty", f"{out} units of the line were sent and are not back yet")
    if restocked_qty > received_qty:
        raise InvalidRequestError("restocked_qty", f"only {received_qty} units came")
    if restocked_qty:
        line = _line_of(conn, tenant_id, case)
        key = (case.supplier_id, line.sku_id)
        locks.stock(conn, tenant_id, [key])
        stock.take_back(conn, tenant_id, case.order_id, key, restocked_qty, now, line.warehouse_id)
    values = {"received": received_qty, "restocked": restocked_qty, "now": now}
    change = "received_qty = %(received)s, restocked_qty = %(restocked)s, received_back_at = %(now)s"
    return _changed(conn, tenant_id, case, change, values, "after_sale.received_back")


def arbitrate(
    conn: Connection, tenant_id: str, case_id: str, decision: Decision, reason_code: str, now: datetime
) -> Case:
    """An operator decides a case with which the supplier does not agree; once.

    `refund`: money may be given back without the supplier's word. `reject`: the case ends without more, and
    no later case of the line is refunded on the supplier's silence.

    Raises:
        NotFoundError: There is no such case.
        ImpossibleMoveError: The case has ended, the supplier agrees, or it was decided before.
    """
    case = _open(conn, tenant_id, case_id, "arbitrate")
    if case.supplier_answer == "agreed" or case.decision is not None:
        where = "decided" if case.decision is not None else "undisputed"
        raise ImpossibleMoveError("after-sale case", case_id, where, "arbitrate", CASE.possible(case.status))
    values = {"decision": decision, "code": reason_code, "now": now}
    change = "decision = %(decision)s, decision_code = %(code)s, decided_at = %(now)s"
    changed = _changed(conn, tenant_id, case, change, values, "after_sale.decided")
    webhooks.tell_supplier_of_case(
        conn, tenant_id, case.order_id, case.supplier_id, "after_sale.decided", case_id
    )
    if decision == "reject":
        return move_case(conn, tenant_id, changed, "reject", now)
    return changed


def put_return_address(
    conn: Connection, vault: Vault, tenant_id: str, case_id: str, address: Recipient
) -> None:
    """Store where the goods of a case go back to, sealed; replaces an earlier address."""
    sealed = vault.seal_row(
        conn,
        tenant_id,
        RETURN_ADDRESS.qualified,
        case_id,
        {"name_enc": address.name, "phone_enc": address.phone, "address_enc": address.address},
    )
    conn.execute(
        "insert into orders.return_address (tenant_id, case_id, name_enc, phone_enc, address_enc)"
        " values (%(tenant)s, %(case)s, %(name_enc)s, %(phone_enc)s, %(address_enc)s)"
        " on conflict (tenant_id, case_id) do update set name_enc = excluded.name_enc,"
        " phone_enc = excluded.phone_enc, address_enc = excluded.address_enc",
        {"tenant": tenant_id, "case": case_id, **sealed},
    )


def get_return_address(conn: Connection, vault: Vault, tenant_id: str, case_id: str) -> Recipient | None:
    """Where the goods of a case go back to, in clear; every call by a key is to be audited."""
    row = conn.execute(
        "select name_enc, phone_enc, address_enc from orders.return_address"
        " where tenant_id = %(tenant)s and case_id = %(case)s",
        {"tenant": tenant_id, "case": case_id},
    ).fetchone()
    if row is None:
        return None
    sealed = dict(zip(RETURN_ADDRESS.columns, row, strict=True))
    clear = vault.open_row(conn, tenant_id, RETURN_ADDRESS.qualified, case_id, sealed)
    return Recipient(clear["name_enc"], clear["phone_enc"], clear["address_enc"])


def _open(conn: Connection, tenant_id: str, case_id: str, event: str) -> Case:
    """The case once its order is locked."""
    find_order(conn, tenant_id, find_case(conn, tenant_id, case_id).order_id, lock=True)
    case = find_case(conn, tenant_id, case_id)
    if case.status != CaseStatus.OPEN:
        raise ImpossibleMoveError("after-sale case", case_id, case.status, event, CASE.possible(case.status))
    return case


def _require_goods(conn: Connection, tenant_id: str, case: Case, event: str) -> int:
    """Units that may come back by a case; refuses one by which none can."""
    if case.kind != "return" or case.qty is None or case.line_no == FREIGHT:
        raise ImpossibleMoveError("after-sale case", case.case_id, "not about goods that return", event, [])
    if case.received_qty is not None:
        raise ImpossibleMoveError("after-sale case", case.case_id, "received back", event, [])
    out = _units_out(conn, tenant_id, case)
    if out <= 0:
        where = "about goods of which none is with the buyer"
        raise ImpossibleMoveError("after-sale case", case.case_id, where, event, CASE.possible(case.status))
    return out


def _units_out(conn: Connection, tenant_id: str, case: Case) -> int:
    """Units of a case's line that were sent and that no case counted back."""
    cases = cases_of(conn, tenant_id, case.order_id, case.supplier_id)
    came = sum(one.received_qty or 0 for one in cases if one.line_no == case.line_no)
    return _line_of(conn, tenant_id, case).sent_qty - came


def _line_of(conn: Connection, tenant_id: str, case: Case) -> OrderLine:
    (line,) = [one for one in lines_of(conn, tenant_id, case.order_id) if one.line_no == case.line_no]
    return line


def _changed(
    conn: Connection, tenant_id: str, case: Case, change: str, values: dict[str, Any], event: str
) -> Case:
    conn.execute(
        f"update orders.after_sale set {change}, xact_id = pg_current_xact_id()"
        " where tenant_id = %(tenant)s and case_id = %(case)s".encode(),
        {"tenant": tenant_id, "case": case.case_id, **values},
    )
    touch(conn, tenant_id, case.order_id)
    order = find_order(conn, tenant_id, case.order_id)
    webhooks.tell_merchant(conn, tenant_id, order.merchant_id, event, case.order_id, case.case_id)
    return find_case(conn, tenant_id, case.case_id)

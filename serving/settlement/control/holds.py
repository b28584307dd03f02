"""Holds: reasons not to release or pay out, from rules, scoring or an operator; each is resolved once.

A standing hold stops what it is on: a leg, a sub-order, an order, or everything of a party (releases and
pay-outs). Lifting it lets the money go. Confirming it takes the commissions it is on from their payees for
good (suppliers of a confirmed order are still paid; of a leg, whoever it is); a confirmed hold on a party
stays in force.

This is the interface of anti-fraud: `place_hold`, `lift_hold`, `confirm_hold`, `expire_holds`.

Source: L7; P9, P11, P13.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

import psycopg

from serving.db import locks
from serving.ledger.accounts import Party
from serving.settlement.books.accrual import lock_orders
from serving.settlement.books.forfeiture import forfeit
from serving.settlement.books.legs import StoredLeg, order_legs
from serving.settlement.control.blocks import party_target, sub_order_target
from serving.settlement.errors import HoldResolvedError, HoldTargetError, UnknownHoldError
from serving.settlement.sharing.leg import COMMISSION_KINDS

HoldSource = Literal["risk", "violation", "diversion", "composition", "operator"]
_EXPIRY = "expiry"
_COLUMNS = (
    "hold_id, target_type, target_id, source, reason_code, state, placed_at, expires_at, resolved_at,"
    " resolved_by"
)


class HoldTarget(NamedTuple):
    """What a hold is on; made by the functions below."""

    target_type: str
    target_id: str
    order_id: str | None
    party: Party | None


class Hold(NamedTuple):
    """One row of `settlement.hold`; `state` is `standing`, `lifted` or `confirmed`."""

    hold_id: int
    target_type: str
    target_id: str
    source: str
    reason_code: str
    state: str
    placed_at: datetime
    expires_at: datetime | None
    resolved_at: datetime | None
    resolved_by: str | None


def on_leg(leg_id: int, order_id: str) -> HoldTarget:
    """One leg of an order."""
    return HoldTarget("leg", str(leg_id), order_id, None)


def on_sub_order(order_id: str, supplier_id: str) -> HoldTarget:
    """What one supplier ships of an order."""
    return HoldTarget("sub_order", sub_order_target(order_id, supplier_id), order_id, None)


def on_order(order_id: str) -> HoldTarget:
    """A whole order."""
    return HoldTarget("order", order_id, order_id, None)


def on_party(party: Party) -> HoldTarget:
    """Everything of a supplier, merchant or agent."""
    return HoldTarget("party", party_target(party), None, party)


def place_hold(
    conn: psycopg.Connection,
    tenant_id: str,
    target: HoldTarget,
    source: HoldSource,
    reason_code: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> Hold:
    """Place a hold; one that stands for the same source and reason is prolonged instead.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        target: What it is on.
        source: Who asks for it.
        reason_code: Why, as the explain endpoint shows it.
        now: From when it stands.
        expires_at: When it ends by itself; None: when somebody resolves it.

    Raises:
        HoldTargetError: There is no such target, nothing of it waits any more, or the expiry has passed.
    """
    if expires_at is not None and expires_at <= now:
        raise HoldTargetError(f"a hold on {target.target_id} would have expired at {expires_at.isoformat()}")
    _lock(conn, tenant_id, target)
    _check_target(conn, tenant_id, target)
    _expire(conn, tenant_id, now, target)
    row = conn.execute(
        "insert into settlement.hold as h"
        " (tenant_id, target_type, target_id, source, reason_code, placed_at, expires_at)"
        " values (%s, %s, %s, %s, %s, %s, %s)"
        " on conflict (tenant_id, target_type, target_id, source, reason_code) where state = 'standing'"
        # Nothing is later than no end at all.
        " do update set expires_at = case when h.expires_at is null or excluded.expires_at is null then null"
        " else greatest(h.expires_at, excluded.expires_at) end"
        f" returning {_COLUMNS}",
        (tenant_id, target.target_type, target.target_id, source, reason_code, now, expires_at),
    ).fetchone()
    assert row is not None
    return Hold(*row)


def lift_hold(conn: psycopg.Connection, tenant_id: str, hold_id: int, by: str, now: datetime) -> Hold:
    """Let go what a hold stops; a hold that was lifted before stays as it is.

    Raises:
        UnknownHoldError: There is no such hold.
        HoldResolvedError: It was confirmed before.
    """
    hold = _read(conn, tenant_id, hold_id)
    if hold.state == "lifted":
        return hold
    return _resolve(conn, tenant_id, hold, "lifted", by, now)


def confirm_hold(conn: psycopg.Connection, tenant_id: str, hold_id: int, by: str, now: datetime) -> Hold:
    """Uphold a hold for good; one that was confirmed before stays as it is.

    Raises:
        UnknownHoldError: There is no such hold.
        HoldResolvedError: It was lifted or expired before.
    """
    known = _read(conn, tenant_id, hold_id)
    order_id = _order_of(conn, tenant_id, known)
    if order_id is not None:
        lock_orders(conn, tenant_id, [order_id])
    hold = _read(conn, tenant_id, hold_id)
    if hold.state == "confirmed":
        return hold
    if hold.state == "standing" and hold.expires_at is not None and hold.expires_at <= now:
        raise HoldResolvedError(f"hold {hold_id} expired at {hold.expires_at.isoformat()}; place a new one")
    resolved = _resolve(conn, tenant_id, hold, "confirmed", by, now)
    if order_id is not None:
        forfeit(
            conn,
            tenant_id,
            order_id,
            [leg for leg in order_legs(conn, tenant_id, [order_id]) if _takes(hold, leg)],
            now,
            key=f"hold:{hold_id}:confirmed",
            kind="forfeiture",
            reason=f"forfeited: {hold.source} {hold.reason_code}",
        )
    return resolved


def expire_holds(conn: psycopg.Connection, tenant_id: str, now: datetime) -> int:
    """Lift every hold whose time is over; how many there were."""
    return _expire(conn, tenant_id, now, None)


def holds_on(conn: psycopg.Connection, tenant_id: str, target: HoldTarget) -> list[Hold]:
    """Every hold that ever was on a target, oldest first."""
    rows = conn.execute(
        f"select {_COLUMNS} from settlement.hold"
        " where tenant_id = %s and target_type = %s and target_id = %s order by hold_id",
        (tenant_id, target.target_type, target.target_id),
    )
    return [Hold(*row) for row in rows]


def _lock(conn: psycopg.Connection, tenant_id: str, target: HoldTarget) -> None:
    """Releases hold these rows, too: they either see the hold or end before it."""
    if target.order_id is not None:
        lock_orders(conn, tenant_id, [target.order_id])
    if target.party is not None and not locks.party(conn, tenant_id, *target.party):
        raise HoldTargetError(f"there is no {target.party.party_type} {target.party.party_id}")


def _check_target(conn: psycopg.Connection, tenant_id: str, target: HoldTarget) -> None:
    if target.order_id is None:
        return
    legs = [
        leg for leg in order_legs(conn, tenant_id, [target.order_id]) if leg.state in ("pending", "locked")
    ]
    if target.target_type == "leg":
        legs = [leg for leg in legs if str(leg.leg_id) == target.target_id]
    elif target.target_type == "sub_order":
        legs = [leg for leg in legs if sub_order_target(leg.order_id, leg.supplier_id) == target.target_id]
    if not legs:
        raise HoldTargetError(
            f"nothing of {target.target_type} {target.target_id} waits for release; it is too late for a hold"
        )


def _read(conn: psycopg.Connection, tenant_id: str, hold_id: int) -> Hold:
    row = conn.execute(
        f"select {_COLUMNS} from settlement.hold where tenant_id = %s and hold_id = %s", (tenant_id, hold_id)
    ).fetchone()
    if row is None:
        raise UnknownHoldError(f"hold {hold_id} is unknown")
    return Hold(*row)


def _resolve(
    conn: psycopg.Connection, tenant_id: str, hold: Hold, state: str, by: str, now: datetime
) -> Hold:
    row = conn.execute(
        "update settlement.hold set state = %s, resolved_at = %s, resolved_by = %s"
        f" where tenant_id = %s and hold_id = %s and state = 'standing' returning {_COLUMNS}",
        (state, now, by, tenant_id, hold.hold_id),
    ).fetchone()
    if row is None:
        # Somebody resolved it in the meantime, or long ago.
        current = _read(conn, tenant_id, hold.hold_id)
        if current.state == state:
            return current
        raise HoldResolvedError(f"hold {hold.hold_id} was {current.state} before; it cannot be {state}")
    return Hold(*row)


def _expire(conn: psycopg.Connection, tenant_id: str, now: datetime, target: HoldTarget | None) -> int:
    values = {"by": _EXPIRY, "tenant": tenant_id}
    over = [
        hold_id
        for (hold_id,) in conn.execute(
            "select hold_id from settlement.hold"
            " where tenant_id = %(tenant)s and state = 'standing' and expires_at <= %(now)s"
            " and (%(id)s::text is null or target_type = %(type)s and target_id = %(id)s)",
            {
                **values,
                "now": now,
                "type": target.target_type if target else None,
                "id": target.target_id if target else None,
            },
        )
    ]
    if not over:
        return 0
    locks.holds(conn, tenant_id, over)
    return conn.execute(
        "update settlement.hold set state = 'lifted', resolved_at = expires_at, resolved_by = %(by)s"
        " where tenant_id = %(tenant)s and hold_id = any(%(holds)s) and state = 'standing'"
        " and expires_at <= %(now)s",
        {**values, "holds": over, "now": now},
    ).rowcount


def _order_of(conn: psycopg.Connection, tenant_id: str, hold: Hold) -> str | None:
    """The order that a hold is in."""
    if hold.target_type == "order":
        return hold.target_id
    if hold.target_type == "leg":
        query = "select order_id from settlement.leg where tenant_id = %s and leg_id = %s::bigint"
    elif hold.target_type == "sub_order":
        query = (
            "select order_id from orders.sub_order"
            " where tenant_id = %s and order_id || '/' || supplier_id = %s"
        )
    else:
        return None
    row = conn.execute(query, (tenant_id, hold.target_id)).fetchone()
    return row[0] if row else None


def _takes(hold: Hold, leg: StoredLeg) -> bool:
    """Whether a confirmed hold takes this leg from its payee."""
    if leg.is_platform_side:
        return False
    if hold.target_type == "leg":
        return str(leg.leg_id) == hold.target_id
    if leg.kind not in COMMISSION_KINDS:
        return False
    return hold.target_type == "order" or (sub_order_target(leg.order_id, leg.supplier_id) == hold.target_id)

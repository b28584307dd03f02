"""Legs as they stand in the books: writing them, reading them back, and the accounts that they move.

What a leg is worth is decided by `waterfall`; when it moves is decided by `accrual`, `release` and `refunds`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg

from serving.ledger.accounts import PLATFORM, AccountKind, Party, locked, pending
from serving.ledger.posting import Line
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.sharing.leg import Leg, formula

_PLATFORM_ACCOUNTS = {
    "channel_fee": AccountKind.CHANNEL_FEE,
    "tax": AccountKind.TAX_WITHHELD,
    "fund": AccountKind.SUPPORT_FUND,
    "subsidy": AccountKind.SUBSIDY,
    "withholding": AccountKind.TAX_WITHHELD,
}
_LOCKABLE = ("merchant", "agent")
_COLUMNS = (
    "leg_id, order_id, line_no, supplier_id, kind, payee_type, payee_id, amount_cents, reversed_cents,"
    " forfeited_cents, rounding_cents, state, is_unfrozen, plan_id, plan_version"
)


Move = tuple[AccountKind, Party, int, int | None]
"""One movement: account kind, party, fen (credit positive), and the leg."""


class StoredLeg(NamedTuple):
    """One row of `settlement.leg`, as far as money moves by it; amounts in fen."""

    leg_id: int
    order_id: str
    line_no: int
    supplier_id: str
    kind: str
    payee_type: str
    payee_id: str
    amount_cents: int
    reversed_cents: int
    forfeited_cents: int
    rounding_cents: int
    state: str
    is_unfrozen: bool
    plan_id: str
    plan_version: int

    @property
    def is_platform_side(self) -> bool:
        """Fee, tax, fund, subsidy and what the platform keeps: nobody waits for it."""
        return self.payee_type == "platform"

    @property
    def payee(self) -> Party:
        """Who is paid."""
        return Party(self.payee_type, self.payee_id)

    @property
    def left_cents(self) -> int:
        """What refunds have left of the leg."""
        return self.amount_cents - self.reversed_cents

    @property
    def due_cents(self) -> int:
        """What refunds and forfeitures have left to the payee."""
        return self.left_cents - self.forfeited_cents

    @property
    def at_channel_cents(self) -> int:
        """Money at the payment channel that stands for the leg."""
        return self.left_cents - self.rounding_cents


class NewLeg(NamedTuple):
    """A leg to be written, with what it takes from its order and plan."""

    order_id: str
    accrued_at: datetime
    plan: PlanVersion
    leg: Leg

    @property
    def state(self) -> str:
        """`pending`, `locked`, or `voided` for the record of a leg that was cut to nothing."""
        if self.leg.amount_cents == 0:
            return "voided"
        return "locked" if self.leg.is_locked and self.leg.payee_type in _LOCKABLE else "pending"


def account_of(kind: str, payee_type: str, payee_id: str, state: str) -> tuple[AccountKind, Party]:
    """The account that a leg stands on before its release.

    Args:
        kind: Kind of the leg.
        payee_type: Type of its payee.
        payee_id: Id of its payee.
        state: `locked` legs stand apart.
    """
    if payee_type == "platform":
        return _PLATFORM_ACCOUNTS.get(kind, AccountKind.PLATFORM_FEE), PLATFORM
    party = Party(payee_type, payee_id)
    return (locked(party) if state == "locked" else pending(party)), party


def write_legs(conn: psycopg.Connection, tenant_id: str, legs: Sequence[NewLeg]) -> list[int]:
    """Insert legs with their formula; their ids, in order."""
    rows = [
        {
            "position": position,
            "order_id": new.order_id,
            "line_no": leg.line_no,
            "supplier_id": leg.supplier_id,
            "kind": leg.kind,
            "scenario": leg.scenario,
            "rule_id": leg.rule_id,
            "plan_id": new.plan.plan_id,
            "plan_version": new.plan.version,
            "payee_type": leg.payee_type,
            "payee_id": leg.payee_id,
            "level": leg.level,
            "base": leg.base,
            "base_cents": leg.base_cents,
            "rate_bps": leg.rate_bps,
            "wanted_cents": leg.wanted_cents,
            "amount_cents": leg.amount_cents,
            "cut_reason": leg.cut_reason,
            "explanation": formula(leg),
            "state": new.state,
            "accrued_at": new.accrued_at.isoformat(),
        }
        for position, new in enumerate(legs)
        for leg in (new.leg,)
    ]
    # The ids are drawn in the order of the rows, so the sorted ids belong to the rows in order.
    written = conn.execute(
        """
        insert into settlement.leg (tenant_id, order_id, line_no, supplier_id, kind, scenario, rule_id,
            plan_id, plan_version, payee_type, payee_id, level, base, base_cents, rate_bps, wanted_cents,
            amount_cents, cut_reason, explanation, state, accrued_at)
        select %(tenant)s, r.order_id, r.line_no, r.supplier_id, r.kind, r.scenario, r.rule_id,
            r.plan_id, r.plan_version, r.payee_type, r.payee_id, r.level, r.base, r.base_cents, r.rate_bps,
            r.wanted_cents, r.amount_cents, r.cut_reason, r.explanation, r.state, r.accrued_at
        from json_to_recordset(%(rows)s::json) as r (position integer, order_id text, line_no integer,
            supplier_id text, kind text, scenario smallint, rule_id text, plan_id text, plan_version integer,
            payee_type text, payee_id text, level smallint, base text, base_cents bigint, rate_bps integer,
            wanted_cents bigint, amount_cents bigint, cut_reason text, explanation text, state text,
            accrued_at timestamptz)
        order by r.position
        returning leg_id
        """,
        {"tenant": tenant_id, "rows": json.dumps(rows, ensure_ascii=False)},
    )
    return sorted(leg_id for (leg_id,) in written)


def line_legs(
    conn: psycopg.Connection, tenant_id: str, order_id: str, line_no: int, supplier_id: str
) -> list[StoredLeg]:
    """Legs in force of one line, or of one supplier's freight (`line_no` 0), by leg id."""
    rows = conn.execute(
        f"select {_COLUMNS} from settlement.leg where tenant_id = %s and order_id = %s and line_no = %s"
        " and supplier_id = %s and not is_replaced order by leg_id",
        (tenant_id, order_id, line_no, supplier_id),
    )
    return [StoredLeg(*row) for row in rows]


def order_legs(conn: psycopg.Connection, tenant_id: str, order_ids: Sequence[str]) -> list[StoredLeg]:
    """Legs in force of orders, by order, supplier and leg id."""
    rows = conn.execute(
        f"select {_COLUMNS} from settlement.leg where tenant_id = %s and order_id = any(%s)"
        " and not is_replaced order by order_id, supplier_id, leg_id",
        (tenant_id, list(order_ids)),
    )
    return [StoredLeg(*row) for row in rows]


def legs_of_sub_orders(
    conn: psycopg.Connection, tenant_id: str, sub_orders: Sequence[tuple[str, str]]
) -> list[StoredLeg]:
    """Legs of sub-orders that are pending or locked, by leg id.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        sub_orders: Order id and supplier id.
    """
    rows = conn.execute(
        f"select {_COLUMNS} from settlement.leg where tenant_id = %s and order_id = any(%s)"
        " and state in ('pending', 'locked') order by leg_id",
        (tenant_id, sorted({order_id for order_id, _ in sub_orders})),
    )
    # Picked here: by its first two columns the index finds an order whatever the planner believes.
    wanted = set(sub_orders)
    legs = [StoredLeg(*row) for row in rows]
    return [leg for leg in legs if (leg.order_id, leg.supplier_id) in wanted]


def summed(moves: Iterable[Move]) -> list[Line]:
    """Entries with the movements of an account added up; a leg id stays only where one leg stands alone."""
    sums: dict[tuple[AccountKind, Party], tuple[int, int | None]] = {}
    for kind, party, cents, leg_id in moves:
        before = sums.get((kind, party))
        sums[kind, party] = (cents, leg_id) if before is None else (before[0] + cents, None)
    return [
        Line(kind, cents, party, leg_id) for (kind, party), (cents, leg_id) in sorted(sums.items()) if cents
    ]

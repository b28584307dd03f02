"""A complaint about safety brakes its sku at once, in the transaction that takes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg

from models.supply.brake.ladder import Level, Rules, next_held
from serving.db import locks
from serving.quality.records import SUPPLIERS, brakes, keep, never_judged

Connection = psycopg.Connection[Any]


def brake_for_harm(
    conn: Connection, tenant_id: str, sku_id: str, supplier_id: str, case_id: str, now: datetime
) -> bool:
    """Bring a sku to level 4, whose supplier is to blame; the next night judges it with all that is known.

    A level that a person set stays in force until its end. A sku that is at level 4 already stays as it is.

    Args:
        conn: Inside a transaction of the tenant that holds nothing below the brake in the order of locks.
        tenant_id: The tenant.
        sku_id: What harmed somebody.
        supplier_id: Who shipped it.
        case_id: The case that says so.
        now: Business time.

    Returns:
        Whether the held level rose.
    """
    locks.brake(conn, tenant_id)
    before = brakes(conn, tenant_id, [sku_id]).get(sku_id) or never_judged(sku_id, now)
    if before.held_level == Level.RECALL:
        return False
    after = replace(
        before.with_held(next_held(before.held, Level.RECALL, now, Rules())),
        reason_code="safety_complaint",
        evidence={"safety": 1, "case_id": case_id, SUPPLIERS: [supplier_id]},
        judged_at=max(before.judged_at, now),
    )
    keep(conn, tenant_id, before, after, "complaint", now)
    return True

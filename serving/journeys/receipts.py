"""What channels tell of messages: delivered, failed, clicked, not wanted any more. Each notice counts once.

A notice about a message that was never sent is kept and counted, and changes nothing; so is one that
contradicts what is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString, NamedTuple

import psycopg

from serving.consumers.erased import hold_erasures
from serving.journeys.definition.steps import Channel
from serving.journeys.outbox import WAKE

Connection = psycopg.Connection[Any]
Kind = Literal["delivered", "failed", "clicked", "opted_out"]


class Receipt(NamedTuple):
    """A notice.

    Attributes:
        receipt_id: The channel's name of it.
        channel: Which channel.
        message_id: Of which message.
        kind: What happened.
        occurred_at: When.
    """

    receipt_id: str
    channel: Channel
    message_id: int
    kind: Kind
    occurred_at: datetime


def take(conn: Connection, tenant_id: str, receipts: Sequence[Receipt], now: datetime) -> Counter[str]:
    """Take notices.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        receipts: In any order; one may come again.
        now: Business time; nothing happened after it.

    Returns:
        How many are `new`, `known`, and of the new ones `misfit`: of no message that went out.
    """
    hold_erasures(conn)
    counted: Counter[str] = Counter()
    for receipt in sorted(receipts, key=lambda one: (one.occurred_at, one.channel, one.receipt_id)):
        counted.update(_take(conn, tenant_id, receipt, now))
    return counted


def _take(conn: Connection, tenant_id: str, receipt: Receipt, now: datetime) -> list[str]:
    values = {"tenant": tenant_id, "now": now, **receipt._asdict()}
    values["occurred_at"] = min(receipt.occurred_at, now)
    stored = conn.execute(_KEEP, values).fetchone()
    if stored is None:
        return ["known"]
    if not stored[0]:
        return ["new", "misfit"]
    conn.execute(_EFFECTS[receipt.kind], values)
    conn.execute(WAKE, {"tenant": tenant_id, "now": now, "ids": [receipt.message_id]})
    if receipt.kind in {"clicked", "opted_out"}:
        conn.execute(_LOOK, values)
    return ["new"]


# Whatever was handed over may have come, also when a crash or a stop of the journey lost the record of it.
_KEEP: LiteralString = """
insert into journeys.receipt
    (tenant_id, receipt_id, channel, message_id, kind, occurred_at, received_at, fits)
select %(tenant)s, %(receipt_id)s, %(channel)s, %(message_id)s, %(kind)s, %(occurred_at)s, %(now)s,
    exists (select from journeys.message m where m.tenant_id = %(tenant)s and m.message_id = %(message_id)s
        and m.channel = %(channel)s and m.attempts > 0)
on conflict (tenant_id, channel, receipt_id) do nothing returning fits
"""
_ENDED: LiteralString = """
update journeys.message set state = %(kind)s, told_at = %(occurred_at)s, next_try_at = null,
    sent_at = coalesce(sent_at, %(occurred_at)s), xact_id = pg_current_xact_id(),
    reason = case when %(kind)s = 'failed' then 'told_by_channel' end
where tenant_id = %(tenant)s and message_id = %(message_id)s and state in ('waiting', 'sent')
"""
# Who clicks has got it, whatever was or was not told of the delivery.
_CLICKED: LiteralString = """
update journeys.message set clicked_at = least(clicked_at, %(occurred_at)s), next_try_at = null,
    state = case when state in ('waiting', 'sent') then 'delivered' else state end,
    told_at = coalesce(told_at, %(occurred_at)s), sent_at = coalesce(sent_at, %(occurred_at)s),
    xact_id = pg_current_xact_id()
where tenant_id = %(tenant)s and message_id = %(message_id)s
"""
_OPTED_OUT: LiteralString = """
with told as (
    update journeys.message
    set opted_out_at = least(opted_out_at, %(occurred_at)s), xact_id = pg_current_xact_id()
    where tenant_id = %(tenant)s and message_id = %(message_id)s)
insert into journeys.opt_out (tenant_id, consumer_id, channel, stated_at)
select tenant_id, consumer_id, channel, %(occurred_at)s from journeys.message
where tenant_id = %(tenant)s and message_id = %(message_id)s
on conflict (tenant_id, consumer_id, channel) do nothing
"""
_EFFECTS: dict[Kind, LiteralString] = {
    "delivered": _ENDED,
    "failed": _ENDED,
    "clicked": _CLICKED,
    "opted_out": _OPTED_OUT,
}
_LOOK: LiteralString = """
update journeys.run r set due_at = least(r.due_at, %(now)s) from journeys.message m
where m.tenant_id = %(tenant)s and m.message_id = %(message_id)s and r.tenant_id = m.tenant_id
    and r.run_id = m.run_id and r.due_at is not null
"""

"""What channels tell of messages: delivered, failed, clicked, not wanted any more. Each notice counts once.

A notice about a message that was never sent is kept and counted, and changes nothing; so is one that
contradicts what is known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
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
    ordered = sorted(receipts, key=lambda one: (one.occurred_at, one.channel, one.receipt_id))
    stored = _keep(conn, tenant_id, ordered, now)
    counted: Counter[str] = Counter()
    fitting = []
    for one in ordered:
        # Of notices under one name the first was kept.
        fits = stored.pop((one.channel, one.receipt_id), None)
        counted.update(["known"] if fits is None else ["new"] if fits else ["new", "misfit"])
        if fits:
            fitting.append(one._replace(occurred_at=min(one.occurred_at, now)))
    for wave in _waves(fitting):
        for effect, kinds in _EFFECTS:
            _execute(conn, tenant_id, effect, [one for one in wave if one.kind in kinds])
    _execute(conn, tenant_id, _OPTED_OUT, [one for one in fitting if one.kind == "opted_out"])
    conn.execute(WAKE, {"tenant": tenant_id, "now": now, "ids": [one.message_id for one in fitting]})
    seen = [one.message_id for one in fitting if one.kind in {"clicked", "opted_out"}]
    conn.execute(_LOOK, {"tenant": tenant_id, "now": now, "ids": seen})
    return counted


def _keep(
    conn: Connection, tenant_id: str, receipts: Sequence[Receipt], now: datetime
) -> dict[tuple[Channel, str], bool]:
    """Keep notices; of those that nobody told before, whether they fit a message."""
    rows = conn.execute(_KEEP, {"tenant": tenant_id, "now": now, **_columns(receipts)})
    return {(channel, receipt_id): fits for channel, receipt_id, fits in rows}


def _waves(receipts: Sequence[Receipt]) -> Iterator[list[Receipt]]:
    """The first notice of every message, then the second of those that have one, and so on."""
    waves: defaultdict[int, list[Receipt]] = defaultdict(list)
    told: Counter[int] = Counter()
    for one in receipts:
        waves[told[one.message_id]].append(one)
        told[one.message_id] += 1
    yield from (waves[place] for place in sorted(waves))


def _execute(conn: Connection, tenant_id: str, query: LiteralString, receipts: Sequence[Receipt]) -> None:
    if receipts:
        conn.execute(query, {"tenant": tenant_id, **_columns(receipts)})


def _columns(receipts: Sequence[Receipt]) -> dict[str, list[object]]:
    columns = list(zip(*receipts, strict=True)) or [()] * len(Receipt._fields)
    return {name: list(column) for name, column in zip(Receipt._fields, columns, strict=True)}


_TOLD: LiteralString = """unnest(%(receipt_id)s::text[], %(channel)s::text[], %(message_id)s::bigint[],
    %(kind)s::text[], %(occurred_at)s::timestamptz[])
    with ordinality as t (receipt_id, channel, message_id, kind, occurred_at, place)"""
# Whatever was handed over may have come, also when a crash or a stop of the journey lost the record of it.
_KEEP: LiteralString = f"""
insert into journeys.receipt
    (tenant_id, receipt_id, channel, message_id, kind, occurred_at, received_at, fits)
select %(tenant)s, t.receipt_id, t.channel, t.message_id, t.kind, least(t.occurred_at, %(now)s), %(now)s,
    exists (select from journeys.message m where m.tenant_id = %(tenant)s and m.message_id = t.message_id
        and m.channel = t.channel and m.attempts > 0)
from {_TOLD} order by t.place
on conflict (tenant_id, channel, receipt_id) do nothing returning channel, receipt_id, fits
"""
_ENDED: LiteralString = f"""
update journeys.message m set state = t.kind, told_at = t.occurred_at, next_try_at = null,
    sent_at = coalesce(m.sent_at, t.occurred_at), xact_id = pg_current_xact_id(),
    reason = case when t.kind = 'failed' then 'told_by_channel' end
from {_TOLD}
where m.tenant_id = %(tenant)s and m.message_id = t.message_id and m.state in ('waiting', 'sent')
"""
# Who clicks has got it, whatever was or was not told of the delivery.
_CLICKED: LiteralString = f"""
update journeys.message m set clicked_at = least(m.clicked_at, t.occurred_at), next_try_at = null,
    state = case when m.state in ('waiting', 'sent') then 'delivered' else m.state end,
    told_at = coalesce(m.told_at, t.occurred_at), sent_at = coalesce(m.sent_at, t.occurred_at),
    xact_id = pg_current_xact_id()
from {_TOLD}
where m.tenant_id = %(tenant)s and m.message_id = t.message_id
"""
_UNWANTED: LiteralString = f"""
update journeys.message m
set opted_out_at = least(m.opted_out_at, t.occurred_at), xact_id = pg_current_xact_id()
from {_TOLD}
where m.tenant_id = %(tenant)s and m.message_id = t.message_id
"""
# Of several words of a consumer about a channel the first one counts.
_OPTED_OUT: LiteralString = f"""
insert into journeys.opt_out (tenant_id, consumer_id, channel, stated_at)
select m.tenant_id, m.consumer_id, m.channel, t.occurred_at
from {_TOLD} join journeys.message m on m.tenant_id = %(tenant)s and m.message_id = t.message_id
order by t.place
on conflict (tenant_id, consumer_id, channel) do nothing
"""
_EFFECTS: tuple[tuple[LiteralString, frozenset[Kind]], ...] = (
    (_ENDED, frozenset({"delivered", "failed"})),
    (_CLICKED, frozenset({"clicked"})),
    (_UNWANTED, frozenset({"opted_out"})),
)
_LOOK: LiteralString = """
update journeys.run r set due_at = least(r.due_at, %(now)s) from journeys.message m
where m.tenant_id = %(tenant)s and m.message_id = any(%(ids)s) and r.tenant_id = m.tenant_id
    and r.run_id = m.run_id and r.due_at is not null
"""

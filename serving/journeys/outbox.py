"""Sending what waits in the outbox: claimed, asked about once more, handed over, recorded.

Nothing is sent twice: a message is handed over under its own name, which a provider recognises when a crash
came between its answer and the record of it. Between the decision and the handing over a consent may go, an
hour may become quiet, a test of the channel may begin: all are asked again, and what they said holds for
`STALE_S` seconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, LiteralString, NamedTuple

import psycopg

from serving.db import locks
from serving.db.retries import ConnectionFactory, in_transaction
from serving.journeys.channels.protocol import Answer, Gateways, Outgoing, UnavailableError
from serving.journeys.definition.steps import Channel, Purpose
from serving.journeys.engine import facts
from serving.journeys.engine.ticking import policy_of
from serving.journeys.guards import Reason

Connection = psycopg.Connection[Any]

BATCH = 200
"""Messages that are claimed at once."""
STALE_S = 30.0
"""Seconds for which one call hands over; what is left waits for the next one, at another hour."""
_LEASE = timedelta(minutes=2)
"""Longer than `STALE_S` and the longest deadline of one message: nobody else claims what is handed over."""
_FIRST_DELAY = timedelta(minutes=1)
_LONGEST_DELAY = timedelta(minutes=15)


class _Claimed(NamedTuple):
    """A message that this worker hands over."""

    outgoing: Outgoing
    attempts: int


class _Result(NamedTuple):
    """What became of a message: its state, why, when to try again, attempts more or less."""

    message_id: int
    state: str
    reason: str | None
    next_try_at: datetime | None
    attempts: int = 0


@dataclass(frozen=True)
class Sent:
    """What became of the messages that were due, by state; those that still wait as `waiting`."""

    states: Counter[str]


def hand_over_due(
    transactions: ConnectionFactory,
    tenant_id: str,
    gateways: Gateways,
    now: datetime,
    *,
    batch: int = BATCH,
    elapsed: Callable[[], float] = time.monotonic,
) -> Sent:
    """Hand over what is due, for at most `STALE_S` seconds: the rest waits for the next call.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        gateways: A way out for each channel.
        now: Business time.
        batch: Messages that are claimed at once.
        elapsed: Seconds that went by since any moment.
    """
    states: Counter[str] = Counter()
    until = elapsed() + STALE_S
    is_late = False
    while not is_late:
        claim = partial(_claim, tenant_id=tenant_id, now=now, batch=batch)
        claimed, dropped = in_transaction(transactions, claim)
        states.update(dropped)
        results = []
        for one in claimed:
            is_late = is_late or elapsed() >= until
            results.append(_back(one, now) if is_late else _hand_over(one, gateways, now))
        record = partial(_record, tenant_id=tenant_id, results=results, now=now)
        states.update(in_transaction(transactions, record))
        if len(claimed) + sum(dropped.values()) < batch:
            break
    return Sent(states)


def _claim(
    conn: Connection, tenant_id: str, now: datetime, batch: int
) -> tuple[list[_Claimed], Counter[str]]:
    rows = conn.execute(
        _DUE.encode() + locks.CLAIMED.encode(), {"tenant": tenant_id, "now": now, "batch": batch}
    ).fetchall()
    if not rows:
        return [], Counter()
    known = facts.read(conn, tenant_id, [row[1] for row in rows], now, now)
    policy = policy_of(conn, tenant_id)
    claimed, over = [], []
    for message_id, consumer_id, channel, purpose, body, sku_ids, attempts, give_up_at in rows:
        reason = _in_the_way(consumer_id, channel, purpose, known)
        opens = policy.quiet.open_from(now)
        if reason is not None:
            over.append(_Result(message_id, "withheld", reason, None))
        elif now >= give_up_at or opens >= give_up_at:
            # The provider did not answer in time, or the night came first: the run goes on without it.
            over.append(_Result(message_id, "failed", "no_provider", None))
        elif opens > now:
            over.append(_Result(message_id, "waiting", None, opens))
        else:
            outgoing = Outgoing(message_id, tenant_id, consumer_id, channel, body, tuple(sku_ids))
            claimed.append(_Claimed(outgoing, attempts))
    leased = [_Result(one.outgoing.message_id, "waiting", None, now + _LEASE, 1) for one in claimed]
    _write(conn, tenant_id, [*over, *leased], now)
    return claimed, Counter(result.state for result in over)


def _in_the_way(
    consumer_id: str, channel: Channel, purpose: Purpose, known: facts.Consumers
) -> Reason | None:
    if consumer_id in known.erased:
        return Reason.ERASED
    if channel in known.opted_out.get(consumer_id, frozenset()):
        return Reason.OPTED_OUT
    if purpose == "marketing" and known.marketing.get(consumer_id) is not True:
        return Reason.NO_CONSENT
    if purpose == "marketing" and channel in known.held_out.get(consumer_id, frozenset()):
        return Reason.CHANNEL_HELD_OUT
    return None


def _back(one: _Claimed, now: datetime) -> _Result:
    """As it was before it was claimed."""
    return _Result(one.outgoing.message_id, "waiting", None, now, -1)


def _hand_over(one: _Claimed, gateways: Gateways, now: datetime) -> _Result:
    message_id = one.outgoing.message_id
    try:
        answer = gateways[one.outgoing.channel].send(one.outgoing)
    except UnavailableError:
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2**one.attempts)
        return _Result(message_id, "waiting", None, now + delay)
    return _Result(message_id, *_state_of(answer), None)


def _state_of(answer: Answer) -> tuple[str, str | None]:
    return ("failed", answer.reason) if answer.state == "refused" else (answer.state, None)


def _record(conn: Connection, tenant_id: str, results: Sequence[_Result], now: datetime) -> Counter[str]:
    _write(conn, tenant_id, results, now)
    return Counter(result.state for result in results)


def _write(conn: Connection, tenant_id: str, results: Sequence[_Result], now: datetime) -> None:
    """Keep what became of messages; runs that wait for one of them are due at once when it is over."""
    values = {
        "tenant": tenant_id,
        "now": now,
        "attempts": [result.attempts for result in results],
        "ids": [result.message_id for result in results],
        "states": [result.state for result in results],
        "reasons": [result.reason for result in results],
        "next": [result.next_try_at for result in results],
    }
    conn.execute(_WRITE, values)
    conn.execute(WAKE, {"tenant": tenant_id, "now": now, "ids": values["ids"]})


_DUE: LiteralString = """
select m.message_id, m.consumer_id, m.channel, m.purpose, m.body, m.sku_ids, m.attempts, m.give_up_at
from journeys.message m
where m.tenant_id = %(tenant)s and m.next_try_at <= %(now)s and not exists (
    select from journeys.version v where v.tenant_id = m.tenant_id and v.journey_id = m.journey_id
        and v.state = 'paused')
order by m.next_try_at, m.message_id limit %(batch)s
"""
# What is over meanwhile (its consumer erased, its journey stopped) stays as it is, unless it went out.
_WRITE: LiteralString = """
update journeys.message m set state = r.state, reason = r.reason, next_try_at = r.next_try_at,
    attempts = m.attempts + r.attempts, xact_id = pg_current_xact_id(),
    sent_at = case when r.state in ('sent', 'delivered') then %(now)s else m.sent_at end,
    told_at = case when r.state in ('delivered', 'failed') then %(now)s else m.told_at end
from unnest(%(ids)s::bigint[], %(states)s::text[], %(reasons)s::text[], %(next)s::timestamptz[],
    %(attempts)s::int[]) as r (message_id, state, reason, next_try_at, attempts)
where m.tenant_id = %(tenant)s and m.message_id = r.message_id
    and (m.state = 'waiting' or m.state = 'withheld' and r.state in ('sent', 'delivered'))
"""
WAKE: LiteralString = """
update journeys.run r set due_at = least(r.due_at, %(now)s) from journeys.message m
where m.tenant_id = %(tenant)s and m.message_id = any(%(ids)s)
    and m.state in ('delivered', 'failed', 'withheld')
    and r.tenant_id = m.tenant_id and r.run_id = m.run_id and r.due_at is not null
"""
"""Runs whose message came to an end are looked at now; binds `tenant`, `now` and `ids`."""

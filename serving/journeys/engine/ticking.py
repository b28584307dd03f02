"""A tick: every run that is due moves as far as it can; what it asks for is written in the same transaction.

A crash delays a move, it doubles none. One tick at a time works for a tenant, in batches of their own
transactions, so that what one run sends counts against the cap of the next.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, LiteralString, NamedTuple

import psycopg

from serving.consumers.erased import hold_erasures
from serving.db import locks
from serving.db.calendar import local_day, zone_of
from serving.db.retries import ConnectionFactory, in_transaction
from serving.journeys import programmes
from serving.journeys.assignment import Arm
from serving.journeys.definition.loading import load
from serving.journeys.definition.steps import HandOver, Journey, Send
from serving.journeys.engine import facts
from serving.journeys.engine.advance import Act, Advanced, Facts, Message, Run, advance
from serving.journeys.guards import Known, Policy
from serving.journeys.quiet_hours import STANDARD, QuietHours
from serving.orders.coupons.issuing import issue_each

Connection = psycopg.Connection[Any]

BATCH = 1_000
"""Runs that move in one transaction."""


@dataclass(frozen=True)
class Ticked:
    """What a tick did.

    Attributes:
        moved: Runs that were due.
        ended: Of them, those that are over, by reason.
        acts: What was asked for or left out, by kind.
    """

    moved: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)

    def plus(self, other: Ticked) -> Ticked:
        """Both together."""
        return Ticked(self.moved + other.moved, self.ended + other.ended, self.acts + other.acts)


@dataclass(frozen=True)
class Situation:
    """What is known beside the runs themselves.

    Attributes:
        known: Of the consumers.
        coupons: Programmes in force, by name.
        lists: Skus of own lists that can be sold, by consumer.
    """

    known: facts.Consumers
    coupons: Mapping[str, programmes.Left]
    lists: Mapping[str, Sequence[str]]

    @property
    def funded(self) -> frozenset[str]:
        """Names of programmes that have a budget left."""
        return frozenset(name for name, left in self.coupons.items() if left.cents > 0)


class _Due(NamedTuple):
    """A run that is due."""

    run_id: int
    journey_id: str
    version: int
    consumer_id: str
    run: Run


class _Asked(NamedTuple):
    """An act of a run."""

    due: _Due
    act: Act


def tick(transactions: ConnectionFactory, tenant_id: str, now: datetime, *, batch: int = BATCH) -> Ticked:
    """Move every run that is due.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
        batch: Most runs in one transaction.
    """
    total = Ticked()
    while True:
        done = in_transaction(transactions, partial(_move_batch, tenant_id=tenant_id, now=now, batch=batch))
        total = total.plus(done)
        if done.moved < batch:
            return total


def policy_of(conn: Connection, tenant_id: str) -> Policy:
    """What a tenant allows: the quiet hours in its own time zone."""
    return Policy(QuietHours(*STANDARD, zone_of(conn, tenant_id)))


def _move_batch(conn: Connection, tenant_id: str, now: datetime, batch: int) -> Ticked:
    hold_erasures(conn)
    locks.journeys(conn, tenant_id)
    due = _due(conn, tenant_id, now, batch)
    if not due:
        return Ticked()
    journeys = _journeys(conn, tenant_id, {(one.journey_id, one.version) for one in due})
    policy = policy_of(conn, tenant_id)
    since = min(one.run.entered_at for one in due)
    here = situation(conn, tenant_id, [one.consumer_id for one in due], journeys.values(), since, now)
    asked: list[_Asked] = []
    moved: list[tuple[_Due, Advanced]] = []
    for one in due:
        journey = journeys[one.journey_id, one.version]
        known = facts_of(one.journey_id, one.consumer_id, one.run, here)
        found = advance(journey, one.run, known, now, policy)
        for act in found.acts:
            asked.append(_Asked(one, act))
            _remember(one, act, journey, here.known, now)
        moved.append((one, found))
    _send(conn, tenant_id, asked, journeys, here, now)
    _ask(conn, tenant_id, asked, journeys, here.lists, now)
    _note(conn, tenant_id, asked, moved, now)
    _keep(conn, tenant_id, moved, now)
    _count(conn, tenant_id, moved, now)
    ended = Counter(found.reason for _, found in moved if found.reason is not None)
    return Ticked(len(due), ended, Counter(one.act.kind for one in asked))


def _due(conn: Connection, tenant_id: str, now: datetime, batch: int) -> list[_Due]:
    rows = conn.execute(_DUE, {"tenant": tenant_id, "now": now, "batch": batch}).fetchall()
    return [
        _Due(
            run_id,
            journey_id,
            version,
            consumer_id,
            Run(Arm(arm), entered_at, step, arrived_at, None if last[0] is None else Message(*last)),
        )
        for run_id, journey_id, version, consumer_id, arm, entered_at, step, arrived_at, *last in rows
    ]


def _journeys(conn: Connection, tenant_id: str, keys: set[tuple[str, int]]) -> dict[tuple[str, int], Journey]:
    rows = conn.execute(
        "select journey_id, version, document from journeys.version v"
        " join unnest(%s::text[], %s::int[]) as k (journey_id, version) using (journey_id, version)"
        " where tenant_id = %s",
        ([key[0] for key in sorted(keys)], [key[1] for key in sorted(keys)], tenant_id),
    )
    return {(journey_id, version): load(document) for journey_id, version, document in rows}


def situation(
    conn: Connection,
    tenant_id: str,
    consumer_ids: Sequence[str],
    journeys: Iterable[Journey],
    since: datetime,
    now: datetime,
) -> Situation:
    """Read what the runs of consumers in journeys need to know.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        consumer_ids: Whose runs.
        journeys: Which journeys.
        since: The earliest entry of the runs.
        now: Business time.
    """
    steps = [step for journey in journeys for step in journey.steps]
    most = max((step.items for step in steps if isinstance(step, Send | HandOver)), default=0)
    ids = sorted(set(consumer_ids))
    return Situation(
        facts.read(conn, tenant_id, ids, since, now),
        programmes.in_force(conn, tenant_id, now),
        facts.listed(conn, tenant_id, ids, most) if most else {},
    )


def facts_of(journey_id: str, consumer_id: str, run: Run, here: Situation) -> Facts:
    """What the run of a consumer in a journey needs to know."""
    known = here.known
    sent = list(known.sent.get(consumer_id, ()))
    if run.arm is not Arm.TREATED:
        # What this journey would have sent stands in the way of what it would send next.
        sent += known.watched.get((journey_id, consumer_id), ())
    return Facts(
        Known(
            erased=consumer_id in known.erased,
            opted_out=known.opted_out.get(consumer_id, frozenset()),
            held_out=known.held_out.get(consumer_id, frozenset()),
            marketing=known.marketing.get(consumer_id),
            open_complaint=consumer_id in known.complaining,
            sent=tuple(sent),
        ),
        known.reactions(consumer_id, run.entered_at),
        known.segments.get(consumer_id, frozenset()),
        len(here.lists.get(consumer_id, ())),
        here.funded,
    )


def _step(one: _Asked, journeys: Mapping[tuple[str, int], Journey]) -> object:
    return journeys[one.due.journey_id, one.due.version].step(one.act.step)


def _remember(due: _Due, act: Act, journey: Journey, known: facts.Consumers, now: datetime) -> None:
    """Let the next run of the same consumer in this batch know what this one sends."""
    step = journey.step(act.step)
    if journey.purpose != "marketing" or not isinstance(step, Send):
        return
    if act.kind == "message":
        known.sent[due.consumer_id].append((now, step.channel))
    elif act.kind == "would_send":
        known.watched[due.journey_id, due.consumer_id].append((now, step.channel))


def _send(
    conn: Connection,
    tenant_id: str,
    asked: Sequence[_Asked],
    journeys: Mapping[tuple[str, int], Journey],
    here: Situation,
    now: datetime,
) -> None:
    """Write messages into the outbox, with a coupon of its own for each; and what was not sent."""
    messages = [
        (one, step)
        for one in asked
        if isinstance(step := _step(one, journeys), Send) and one.act.kind in _STATES
    ]
    wanted: dict[str, list[str]] = defaultdict(list)
    for one, step in messages:
        if step.coupon is not None and one.act.kind == "message":
            wanted[step.coupon].append(one.due.consumer_id)
    codes = {
        (name, consumer_id): code
        for name, consumer_ids in wanted.items()
        for consumer_id, code in issue_each(
            conn, tenant_id, here.coupons[name].programme_id, consumer_ids, now
        ).items()
    }
    rows: dict[str, list[object]] = {name: [] for name in _MESSAGE}
    for one, step in messages:
        code = None if step.coupon is None else codes.get((step.coupon, one.due.consumer_id))
        skus = (
            list(here.lists.get(one.due.consumer_id, ()))[: step.items] if one.act.kind == "message" else []
        )
        goes_out = one.act.kind == "message"
        body = step.template.replace("{coupon}", code or "").replace("{items}", ", ".join(skus))
        values = (
            one.due.run_id, step.id, one.due.journey_id, one.due.consumer_id, step.channel,
            journeys[one.due.journey_id, one.due.version].purpose, body if goes_out else "", code,
            "\x1f".join(skus), _STATES[one.act.kind], one.act.reason, now if goes_out else None,
            now + timedelta(minutes=step.receipt_minutes) if goes_out else None,
        )  # fmt: skip
        for name, value in zip(rows, values, strict=True):
            rows[name].append(value)
    conn.execute(_INSERT_MESSAGES, {"tenant": tenant_id, "now": now, **rows})


def _ask(
    conn: Connection,
    tenant_id: str,
    asked: Sequence[_Asked],
    journeys: Mapping[tuple[str, int], Journey],
    lists: Mapping[str, Sequence[str]],
    now: datetime,
) -> None:
    """Make the tasks for people."""
    quiet = policy_of(conn, tenant_id).quiet
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into journeys.task (tenant_id, run_id, step, journey_id, consumer_id, title, sku_ids,"
            " asked_at, due_at, state) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'open')",
            [
                (
                    tenant_id, one.due.run_id, step.id, one.due.journey_id, one.due.consumer_id, step.task,
                    list(lists.get(one.due.consumer_id, ()))[: step.items], now,
                    quiet.open_from(now) + timedelta(minutes=step.within_minutes),
                )
                for one in asked
                if one.act.kind == "task"
                and isinstance(step := _step(one, journeys), HandOver)
            ],
        )  # fmt: skip


def _note(
    conn: Connection,
    tenant_id: str,
    asked: Sequence[_Asked],
    moved: Sequence[tuple[_Due, Advanced]],
    now: datetime,
) -> None:
    """Append what was done and what was in the way."""
    noted: list[tuple[int, str, str, str | None]] = [
        (one.due.run_id, one.act.step, one.act.kind, one.act.reason) for one in asked
    ]
    noted += [(due.run_id, due.run.step, "ended", found.reason) for due, found in moved if found.reason]
    conn.execute(
        "insert into journeys.move (tenant_id, run_id, at, step, act, reason)"
        " select %s, run_id, %s, step, act, reason"
        " from unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) as m (run_id, step, act, reason)",
        (tenant_id, now, *(list(column) for column in zip(*noted, strict=True)))
        if noted
        else (tenant_id, now, [], [], [], []),
    )  # fmt: skip


def _keep(conn: Connection, tenant_id: str, moved: Sequence[tuple[_Due, Advanced]], now: datetime) -> None:
    conn.execute(
        "update journeys.run r set step = m.step, arrived_at = m.arrived_at, due_at = m.due_at,"
        " reason = m.reason, ended_at = case when m.due_at is null then %(now)s end"
        " from unnest(%(runs)s::bigint[], %(steps)s::text[], %(arrived)s::timestamptz[],"
        " %(due)s::timestamptz[], %(reasons)s::text[]) as m (run_id, step, arrived_at, due_at, reason)"
        " where r.tenant_id = %(tenant)s and r.run_id = m.run_id",
        {
            "tenant": tenant_id,
            "now": now,
            "runs": [due.run_id for due, _ in moved],
            "steps": [found.run.step for _, found in moved],
            "arrived": [found.run.arrived_at for _, found in moved],
            "due": [found.due_at for _, found in moved],
            "reasons": [found.reason for _, found in moved],
        },
    )


def _count(conn: Connection, tenant_id: str, moved: Sequence[tuple[_Due, Advanced]], now: datetime) -> None:
    """Count which ways runs went; who went is not kept."""
    ways: Counter[tuple[str, int, str, str, str, str]] = Counter()
    for due, found in moved:
        for number, (step, after) in enumerate(found.way, start=1):
            reason = found.reason if number == len(found.way) and found.reason else ""
            ways[due.journey_id, due.version, due.run.arm.value, step, after, reason] += 1
    columns = list(zip(*sorted(ways), strict=True)) or [()] * 6
    names = ("journeys", "versions", "arms", "steps", "after", "reasons")
    conn.execute(
        _PASSED,
        {
            "tenant": tenant_id,
            "day": local_day(now, zone_of(conn, tenant_id)),
            **{name: list(column) for name, column in zip(names, columns, strict=True)},
            "runs": [ways[way] for way in sorted(ways)],
        },
    )


_PASSED: LiteralString = """
insert into journeys.passage as p
    (tenant_id, journey_id, version, arm, on_day, step, next_step, reason, runs)
select %(tenant)s, journey_id, version, arm, %(day)s, step, next_step, reason, runs
from unnest(%(journeys)s::text[], %(versions)s::int[], %(arms)s::text[], %(steps)s::text[],
    %(after)s::text[], %(reasons)s::text[], %(runs)s::bigint[])
    as w (journey_id, version, arm, step, next_step, reason, runs)
on conflict (tenant_id, journey_id, version, arm, on_day, step, next_step, reason)
do update set runs = p.runs + excluded.runs
"""
_STATES = {"message": "waiting", "would_send": "would_send", "withheld": "withheld"}
_MESSAGE = {
    "run_id": "bigint", "step": "text", "journey_id": "text", "consumer_id": "text", "channel": "text",
    "purpose": "text", "body": "text", "coupon_code": "text", "skus": "text", "state": "text",
    "reason": "text", "next_try_at": "timestamptz", "give_up_at": "timestamptz",
}  # fmt: skip
_INSERT_MESSAGES = (
    "insert into journeys.message (tenant_id, run_id, step, journey_id, consumer_id, channel, purpose, body,"
    " coupon_code, sku_ids, state, reason, next_try_at, give_up_at, decided_at) select %(tenant)s, run_id,"
    " step, journey_id, consumer_id, channel, purpose, body, coupon_code,"
    " coalesce(string_to_array(nullif(skus, ''), E'\\x1f'), '{}'), state, reason, next_try_at,"
    " give_up_at, %(now)s from unnest("
    + ", ".join(f"%({name})s::{kind}[]" for name, kind in _MESSAGE.items())
    + f") as m ({', '.join(_MESSAGE)})"
)
# Runs of a paused journey wait; the last message is the one that was decided last.
_DUE: LiteralString = """
select r.run_id, r.journey_id, r.version, r.consumer_id, r.arm, r.entered_at, r.step, r.arrived_at,
    m.step, m.decided_at, m.state, m.reason, m.told_at, m.clicked_at
from journeys.run r
left join lateral (
    select * from journeys.message l where l.tenant_id = r.tenant_id and l.run_id = r.run_id
    order by l.decided_at desc, l.message_id desc limit 1
) m on true
where r.tenant_id = %(tenant)s and r.due_at <= %(now)s
    and not exists (select from journeys.version v where v.tenant_id = r.tenant_id
        and v.journey_id = r.journey_id and v.state = 'paused')
order by r.due_at, r.run_id limit %(batch)s
"""

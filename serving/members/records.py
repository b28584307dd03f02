"""Where members stand and stood, as rows. Only the close of a day writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.rows import class_row

from models.members.ladder import Cause, Level, Standing

Connection = psycopg.Connection[Any]


class Moved(NamedTuple):
    """What the close of a day changed of a member.

    Attributes:
        consumer_id: Who.
        cause: What happened.
        standing: Where the member stands since.
        growth_to_next: Growth that is missing to the next level; None: there is none above.
    """

    consumer_id: str
    cause: Cause
    standing: Standing
    growth_to_next: int | None


@dataclass(frozen=True)
class Member:
    """A member as shown.

    Attributes:
        consumer_id: Who.
        level: The level held.
        growth: Growth value of the last day that was closed.
        spell: Number of the stay on this level.
        since: Local day on which it began.
        period_ends_on: Local day on which its period is over.
        at_risk_since: Since when the growth is below the level and the end of the period near; None: not.
        told_at: When the member was told of it; None: not yet.
        joined_on: Local day whose close found growth first.
    """

    consumer_id: str
    level: str
    growth: int
    spell: int
    since: date
    period_ends_on: date
    at_risk_since: date | None
    told_at: datetime | None
    joined_on: date


@dataclass(frozen=True)
class Change:
    """What a close changed of a member."""

    changed_at: datetime
    cause: str
    level: str
    growth: int
    growth_to_next: int | None
    spell: int
    period_ends_on: date
    is_at_risk: bool
    programme_version: int


@dataclass(frozen=True)
class Benefit:
    """What going up to a level gave."""

    spell: int
    level: str
    programme_id: str
    coupon_code: str
    given_at: datetime


def standings(conn: Connection, tenant_id: str) -> dict[str, Standing]:
    """Members by consumer; whoever changes one holds `locks.members`."""
    rows = conn.execute(
        "select consumer_id, level, growth, spell, since, period_ends_on, at_risk_since"
        " from members.standing where tenant_id = %s order by consumer_id",
        (tenant_id,),
    )
    return {consumer_id: Standing(Level[level.upper()], *rest) for consumer_id, level, *rest in rows}


def noted_to_next(conn: Connection, tenant_id: str) -> dict[str, int | None]:
    """Growth that is missing to the next level as the newest change of each member says; None: none above."""
    rows = conn.execute(
        "select s.consumer_id, c.growth_to_next from members.standing s cross join lateral ("
        " select growth_to_next from members.change c where c.tenant_id = s.tenant_id"
        " and c.consumer_id = s.consumer_id order by c.change_no desc limit 1) c where s.tenant_id = %s",
        (tenant_id,),
    )
    return dict(rows.fetchall())


def last_closed(conn: Connection, tenant_id: str) -> date | None:
    """The last local day that was closed; None: no day was."""
    row = conn.execute(
        "select max(closed_on) from members.closed_day where tenant_id = %s", (tenant_id,)
    ).fetchone()
    return None if row is None else row[0]


def keep(
    conn: Connection, tenant_id: str, moved: Sequence[Moved], today: date, version: int, now: datetime
) -> None:
    """Write where members stand since the close of a day, and what changed.

    Args:
        conn: Inside a transaction of the tenant that holds `locks.members`.
        tenant_id: The tenant.
        moved: Whom the close changed.
        today: Local day that was closed.
        version: Version of the programme by which.
        now: Business time.
    """
    columns = list(zip(*map(_row, moved), strict=True)) or [()] * len(_NAMES)
    values = {name: list(column) for name, column in zip(_NAMES, columns, strict=True)}
    conn.execute(_KEEP, values | {"tenant": tenant_id, "today": today})
    conn.execute(_NOTE, values | {"tenant": tenant_id, "now": now, "version": version})
    conn.execute(
        "insert into members.closed_day (tenant_id, closed_on, closed_at, programme_version)"
        " values (%s, %s, %s, %s) on conflict (tenant_id, closed_on) do update"
        " set closed_at = excluded.closed_at, programme_version = excluded.programme_version",
        (tenant_id, today, now, version),
    )


def find(conn: Connection, tenant_id: str, consumer_id: str) -> Member | None:
    """A member; None: the consumer is none."""
    with conn.cursor(row_factory=class_row(Member)) as cursor:
        return cursor.execute(
            f"{_MEMBERS} and s.consumer_id = %(consumer)s".encode(),
            {"tenant": tenant_id, "consumer": consumer_id},
        ).fetchone()


def page(
    conn: Connection, tenant_id: str, *, level: str | None, at_risk: bool | None, after: str, limit: int
) -> list[Member]:
    """Members by consumer, after the given one.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        level: Only of this level; None: of all.
        at_risk: Only those who are, or are not, at risk of going down; None: all.
        after: The last consumer of the page before.
        limit: Most members.
    """
    with conn.cursor(row_factory=class_row(Member)) as cursor:
        return cursor.execute(
            f"{_MEMBERS} and s.consumer_id > %(after)s and (%(level)s::text is null or s.level = %(level)s)"
            " and (%(risk)s::boolean is null or (s.at_risk_since is not null) = %(risk)s)"
            " order by s.consumer_id limit %(limit)s".encode(),
            {"tenant": tenant_id, "level": level, "risk": at_risk, "after": after, "limit": limit},
        ).fetchall()


def counts(conn: Connection, tenant_id: str) -> dict[str, tuple[int, int, int]]:
    """By level: members, those at risk, those of them who were not told yet."""
    rows = conn.execute(
        "select s.level, count(*), count(s.at_risk_since),"
        " count(s.at_risk_since) filter (where n.told_at is null)"
        " from members.standing s left join members.notice n using (tenant_id, consumer_id, at_risk_since)"
        " where s.tenant_id = %s group by 1 order by 1",
        (tenant_id,),
    )
    return {level: (members, at_risk, untold) for level, members, at_risk, untold in rows}


def moves_since(conn: Connection, tenant_id: str, since: datetime) -> dict[tuple[str, str], int]:
    """How many came to a level, by level and cause (`joined`, `up`, `down`), after a moment."""
    rows = conn.execute(
        "select level, cause, count(*) from members.change where tenant_id = %s and changed_at > %s"
        " and cause in ('joined', 'up', 'down') group by 1, 2 order by 1, 2",
        (tenant_id, since),
    )
    return {(level, cause): number for level, cause, number in rows}


def history_of(conn: Connection, tenant_id: str, consumer_id: str, *, limit: int) -> list[Change]:
    """The newest changes of a member but those of the growth alone, newest first."""
    with conn.cursor(row_factory=class_row(Change)) as cursor:
        return cursor.execute(
            "select changed_at, cause, level, growth, growth_to_next, spell, period_ends_on, is_at_risk,"
            " programme_version from members.change where tenant_id = %s and consumer_id = %s"
            " and cause <> 'growth' order by change_no desc limit %s",
            (tenant_id, consumer_id, limit),
        ).fetchall()


def benefits_of(conn: Connection, tenant_id: str, consumer_id: str) -> list[Benefit]:
    """What levels gave a member, newest first."""
    with conn.cursor(row_factory=class_row(Benefit)) as cursor:
        return cursor.execute(
            "select spell, level, programme_id, coupon_code, given_at from members.benefit"
            " where tenant_id = %s and consumer_id = %s order by spell desc",
            (tenant_id, consumer_id),
        ).fetchall()


def state_of(conn: Connection, tenant_id: str) -> str:
    """The version in force and the number of the newest change: who has seen both has seen all."""
    row = conn.execute(
        "select concat_ws(' ', (select version from members.programme where tenant_id = %(t)s"
        " and state = 'live'), (select max(change_no) from members.change where tenant_id = %(t)s))",
        {"t": tenant_id},
    ).fetchone()
    assert row is not None
    return str(row[0])


def _row(moved: Moved) -> Iterable[Any]:
    one = moved.standing
    return (
        moved.consumer_id,
        moved.cause,
        one.level.word,
        one.growth,
        moved.growth_to_next,
        one.spell,
        one.since,
        one.period_ends_on,
        one.at_risk_since,
    )


_NAMES = ("consumer", "cause", "level", "growth", "next", "spell", "since", "ends", "risk")
_ROWS: LiteralString = """unnest(%(consumer)s::text[], %(cause)s::text[], %(level)s::text[],
    %(growth)s::bigint[], %(next)s::bigint[], %(spell)s::integer[], %(since)s::date[], %(ends)s::date[],
    %(risk)s::date[])
    as m (consumer_id, cause, level, growth, growth_to_next, spell, since, period_ends_on, at_risk_since)"""
_KEEP: LiteralString = f"""
insert into members.standing as s (tenant_id, consumer_id, level, growth, spell, since, period_ends_on,
    at_risk_since, joined_on)
select %(tenant)s, m.consumer_id, m.level, m.growth, m.spell, m.since, m.period_ends_on, m.at_risk_since,
    %(today)s
from {_ROWS}
on conflict (tenant_id, consumer_id) do update set level = excluded.level, growth = excluded.growth,
    spell = excluded.spell, since = excluded.since, period_ends_on = excluded.period_ends_on,
    at_risk_since = excluded.at_risk_since
"""
_NOTE: LiteralString = f"""
insert into members.change (tenant_id, consumer_id, changed_at, cause, level, growth, growth_to_next, spell,
    period_ends_on, is_at_risk, programme_version)
select %(tenant)s, m.consumer_id, %(now)s, m.cause, m.level, m.growth, m.growth_to_next, m.spell,
    m.period_ends_on, m.at_risk_since is not null, %(version)s
from {_ROWS} order by m.consumer_id
"""
_MEMBERS: LiteralString = """
select s.consumer_id, s.level, s.growth, s.spell, s.since, s.period_ends_on, s.at_risk_since, n.told_at,
    s.joined_on
from members.standing s left join members.notice n using (tenant_id, consumer_id, at_risk_since)
where s.tenant_id = %(tenant)s"""

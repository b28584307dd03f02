"""What a level gives whoever goes up to it: a code of a coupon programme, once a stay."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Any, LiteralString, NamedTuple

import psycopg

from models.members.ladder import Level
from serving.db import locks
from serving.experiments.records import programmes_tested
from serving.journeys import programmes
from serving.members.programme import Programme
from serving.orders.coupons.issuing import issue_each

Connection = psycopg.Connection[Any]


class Cost(NamedTuple):
    """What the coupons of a level were and cost, of those given in one month.

    Attributes:
        level: The level.
        month_start_on: First day of the month (UTC) in which they were given.
        coupon_count: Codes that were given.
        redeemed_count: Of them, those that were used in orders that stand.
        coupon_cost_cents: What those took off, fen, whoever bears it.
    """

    level: str
    month_start_on: date
    coupon_count: int
    redeemed_count: int
    coupon_cost_cents: int


class Given(NamedTuple):
    """What was given.

    Attributes:
        codes: New codes.
        waiting: Members who wait for one: the programme of their level's coupon is not in force, has no
            budget left, or is given to one arm of an experiment. The next close tries again.
    """

    codes: int
    waiting: int


NOTHING_GIVEN = Given(0, 0)


def give_due(conn: Connection, tenant_id: str, programme: Programme, now: datetime) -> Given:
    """Give a code to everybody who went up to a level with a coupon and got none in this stay.

    Args:
        conn: Inside a transaction of the tenant that holds `locks.members` and lets no erasure begin.
        tenant_id: The tenant.
        programme: The one in force.
        now: Business time.
    """
    # An experiment that starts at this moment waits, or is seen: its coupons go to its own arms.
    locks.experiments(conn, tenant_id)
    due: dict[str, list[tuple[str, int]]] = defaultdict(list)
    levels = list(programme.coupons)
    for consumer_id, spell, level in conn.execute(_DUE, {"tenant": tenant_id, "levels": levels}):
        due[level].append((consumer_id, spell))
    if not due:
        return NOTHING_GIVEN
    left = programmes.in_force(conn, tenant_id, now)
    # An experiment that starts at this moment waits.
    locks.experiments(conn, tenant_id)
    tested = programmes_tested(conn, tenant_id)
    codes = waiting = 0
    for level, members in sorted(due.items()):
        name = programme.coupon_of(Level[level.upper()])
        if name is None or name not in left or left[name].cents <= 0 or name in tested:
            waiting += len(members)
            continue
        programme_id = left[name].programme_id
        issued = issue_each(conn, tenant_id, programme_id, [one for one, _ in members], now)
        conn.execute(
            _GIVE,
            {
                "tenant": tenant_id,
                "level": level,
                "programme": programme_id,
                "now": now,
                "consumers": [one for one, _ in members],
                "spells": [spell for _, spell in members],
                "codes": [issued[one] for one, _ in members],
            },
        )
        codes += len(members)
    return Given(codes, waiting)


def costs_of(conn: Connection, tenant_id: str) -> list[Cost]:
    """What the coupons of levels cost until now, by level and month."""
    return [Cost(*row) for row in conn.execute(_COSTS, {"tenant": tenant_id})]


# Who came down to a level was above it; the stay began by going up only where the change says so. A first
# stay counts as going up: its level was reached on the day of joining.
_DUE: LiteralString = """
select s.consumer_id, s.spell, s.level
from members.standing s
where s.tenant_id = %(tenant)s and s.level = any(%(levels)s)
    and exists (select from members.change c where c.tenant_id = s.tenant_id
        and c.consumer_id = s.consumer_id and c.spell = s.spell and c.cause in ('joined', 'up'))
    and not exists (select from members.benefit b where b.tenant_id = s.tenant_id
        and b.consumer_id = s.consumer_id and b.spell = s.spell)
order by 1
"""
_GIVE: LiteralString = """
insert into members.benefit (tenant_id, consumer_id, spell, level, programme_id, coupon_code, given_at)
select %(tenant)s, consumer, spell, %(level)s, %(programme)s, code, %(now)s
from unnest(%(consumers)s::text[], %(spells)s::integer[], %(codes)s::text[]) as t (consumer, spell, code)
"""
_COSTS: LiteralString = """
select b.level, date_trunc('month', b.given_at at time zone 'UTC')::date, count(*),
    count(r.code), coalesce(sum(r.cents), 0)::bigint
from members.benefit b
left join (
    select code, sum(discount_cents) as cents from coupons.redemption
    where tenant_id = %(tenant)s and state = 'redeemed' group by 1
) r on r.code = b.coupon_code
where b.tenant_id = %(tenant)s group by 1, 2 order by 1, 2
"""

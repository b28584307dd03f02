"""What seats of trainings brought: read from the publication, and kept before its months leave it.

The sales of a lot are kept, once, when the month after the last measured one is over as well: what came late
to the measured months is in them by then. From then on no publication changes what a training brought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg

from models.reviews.lift import Lift, Unit, lift_of
from serving.db import locks
from serving.scores.queries import current_snapshot

Connection = psycopg.Connection[Any]
_SNAPSHOT: Final[LiteralString] = current_snapshot("party_reviews")

# Trainings that are not kept and whose measured months are all over and published; what their lots sold.
_PUBLISHED: Final[LiteralString] = f"""
with over as (
  select distinct party_type, month_start_on from scores.party_reviews
  where snapshot_id = {_SNAPSHOT} and is_whole),
due as (
  select t.*, t.month + make_interval(months => t.measured_months) as until from reviews.training t
  where t.tenant_id = %(tenant)s
    and not exists (select from reviews.training_measured m
      where m.tenant_id = t.tenant_id and m.training_id = t.training_id)
    and t.measured_months = (select count(*) from over o
      where o.party_type = t.party_type and o.month_start_on > t.month
        and o.month_start_on <= t.month + make_interval(months => t.measured_months))),
sold as (
  select d.training_id, p.party_id, coalesce((select sum(r.ranked_cents) from scores.party_reviews r
    where r.snapshot_id = {_SNAPSHOT} and r.party_type = d.party_type and r.party_id = p.party_id
      and r.month_start_on > d.month and r.month_start_on <= d.until), 0)::bigint as after_cents
  from due d join reviews.training_party p
    on p.tenant_id = d.tenant_id and p.training_id = d.training_id and p.way <> 'score')
"""
_UNITS: Final[LiteralString] = f"""
{_PUBLISHED},
measured as (
  select training_id from due
  union all select training_id from reviews.training_measured where tenant_id = %(tenant)s),
after as (
  select * from sold
  union all select training_id, party_id, after_cents from reviews.training_sale where tenant_id = %(tenant)s)
select t.training_id, p.level, p.way = 'lot', a.after_cents, p.before_cents, p.party_id
from measured join reviews.training t using (training_id)
  left join after a using (training_id)
  left join reviews.training_party p
    on p.tenant_id = t.tenant_id and p.training_id = t.training_id and p.party_id = a.party_id
where t.tenant_id = %(tenant)s and t.course = %(course)s and t.party_type = %(type)s
  and (%(id)s::text is null or t.training_id = %(id)s)
order by t.training_id, p.place
"""
_KEEP: Final[LiteralString] = f"""
{_PUBLISHED},
kept as (
  insert into reviews.training_measured (tenant_id, training_id, version, measured_at)
  select %(tenant)s, d.training_id,
    (select c.version from scores.current_publication c where c.tenant_id = %(tenant)s), %(now)s
  from due d
  where exists (select from over o where o.party_type = d.party_type and o.month_start_on > d.until)
  returning training_id),
lines as (
  insert into reviews.training_sale (tenant_id, training_id, party_id, after_cents)
  select %(tenant)s, training_id, party_id, after_cents from sold join kept using (training_id))
select training_id from kept order by 1
"""


def lift_of_training(
    conn: Connection, tenant_id: str, course: str, party_type: str, training_id: str
) -> Lift | None:
    """What a seat of one training brought; None as long as its months are not over and published."""
    units = _units(conn, tenant_id, course, party_type, training_id)
    return None if units is None else lift_of(units)


def lift_of_course(
    conn: Connection, tenant_id: str, course: str, party_type: str
) -> tuple[Lift, Mapping[str, Lift]]:
    """What a course brought over all its measured lots, and by level."""
    units = _units(conn, tenant_id, course, party_type, None) or []
    levels = sorted({unit.level for unit in units})
    return lift_of(units), {level: lift_of(unit for unit in units if unit.level == level) for level in levels}


def keep_measured(conn: Connection, tenant_id: str, now: datetime) -> Sequence[str]:
    """Keep what the lots of measured trainings sold, each training once.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.

    Returns:
        Ids of the trainings that are kept since.
    """
    locks.trainings(conn, tenant_id)
    return [training_id for (training_id,) in conn.execute(_KEEP, {"tenant": tenant_id, "now": now})]


def state_of(conn: Connection, tenant_id: str) -> str:
    """The version that serves, how many trainings there are and how many are kept: who saw it saw all."""
    row = conn.execute(
        "select concat_ws(' ', (select version from scores.current_publication where tenant_id = %(t)s),"
        " (select count(*) from reviews.training where tenant_id = %(t)s),"
        " (select count(*) from reviews.training_measured where tenant_id = %(t)s))",
        {"t": tenant_id},
    ).fetchone()
    assert row is not None
    return str(row[0])


def _units(
    conn: Connection, tenant_id: str, course: str, party_type: str, training_id: str | None
) -> list[Unit] | None:
    """Parties in measured lots; None where no training is measured yet."""
    rows = conn.execute(
        _UNITS, {"tenant": tenant_id, "course": course, "type": party_type, "id": training_id}
    ).fetchall()
    if not rows:
        return None
    return [Unit(*row[:5]) for row in rows if row[5] is not None]

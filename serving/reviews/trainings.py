"""Trainings: seats given by score and by lot, written once and never changed; what a seat brought."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, LiteralString

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from models.reviews.allotment import Candidate, Way, allot
from models.reviews.lift import Lift
from serving.db import locks
from serving.reviews.errors import ReviewUnknownError, TrainingConflictError, TrainingRefusedError
from serving.reviews.measuring import lift_of_course, lift_of_training
from serving.reviews.reading import newest_whole_month
from serving.scores.queries import current_snapshot

Connection = psycopg.Connection[Any]
PartyType = Literal["agent", "merchant"]
_SNAPSHOT: Final[LiteralString] = current_snapshot("party_reviews")


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        training_id: Its id.
        course: What is taught; trainings of one course are measured together.
        title: For people.
        party_type: Who is taught.
        month: First day of the month in which it takes place.
        measured_months: Months after it over which it is measured.
        seats: How many.
    """

    training_id: str
    course: str
    title: str
    party_type: PartyType
    month: date
    measured_months: int
    seats: int


@dataclass(frozen=True)
class Training:
    """A training whose seats are given.

    Attributes are those of the plan, and:
        seed: Salt of its lot.
        version: Publication by which candidates were scored.
        lift: What the course had brought when the seats were given, over all.
        made_at: When they were given.
        by_score: Seats by score.
        by_lot: Seats by lot.
        not_drawn: Parties in the lot without a seat.
    """

    training_id: str
    course: str
    title: str
    party_type: PartyType
    month: date
    measured_months: int
    seats: int
    seed: str
    version: str
    lift: dict[str, Any]
    made_at: datetime
    by_score: int
    by_lot: int
    not_drawn: int


@dataclass(frozen=True)
class Seat:
    """What came of a party.

    Attributes are those of `models.reviews.allotment.Place`, and:
        place: Its place: seats by score, then by lot, then who was not drawn.
        before_cents: What it sold in as many months before as are measured.
    """

    place: int
    party_id: str
    level: str
    churn_risk: float
    worth_cents: int
    lift: float
    score: float
    drawn: float | None
    way: Way
    before_cents: int


_TRAINING = (
    "select t.training_id, t.course, t.title, t.party_type, t.month, t.measured_months, t.seats, t.seed,"
    " t.version, t.lift, t.made_at, count(p.*) filter (where p.way = 'score') as by_score,"
    " count(p.*) filter (where p.way = 'lot') as by_lot,"
    " count(p.*) filter (where p.way = 'not_drawn') as not_drawn"
    " from reviews.training t left join reviews.training_party p using (tenant_id, training_id)"
    " where t.tenant_id = %(tenant)s"
)
_GROUP = " group by t.tenant_id, t.training_id"


def give_seats(conn: Connection, tenant_id: str, plan: Plan, by: str, now: datetime) -> tuple[Training, bool]:
    """Give the seats of a training; the same plan again is the one that stands.

    Whoever is in a lot that is still being measured is no candidate: a second seat would blur the first.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        plan: What is asked for.
        by: Key that asks.
        now: Business time.

    Returns:
        The training, and whether it is new.

    Raises:
        ReviewUnknownError: No month that is over is published.
        TrainingConflictError: The id stands for another plan.
        TrainingRefusedError: The month is over already, or there is no candidate.
    """
    locks.trainings(conn, tenant_id)
    known = _find(conn, tenant_id, plan.training_id)
    if known is not None:
        if any(getattr(known, name) != value for name, value in asdict(plan).items()):
            raise TrainingConflictError(
                f"training {plan.training_id} has another plan; give the new one an id of its own"
            )
        return known, False
    newest = newest_whole_month(conn, tenant_id)
    if plan.month <= newest:
        raise TrainingRefusedError(
            f"{plan.month:%Y-%m} is over and known; a lot is drawn before it, for {_after(newest, 1):%Y-%m}"
            " or later"
        )
    version, before, candidates = _candidates(conn, tenant_id, plan, newest)
    if not candidates:
        raise TrainingRefusedError(
            f"no {plan.party_type} is active in {newest:%Y-%m} and outside of every lot that is measured"
        )
    of_all, by_level = lift_of_course(conn, tenant_id, plan.course, plan.party_type)
    seed = _seed()
    places = allot(candidates, plan.seats, of_all, by_level, seed)
    lift = asdict(of_all) | {"by_level": {level: asdict(one) for level, one in by_level.items()}}
    conn.execute(
        "insert into reviews.training (tenant_id, training_id, course, title, party_type, month,"
        " measured_months, seats, seed, version, lift, made_by, made_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            tenant_id,
            *asdict(plan).values(),
            seed,
            version,
            Jsonb(lift),
            by,
            now,
        ),
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into reviews.training_party (tenant_id, training_id, place, before_cents, party_id,"
            " level, churn_risk, worth_cents, lift, score, drawn, way)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (tenant_id, plan.training_id, number, before[place.party_id], *asdict(place).values())
                for number, place in enumerate(places, start=1)
            ],
        )
    return find(conn, tenant_id, plan.training_id), True


def find(conn: Connection, tenant_id: str, training_id: str) -> Training:
    """A training.

    Raises:
        ReviewUnknownError: There is none.
    """
    found = _find(conn, tenant_id, training_id)
    if found is None:
        raise ReviewUnknownError(f"there is no training {training_id}")
    return found


def page(conn: Connection, tenant_id: str, *, after: str, limit: int) -> list[Training]:
    """Trainings by id, after the given one."""
    with conn.cursor(row_factory=class_row(Training)) as cursor:
        return cursor.execute(
            f"{_TRAINING} and t.training_id > %(after)s{_GROUP}"
            " order by t.training_id limit %(limit)s".encode(),
            {"tenant": tenant_id, "after": after, "limit": limit},
        ).fetchall()


def newest(conn: Connection, tenant_id: str, limit: int) -> list[Training]:
    """Trainings by month, the newest first."""
    with conn.cursor(row_factory=class_row(Training)) as cursor:
        return cursor.execute(
            f"{_TRAINING}{_GROUP} order by t.month desc, t.training_id limit %(limit)s".encode(),
            {"tenant": tenant_id, "limit": limit},
        ).fetchall()


def seats_of(conn: Connection, tenant_id: str, training_id: str, *, after: int, limit: int) -> list[Seat]:
    """Candidates of a training by place, after the given one."""
    columns = ", ".join(Seat.__dataclass_fields__)
    with conn.cursor(row_factory=class_row(Seat)) as cursor:
        return cursor.execute(
            f"select {columns} from reviews.training_party where tenant_id = %s and training_id = %s"
            " and place > %s order by place limit %s".encode(),
            (tenant_id, training_id, after, limit),
        ).fetchall()


def lift_now(conn: Connection, tenant_id: str, training: Training) -> Lift | None:
    """What a seat of one training brought; None as long as its months are not over and published."""
    return lift_of_training(conn, tenant_id, training.course, training.party_type, training.training_id)


def last_measured_month(training: Training) -> date:
    """First day of the last month over which a training is measured."""
    return _after(training.month, training.measured_months)


def _seed() -> str:
    """The salt of a lot: nobody chooses it."""
    return secrets.token_hex(8)


def _find(conn: Connection, tenant_id: str, training_id: str) -> Training | None:
    with conn.cursor(row_factory=class_row(Training)) as cursor:
        return cursor.execute(
            f"{_TRAINING} and t.training_id = %(id)s{_GROUP}".encode(),
            {"tenant": tenant_id, "id": training_id},
        ).fetchone()


def _after(month: date, months: int) -> date:
    number = month.year * 12 + month.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


# What a party brings in a month: its margin of a year, and its net sales where no cost is known of anybody.
_CANDIDATES: Final[LiteralString] = f"""
with months as (
  select * from scores.party_reviews where snapshot_id = {_SNAPSHOT} and party_type = %(type)s and is_whole
    and month_start_on > %(newest)s::date - interval '12 months'),
worths as (
  select party_id, avg(coalesce(margin_cents, 0)) as margin, avg(net_sales_cents) as sales,
    coalesce(sum(ranked_cents) filter (where month_start_on > %(before)s), 0) as before
  from months group by party_id)
select (select c.version from scores.current_publication c where c.tenant_id = %(tenant)s), m.party_id,
  m.level,
  coalesce(m.churn_risk, 1),
  greatest(0, case when (select count(margin_cents) from months) > 0 then w.margin else w.sales end)::bigint,
  w.before::bigint
from months m join worths w using (party_id)
where m.month_start_on = %(newest)s and m.is_active
  and not exists (
    select from reviews.training_party p join reviews.training t using (tenant_id, training_id)
    where p.tenant_id = %(tenant)s and t.party_type = %(type)s and p.party_id = m.party_id
      and p.way <> 'score' and t.month + make_interval(months => t.measured_months) >= %(month)s)
order by m.party_id
"""


def _candidates(
    conn: Connection, tenant_id: str, plan: Plan, newest: date
) -> tuple[str, Mapping[str, int], Sequence[Candidate]]:
    """The publication, what each candidate sold before, and the candidates."""
    rows = conn.execute(
        _CANDIDATES,
        {
            "tenant": tenant_id,
            "type": plan.party_type,
            "newest": newest,
            "before": _after(newest, -plan.measured_months),
            "month": plan.month,
        },
    ).fetchall()
    found = [Candidate(party_id, level, risk, worth) for _, party_id, level, risk, worth, _ in rows]
    return rows[0][0] if rows else "", {row[1]: row[5] for row in rows}, found

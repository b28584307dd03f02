"""Statements of suppliers, merchants and agents by calendar month of the tenant, and closing a month.

A closed month is stored and immutable; an open one is computed from the ledger. Showing them:
`statement_page`.

Source: invariant L13 of the settlement rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from msgspec import Struct
from psycopg.types.json import Jsonb

from serving.db.calendar import day_start, zone_of
from serving.ledger.accounts import Party
from serving.ledger.errors import typed_refusals
from serving.settlement.errors import SettlementError

PARTY_TYPES = ("supplier", "merchant", "agent")


class StatementError(SettlementError):
    """A month cannot be stated or closed as asked."""


class UnknownPartyError(SettlementError):
    """The party has no account in the ledger."""


class Period(NamedTuple):
    """A calendar month of a time zone: that of the tenant, once a function here has looked it up."""

    year: int
    month: int
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str) -> Period:
        """A month from `2026-01`.

        Raises:
            StatementError: It is no month.
        """
        try:
            found = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        except ValueError as error:
            raise StatementError(f"{text!r} is no month: write it like 2026-01") from error
        return cls(found.year, found.month)

    @classmethod
    def of(cls, day: date) -> Period:
        """The month of a day."""
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        """First day."""
        return date(self.year, self.month, 1)

    @property
    def next_first_day(self) -> date:
        """First day of the next month."""
        return date(self.year + self.month // 12, self.month % 12 + 1, 1)

    @property
    def start(self) -> datetime:
        """First moment, UTC."""
        return day_start(self.first_day, ZoneInfo(self.zone))

    @property
    def end(self) -> datetime:
        """First moment of the next month, UTC."""
        return day_start(self.next_first_day, ZoneInfo(self.zone))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


class Movement(Struct, frozen=True):
    """What transactions of one kind moved on an account, fen."""

    kind: str
    cents: int
    entries: int


class AccountFigures(Struct, frozen=True):
    """One account of a statement: `opening_cents` and the movements make `closing_cents`."""

    kind: str
    opening_cents: int
    movements: tuple[Movement, ...]
    closing_cents: int


class DayFigures(Struct, frozen=True):
    """What moved on a day over all accounts, and what was there at its end; on days that moved something."""

    on: date
    moved_cents: int
    closing_cents: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What the platform owed a party in a month, over all its money accounts; negative when the party owes.

    Attributes:
        party: Supplier, merchant or agent.
        period: The month.
        is_closed: Nothing can be booked into it any more.
        closed_at: When it was closed.
        opening_cents: At the first moment, fen.
        closing_cents: At the end (so far), fen.
        accounts: The same by account; the openings, movements and closings of the accounts sum to the
        statement's.
        days: The same by day.
    """

    party: Party
    period: Period
    is_closed: bool
    closed_at: datetime | None
    opening_cents: int
    closing_cents: int
    accounts: tuple[AccountFigures, ...]
    days: tuple[DayFigures, ...]


class ClosedPeriod(NamedTuple):
    """A closed month; `is_new` is False when it had been closed before."""

    period: Period
    statements: int
    is_new: bool


class Base(NamedTuple):
    """From where sums begin: the end of the last stored month, the first transaction that may follow it."""

    period: Period | None
    until: datetime
    next_transaction: int


_BEGINNING = Base(None, datetime(1, 1, 1, tzinfo=UTC), 0)

_SUMS = """
    select a.party_type, a.party_id, a.kind, t.booked_at < %(start)s as is_before,
           case when t.booked_at < %(start)s then null else t.kind end as moved_by,
           case when t.booked_at < %(start)s then null else (t.booked_at at time zone %(zone)s)::date
           end as moved_on,
           sum(e.amount)::bigint, count(*)
    from ledger.account a
    join ledger.entry e on e.account_id = a.account_id and e.transaction_id >= %(next)s
    join ledger.transaction t on t.transaction_id = e.transaction_id
    where a.tenant_id = %(tenant)s and a.unit = 'CNY' and a.party_type = any(%(types)s)
      and (%(party)s::text is null or a.party_id = %(party)s)
      and t.booked_at >= %(until)s and t.booked_at < %(end)s
    group by 1, 2, 3, 4, 5, 6
"""


def statement(conn: psycopg.Connection, tenant_id: str, party: Party, period: Period) -> Statement:
    """The statement of a party: as stored when the month is closed, else as the ledger stands.

    Raises:
        UnknownPartyError: The party has no money account.
    """
    period = _of_tenant(conn, tenant_id, period)
    stored = conn.execute(
        "select movements, closed_at from settlement.statement where tenant_id = %s and party_type = %s"
        " and party_id = %s and period_start = %s",
        (tenant_id, *party, period.first_day),
    ).fetchone()
    if stored is not None:
        return _from_document(party, period, stored[0], stored[1])
    known = conn.execute(
        "select 1 from ledger.account where tenant_id = %s and party_type = %s and party_id = %s"
        " and unit = 'CNY' limit 1",
        (tenant_id, *party),
    ).fetchone()
    if known is None or party.party_type not in PARTY_TYPES:
        raise UnknownPartyError(f"{party.party_type} {party.party_id} has no account in the ledger")
    closed = conn.execute(
        "select closed_until >= %s from ledger.closed_until where tenant_id = %s", (period.end, tenant_id)
    ).fetchone()
    made = _figures(conn, tenant_id, period, party).get(party) or _assembled(party, period, {}, {}, {})
    return replace(made, is_closed=bool(closed and closed[0]))


def close_period(conn: psycopg.Connection, tenant_id: str, period: Period, now: datetime) -> ClosedPeriod:
    """Close a month, once: nothing can be booked into it any more, and everybody's statement is stored.

    Postings wait until this transaction ends.

    Args:
        conn: In a transaction of the tenant.
        tenant_id: The tenant.
        period: The month.
        now: Business time; the month must be over.

    Raises:
        StatementError: The month is not over, a later one is closed, or one in between is still open.
    """
    period = _of_tenant(conn, tenant_id, period)
    if period.end > now:
        raise StatementError(f"{period} is not over at {now.isoformat()}: close it after its end")
    with typed_refusals():
        conn.execute("select ledger.close_until(%s, %s)", (tenant_id, period.end))
    last, count = conn.execute(
        "select max(period_start), count(*) filter (where period_start = %s)"
        " from settlement.statement where tenant_id = %s",
        (period.first_day, tenant_id),
    ).fetchone() or (None, 0)
    if count:
        return ClosedPeriod(period, int(count), False)
    if last is not None:
        due = Period.of(Period.of(last).next_first_day)._replace(zone=period.zone)
        if due != period:
            raise StatementError(f"{period} cannot be closed now: {due} is the month to close next")
    figures = _figures(conn, tenant_id, period, None)
    next_transaction = _next_transaction(conn, tenant_id, period)
    rows = [
        {
            "party_type": made.party.party_type,
            "party_id": made.party.party_id,
            "opening_cents": made.opening_cents,
            "closing_cents": made.closing_cents,
            "movements": _to_document(made, next_transaction),
        }
        for made in figures.values()
    ]
    conn.execute(
        "insert into settlement.statement (tenant_id, party_type, party_id, period_start, period_end,"
        " opening_cents, closing_cents, movements, closed_at)"
        " select %(tenant)s, r.party_type, r.party_id, %(start)s, %(end)s, r.opening_cents, r.closing_cents,"
        " r.movements, %(now)s from jsonb_to_recordset(%(rows)s) as r (party_type text, party_id text,"
        " opening_cents bigint, closing_cents bigint, movements jsonb)",
        {
            "tenant": tenant_id,
            "start": period.first_day,
            "end": period.next_first_day,
            "now": now,
            "rows": Jsonb(rows),
        },
    )
    return ClosedPeriod(period, len(rows), True)


def closed_periods(conn: psycopg.Connection, tenant_id: str) -> Sequence[ClosedPeriod]:
    """The months that were closed, oldest first."""
    rows = conn.execute(
        "select period_start, count(*) from settlement.statement where tenant_id = %s group by 1 order by 1",
        (tenant_id,),
    )
    return [ClosedPeriod(Period.of(start), count, False) for start, count in rows]


def _of_tenant(conn: psycopg.Connection, tenant_id: str, period: Period) -> Period:
    return period._replace(zone=zone_of(conn, tenant_id).key)


def _figures(
    conn: psycopg.Connection, tenant_id: str, period: Period, party: Party | None
) -> dict[Party, Statement]:
    """Statements from the ledger, on top of the last stored month, of whoever ever had an entry."""
    base = base_of(conn, tenant_id, period)
    opening: dict[Party, dict[str, int]] = defaultdict(dict)
    if base.period is not None:
        for party_type, party_id, document in conn.execute(
            "select party_type, party_id, movements from settlement.statement where tenant_id = %(tenant)s"
            " and period_start = %(start)s and party_type = any(%(types)s)"
            " and (%(party)s::text is null or party_id = %(party)s)",
            {**_wanted(tenant_id, party), "start": base.period.first_day},
        ):
            for account in document["accounts"]:
                opening[Party(party_type, party_id)][account["kind"]] = account["closing_cents"]
    moved: dict[Party, dict[str, dict[str, list[int]]]] = defaultdict(lambda: defaultdict(dict))
    days: dict[Party, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    values = {
        **_wanted(tenant_id, party),
        "next": base.next_transaction,
        "until": base.until,
        "start": period.start,
        "end": period.end,
        "zone": period.zone,
    }
    for party_type, party_id, kind, is_before, moved_by, moved_on, cents, entries in conn.execute(
        _SUMS, values
    ):
        whose = Party(party_type, party_id)
        if is_before:
            opening[whose][kind] = opening[whose].get(kind, 0) + cents
            continue
        sums = moved[whose][kind].setdefault(moved_by, [0, 0])
        sums[0] += cents
        sums[1] += entries
        days[whose][moved_on] += cents
    return {
        whose: _assembled(whose, period, opening[whose], moved[whose], days[whose])
        for whose in sorted(opening.keys() | moved.keys())
    }


def _assembled(
    party: Party,
    period: Period,
    opening: dict[str, int],
    moved: dict[str, dict[str, list[int]]],
    days: dict[date, int],
) -> Statement:
    accounts = []
    for kind in sorted(opening.keys() | moved.keys()):
        movements = tuple(
            Movement(by, cents, entries) for by, (cents, entries) in sorted(moved.get(kind, {}).items())
        )
        begin = opening.get(kind, 0)
        accounts.append(AccountFigures(kind, begin, movements, begin + sum(m.cents for m in movements)))
    begin = sum(account.opening_cents for account in accounts)
    balance = begin
    by_day = []
    for on, cents in sorted(days.items()):
        balance += cents
        by_day.append(DayFigures(on, cents, balance))
    closing = sum(account.closing_cents for account in accounts)
    return Statement(party, period, False, None, begin, closing, tuple(accounts), tuple(by_day))


def base_of(conn: psycopg.Connection, tenant_id: str, period: Period) -> Base:
    """The last stored month before the period; sums of years ago are not added up again."""
    row = conn.execute(
        "select period_start, movements -> 'next_transaction' from settlement.statement"
        " where tenant_id = %s and period_end <= %s order by period_start desc limit 1",
        (tenant_id, period.first_day),
    ).fetchone()
    if row is None:
        return _BEGINNING
    stored = Period.of(row[0])._replace(zone=period.zone)
    return Base(stored, stored.end, int(row[1]))


def _next_transaction(conn: psycopg.Connection, tenant_id: str, period: Period) -> int:
    """The first transaction that lies after the period.

    Whoever posts holds the lock of closing while the number is drawn, so no smaller one can appear later.
    """
    row = conn.execute(
        "select coalesce(min(transaction_id) filter (where booked_at >= %(end)s), max(transaction_id) + 1, 1)"
        " from ledger.transaction where tenant_id = %(tenant)s and transaction_id >= %(next)s",
        {
            "tenant": tenant_id,
            "end": period.end,
            "next": base_of(conn, tenant_id, period).next_transaction,
        },
    ).fetchone()
    assert row is not None
    return int(row[0])


def _wanted(tenant_id: str, party: Party | None) -> dict[str, Any]:
    return {
        "tenant": tenant_id,
        "types": list(PARTY_TYPES) if party is None else [party.party_type],
        "party": None if party is None else party.party_id,
    }


def _to_document(made: Statement, next_transaction: int) -> dict[str, Any]:
    return {
        "next_transaction": next_transaction,
        "accounts": msgspec.to_builtins(made.accounts),
        "days": msgspec.to_builtins(made.days),
    }


def _from_document(party: Party, period: Period, document: dict[str, Any], closed_at: datetime) -> Statement:
    accounts = msgspec.convert(document["accounts"], tuple[AccountFigures, ...])
    return Statement(
        party,
        period,
        True,
        closed_at,
        sum(account.opening_cents for account in accounts),
        sum(account.closing_cents for account in accounts),
        accounts,
        msgspec.convert(document["days"], tuple[DayFigures, ...]),
    )

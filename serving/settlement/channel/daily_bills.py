"""The bills of channels, fetched day by day and compared with the books; each account and day once.

A day is one of the channel's calendar, whose bill is complete. No transaction is open while a channel is
asked; a bill is loaded, compared and its differences are held in one. What a channel does not answer is
asked again by the next run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial

import psycopg

from serving.channels.accounts import accounts_of, bills_begin, find_account
from serving.channels.errors import ChannelRefusedError, ChannelUnavailableError
from serving.channels.facts import BillLine
from serving.channels.protocol import CALENDAR, Account, Adapter
from serving.channels.registry import adapter_of
from serving.db import locks
from serving.db.calendar import day_start, local_day
from serving.db.isolation import Alarm, isolated
from serving.db.retries import ConnectionFactory, in_transaction
from serving.privacy.data_keys import Vault
from serving.settlement.channel.bill import Bill, as_csv, load_bill
from serving.settlement.channel.bill_breaks import hold_breaks
from serving.settlement.channel.reconciliation import reconcile

_DAY = timedelta(days=1)


@dataclass
class BillsTaken:
    """What became of the bills that were due.

    Attributes:
        taken: Loaded and compared by this run.
        waiting: Due, and not to be had yet.
        held: Differences that are held in suspense.
        differences: How many were found by type.
    """

    taken: int = 0
    waiting: int = 0
    held: int = 0
    differences: Counter[str] = field(default_factory=Counter)


def take_bills(
    transactions: ConnectionFactory,
    vault: Vault,
    tenant_id: str,
    now: datetime,
    days: int,
    alarm: Alarm,
    *,
    adapters: Callable[[Account], Adapter] = adapter_of,
) -> BillsTaken:
    """Fetch and compare the bills of every active account of a tenant, the oldest day first.

    Args:
        transactions: Opens a transaction of the tenant.
        vault: Opens secrets.
        tenant_id: The tenant.
        now: Business time.
        days: For so many days a bill that was not to be had is asked for, the last complete one included.
        alarm: Told of each account whose bill is not to be had, and of days that are given up.
        adapters: Makes the adapter of an account.
    """
    done = BillsTaken()
    for named in in_transaction(transactions, lambda conn: accounts_of(conn, tenant_id)):
        if not named.is_active:
            continue
        subject = f"the bill of channel {named.channel_id}"
        account = isolated(transactions, subject, partial(_opened, vault, named), alarm)
        if account is not None:
            _take_of_account(transactions, account, adapters(account), now, days, alarm, done)
    return done


def _opened(vault: Vault, account: Account, conn: psycopg.Connection) -> Account:
    return find_account(conn, vault, account.tenant_id, account.channel_id)


def _take_of_account(
    transactions: ConnectionFactory,
    account: Account,
    adapter: Adapter,
    now: datetime,
    days: int,
    alarm: Alarm,
    done: BillsTaken,
) -> None:
    last = local_day(now - adapter.bill_ready_after, CALENDAR) - _DAY
    earliest = last - (days - 1) * _DAY
    missing_days = partial(_days_missing, account, adapter.bill_kinds, earliest, last)
    missing = in_transaction(transactions, missing_days)
    due = [day for day in missing if day >= earliest]
    subject = f"the bill of channel {account.channel_id}"
    if len(due) < len(missing):
        given_up = f"{len(missing) - len(due)} days from {missing[0]} on are given up: load them by hand"
        alarm(subject, ChannelUnavailableError(given_up))
    for number, day in enumerate(due):
        try:
            lines = adapter.bill(day)
        except ChannelUnavailableError as error:
            # It would not answer for the next day either.
            done.waiting += len(due) - number
            alarm(f"{subject} of {day}", error)
            return
        except ChannelRefusedError as error:
            done.waiting += 1
            alarm(f"{subject} of {day}", error)
            continue
        compare = partial(_compare, account, adapter.bill_kinds, day, lines, now)
        found = isolated(transactions, f"{subject} of {day}", compare, alarm)
        if found is None:
            done.waiting += 1
            continue
        held, differences = found
        if differences is None:
            continue  # another worker took it meanwhile
        done.taken += 1
        done.held += held
        done.differences.update(differences)


def _days_missing(
    account: Account, kinds: frozenset[str], earliest: date, last: date, conn: psycopg.Connection
) -> list[date]:
    """Days up to the last complete one that no compared bill of the account covers, the oldest first.

    A bill that tells of other kinds than the channel's own, or that was never compared, covers nothing.
    """
    first = bills_begin(conn, account.tenant_id, account.channel_id, earliest, last)
    rows = conn.execute(
        "select d.day::date from generate_series(%(first)s::timestamp, %(last)s::timestamp, '1 day') d (day)"
        " where not exists (select from settlement.channel_bill b where b.tenant_id = %(tenant)s"
        "  and b.channel_id = %(channel)s and b.bill_from <= d.day at time zone %(zone)s"
        "  and b.bill_to >= (d.day + interval '1 day') at time zone %(zone)s"
        "  and b.kinds @> %(kinds)s and exists (select from settlement.reconciliation r"
        "   where r.tenant_id = b.tenant_id and r.bill_id = b.bill_id)) order by 1",
        {
            "first": first, "last": last, "zone": CALENDAR.key, "tenant": account.tenant_id,
            "channel": account.channel_id, "kinds": sorted(kinds),
        },
    ).fetchall()  # fmt: skip
    return [day for (day,) in rows]


def _compare(
    account: Account,
    kinds: frozenset[str],
    day: date,
    lines: Sequence[BillLine],
    now: datetime,
    conn: psycopg.Connection,
) -> tuple[int, dict[str, int] | None]:
    """Differences that are held, and all by type; None where another worker compared the day meanwhile."""
    locks.bills_of_account(conn, account.tenant_id, account.channel_id)
    if day not in _days_missing(account, kinds, day, day, conn):
        return 0, None
    bill = Bill(
        f"{account.channel_id}:{day}",
        account.adapter,
        day_start(day, CALENDAR),
        day_start(day + _DAY, CALENDAR),
        account.channel_id,
        kinds,
    )
    loaded = load_bill(conn, account.tenant_id, bill, as_csv(lines))
    run = reconcile(conn, account.tenant_id, bill_id=loaded.bill_id, run_id=loaded.bill_id, as_of=now)
    return hold_breaks(conn, account.tenant_id, run.run_id, now), run.breaks

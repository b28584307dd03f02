"""Tests of channels: declared before they begin, never changed, stopped at most; who is held out of which.

A test that could be declared after the fact would be chosen by its result. Of a channel one test runs at a
time. A hold-out is drawn by a hash of test and consumer, so that nobody is listed and nobody changes sides.

Source: Kohavi, Tang, Xu (2020), Trustworthy Online Controlled Experiments, ch. 14 and 23.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from models.experiments.assignment import FULL_BPS, draw
from serving.channel_tests.errors import (
    ChannelTestRefusedError,
    ChannelTestStateError,
    ChannelTestUnknownError,
)
from serving.db import locks

Connection = psycopg.Connection[Any]
Kind = Literal["holdout", "geo"]

LEAST_DAYS = 7
"""A test covers whole weeks at least: days of the week differ."""
LEAST_REGIONS = 2


@dataclass(frozen=True)
class ChannelTest:
    """A test.

    Attributes:
        test_id: Chosen by whoever declares it.
        channel: The channel, as in touches.
        kind: `holdout` or `geo`.
        off_share_bps: Share of consumers whom the channel never touches, in basis points; None of regions.
        on_regions: Regions of shops with the channel; empty of a hold-out.
        off_regions: Regions without it.
        starts_on: First local day.
        ends_on: First local day after it.
        made_by: By which key.
        made_at: When it was declared.
        stopped_at: When it was given up; None if it was not.
        reason: Why.
    """

    test_id: str
    channel: str
    kind: Kind
    off_share_bps: int | None
    on_regions: list[str]
    off_regions: list[str]
    starts_on: date
    ends_on: date
    made_by: str
    made_at: datetime
    stopped_at: datetime | None = None
    reason: str | None = None


_COLUMNS = ", ".join(ChannelTest.__dataclass_fields__)
_STATED = ("channel", "kind", "off_share_bps", "on_regions", "off_regions", "starts_on", "ends_on")


def declare(conn: Connection, tenant_id: str, wanted: ChannelTest, today: date) -> ChannelTest:
    """Declare a test; the same again is the one that stands.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        wanted: What is to be tested.
        today: Local day.

    Raises:
        ChannelTestRefusedError: It would tell nothing, or begins in the past.
        ChannelTestStateError: The id stands for another test, or one of the channel overlaps.
    """
    locks.channel_tests(conn, tenant_id, wanted.channel)
    known = _find(conn, tenant_id, wanted.test_id)
    if known is not None:
        if any(getattr(known, name) != getattr(wanted, name) for name in _STATED):
            raise ChannelTestStateError(
                f"test {known.test_id} exists and says something else; choose another id"
            )
        return known
    _check(wanted, today)
    other = conn.execute(
        "select test_id from channel_tests.test where tenant_id = %s and channel = %s and stopped_at is null"
        " and starts_on < %s and ends_on > %s order by test_id limit 1",
        (tenant_id, wanted.channel, wanted.ends_on, wanted.starts_on),
    ).fetchone()
    if other is not None:
        raise ChannelTestStateError(
            f"test {other[0]} of channel {wanted.channel} runs within these days; stop it or begin after it"
        )
    taken = conn.execute(
        "insert into channel_tests.test (tenant_id, test_id, channel, kind, off_share_bps, on_regions,"
        " off_regions, starts_on, ends_on, made_by, made_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict do nothing",
        (
            tenant_id,
            wanted.test_id,
            wanted.channel,
            wanted.kind,
            wanted.off_share_bps,
            wanted.on_regions,
            wanted.off_regions,
            wanted.starts_on,
            wanted.ends_on,
            wanted.made_by,
            wanted.made_at,
        ),
    ).rowcount
    if not taken:
        raise ChannelTestStateError(
            f"test {wanted.test_id} was declared of another channel; choose another id"
        )
    return wanted


def stop(
    conn: Connection, tenant_id: str, test_id: str, reason: str, now: datetime, today: date
) -> ChannelTest:
    """Give a test up; it says nothing then. Again changes nothing.

    Raises:
        ChannelTestUnknownError: There is no such test.
        ChannelTestStateError: It has ended by itself.
    """
    known = _find(conn, tenant_id, test_id)
    if known is None:
        raise ChannelTestUnknownError(f"there is no test {test_id}")
    if known.stopped_at is not None:
        return known
    if today >= known.ends_on:
        raise ChannelTestStateError(f"test {test_id} ended before {known.ends_on}; what it says stands")
    conn.execute(
        "update channel_tests.test set stopped_at = %s, reason = %s"
        " where tenant_id = %s and test_id = %s and stopped_at is null",
        (now, reason, tenant_id, test_id),
    )
    stopped = _find(conn, tenant_id, test_id)
    assert stopped is not None
    return stopped


def page(conn: Connection, tenant_id: str, *, after: str, limit: int) -> list[ChannelTest]:
    """Tests by id."""
    with conn.cursor(row_factory=class_row(ChannelTest)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from channel_tests.test where tenant_id = %s and test_id > %s"
            " order by test_id limit %s".encode(),
            (tenant_id, after, limit),
        ).fetchall()


def standing(conn: Connection, tenant_id: str) -> Sequence[ChannelTest]:
    """Every test that was not given up, by id."""
    with conn.cursor(row_factory=class_row(ChannelTest)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from channel_tests.test where tenant_id = %s and stopped_at is null"
            " order by test_id".encode(),
            (tenant_id,),
        ).fetchall()


def holding_out(
    conn: Connection, tenant_id: str, channel: str, consumer_id: str, today: date
) -> ChannelTest | None:
    """The test for whose sake the channel must not touch a consumer today; None where it may."""
    for test in _under_way(conn, tenant_id, today):
        if test.channel == channel and is_held_out(tenant_id, test, consumer_id):
            return test
    return None


def held_out_among(
    conn: Connection, tenant_id: str, consumer_ids: Iterable[str], today: date
) -> dict[str, frozenset[str]]:
    """Channels that must not touch consumers today, by consumer; whom all may touch is missing."""
    tests = _under_way(conn, tenant_id, today)
    if not tests:
        return {}
    found = {
        one: frozenset(test.channel for test in tests if is_held_out(tenant_id, test, one))
        for one in set(consumer_ids)
    }
    return {one: channels for one, channels in found.items() if channels}


def is_held_out(tenant_id: str, test: ChannelTest, consumer_id: str) -> bool:
    """Whether the lot keeps a consumer out of the channel for as long as a hold-out lasts."""
    if test.off_share_bps is None:
        return False
    return is_drawn(tenant_id, test.test_id, test.off_share_bps, consumer_id)


def is_drawn(tenant_id: str, test_id: str, off_share_bps: int, consumer_id: str) -> bool:
    """Whether the lot of a hold-out falls on a consumer."""
    return draw(tenant_id, "channel-test", test_id, consumer_id) * FULL_BPS < off_share_bps


def _under_way(conn: Connection, tenant_id: str, today: date) -> list[ChannelTest]:
    return [test for test in standing(conn, tenant_id) if test.starts_on <= today < test.ends_on]


def _check(wanted: ChannelTest, today: date) -> None:
    if wanted.starts_on < today:
        raise ChannelTestRefusedError(
            f"starts_on {wanted.starts_on} lies in the past; a test is declared before it begins"
        )
    if (wanted.ends_on - wanted.starts_on).days < LEAST_DAYS:
        raise ChannelTestRefusedError(f"a test lasts {LEAST_DAYS} days at least: move ends_on")
    if wanted.kind == "holdout":
        if wanted.off_share_bps is None or wanted.on_regions or wanted.off_regions:
            raise ChannelTestRefusedError("a hold-out has off_share_bps and no regions")
        return
    if wanted.off_share_bps is not None:
        raise ChannelTestRefusedError("a geo test has regions and no off_share_bps")
    on, off = set(wanted.on_regions), set(wanted.off_regions)
    if on & off:
        raise ChannelTestRefusedError(f"regions on both sides: {', '.join(sorted(on & off))}")
    if min(len(on), len(off)) < LEAST_REGIONS:
        raise ChannelTestRefusedError(f"name {LEAST_REGIONS} regions or more on each side")


def _find(conn: Connection, tenant_id: str, test_id: str) -> ChannelTest | None:
    with conn.cursor(row_factory=class_row(ChannelTest)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from channel_tests.test where tenant_id = %s and test_id = %s".encode(),
            (tenant_id, test_id),
        ).fetchone()

"""A generated shop for journeys: consents by hash, three journeys, providers that refuse and go away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg

from models.experiments.assignment import draw
from serving.db import calendar, migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.operations import Operations
from serving.db.retries import ConnectionFactory
from serving.db.urls import libpq_url
from serving.journeys import versions
from serving.journeys.channels.protocol import Answer, Outgoing, UnavailableError
from serving.journeys.definition.steps import Channel
from serving.orders.coupons import store
from serving.orders.coupons.programme import Share, Terms

TENANT = "default"
START = datetime(2026, 3, 2, 1, tzinfo=UTC)
"""Nine in the morning in Shanghai, a Monday."""
CHANNELS: tuple[Channel, ...] = ("sms", "wecom", "mini_program", "email")
_HEAD = (
    "purpose: {purpose}\nentry: {{kind: event, event: visit}}\nagain_after_days: {again}\ncontrol_bps: 1000\n"
)
JOURNEYS = {
    "wake": ("marketing", 20, """steps:
  - {id: coupon, kind: send, channel: sms, template: "For you: {coupon}", coupon: wakeup, next: day}
  - {id: day, kind: wait, minutes: 1440, since: delivered, until: [visit, click, order], next: list}
  - {id: list, kind: send, channel: wecom, template: "Chosen for you", next: days}
  - {id: days, kind: wait, minutes: 4320, since: delivered, until: [visit, click, order], next: call}
  - {id: call, kind: task, task: Speak with the consumer, within_minutes: 15, next: end}
"""),
    "weekly": ("marketing", 7, """steps:
  - {id: tell, kind: send, channel: email, template: "New this week", receipt_minutes: 400, next: end}
"""),
    "notice": ("service", 30, """steps:
  - {id: tell, kind: send, channel: mini_program, template: "Your points end", next: end}
"""),
}  # fmt: skip


@contextmanager
def shop(folder: Path, consumers: int) -> Iterator[tuple[str, Operations, ConnectionFactory]]:
    """A database with consumers, of whom nine in ten consent, and the journeys in force."""
    with EmbeddedPostgres(folder / "postgres") as cluster:
        url = cluster.connect_info().url(DATABASE)
        migrate.upgrade(url)
        with Operations(url, size=2, timeout_s=600) as operations:
            transactions = partial(operations.transaction, TENANT)
            with transactions() as conn:
                calendar.set_zone(conn, TENANT, "Asia/Shanghai")
                _consents(conn, consumers)
                _journeys(conn)
            with psycopg.connect(libpq_url(url), autocommit=True) as owner:
                owner.execute("analyze")
            yield url, operations, transactions


def name_of(number: int) -> str:
    """A consumer's id."""
    return f"c{number:07d}"


def _consents(conn: psycopg.Connection, consumers: int) -> None:
    conn.execute(
        "insert into consumers.consent (tenant_id, consumer_id, purpose, stated_at, granted, source,"
        " received_at) select %s, 'c' || lpad(n::text, 7, '0'), 'marketing', %s, n %% 10 <> 0, 'app', %s"
        " from generate_series(0, %s) n",
        (TENANT, START - timedelta(days=1), START - timedelta(days=1), consumers - 1),
    )


def _journeys(conn: psycopg.Connection) -> None:
    terms = Terms(
        kind="threshold",
        off_cents=5_000,
        min_goods_cents=19_900,
        funders=(Share(party_type="platform", party_id="", share_bps=10_000),),
        budget_cents=10**12,
        budget_count=10**8,
        per_consumer_count=100,
        valid_from=START,
        valid_to=START + timedelta(days=400),
    )
    store.open_programme(conn, TENANT, "platform", "", "wakeup", terms, "bench", START)
    for journey_id, (purpose, again, steps) in JOURNEYS.items():
        head = _HEAD.format(purpose=purpose, again=again)
        text = f"journey_id: {journey_id}\ntitle: {journey_id}\n{head}{steps}"
        made = versions.put_forward(conn, TENANT, text, "bench", START)
        versions.put_into_force(conn, TENANT, journey_id, made.version, START)


class Erratic:
    """A provider that refuses some, is away for hours, and otherwise takes or delivers.

    Args:
        now: Business time, set before each round.
    """

    def __init__(self) -> None:
        self.now = START

    def send(self, message: Outgoing) -> Answer:
        """See `Gateway`."""
        if draw("away", message.channel, f"{self.now:%Y%m%d%H}") < 0.1:
            raise UnavailableError("503")
        if draw("refused", str(message.message_id)) < 0.02:
            return Answer("refused", "bench")
        return Answer("sent" if message.channel == "sms" else "delivered")


class Noting:
    """A provider that notes what it is handed in a file that outlives whoever hands it over."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def send(self, message: Outgoing) -> Answer:
        """See `Gateway`."""
        line = f"{message.message_id}\t{message.consumer_id}\t{message.channel}\t{message.body}\n"
        os.write(self._file, line.encode())
        return Answer("sent")

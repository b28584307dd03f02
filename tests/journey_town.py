"""A town of consumers with published segments, consents and lists, and a clock that only goes forward."""

import json
from datetime import UTC, datetime, timedelta

from published_rows import manifest_of, rows_of
from small_market import TENANT, Shop

from serving.consumers import consents
from serving.db import calendar
from serving.journeys import outbox, receipts, versions
from serving.journeys.channels.protocol import OutboxPage
from serving.journeys.engine import entering
from serving.journeys.engine.ticking import tick
from serving.scores.loader import publish

NOW = datetime(2026, 11, 2, 2, tzinfo=UTC)
"""Ten in the morning in Shanghai, a Monday."""
WAKE = """
journey_id: wake
title: Wake whoever is dormant
purpose: marketing
entry: {kind: segment, segment: dormant}
again_after_days: 90
control_bps: 0
steps:
  - {id: coupon, kind: send, channel: sms, template: "For you: {coupon}", coupon: wakeup, next: day}
  - {id: day, kind: wait, minutes: 1440, since: delivered, until: [visit, click, order], next: list}
  - {id: list, kind: send, channel: wecom, template: "See {items}", items: 2, next: call}
  - {id: call, kind: task, task: Call, within_minutes: 15, items: 2, next: end}
"""
PAGE = {name: OutboxPage() for name in ("sms", "wecom", "mini_program", "email")}


def names(count):
    """Names of consumers; the universal hold-out of the quarter has the third one."""
    return [f"c{n}" for n in range(50, 50 + count)]


class Town(Shop):
    """Consumers of a tenant in Shanghai."""

    def __init__(self, url, operations):
        super().__init__(url, operations)
        self.now = NOW
        self.day = 0
        with self.transaction() as conn:
            calendar.set_zone(conn, TENANT, "Asia/Shanghai")
        self.plan()
        self.may_lose(10**12)
        self.budget = self.programme(name="wakeup", kind="threshold", off_cents=5_000, min_goods_cents=19_900)
        for sku in ("s1", "s2", "s3"):
            self.list(sku, 19_900)
            self.supply("EV", sku, 100)

    def people(self, count, *, dormant=None, consent=True, segments=(), entered=None, others=0, reminders=()):
        """Publish a version in which the first `dormant` (all) are dormant; `others` are in no segment."""
        self.day += 1
        name = f"v{self.day}"
        ids = names(count)
        inside = ids[: count if dormant is None else dormant]
        entered = entered or self.now.date()
        listed = {"dormant": inside} | {segment: list(members) for segment, members in segments}
        rows = {table: [] for table in rows_of(name)}
        rows |= {
            "profiles": [
                (one, json.dumps({"consent_marketing": consent}), "f", self.now)
                for one in [*ids, *(f"x{n}" for n in range(others))]
            ],
            "segments": [(segment, segment, len(members)) for segment, members in listed.items()],
            "segment_members": [
                (segment, one, entered, None) for segment, members in listed.items() for one in members
            ],
            "recommendations": [
                ("m1", one, rank, sku, 1.0, "repeat", "x", 0.5)
                for one in ids
                for rank, sku in enumerate(("s1", "s2", "s3"), start=1)
            ],
            "rebuy_reminders": [
                (one, rank, category, probability, "x") for one, rank, category, probability in reminders
            ],
        }
        publish(self.url, manifest_of(name, rows, sha=str(self.day % 10)), rows)

    def journey(self, document=WAKE):
        """Put a journey into force."""
        made = self.act(versions.put_forward, document, "ann", self.now)
        return self.act(versions.put_into_force, made.journey.journey_id, made.version, self.now)

    def journey_in_force(self, journey_id):
        """What the version in force says."""
        return self.act(versions.in_force, journey_id).journey

    def on(self, **more):
        """Let time pass."""
        self.now += timedelta(**more)

    def consent(self, consumer, granted):
        said = consents.Statement(consumer, "marketing", granted, self.now, "app")
        self.act(consents.state, said, self.now)

    def look(self, enter=True, send=True, gateways=PAGE, batch=1_000):
        """A round of the worker: who enters, who moves, what goes out."""
        if enter:
            self.act(entering.enter_due, self.now)
        ticked = tick(self.transaction, TENANT, self.now, batch=batch)
        if send:
            outbox.hand_over_due(self.transaction, TENANT, gateways, self.now)
        return ticked

    def receipt(self, message_id, kind, channel="sms", name=None, at=None):
        one = receipts.Receipt(name or f"{kind}-{message_id}", channel, message_id, kind, at or self.now)
        return self.act(receipts.take, [one], self.now)

    def visit(self, consumer):
        self.sql(
            "insert into events.event (tenant_id, event_id, consumer_id, merchant_id, session_id, event_type,"
            " sku_id, occurred_at, received_at) values (%(t)s, %(e)s, %(c)s, 'm1', 's', 'view', 's1', %(n)s,"
            " %(n)s)",
            t=TENANT,
            e=f"e-{consumer}-{self.now.timestamp()}",
            c=consumer,
            n=self.now,
        )

    def buy(self, consumer, order_id=None):
        order_id = order_id or f"o-{consumer}-{self.now.timestamp():.0f}"
        self.place(order_id, ("s1", 1), consumer=consumer, at=self.now)
        self.pay(order_id, at=self.now)
        return order_id

    def runs(self):
        """Consumer to (arm, step, reason) of the newest run."""
        rows = self.sql("select consumer_id, arm, step, reason from journeys.run order by run_id")
        return {consumer: tuple(rest) for consumer, *rest in rows}

    def messages(self, **by):
        rows = self.sql(
            "select message_id, consumer_id, step, state, reason, body, coupon_code, sku_ids, decided_at"
            " from journeys.message order by message_id"
        )
        names = ("message_id", "consumer_id", "step", "state", "reason", "body", "code", "skus", "decided_at")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return [one for one in found if all(one[key] == value for key, value in by.items())]

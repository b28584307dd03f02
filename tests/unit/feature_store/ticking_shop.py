"""A shop in which time passes: rows come late, dated ahead, corrected or not at all, and go again."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import polars as pl

from benchmarks.tag_oracle.world import SCHEMAS, TIME_COLUMNS, VERSIONED, World, fill
from feature_store.contracts import RefreshClass
from feature_store.offline import build_tags
from feature_store.refresh.engine import Refreshed, build, refresh, tags_of
from feature_store.refresh.state import StateTable
from feature_store.registry import load_registry

CONSUMERS = ["c1", "c2", "c3", "c4", "silent"]
KINDS = ["order", "order", "event", "event", "version", "register", "case", "parcel", "points", "message"]
KINDS += ["coupon", "coupon granted", "touch"]
LATENESS = [0, 0, 0, 0, 20, 60 * 5, 60 * 24 * 3]
"""Minutes from an event to its receipt."""


class Shop:
    """A warehouse in which rows come, are corrected and go, and the states refreshed over it.

    Args:
        seed: Of everything that happens.
        start: First moment.
        zone: IANA zone.
        classes: The states, each of one or several classes.
    """

    def __init__(
        self, seed: int, start: datetime, zone: str, classes: Collection[Collection[RefreshClass]]
    ) -> None:
        self.rng = random.Random(seed)
        self.now, self.zone = start, zone
        self.registry = load_registry()
        self.classes = [frozenset(names) for names in classes]
        self.world = World()
        self.touched: set[str] = set()
        self.revision = 0
        for number in range(6):
            self.world.product(f"s{number}", f"private-{number}" if number % 2 else "national-1", "pet")
        for number, consumer in enumerate(CONSUMERS):
            self.world.consumer(consumer, start - timedelta(days=300 + number, minutes=number))
        for _ in range(40):
            self.happen(
                start
                - timedelta(
                    minutes=self.rng.choice([30, 600, 24 * 60 * 8, 24 * 60 * 380]) * self.rng.random()
                )
            )
        self.con = duckdb.connect()
        self.con.execute("SET threads = 1; CREATE TABLE touched (entity_id VARCHAR)")
        fill(self.con, self.world.frames())
        self.touched.clear()
        for names in self.classes:
            build(self.con, self.registry, refresh_class=names, as_of=self.now, time_zone=zone)

    def happen(self, at: datetime) -> None:
        """Something happens to a consumer: most often now, sometimes reported late or dated ahead."""
        rng, world = self.rng, self.world
        if rng.random() < 0.15:
            at += timedelta(minutes=rng.choice([10, 15, 60, 24 * 60]))  # dated ahead
        received = at + timedelta(minutes=rng.choice(LATENESS))
        consumer = rng.choice([*CONSUMERS[:-1], f"new{rng.randint(0, 30)}"])
        self.touched.add(consumer)
        kind = rng.choice(KINDS)
        if kind in ("order", "version"):
            lines = [
                {
                    "sku_id": rng.choice(["s0", "s1", "s2", "s3"]),
                    "category_l1_id": rng.choice(["a", "b"]),
                    "category_l2_id": rng.choice(["a/x", "a/y", "b/x"]),
                    "qty": rng.choice([1, 2, 4]),
                    "net_paid_cents": rng.choice([0, 50, 100, 999]),
                    "promo_discount_cents": rng.choice([0, 0, 30]),
                    "supply_cost_cents": rng.choice([None, 20]),
                }
                for _ in range(rng.randint(1, 2))
            ]
            state = rng.choice(["paid", "paid", "paid", "cancelled"])
            if kind == "order":
                world.order(consumer, at, lines, state=state, received_at=received)
            else:  # a version that another one replaces later
                replaced = received + timedelta(minutes=rng.choice([15, 60, 24 * 60]))
                number = world.order(consumer, at, lines, received_at=received, superseded_at=replaced)
                if rng.random() < 0.7:
                    world.order(consumer, at, lines, state=state, order_id=number, received_at=replaced)
        elif kind == "event":
            for _ in range(rng.choice([1, 1, 2])):
                world.add(
                    "fct_events",
                    consumer_id=consumer,
                    session_id=f"s{rng.randint(0, 9)}",
                    event_type=rng.choice(["view", "search", "add_to_cart"]),
                    sku_id="s1",
                    occurred_at=at,
                    received_at=received,
                )
        elif kind == "coupon":
            world.add("fct_coupon_redemptions", consumer_id=consumer, redeemed_at=at, received_at=received)
        elif kind == "parcel":
            world.add(
                "fct_shipments",
                consumer_id=consumer,
                delivered_at=at,
                received_at=received,
                is_late=rng.random() < 0.5,
                delivery_days=float(rng.randint(1, 9)),
            )
        elif kind == "case":
            resolved = rng.choice([None, at + timedelta(minutes=rng.choice([10, 60, 60 * 30]))])
            world.add(
                "fct_after_sales",
                consumer_id=consumer,
                kind=rng.choice(["complaint", "refund"]),
                opened_at=at,
                resolved_at=resolved,
                refund_cents=rng.choice([None, 500]),
                received_at=received,
            )
        elif kind == "coupon granted":
            world.add(
                "dim_coupons",
                coupon_id="k",
                consumer_id=consumer,
                starts_at=at,
                ends_at=at + timedelta(days=rng.choice([0, 1, 30])),
                received_at=received,
            )
        elif kind == "message":
            outcome = rng.choice(["sent", "clicked", "converted"])
            world.add("fct_messages", consumer_id=consumer, outcome=outcome, sent_at=at, received_at=received)
        elif kind == "points":
            world.add(
                "fct_points_ledger",
                consumer_id=consumer,
                points_delta=rng.choice([5, -3]),
                expires_on=(at + timedelta(days=rng.choice([1, 40]))).date(),
                occurred_at=at,
                received_at=received,
            )
        elif kind == "touch":
            world.add(
                "fct_touches", consumer_id=consumer, channel="ads", occurred_at=at, received_at=received
            )
        else:
            replaced = rng.choice([None, None, received + timedelta(minutes=rng.choice([15, 60 * 7]))])
            self.world.consumer(
                consumer,
                at,
                birthday=(at - timedelta(days=rng.randint(7000, 7400))).date(),
                inviter_id=rng.choice([None, *CONSUMERS]),
                consent_marketing=rng.random() < 0.5,
                received_at=received,
                superseded_at=replaced,
            )
        self.touched |= self._inviters(consumer)

    def _inviters(self, consumer: str) -> set[str]:
        """Whose tags count this consumer and its orders."""
        rows = self.world.tables["dim_consumers"]
        return {row["inviter_id"] for row in rows if row["consumer_id"] == consumer and row["inviter_id"]}

    def vanish(self) -> None:
        """All rows of a consumer, or one row, are deleted."""
        if self.rng.random() < 0.5:
            gone = self.rng.choice(CONSUMERS[:-1])
            self.touched |= {gone} | self._inviters(gone)
            for rows in self.world.tables.values():
                rows[:] = [row for row in rows if row.get("consumer_id") != gone]
            return
        table = self.rng.choice([name for name in SCHEMAS if name in TIME_COLUMNS])
        if rows := self.world.tables[table]:
            number = self.rng.randrange(len(rows))
            if gone := rows[number].get("consumer_id"):
                self.touched |= {gone} | self._inviters(gone)
                del rows[number]

    def load(self) -> None:
        """The warehouse as it is now."""
        for name, rows in self.world.tables.items():
            frame = pl.DataFrame(rows, schema=SCHEMAS[name], orient="row")  # noqa: F841
            schema = "intermediate" if name in VERSIONED else "core"
            table = VERSIONED.get(name, name)
            self.con.execute(f"DELETE FROM {schema}.{table}")
            self.con.execute(f"INSERT INTO {schema}.{table} SELECT * FROM frame")
        self.con.execute("DELETE FROM touched")
        self.con.executemany("INSERT INTO touched VALUES (?)", [[name] for name in self.touched] or [[None]])

    def tick(self, until: datetime) -> Iterator[Refreshed]:
        """Time passes, things happen, and every state is refreshed."""
        while self.rng.random() < 0.4:
            self.happen(self.now + (until - self.now) * self.rng.random())
        if self.rng.random() < 0.05:
            self.vanish()
        self.now = until
        self.revision += 1
        self.load()
        self.con.begin()
        for names in self.classes:
            yield refresh(
                self.con,
                self.registry,
                refresh_class=names,
                as_of=until,
                time_zone=self.zone,
                touched="touched",
                revision=self.revision,
            )
        self.con.commit()
        self.touched.clear()

    def state(self, classes: Collection[RefreshClass]) -> pl.DataFrame:
        table = StateTable.of("consumer", classes)
        return self.con.execute(f"SELECT * FROM {table.name} ORDER BY entity_id").pl()

    def rebuilt(self, classes: Collection[RefreshClass]) -> pl.DataFrame:
        names = tags_of(self.registry, classes)
        return build_tags(self.con, self.now, names, time_zone=self.zone).drop("as_of")

    def differences(self) -> dict[str, Any]:
        """Tags of each state that differ from a full build by the other statement."""
        wrong = {}
        for classes in self.classes:
            state = self.state(classes)
            kept = state.drop("due_at", "revision").rename({"entity_id": "consumer_id"})
            expected = self.rebuilt(classes)
            if not kept.equals(expected):
                assert kept["consumer_id"].to_list() == expected["consumer_id"].to_list(), self.now
                wrong[str(self.now)] = [c for c in kept.columns if not kept[c].equals(expected[c])]
            late = state.filter(pl.col("due_at") <= self.now.replace(tzinfo=None))
            if late.height:
                wrong[f"due {self.now}"] = late["entity_id"].to_list()
        return wrong

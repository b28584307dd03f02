"""A shop in which time passes: rows come late, dated ahead, corrected or not at all, and go again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from benchmarks.tags.tag_oracle.world import SCHEMAS, VERSIONED, World, fill
from feature_store.contracts import RefreshClass
from feature_store.offline import build_tags
from feature_store.refresh.engine import Refreshed, build, refresh, tags_of
from feature_store.refresh.state import StateTable
from feature_store.registry import load_registry

CONSUMERS = ["c1", "c2", "c3", "c4", "silent"]
KINDS = [
    "order",
    "order",
    "event",
    "event",
    "version",
    "register",
    "case",
    "parcel",
    "points",
    "level",
    "message",
]
KINDS += ["coupon", "coupon granted", "touch"]
LATENESS = [0, 0, 0, 0, 20, 60 * 5, 60 * 24 * 3]
"""Minutes from an event to its receipt."""
WINDOWS = [7, 14, 21, 30, 84, 90, 180, 365]
"""Days of windows and steps, some rows of which pass them in the time of a test."""


class Shop:
    """A warehouse in which rows come, are corrected and go, and the states refreshed over it.

    Args:
        file: Where the database lies, so that it can be closed and opened again.
        seed: Of everything that happens.
        start: First moment.
        zone: IANA zone.
        classes: The states, each of one or several classes.
        entity: Whose tags.

    Attributes:
        happened: How often something of a kind happened.
    """

    def __init__(
        self,
        file: Path,
        seed: int,
        start: datetime,
        zone: str,
        classes: Collection[Collection[RefreshClass]],
        entity: str = "consumer",
    ) -> None:
        self.rng = random.Random(seed)
        self.now, self.zone, self.file = start, zone, file
        self.registry = load_registry(entity=entity)
        self.classes = [frozenset(names) for names in classes]
        self.world = World()
        self.touched: set[str] = set()
        self.happened: Counter[str] = Counter()
        self.revision = 0
        for number in range(6):
            self.world.product(
                f"s{number}", f"private-{number}" if number % 2 else "national-1", "pet", received_at=start
            )
        for number, consumer in enumerate(CONSUMERS):
            self.world.consumer(consumer, start - timedelta(days=300 + number, minutes=number))
        for number in (1, 2):
            known = start - timedelta(days=200) * (2 - number) + timedelta(hours=number)
            self.world.add("dim_merchants", merchant_id=f"m{number}", received_at=known)
            self.world.add("dim_suppliers", supplier_id=f"u{number}", is_active=True, received_at=known)
            self.world.add("dim_agents", agent_id=f"g{number}", merchant_id="m1", received_at=known)
        for _ in range(40):
            self.happen(
                start
                - timedelta(
                    minutes=self.rng.choice([30, 600, 24 * 60 * 8, 24 * 60 * 380]) * self.rng.random()
                )
            )
        for days in WINDOWS:
            for _ in range(3):
                self.happen(start - timedelta(days=days) + timedelta(hours=60) * self.rng.random())
        self.con = self._open()
        self.con.execute("CREATE TABLE touched (entity_id VARCHAR)")
        fill(self.con, self.world.frames())
        self.touched.clear()
        for names in self.classes:
            build(self.con, self.registry, refresh_class=names, as_of=self.now, time_zone=zone)

    def _open(self) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect(str(self.file))
        con.execute("SET threads = 1")
        return con

    def happen(self, at: datetime) -> None:
        """Something happens to a consumer: most often now, sometimes reported late or dated ahead."""
        rng, world = self.rng, self.world
        if rng.random() < 0.15:
            at += timedelta(minutes=rng.choice([10, 15, 60, 24 * 60]))
            self.happened["dated ahead"] += 1
        received = at + timedelta(minutes=rng.choice(LATENESS))
        self.happened["late"] += received > at
        consumer = rng.choice([*CONSUMERS[:-1], f"new{rng.randint(0, 30)}"])
        self.touched.add(consumer)
        kind = rng.choice(KINDS)
        if kind in ("order", "version"):
            lines = [
                {
                    "sku_id": rng.choice(["s0", "s1", "s2", "s3"]),
                    "supplier_id": rng.choice(["u1", "u2"]),
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
            self.happened[state] += 1
            who: dict[str, Any] = {
                "merchant_id": rng.choice(["m1", "m2"]),
                "agent_id": rng.choice([None, "g1", "g2"]),
            }
            if kind == "order":
                world.order(consumer, at, lines, state=state, received_at=received, **who)
            else:  # a version that another one replaces later
                replaced = received + timedelta(minutes=rng.choice([15, 60, 24 * 60]))
                number = world.order(consumer, at, lines, received_at=received, superseded_at=replaced, **who)
                if rng.random() < 0.7:
                    self.happened["corrected"] += 1
                    world.order(
                        consumer, at, lines, state=state, order_id=number, received_at=replaced, **who
                    )
        elif kind == "event":
            row = {
                "consumer_id": consumer,
                "session_id": f"s{rng.randint(0, 9)}",
                "event_type": rng.choice(["view", "view", "search", "add_to_cart"]),
                "sku_id": rng.choice(["s0", "s1", "s2"]),
                "occurred_at": at,
                "received_at": received,
            }
            times = rng.choice([1, 1, 2])
            self.happened["duplicate"] += times == 2
            for _ in range(times):
                world.add("fct_events", **row)
        elif kind == "coupon":
            world.add("fct_coupon_redemptions", consumer_id=consumer, redeemed_at=at, received_at=received)
        elif kind == "parcel":
            world.add(
                "fct_shipments",
                consumer_id=consumer,
                merchant_id=rng.choice(["m1", "m2"]),
                supplier_id=rng.choice(["u1", "u2"]),
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
                merchant_id=rng.choice(["m1", "m2"]),
                supplier_id=rng.choice(["u1", "u2"]),
                sku_id=rng.choice(["s0", "s1"]),
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
        elif kind == "level":
            world.add(
                "fct_level_changes",
                change_id=f"lv-{len(world.tables['fct_level_changes'])}",
                consumer_id=consumer,
                cause=rng.choice(["up", "growth", "at_risk"]),
                level=rng.choice(["ordinary", "silver"]),
                growth=rng.randint(0, 900),
                growth_to_next=rng.choice([None, 40]),
                is_at_risk=rng.random() < 0.5,
                changed_at=at,
                received_at=at,
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

    def delete_a_person(self) -> None:
        """All rows of a consumer are deleted."""
        gone = self.rng.choice(CONSUMERS[:-1])
        self.happened["deleted person"] += 1
        self.touched |= {gone} | self._inviters(gone)
        for rows in self.world.tables.values():
            rows[:] = [row for row in rows if row.get("consumer_id") != gone]

    def delete_a_row(self) -> None:
        """One row of a consumer is deleted."""
        tables = self.world.tables.values()
        rows = self.rng.choice([rows for rows in tables if any(row.get("consumer_id") for row in rows)])
        row = self.rng.choice([row for row in rows if row.get("consumer_id")])
        self.happened["deleted row"] += 1
        self.touched |= {row["consumer_id"]} | self._inviters(row["consumer_id"])
        rows.remove(row)

    def load(self) -> None:
        """The warehouse as it is now."""
        others = self.registry.entity != "consumer"
        touched = set() if others else self.touched
        for name, rows in self.world.tables.items():
            self.con.register("coming", pl.DataFrame(rows, schema=SCHEMAS[name], orient="row"))
            schema = "intermediate" if name in VERSIONED else "core"
            table = f"{schema}.{VERSIONED.get(name, name)}"
            if others:
                touched |= self._named_by_changes(table)
            self.con.execute(f"DELETE FROM {table}")
            self.con.execute(f"INSERT INTO {table} SELECT * FROM coming")
        self.con.unregister("coming")
        self.con.execute("DELETE FROM touched")
        self.con.executemany("INSERT INTO touched VALUES (?)", [[name] for name in touched] or [[None]])

    def _named_by_changes(self, table: str) -> set[str]:
        """Whoever is named by a coming row that the table lacks, or by a row that goes."""
        named: set[str] = set()
        for source in self.registry.sources.values():
            if source.table == table:
                news = f"SELECT * FROM coming EXCEPT ALL FROM {table}"
                gone = f"FROM {table} EXCEPT ALL SELECT * FROM coming"
                rows = self.con.execute(
                    f"SELECT DISTINCT {source.entity} FROM (({news}) UNION ALL ({gone}))"
                ).fetchall()
                named |= {row[0] for row in rows if row[0] is not None}
        return named

    def tick(self, until: datetime) -> Iterator[Refreshed]:
        """Time passes, things happen, every state is refreshed.

        Every so often a row or a person is deleted, or a tick breaks off and begins again after a restart.
        """
        while self.rng.random() < 0.4:
            self.happen(self.now + (until - self.now) * self.rng.random())
        self.now = until
        self.revision += 1
        if self.revision % 8 == 2:
            self.delete_a_row()
        if self.revision % 32 == 20:
            self.delete_a_person()
        self.load()
        if self.revision % 24 == 5:
            self.happened["restart"] += 1
            self.con.begin()
            for names in self.classes[:1]:
                self._refresh(names)
            self.con.close()
            self.con = self._open()
        self.con.begin()
        for names in self.classes:
            yield self._refresh(names)
        self.con.commit()
        self.touched.clear()

    def _refresh(self, names: Collection[RefreshClass]) -> Refreshed:
        return refresh(
            self.con,
            self.registry,
            refresh_class=names,
            as_of=self.now,
            time_zone=self.zone,
            touched="touched",
            revision=self.revision,
        )

    def before_a_due_time(self, within: timedelta) -> datetime | None:
        """A microsecond before one of the instants at which the first state expects a change."""
        table = StateTable.of(self.registry.entity, self.classes[0])
        now = self.now.replace(tzinfo=None)
        rows = self.con.execute(
            f"SELECT DISTINCT due_at FROM {table.name} WHERE due_at > $now AND due_at <= $last ORDER BY 1",
            {"now": now + timedelta(microseconds=1), "last": now + within},
        ).fetchall()
        if not rows:
            return None
        self.happened["before a due time"] += 1
        moment: datetime = self.rng.choice(rows)[0]
        return moment.replace(tzinfo=self.now.tzinfo) - timedelta(microseconds=1)

    def state(self, classes: Collection[RefreshClass]) -> pl.DataFrame:
        table = StateTable.of(self.registry.entity, classes)
        return self.con.execute(f"SELECT * FROM {table.name} ORDER BY entity_id").pl()

    def rebuilt(self, classes: Collection[RefreshClass]) -> pl.DataFrame:
        names = tags_of(self.registry, classes)
        built = build_tags(self.con, self.now, names, time_zone=self.zone, registry=self.registry)
        return built.drop("as_of").rename({self.registry.id_column: "entity_id"})

    def differences(self) -> dict[str, Any]:
        """Tags of each state that differ from a full build by the other statement."""
        wrong = {}
        for classes in self.classes:
            state = self.state(classes)
            kept = state.drop("due_at", "revision")
            expected = self.rebuilt(classes)
            if not kept.equals(expected):
                assert kept["entity_id"].to_list() == expected["entity_id"].to_list(), self.now
                wrong[str(self.now)] = [c for c in kept.columns if not kept[c].equals(expected[c])]
            late = state.filter(pl.col("due_at") <= self.now.replace(tzinfo=None))
            if late.height:
                wrong[f"due {self.now}"] = late["entity_id"].to_list()
        return wrong

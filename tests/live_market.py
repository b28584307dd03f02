"""A shop whose platform records rows, for the tests of the live facts: a feed, and a random history.

The feed is the tiny lake's; the history is made of what an order can go through, late and early, wrong and
right. Nothing here knows how facts are brought up to date.
"""

from __future__ import annotations

import datetime as dt
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.erasure.intake import ErasureFilter
from pipelines.erasure.tombstones import Tombstones
from pipelines.intake.feeds import Feeds
from pipelines.lake.tables import Lake
from pipelines.sources.contract import INGEST_ORDER, contract_table
from pipelines.sources.protocol import Chunk, TableReading
from pipelines.sources.recorded.rows import RecordedRows
from pipelines.sources.recorded.streams import RECORDED
from pipelines.warehouse.compiled import AS_OF_VARIABLE, Compiled

sys.path.append(str(Path(__file__).parent / "dbt"))
import tiny_lake

BASE = tiny_lake.AS_OF
Row = dict[str, Any]
State = dict[str, dict[tuple[Any, ...], Row]]


NOBODY = Tombstones()


class Feed:
    """The tiny lake's rows as a source."""

    name = "tiny"
    origin = "observed"
    received_at_rule = "event_time"

    def __init__(self, rows: Mapping[str, list[Row]] | None = None) -> None:
        self._rows = tiny_lake.tables() if rows is None else rows

    def tables(self) -> tuple[str, ...]:
        return tuple(name for name in INGEST_ORDER if name in self._rows)

    def read(self, table: str) -> Iterator[Chunk]:
        yield Chunk(frame(table, self._rows[table]).drop("origin"), file=f"{table}.csv")

    def reading(self, table: str) -> TableReading:
        return TableReading()

    def notes(self, table: str) -> tuple[str, ...]:
        return ()

    def fingerprint(self) -> str:
        return "tiny"

    def history(self) -> tuple[dt.datetime, dt.datetime]:
        return BASE - dt.timedelta(days=90), BASE

    def as_of(self) -> dt.datetime:
        return BASE


class Recordings:
    """The newest versions of everything that was recorded."""

    streams = tuple(stream for group in RECORDED.values() for stream in group)

    def __init__(self, state: State) -> None:
        self._state = state

    def read(self, table: str) -> pl.DataFrame:
        return frame(table, list(self._state.get(table, {}).values()))


def frame(table: str, rows: list[Row]) -> pl.DataFrame:
    """Rows in the columns and types of the contract; what they do not say is null."""
    columns = dict(contract_table(table).dtypes)
    return pl.DataFrame(
        [dict.fromkeys(columns) | {"origin": "observed"} | row for row in rows], schema=columns
    )


def load_all(lake: Lake, state: State, as_of: dt.datetime, tombstones: Tombstones = NOBODY) -> None:
    """The nightly load of the feed and of all that was recorded, without whoever was erased."""
    lake.create()
    feeds = Feeds(
        Feed(),
        lake,
        with_overlay=False,
        seed=0,
        utc_offset_hours=-5,
        recorded=RecordedRows(Recordings(state)),
        erased=ErasureFilter(tombstones),
    )
    for table in INGEST_ORDER:
        feeds.load(table, as_of, None)


def build(file: Path, lake: Lake, compiled: Compiled, as_of: dt.datetime) -> None:
    """Every model over the whole lake, by the SQL that dbt compiled; dbt itself takes ten times as long."""
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"set TimeZone='UTC'; set variable {AS_OF_VARIABLE} = '{as_of.isoformat()}'")
        connection.execute("create schema raw")
        for table in INGEST_ORDER:
            for folder, name in (("accepted", table), ("history", f"{table}_history")):
                files = lake.root / folder / table
                if files.exists():
                    connection.execute(
                        f"create view raw.{name} as select * from read_parquet('{files}/**/*.parquet',"
                        " hive_partitioning=false, union_by_name=true)"
                    )
        made: set[str] = set()

        def make(name: str) -> None:
            model = compiled.models[name]
            for parent in model.parents:
                if parent not in made:
                    make(parent)
            kind = "table" if model.is_table else "view"
            connection.execute(f'create schema if not exists "{model.schema}"')
            sql = model.sql.replace(f'"{compiled.catalog}".', "")
            connection.execute(f'create {kind} "{model.schema}"."{name}" as {sql}')
            made.add(name)

        for name in compiled.models:
            if name not in made:
                make(name)


class History:
    """What the platform records, step by step, as its clock goes on."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.state: State = {}
        self.now = BASE
        self._numbers = iter(range(1, 10_000))

    def tick(self, steps: int) -> dict[str, pl.DataFrame]:
        """Let some things happen; returns the newest version of every row that they wrote."""
        written: State = {}
        for _ in range(steps):
            self.now += dt.timedelta(minutes=self._rng.choice((1, 7, 90, 600)))
            happen = self._rng.choice(
                (self._order, self._order, self._move_on, self._move_on, self._correct, self._event,
                 self._event, self._event_again, self._stock, self._parcel, self._arrives, self._case,
                 self._case_ends, self._consent, self._rival, self._price, self._terms, self._edge,
                 self._edge_cut, self._purchase, self._answer, self._grade, self._level, self._decision,
                 self._feedback)
            )  # fmt: skip
            for table, rows in happen().items():
                for row in rows:
                    key = tuple(row[name] for name in contract_table(table).key)
                    self.state.setdefault(table, {})[key] = row
                    written.setdefault(table, {})[key] = row
        return {table: frame(table, list(rows.values())) for table, rows in written.items()}

    def _number(self) -> int:
        return next(self._numbers)

    def _sku(self) -> str:
        return self._rng.choice([*tiny_lake.SKUS, *tiny_lake.ODD_SKUS, *tiny_lake.SKUS, "unknown-sku"])

    def _consumer(self) -> str | None:
        return self._rng.choice(["c-1", "c-2", "c-quiet", "n-1", "n-2", "n-3", None])

    def _orders(self) -> list[Row]:
        return list(self.state.get("orders", {}).values())

    def _lines_of(self, order: Row) -> list[Row]:
        return [dict(row) for (key, _), row in self.state["order_lines"].items() if key == order["order_id"]]

    def _order(self) -> dict[str, list[Row]]:
        late = dt.timedelta(days=self._rng.choice((0, 0, 0, 1, 20)))
        placed = self.now - late
        order = {
            "order_id": f"api-{self._number()}", "consumer_id": self._consumer(),
            "merchant_id": self._rng.choice(["m-1", "m-2"]), "agent_id": self._rng.choice(["a-1", None]),
            "channel": "mini_program", "placed_at": placed, "paid_at": None, "status": "placed",
            "state": "unpaid", "coupon_discount_cents": 0, "freight_cents": 5, "received_at": placed,
        }  # fmt: skip
        lines = [self._line(order, number) for number in range(1, self._rng.choice((2, 3)))]
        return {"orders": [order], "order_lines": lines}

    def _line(self, order: Row, number: int) -> Row:
        qty, promo = self._rng.randint(1, 5), self._rng.choice((0, 10))
        return {
            "order_id": order["order_id"], "line_no": number, "sku_id": self._sku(),
            "supplier_id": self._rng.choice(["s-1", "s-2", None]), "qty_milli": qty * 1000,
            "list_price_cents": qty * 100, "promo_discount_cents": promo,
            "net_paid_cents": qty * 100 - promo - self._rng.choice((0, 7)),
            "supply_price_cents": self._rng.choice((None, qty * 60)), "received_at": order["placed_at"],
        }  # fmt: skip

    def _again(self, change: Row) -> dict[str, list[Row]]:
        """An order with a change, and its lines with it."""
        if not self._orders():
            return self._order()
        order = dict(self._rng.choice(self._orders())) | change
        return {"orders": [order], "order_lines": self._lines_of(order)}

    def _move_on(self) -> dict[str, list[Row]]:
        status, state = self._rng.choice(
            [("paid", "paid"), ("paid", "paid"), ("cancelled", "cancelled"), ("refunded", "refunded")]
        )
        early = dt.timedelta(minutes=self._rng.choice((0, 0, 0, 30)))
        return self._again({"status": status, "state": state, "paid_at": self.now + early})

    def _correct(self) -> dict[str, list[Row]]:
        rows = self._again({"freight_cents": self._rng.randint(0, 9)})
        for line in rows["order_lines"]:
            line["sku_id"], line["net_paid_cents"] = (
                self._sku(),
                self._rng.randint(1, line["list_price_cents"] // 2),
            )
        if self._rng.random() < 0.3:
            rows["orders"][0]["consumer_id"] = self._consumer()
        return rows

    def _event(self) -> dict[str, list[Row]]:
        happened = self.now + dt.timedelta(minutes=self._rng.choice((0, 0, -3, -3000, 45)))
        return {"events": [{
            "event_id": f"api-e-{self._number()}", "consumer_id": self._consumer(),
            "anonymous_id": self._rng.choice(["d-1", "d-2", None]),
            "session_id": f"v-{self._rng.randint(1, 4)}",
            "event_type": self._rng.choice(["view", "search", "add_to_cart", "checkout"]),
            "sku_id": self._sku(),
            "query": self._rng.choice(['"milk", fresh', None]), "dwell_ms": self._rng.randint(0, 9000),
            "position": None, "propensity": self._rng.choice((None, 0.1, 1 / 3)), "occurred_at": happened,
            "received_at": self.now,
        }]}  # fmt: skip

    def _event_again(self) -> dict[str, list[Row]]:
        events = list(self.state.get("events", {}).values())
        if not events:
            return self._event()
        event = self._rng.choice(events)
        return {
            "events": [dict(event) | {"sku_id": self._sku()} if self._rng.random() < 0.5 else dict(event)]
        }

    def _consent(self) -> dict[str, list[Row]]:
        stated = self.now - dt.timedelta(minutes=self._rng.choice((0, 0, 2000)))
        return {"consents": [{
            "consumer_id": self._consumer() or "c-1", "purpose": self._rng.choice(["marketing", "profiling"]),
            "stated_at": stated, "is_granted": self._rng.random() < 0.5, "source": "app",
            "received_at": self.now,
        }]}  # fmt: skip

    def _edge(self) -> dict[str, list[Row]]:
        begin = self.now - dt.timedelta(minutes=self._rng.choice((0, 60, 3000)))
        return {"identity_edges": [{
            "anonymous_id": self._rng.choice(["d-1", "d-2"]), "consumer_id": self._consumer() or "c-1",
            "valid_from": begin, "evidence": "login", "revoked_at": None, "received_at": self.now,
        }]}  # fmt: skip

    def _edge_cut(self) -> dict[str, list[Row]]:
        edges = list(self.state.get("identity_edges", {}).values())
        if not edges:
            return self._edge()
        edge = self._rng.choice(edges)
        at = self._rng.choice((edge["valid_from"], self.now + dt.timedelta(minutes=30)))
        return {"identity_edges": [dict(edge) | {"revoked_at": max(at, edge["valid_from"])}]}

    def _rival(self) -> dict[str, list[Row]]:
        return {"competitor_prices": [{
            "sku_id": self._sku(), "competitor": "rival", "observed_at": self.now,
            "price_cents": self._rng.randint(50, 150), "received_at": self.now,
        }]}  # fmt: skip

    def _price(self) -> dict[str, list[Row]]:
        at = self.now - dt.timedelta(hours=self._rng.choice((0, 0, 5)))
        return {"price_changes": [{
            "merchant_id": self._rng.choice(["m-1", "m-2"]), "sku_id": self._sku(), "changed_at": at,
            "price_cents": self._rng.randint(70, 130), "received_at": at,
        }]}  # fmt: skip

    def _terms(self) -> dict[str, list[Row]]:
        """As the API states them: without stock and capacity; now and then an offer ends."""
        return {"offers": [{
            "supplier_id": self._rng.choice(["s-1", "s-2"]), "sku_id": self._sku(), "valid_from": self.now,
            "supply_price_cents": self._rng.randint(40, 110), "lead_time_days": self._rng.randint(1, 9),
            "min_order_qty": 1, "ship_from_region": "unknown", "is_active": self._rng.random() < 0.8,
            "received_at": self.now,
        }]}  # fmt: skip

    def _purchase(self) -> dict[str, list[Row]]:
        """A line of a purchase order, or the next version of one."""
        known = list(self.state.get("purchase_lines", {}).values())
        if known and self._rng.random() < 0.6:
            line = dict(self._rng.choice(known))
            return {"purchase_lines": [line | {
                "status": "received", "confirmed_qty": 9, "received_qty": 9, "arrived_at": self.now,
                "received_at": self.now,
            }]}  # fmt: skip
        return {"purchase_lines": [{
            "purchase_order_id": f"po-{self._number()}", "sku_id": self._sku(), "supplier_id": "s-1",
            "status": "placed", "ordered_qty": 9, "received_qty": 0, "placed_at": self.now,
            "expected_on": self.now.date(), "received_at": self.now,
        }]}  # fmt: skip

    def _answer(self) -> dict[str, list[Row]]:
        return {"supply_answers": [{
            "order_id": "o-day-1", "line_no": self._rng.choice((1, 2)), "supplier_id": "s-1",
            "sku_id": self._sku(), "ordered_qty": 3, "confirmed_qty": self._rng.choice((0, 1, 3)),
            "answered_at": self.now, "received_at": self.now,
        }]}  # fmt: skip

    def _grade(self) -> dict[str, list[Row]]:
        return {"grade_changes": [{
            "change_id": f"g-{self._number()}", "supplier_id": "s-1", "category_id": None,
            "grade": self._rng.choice("ABCD"), "graded_at": self.now, "received_at": self.now,
        }]}  # fmt: skip

    def _feedback(self) -> dict[str, list[Row]]:
        if (texts := self.state.get("feedback")) and self._rng.random() < 0.5:
            text = self._rng.choice(list(texts.values()))
            return {"feedback": [text | {"topic": "price", "sentiment": "positive", "answered_at": self.now}]}
        return {"feedback": [{
            "feedback_id": f"fb-{self._number()}", "merchant_id": "m-1", "sku_id": "milk-1",
            "is_verified": False, "topic": None, "sentiment": None, "occurred_at": self.now,
            "received_at": self.now,
        }]}  # fmt: skip

    def _level(self) -> dict[str, list[Row]]:
        return {"level_changes": [{
            "change_id": f"lv-api-{self._number()}", "consumer_id": self._consumer() or "c-1",
            "cause": "growth", "level": self._rng.choice(["silver", "gold"]),
            "growth": self._rng.randint(0, 900),
            "growth_to_next": None, "is_at_risk": self._rng.random() < 0.5, "changed_at": self.now,
            "received_at": self.now,
        }]}  # fmt: skip

    def _decision(self) -> dict[str, list[Row]]:
        is_taken = self._rng.random() < 0.5
        return {"assortment_decisions": [{
            "merchant_id": "m-1", "sku_id": self._sku(), "version": f"v-{self._number()}",
            "is_taken": is_taken, "reason_code": None if is_taken else "other", "decided_at": self.now,
            "rank": 1, "basis": "fit", "propensity": 1.0, "category_id": "l2-grocery/milk",
            "supplier_id": "s-1", "expected_qty": 2.0, "list_price_cents": 500 if is_taken else None,
            "received_at": self.now,
        }]}  # fmt: skip

    def _stock(self) -> dict[str, list[Row]]:
        return {"inventory_movements": [{
            "movement_id": f"op-{self._number()}", "warehouse_id": "s-1", "sku_id": self._sku(),
            "supplier_id": self._rng.choice(["s-1", "s-2"]), "qty_delta": self._rng.randint(-5, 20),
            "reason": "sale", "occurred_at": self.now, "received_at": self.now,
        }]}  # fmt: skip

    def _parcel(self) -> dict[str, list[Row]]:
        if not self._orders():
            return self._order()
        order = self._rng.choice(self._orders())
        return {"shipments": [{
            "shipment_id": f"p-{self._number()}", "order_id": order["order_id"], "supplier_id": "s-1",
            "from_region": "east", "to_region": "west", "shipped_at": self.now,
            "promised_at": self.now + dt.timedelta(hours=self._rng.choice((1, 30))), "received_at": self.now,
        }]}  # fmt: skip

    def _arrives(self) -> dict[str, list[Row]]:
        parcels = list(self.state.get("shipments", {}).values())
        if not parcels:
            return self._parcel()
        return {"shipments": [dict(self._rng.choice(parcels)) | {"delivered_at": self.now}]}

    def _case(self) -> dict[str, list[Row]]:
        if not self._orders():
            return self._order()
        order = self._rng.choice(self._orders())
        return {"after_sales": [{
            "case_id": f"k-{self._number()}", "order_id": order["order_id"],
            "line_no": self._rng.choice((1, 1, 2)), "kind": "refund", "reason_code": "sour",
            "opened_at": self.now, "received_at": self.now,
        }]}  # fmt: skip

    def _case_ends(self) -> dict[str, list[Row]]:
        cases = list(self.state.get("after_sales", {}).values())
        if not cases:
            return self._case()
        return {
            "after_sales": [dict(self._rng.choice(cases)) | {"resolved_at": self.now, "refund_cents": 50}]
        }


def at_once(table: str, **values: Any) -> Row:
    """A row of now: every time of the contract that is not given and may not be null is the build's."""
    contract = contract_table(table)
    times = [
        name
        for name, dtype in contract.dtypes.items()
        if dtype.is_temporal() and (name == "received_at" or name not in contract.nullable)
    ]
    return dict.fromkeys(times, BASE) | values

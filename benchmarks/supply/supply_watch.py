"""The supply watch: planted delays and swings found, false alarms, warning time, alternatives, intake."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.supply.watch_world import (
    CAPACITY_DAYS,
    DAYS,
    JUDGED_FROM,
    LASTED_DAYS,
    START,
    SUPPLIERS,
    World,
    made_world,
)
from benchmarks.web.event_intake import pinned_api
from models.supply.watch.capacity import swings
from models.supply.watch.config import WatchConfig
from models.supply.watch.delays import estimate_delays
from models.supply.watch.rules import is_calm_again, is_late, is_swinging
from models.supply.watch.ways import Ways, learn
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.operations import Operations
from serving.orders.assortment import catalogue, stock
from serving.orders.placing import placing
from serving.security import issue_key
from serving.settings import Settings
from serving.settlement.plans.profiles import load_shipped
from serving.watch.alarms.judging import Finding, judge
from serving.watch.alternatives.answering import answer
from serving.watch.alternatives.records import seconds_to_alternatives
from serving.watch.parcels import WatchedParcel, put_parcels

PEER = "alarm when overdue"
SEED = 20171231
TENANT = "default"
FAILING = 20
ORDERS = 600
OBSERVATIONS = 40_000
BATCH = 1_000
CONNECTIONS = 4
LOOK_HOURS = 1.0
GOALS = {
    "recall": 0.99,
    "false_per_1000_shipment_days": 1.0,
    "alternates_p95_s": 60.0,
    "observations_per_s": 2000.0,
}
PROTOCOL = (
    f"A made world of {DAYS} days, 1,500 parcels a day of {SUPPLIERS} suppliers on 25 lanes, four legs with "
    "a lognormal spread; planted are breakdowns (0.6%), losses (0.2%) and a port that closes for four days. "
    f"Parcels that leave from day {JUDGED_FROM} on and have 21 days to arrive are judged every hour (the "
    "product looks every quarter hour) by what was scanned by then, ways learned anew every day. Planted "
    "delay: more than 24 h after the promise, or never. recall: share of planted delays and swings of "
    "capacity with an alarm while they last. False: alarm of a parcel that came at most 24 h late, a "
    "1,000 days that judged parcels were under way. warning_h: median hours from the alarm to 24 h after the "
    f"promise, with the 10% and 90% quantiles. Capacities: {SUPPLIERS} suppliers, {CAPACITY_DAYS} daily "
    f"statements, noise 5%, 30 swings of {LASTED_DAYS} days. alternates_p95_s: {FAILING} suppliers fail at "
    f"once in a market with {ORDERS} open orders, from the alarm to its alternatives. observations_per_s: "
    f"{OBSERVATIONS:,} observations in batches of {BATCH:,} over {CONNECTIONS} connections through an API "
    "process on one core. Peer: an alarm when the promise has passed."
)


def main() -> int:
    """Run the benchmark; 0 when the goals are met."""
    started = time.perf_counter()
    world = made_world(SEED)
    rows = [*_delays_and_swings(world), *_with_a_database()]
    report(
        Settings().home,
        name="supply_watch",
        protocol=PROTOCOL,
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    found = {row.metric: row.value for row in rows if row.system == OURS}
    return int(
        found["recall"] < GOALS["recall"]
        or found["false_per_1000_shipment_days"] > GOALS["false_per_1000_shipment_days"]
        or found["alternates_p95_s"] > GOALS["alternates_p95_s"]
        or found["observations_per_s"] < GOALS["observations_per_s"]
    )


def _delays_and_swings(world: World) -> list[Row]:
    config = WatchConfig()
    judged = (world.left >= JUDGED_FROM * 24) & (world.left < (DAYS - 21) * 24)
    ours, peer, look_s = _watched(world, judged, config)
    late_by = world.arrived - world.promised
    planted = judged & (late_by > config.rules.late_hours)
    end = np.minimum(world.arrived, DAYS * 24.0)
    days = float(((end - world.left)[judged] / 24).sum())
    swung, false_swings = _swings(world, config)
    rows = []
    for system, alarms in ((OURS, ours), (PEER, peer)):
        found = [number for number in np.flatnonzero(planted) if number in alarms]
        false = [number for number in alarms if not planted[number]]
        warning = [world.promised[number] + 24 - alarms[number] for number in found]
        delay_recall = len(found) / int(planted.sum())
        rows += [
            Row(system, "delay_recall", delay_recall, ""),
            Row(system, "false_per_1000_shipment_days", 1000 * len(false) / days, "1/1000 d"),
            Row(
                system,
                "warning_h",
                statistics.median(warning),
                "h",
                (float(np.quantile(warning, 0.1)), float(np.quantile(warning, 0.9))),
            ),
        ]
        if system == OURS:
            every = int(planted.sum()) + len(world.swings)
            rows += [
                Row(system, "recall", (len(found) + len(swung)) / every, ""),
                Row(system, "swing_recall", len(swung) / len(world.swings), ""),
                Row(system, "false_swings", float(false_swings), "alarms"),
                Row(system, "planted_delays", float(planted.sum()), "parcels"),
                Row(system, "shipment_days", days, "d"),
                Row(system, "look_s", statistics.median(look_s), "s", (min(look_s), max(look_s))),
            ]
    return rows


def _watched(
    world: World, judged: np.ndarray, config: WatchConfig
) -> tuple[dict[int, float], dict[int, float], list[float]]:
    """First alarms of the watch and of the peer by parcel, and seconds of a look."""
    ours: dict[int, float] = {}
    peer: dict[int, float] = {}
    seconds = []
    ways: Ways | None = None
    for step in range(int((DAYS - JUDGED_FROM) * 24 / LOOK_HOURS)):
        now = JUDGED_FROM * 24 + step * LOOK_HOURS
        begun = time.perf_counter()
        if step % int(24 / LOOK_HOURS) == 0:
            past = (world.left > now - config.learned_days * 24) & (
                world.left <= now - config.settled_days * 24
            )
            ways = learn(world.scans(past, now), config)
        under_way = judged & (world.left <= now) & (world.arrived > now)
        newest = world.scans(under_way, now).group_by("shipment_id", maintain_order=True).last()
        moment = START + timedelta(hours=now)
        for row in estimate_delays(ways, newest, moment, config).iter_rows(named=True):
            number = int(row["shipment_id"])
            if is_late(row["hours_late"], row["probability"], config.rules):
                ours.setdefault(number, now)
        for number in np.flatnonzero(under_way & (world.promised < now)).tolist():
            peer.setdefault(number, now)
        seconds.append(time.perf_counter() - begun)
    return ours, peer, seconds


def _swings(world: World, config: WatchConfig) -> tuple[set[str], int]:
    """Planted swings with an alarm while they last, and alarms of nothing."""
    found: set[str] = set()
    false = 0
    standing: set[str] = set()
    for day in range(CAPACITY_DAYS):
        now = START + timedelta(days=day, hours=8)
        told = swings(world.statements.filter(pl.col("stated_at") <= now), config)
        for row in told.iter_rows(named=True):
            name, since = row["object_id"], world.swings.get(row["object_id"])
            if is_swinging(row["swing"], config.rules) and name not in standing:
                standing.add(name)
                if since is not None and since <= day < since + LASTED_DAYS:
                    found.add(name)
                else:
                    false += 1
            elif name in standing and is_calm_again(row["calm_since"], now, config.rules):
                standing.discard(name)
    return found, false


def _with_a_database() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder:
        home = Path(folder)
        with EmbeddedPostgres(home / "postgres") as cluster:
            url = cluster.connect_info().url(DATABASE)
            migrate.upgrade(url)
            with Operations(url, size=4, timeout_s=120) as operations:
                seconds, two = _alternatives(operations)
            rate, lost = _intake(home, url)
    return [
        Row(OURS, "alternates_p95_s", float(np.quantile(seconds, 0.95)), "s", (min(seconds), max(seconds))),
        Row(OURS, "alarms_with_two_alternatives", two, ""),
        Row(OURS, "observations_per_s", rate, "1/s"),
        Row(OURS, "observations_lost", float(lost), ""),
    ]


def _alternatives(operations: Operations) -> tuple[list[float], float]:
    """Seconds from alarms to their alternatives, and the share of alarms with two or more."""
    now = datetime(2026, 6, 1, tzinfo=UTC)
    rng = np.random.default_rng(SEED)
    plan = load_shipped("cn_strict")
    skus = [f"k{number}" for number in range(FAILING * 2)]
    transactions = partial(operations.transaction, TENANT)
    with transactions() as conn:
        catalogue.put_products(conn, TENANT, [catalogue.Product(sku, sku, ("leaf", "root")) for sku in skus])
        catalogue.put_listings(conn, TENANT, [catalogue.Listing("m", sku, 10_000) for sku in skus])
        for number, sku in enumerate(skus):
            for supplier, price in ((f"f{number % FAILING}", 1_000), ("b0", 1_200), ("b1", 1_400)):
                offer = catalogue.Offer(supplier, sku, price, 0, 1, now, 1, None)
                catalogue.put_offers(conn, TENANT, [offer])
                stock.report_stock(conn, TENANT, supplier, [stock.StockReport(sku, 10_000, 0, now)], now)
    for number in range(ORDERS):
        lines = [placing.WantedLine(skus[int(rng.integers(len(skus)))], 1)]
        order = placing.NewOrder(f"o{number}", "m", f"c{number}", lines)
        with transactions() as conn:
            placing.place_order(conn, TENANT, order, plan, now)
    numbers = {"capacity": 10, "median": 100.0, "swing": -0.9}
    findings = [Finding("capacity", f"f{n}", True, "", numbers, f"f{n}") for n in range(FAILING)]
    with transactions() as conn:
        opened = judge(conn, TENANT, findings, now).opened
    answered = answer(transactions, TENANT, now)
    with transactions() as conn:
        return seconds_to_alternatives(conn, TENANT, opened), answered.with_two / len(opened)


def _intake(home: Path, url: str) -> tuple[float, int]:
    """Observations a second through the real server, and those that are not in the database afterwards."""
    now = datetime.now(UTC)
    left = now - timedelta(days=2)
    parcels = [
        WatchedParcel(f"p{n}", f"o{n}", f"s{n % 100}", "m", left, now + timedelta(days=1))
        for n in range(5_000)
    ]
    with Operations(url, size=1) as operations:
        with operations.transaction(TENANT) as conn:
            put_parcels(conn, TENANT, parcels)
        key = issue_key(url, name="bench", scopes=["observations:write"], rate_per_s=1e6, burst=1_000_000)
        at = (now - timedelta(hours=1)).isoformat()
        rows = [_observation(number, at) for number in range(OBSERVATIONS)]
        bodies = [
            json.dumps({"observations": rows[first : first + BATCH]}).encode()
            for first in range(0, OBSERVATIONS, BATCH)
        ]
        with pinned_api(home, url, max(os.sched_getaffinity(0))) as (port, _):
            begun = time.perf_counter()
            accepted = _send(port, key.secret, bodies)
            wall = time.perf_counter() - begun
        with operations.transaction(TENANT) as conn:
            stored = conn.execute("select count(*) from watch.observation").fetchone()
    assert stored is not None
    return OBSERVATIONS / wall, abs(OBSERVATIONS - accepted) + abs(OBSERVATIONS - int(stored[0]))


def _observation(number: int, at: str) -> dict[str, object]:
    common: dict[str, object] = {"observation_id": f"ob-{number:07}", "occurred_at": at}
    if number % 10 < 7:
        return common | {
            "kind": "parcel_scan",
            "shipment_id": f"p{number % 5_000}",
            "status": "in_transit",
            "place": "hub",
        }
    if number % 10 < 9:
        return common | {
            "kind": "device",
            "device_id": f"d{number % 50}",
            "reading": 4.2,
            "reading_unit": "celsius",
        }
    return common | {
        "kind": "stock_level",
        "supplier_id": f"s{number % 100}",
        "sku_id": f"k{number}",
        "qty": 5,
    }


def _send(port: int, secret: str, bodies: list[bytes]) -> int:
    """Observations that the answers say were stored, sent over several connections."""

    def one_connection(first: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"X-API-Key": secret, "Content-Type": "application/json"}
        accepted = 0
        for body in bodies[first::CONNECTIONS]:
            connection.request("POST", "/v1/observations", body, headers)
            answered = connection.getresponse()
            content = answered.read()
            if answered.status != 200:
                raise SystemExit(f"error: a batch was answered with {answered.status}: {content[:300]!r}")
            accepted += json.loads(content)["accepted"]
        connection.close()
        return accepted

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return sum(threads.map(one_connection, range(CONNECTIONS)))


if __name__ == "__main__":
    raise SystemExit(main())

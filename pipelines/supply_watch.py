"""A look at the supply side: which parcels will be late, whose capacity swings, which alarms follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import polars as pl
import psycopg

from models.supply.watch.capacity import STATEMENTS, swings
from models.supply.watch.config import WatchConfig
from models.supply.watch.delays import estimate_delays
from models.supply.watch.rules import is_calm_again, is_in_time_again, is_late, is_swinging
from models.supply.watch.ways import SCANS, learn
from pipelines.lake.tables import Lake
from serving.db.operations import Operations
from serving.db.retries import in_transaction
from serving.ledger.chain import GENESIS, Head
from serving.orders.assortment.losses import LossRules
from serving.orders.routing.contracts import CostParameters
from serving.watch.alarms.judging import Finding, Judged, judge
from serving.watch.alarms.records import Alarm, standing
from serving.watch.alternatives.answering import Answered, answer
from serving.watch.parcels import WatchedParcel, put_parcels
from serving.watch.record.sealing import seal

ALARMS = "supply/alarms"
"""`kind`, `object_id`, `supplier_id`, `opened_at` of the alarms that nobody has closed."""

_BEFORE_SHIPPING = timedelta(days=30)
"""So long before it leaves its order may be placed: tables lie by the day of the order."""
_UNDER_WAY = ("picked_up", "in_transit", "out_for_delivery", "exception")
"""What a scan of a parcel under way says, in the order of the way."""
_OWNER = ("supplier_id", "warehouse_id", "sku_id")
"""Whose a capacity is, as far as stated."""
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Seen:
    """What was seen of the supply side by a moment.

    Attributes:
        parcels: One row per parcel that has left: shipment_id, order_id, supplier_id, merchant_id, lane,
            shipped_at, promised_at, delivered_at.
        scans: Columns of `ways.SCANS`.
        statements: Columns of `capacity.STATEMENTS`, `supplier_id`, `warehouse_id` and `sku_id`.
    """

    parcels: pl.DataFrame
    scans: pl.DataFrame
    statements: pl.DataFrame


@dataclass(frozen=True)
class Looked:
    """What a look found and did.

    Attributes:
        watched: Parcels under way that were judged.
        capacities: Stated capacities that were judged.
        judged: What became of the alarms.
        answered: What was proposed about new ones, and done.
        open_alarms: Alarms that nobody has closed.
        head: The newest block of the record.
    """

    watched: int
    capacities: int
    judged: Judged
    answered: Answered = field(default_factory=Answered)
    open_alarms: list[Alarm] = field(default_factory=list)
    head: Head = field(default_factory=lambda: Head(0, GENESIS))


def look(
    lake: Lake,
    url: str,
    tenant_id: str,
    config: WatchConfig,
    as_of: datetime,
    cost: CostParameters,
    rules: LossRules,
) -> Looked:
    """Judge every parcel under way and every stated capacity, and bring the alarms up to date at once.

    Args:
        lake: The accepted tables.
        url: Address of the migrated operational database.
        tenant_id: Whose supply.
        config: Settings.
        as_of: Business time, aware UTC.
        cost: Parameters of the routing cost, as ordering has them.
        rules: How a loss by another supplier is reckoned, as ordering does.
    """
    seen = read_seen(lake, config, as_of)
    delays = delays_of(seen, config, as_of)
    capacities = swings(seen.statements.select(*STATEMENTS), config)
    owners = {
        object_id: owner
        for object_id, *owner in seen.statements.select("object_id", *_OWNER).unique("object_id").iter_rows()
    }
    with Operations(url, size=1) as operations:

        def judged(conn: psycopg.Connection) -> Looked:
            put_parcels(conn, tenant_id, list(_watched(seen, delays)))
            known = standing(conn, tenant_id)
            findings = [
                *delay_findings(seen, delays, known, config, as_of),
                *capacity_findings(capacities, owners, known, config, as_of),
            ]
            return Looked(delays.height, capacities.height, judge(conn, tenant_id, findings, as_of))

        transactions = partial(operations.transaction, tenant_id)
        looked = in_transaction(transactions, judged)
        answered = answer(transactions, tenant_id, as_of, cost, rules)
        head = in_transaction(transactions, lambda conn: seal(conn, tenant_id))
        still = in_transaction(transactions, lambda conn: list(standing(conn, tenant_id).values()))
        return replace(
            looked,
            answered=answered,
            open_alarms=[alarm for alarm in still if not alarm.is_closed],
            head=head,
        )


def keep_look(lake: Lake, looked: Looked) -> None:
    """Keep what the warehouse for analysts shows of a look."""
    rows = [(one.kind, one.object_id, one.supplier_id, one.opened_at) for one in looked.open_alarms]
    schema = {
        "kind": pl.String(),
        "object_id": pl.String(),
        "supplier_id": pl.String(),
        "opened_at": _INSTANT,
    }
    lake.put(ALARMS, pl.DataFrame(rows, schema=schema, orient="row").sort("kind", "object_id"))


def read_seen(lake: Lake, config: WatchConfig, as_of: datetime) -> Seen:
    """What had been told by a moment.

    Args:
        lake: The accepted tables.
        config: Settings.
        as_of: Business time, aware UTC.
    """
    since = as_of - timedelta(days=config.learned_days)
    days = ((since - _BEFORE_SHIPPING).date(), as_of.date())
    known = pl.col("received_at") <= as_of
    observations = (
        lake.scan_days("supply_observations", since.date(), as_of.date())
        .filter(known, pl.col("occurred_at").is_between(since, as_of))
        .collect()
    )
    scans = observations.filter(kind="parcel_scan")
    arrived = (
        scans.filter(status="delivered").group_by("shipment_id").agg(scanned_at=pl.col("occurred_at").min())
    )
    merchants = lake.scan_days("orders", *days).select("order_id", "merchant_id")
    parcels = (
        lake.scan_days("shipments", *days)
        .filter(known, pl.col("shipped_at").is_between(since, as_of))
        .join(merchants, on="order_id", how="left")
        .collect()
        .join(arrived, on="shipment_id", how="left")
        .with_columns(
            lane=pl.format("{} > {}", "from_region", "to_region"),
            # A parcel's row is received when it leaves, and goes on telling.
            delivered_at=pl.min_horizontal(
                pl.when(pl.col("delivered_at") <= as_of).then("delivered_at"), "scanned_at"
            ),
        )
    )
    return Seen(parcels, _scans(parcels, scans, as_of), _statements(observations))


def _scans(parcels: pl.DataFrame, observed: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Departures, last places of the parcel table and observed scans, of parcels under way."""
    told = parcels.filter(pl.col("last_node").is_in(_UNDER_WAY), pl.col("last_node_at") <= as_of)
    parts = [
        parcels.select("shipment_id", status=pl.lit("picked_up"), seen_at="shipped_at"),
        told.select("shipment_id", status="last_node", seen_at="last_node_at"),
        observed.select("shipment_id", "status", seen_at="occurred_at"),
    ]
    return (
        pl.concat(parts)
        .filter(pl.col("status").is_in(_UNDER_WAY))
        .unique(["shipment_id", "status", "seen_at"])
        .join(
            parcels.select("shipment_id", "supplier_id", "lane", "shipped_at", "promised_at", "delivered_at"),
            on="shipment_id",
        )
        .filter(
            pl.col("seen_at") >= pl.col("shipped_at"),
            pl.col("delivered_at").is_null() | (pl.col("seen_at") < pl.col("delivered_at")),
        )
        .sort("shipment_id", "seen_at", _place_on_the_way())
        .select([*SCANS, "shipped_at"])
    )


def _place_on_the_way() -> pl.Expr:
    return pl.col("status").cast(pl.Enum(_UNDER_WAY)).to_physical()


def _statements(observations: pl.DataFrame) -> pl.DataFrame:
    """Stated capacities with whose they are: supplier, warehouse and sku as far as stated."""
    parts = [pl.col(name).fill_null("") for name in _OWNER]
    return observations.filter(kind="capacity").select(
        # The place of a part that is not stated stays empty: a warehouse and a sku may have one name.
        pl.concat_str(parts, separator="/").str.strip_chars_end("/").alias("object_id"),
        pl.col("qty"),
        pl.col("occurred_at").alias("stated_at"),
        *_OWNER,
    )


def delays_of(seen: Seen, config: WatchConfig, as_of: datetime) -> pl.DataFrame:
    """How late the parcels under way will be, out of those that had the time to arrive.

    Returns:
        Columns of `delays.estimate_delays`, and status, seen_at of the newest scan.
    """
    settled = as_of - timedelta(days=config.settled_days)
    watched = as_of - timedelta(days=config.watched_days)
    ways = learn(seen.scans.filter(pl.col("shipped_at") <= settled).select(*SCANS), config)
    newest = (
        seen.scans.filter(pl.col("delivered_at").is_null(), pl.col("shipped_at") > watched)
        .group_by("shipment_id", maintain_order=True)
        .last()
    )
    estimates = estimate_delays(ways, newest.select(*SCANS), as_of, config)
    return estimates.join(newest.select("shipment_id", "status", "seen_at"), on="shipment_id")


def delay_findings(
    seen: Seen,
    delays: pl.DataFrame,
    known: Mapping[tuple[str, str], Alarm],
    config: WatchConfig,
    as_of: datetime,
) -> list[Finding]:
    """What the estimates say of parcels that ask for an alarm or have one.

    Args:
        seen: What was seen.
        delays: As `delays_of` makes it.
        known: Standing alarms by kind and object.
        config: Settings.
        as_of: Business time.
    """
    found = []
    for row in delays.join(seen.parcels, on="shipment_id").sort("shipment_id").iter_rows(named=True):
        late, probability = row["hours_late"], row["probability"]
        opens = is_late(late, probability, config.rules)
        if not opens and ("delay", row["shipment_id"]) not in known:
            continue
        clears = "in_time_again" if is_in_time_again(late, probability, config.rules) else ""
        evidence = {
            "hours_late": _told(late),
            "probability": _told(probability),
            "status": row["status"],
            "seen_at": row["seen_at"].isoformat(),
            "lane": row["lane"],
            "promised_at": row["promised_at"].isoformat(),
        }
        found.append(_of_parcel(row, opens, clears, evidence))
    alarmed = [object_id for kind, object_id in known if kind == "delay"]
    came = seen.parcels.filter(
        pl.col("shipment_id").is_in(alarmed), pl.col("delivered_at").is_not_null()
    ).sort("shipment_id")
    for row in came.iter_rows(named=True):
        late = (row["delivered_at"] - row["promised_at"]) / timedelta(hours=1)
        evidence = {"hours_late": _told(late), "delivered_at": row["delivered_at"].isoformat()}
        found.append(_of_parcel(row, False, "arrived", evidence))
    return found


def _of_parcel(row: Mapping[str, Any], opens: bool, clears: str, evidence: dict[str, Any]) -> Finding:
    return Finding(
        "delay",
        row["shipment_id"],
        opens,
        clears,
        evidence,
        row["supplier_id"],
        row["order_id"],
        row["merchant_id"],
    )


def capacity_findings(
    capacities: pl.DataFrame,
    owners: Mapping[str, Sequence[str | None]],
    known: Mapping[tuple[str, str], Alarm],
    config: WatchConfig,
    as_of: datetime,
) -> list[Finding]:
    """What the newest statements say of capacities that ask for an alarm or have one.

    Args:
        capacities: As `swings` makes it.
        owners: Supplier, warehouse and sku by object, None where not stated.
        known: Standing alarms by kind and object.
        config: Settings.
        as_of: Business time.
    """
    found = []
    for row in capacities.iter_rows(named=True):
        opens = is_swinging(row["swing"], config.rules)
        if not opens and ("capacity", row["object_id"]) not in known:
            continue
        clears = "calm_again" if is_calm_again(row["calm_since"], as_of, config.rules) else ""
        supplier_id, warehouse_id, sku_id = owners[row["object_id"]]
        evidence = {
            "warehouse_id": warehouse_id,
            "sku_id": sku_id,
            "capacity": row["qty"],
            "median": _told(row["median"]),
            "swing": _told(row["swing"]),
            "stated_at": row["stated_at"].isoformat(),
        }
        found.append(Finding("capacity", row["object_id"], opens, clears, evidence, supplier_id))
    return found


def _watched(seen: Seen, delays: pl.DataFrame) -> Iterator[WatchedParcel]:
    under_way = seen.parcels.join(delays.select("shipment_id"), on="shipment_id", how="semi")
    columns = ("shipment_id", "order_id", "supplier_id", "merchant_id", "shipped_at", "promised_at")
    for row in under_way.select(columns).iter_rows():
        yield WatchedParcel(*row)


def _told(value: float) -> float | None:
    """A number as evidence has it: none where it is infinite."""
    return round(value, 4) if math.isfinite(value) else None

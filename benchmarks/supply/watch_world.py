"""A made world: parcels with legs, closed ports, breakdowns and losses; capacities that swing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.supply.watch.capacity import STATEMENTS
from models.supply.watch.ways import SCANS

Floats = npt.NDArray[np.float64]

START = datetime(2026, 1, 1, tzinfo=UTC)
REGIONS = 5
SUPPLIERS = 300
DAYS = 100
PARCELS_A_DAY = 1_500
JUDGED_FROM = 70
"""Day from which on parcels that leave are judged; those before teach."""
LEGS = 4
STATUSES = ("picked_up", "in_transit", "in_transit", "out_for_delivery")
"""What the scan at the start of each leg says."""
SPREAD = 0.15
SLACK = 1.35
"""Promise over the mean of the way, rounded up to 12 hours: few ways are late by themselves."""
BREAKDOWN = 0.006
LOST = 0.002
STALL_HOURS = (48.0, 120.0)
PORT_DAYS = 4
CAPACITY_DAYS = 60
CAPACITY_NOISE = 0.05
SWINGS = 30
LASTED_DAYS = 8


@dataclass(frozen=True)
class World:
    """What happens and when it is seen; hours since `START`.

    Attributes:
        supplier: Of each parcel (n,).
        lane: Of each parcel (n,), start region times `REGIONS` plus end region.
        left: When it left (n,).
        promised: Its promise (n,).
        arrived: When it arrives (n,); infinite where it is lost.
        seen: When each scan is made (n, LEGS); infinite where it never is.
        statements: Columns of `capacity.STATEMENTS`.
        swings: object_id to the day on which its capacity moves for `LASTED_DAYS` days.
    """

    supplier: npt.NDArray[np.int64]
    lane: npt.NDArray[np.int64]
    left: Floats
    promised: Floats
    arrived: Floats
    seen: Floats
    statements: pl.DataFrame
    swings: dict[str, int]

    def scans(self, rows: npt.NDArray[np.bool_], now: float) -> pl.DataFrame:
        """Scans of some parcels that were made by an hour, and the arrivals that were known by then."""
        picked = np.flatnonzero(rows)
        parts = []
        for leg in range(LEGS):
            made = picked[self.seen[picked, leg] <= now]
            parts.append((np.full(len(made), leg), made))
        legs = np.concatenate([part[0] for part in parts])
        made = np.concatenate([part[1] for part in parts])
        known = np.where(self.arrived[made] <= now, self.arrived[made], np.nan)
        return pl.DataFrame(
            {
                "shipment_id": pl.Series(made).cast(pl.String),
                "supplier_id": pl.Series(self.supplier[made]).cast(pl.String),
                "lane": pl.Series(self.lane[made]).cast(pl.String),
                "status": [STATUSES[leg] for leg in legs],
                "seen_at": moments(self.seen[made, legs]),
                "promised_at": moments(self.promised[made]),
                "delivered_at": moments(known),
            },
            schema=SCANS,
        ).sort("shipment_id", "seen_at")


def moments(hours: Floats) -> pl.Series:
    """Hours since `START` as instants; null where they are not a number."""
    told = pl.Series(hours, nan_to_null=True)
    micros = (told * 3.6e9).round().cast(pl.Int64) + int(START.timestamp() * 1_000_000)
    return micros.cast(pl.Datetime("us", "UTC"))


def made_world(seed: int) -> World:
    """The world of a seed."""
    rng = np.random.default_rng(seed)
    n = DAYS * PARCELS_A_DAY
    supplier = rng.integers(0, SUPPLIERS, n)
    home = rng.integers(0, REGIONS, SUPPLIERS)
    start, end = home[supplier], rng.integers(0, REGIONS, n)
    lane = start * REGIONS + end
    left = rng.uniform(0, DAYS * 24, n)
    lane_hours = np.where(np.arange(REGIONS**2) % (REGIONS + 1) == 0, 30.0, 66.0) * rng.uniform(
        0.8, 1.2, REGIONS**2
    )
    pace = rng.lognormal(0, 0.12, SUPPLIERS)
    mean = lane_hours[lane] * pace[supplier]
    shares = np.array([0.15, 0.35, 0.35, 0.15])
    legs = mean[:, None] * shares * rng.lognormal(-(SPREAD**2) / 2, SPREAD, (n, LEGS))
    # Whoever leaves at night waits for the morning.
    legs[:, 0] += np.where((left % 24) < 6, 6.0, 0.0)
    promised = left + np.ceil(mean * SLACK / 12) * 12
    stall = np.zeros((n, LEGS))
    broken = rng.random(n) < BREAKDOWN
    stall[broken, rng.integers(0, LEGS, int(broken.sum()))] = rng.uniform(*STALL_HOURS, int(broken.sum()))
    legs += stall
    seen = np.concatenate([left[:, None], left[:, None] + np.cumsum(legs, axis=1)], axis=1)
    _close_port(seen, start, end, rng)
    gone = rng.random(n) < LOST
    last = rng.integers(1, LEGS + 1, n)
    for leg in range(1, LEGS + 1):
        seen[gone & (last <= leg), leg] = np.inf
    statements, swings = _capacities(rng)
    return World(supplier, lane, left, promised, seen[:, LEGS], seen[:, :LEGS], statements, swings)


def _close_port(
    seen: Floats, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], rng: np.random.Generator
) -> None:
    """Parcels of a region to others that would pass its hub while the port is closed wait until it opens."""
    closed = (JUDGED_FROM + 3.0) * 24
    opens = closed + PORT_DAYS * 24
    held = (
        (start == int(rng.integers(REGIONS))) & (end != start) & (seen[:, 1] >= closed) & (seen[:, 1] < opens)
    )
    waits = np.where(held, opens - seen[:, 1], 0.0)
    seen[:, 2:] += waits[:, None]


def _capacities(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, int]]:
    base = rng.uniform(50, 500, SUPPLIERS)
    stated = base[:, None] * rng.lognormal(0, CAPACITY_NOISE, (SUPPLIERS, CAPACITY_DAYS))
    swings = {}
    for supplier in rng.choice(SUPPLIERS, SWINGS, replace=False).tolist():
        day = int(rng.integers(30, CAPACITY_DAYS - LASTED_DAYS - 4))
        factor = rng.uniform(0.3, 0.6) if rng.random() < 0.8 else rng.uniform(1.5, 2.0)
        stated[supplier, day : day + LASTED_DAYS] *= factor
        swings[str(supplier)] = day
    frame = pl.DataFrame(
        {
            "object_id": np.repeat(np.arange(SUPPLIERS), CAPACITY_DAYS),
            "qty": np.round(stated).astype(np.int64).reshape(-1),
            "stated_at": [START + timedelta(days=day, hours=7) for day in range(CAPACITY_DAYS)] * SUPPLIERS,
        }
    )
    return frame.select(pl.col(name).cast(dtype) for name, dtype in STATEMENTS.items()), swings

"""What the supply watch found and brought, and a parcel's proof: a part of the supply section."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from pipelines.report.blocks import Block, Column, Facts, Note, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import count, decimal, moment, plain_name, shortened
from pipelines.report.origins import Origin
from pipelines.supply_watch import ALARMS
from pipelines.watch_told import ALARM_FIGURES, PARCEL_PROOF

_ROWS = 12
_HASH = 16
_STEP_AT, _STEP_EVENT, _STEP_BY = 8, 5, 6
_SEEN_AT, _SEEN_STATUS, _SEEN_PLACE = 14, 10, 9


def blocks(evidence: Evidence) -> list[Block]:
    """Alarms that are open, what those of the last days brought, and a parcel's record."""
    if not evidence.lake.derived_path(ALARMS).exists():
        return [Note("The supply watch has not looked yet.", is_gap=True)]
    origin = evidence.origins.of("shipments", "supply_observations")
    open_alarms = evidence.lake.get(ALARMS)
    figures = evidence.lake.read_report(ALARM_FIGURES) or {"days": 0, "kinds": []}
    proof = evidence.lake.read_report(PARCEL_PROOF)
    kinds = figures["kinds"]
    delays = next((one for one in kinds if one["kind"] == "delay"), None)
    return [
        Facts(
            [
                ("open alarms", count(open_alarms.height), "of parcels and capacities"),
                (
                    "hours ahead of the harm",
                    decimal(delays["median_hours_ahead"], 1) if delays else "-",
                    "alarms of parcels, median",
                ),
                (
                    "lines moved",
                    count(sum(one["lines_moved"] for one in kinds)),
                    "to another supplier because of an alarm",
                ),
            ]
        ),
        *([_by_kind(kinds, figures["days"], origin)] if kinds else []),
        *([_suppliers(open_alarms, origin)] if open_alarms.height else []),
        *_proof(proof, origin),
    ]


def _by_kind(kinds: list[dict[str, Any]], days: int, origin: Origin) -> Table:
    return Table(
        [
            Column("kind", True),
            Column("opened"),
            Column("open"),
            Column("ahead of the harm"),
            Column("hours ahead"),
            Column("with alternatives"),
            Column("taken"),
            Column("lines moved"),
            Column("seen in an hour"),
            Column("closed in a day"),
        ],
        [
            [
                plain_name(one["kind"]),
                count(one["opened"]),
                count(one["open_now"]),
                count(one["warned_ahead"]) if one["kind"] == "delay" else "-",
                decimal(one["median_hours_ahead"], 1),
                count(one["proposed"]),
                count(one["taken"]),
                count(one["lines_moved"]),
                count(one["seen_in_time"]),
                count(one["closed_in_time"]),
            ]
            for one in kinds
        ],
        f"Alarms of the last {days} days, and what was done about them",
        origin,
        "A parcel does harm a day after its promise; a capacity has no such moment.",
    )


def _suppliers(open_alarms: pl.DataFrame, origin: Origin) -> Table:
    counted = (
        open_alarms.with_columns(pl.col("supplier_id").fill_null("-"))
        .group_by("supplier_id")
        .agg(
            delays=(pl.col("kind") == "delay").sum(),
            capacities=(pl.col("kind") == "capacity").sum(),
            oldest=pl.col("opened_at").min(),
        )
        .sort(pl.col("delays") + pl.col("capacities"), "supplier_id", descending=[True, False])
    )
    rows = counted.head(_ROWS)
    return Table(
        [Column("supplier", True), Column("late parcels"), Column("capacities"), Column("oldest since")],
        [
            [row["supplier_id"], count(row["delays"]), count(row["capacities"]), moment(row["oldest"])]
            for row in rows.iter_rows(named=True)
        ],
        f"The {count(rows.height)} suppliers with most open alarms, of {count(counted.height)}",
        origin,
    )


def _proof(proof: dict[str, Any] | None, origin: Origin) -> list[Block]:
    if not proof or not proof["shipment_id"]:
        return [Note("No alarm of a parcel is sealed in the record yet.", is_gap=True)]
    told = (
        f"Broken: {proof['broken']}"
        if proof["broken"]
        else f"{count(proof['proven'])} records lead to their blocks, checked in this run"
    )
    return [
        Table(
            [
                Column("record", True),
                Column("at", True),
                Column("what", True),
                Column("block"),
                Column("hashes on the way"),
                Column("hash of the block", True),
            ],
            [_record(one) for one in proof["records"][:_ROWS]],
            f"The record of parcel {proof['shipment_id']}",
            origin,
            f"{told}. GET /v1/parcels/{proof['shipment_id']}/record, then "
            "python -m serving.watch.record check.",
        )
    ]


def _record(record: dict[str, Any]) -> list[str]:
    fields = json.loads(record["text"])
    if record["kind"] == "step":
        what, when = f"{plain_name(fields[_STEP_EVENT])}, {fields[_STEP_BY]}", fields[_STEP_AT]
    else:
        said = [str(fields[at]) for at in (_SEEN_STATUS, _SEEN_PLACE) if fields[at] is not None]
        what, when = ", ".join(said), fields[_SEEN_AT]
    proof = record["proof"]
    return [
        plain_name(record["kind"]),
        moment(when),
        shortened(what, 48),
        count(proof["block_no"]) if proof else "-",
        count(len(proof["path"])) if proof else "-",
        proof["block_hash"][:_HASH] if proof else "not sealed yet",
    ]

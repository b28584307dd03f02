"""A batch of observations, stored, with the receipt for its sender: thin wiring."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from serving.watch.intake.contracts import ObservationReceipt
from serving.watch.intake.reading import Parcel, ReadBatch, first_of_each, misplaced_scan, reused_id
from serving.watch.intake.storage import store_observations
from serving.watch.parcels import parcels_among


def receive(
    conn: psycopg.Connection[Any], tenant_id: str, batch: ReadBatch, only: str | None, received_at: datetime
) -> ObservationReceipt:
    """Store the good observations of a batch and account for every one of it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        batch: As `read_batch` made it.
        only: The supplier of the key; None for operators.
        received_at: Business time of the receipt.
    """
    named = {row.observation.shipment_id for row in batch.good} - {None}
    known = parcels_among(conn, tenant_id, filter(None, named)) if named else {}
    parcels = {shipment_id: Parcel(*parcel) for shipment_id, parcel in known.items()}
    misplaced = [found for row in batch.good if (found := misplaced_scan(row, parcels, only))]
    bad = {found.index for found in misplaced}
    fitting = [row for row in batch.good if row.index not in bad]
    first, reused = first_of_each(fitting)
    stored, conflicting = store_observations(conn, tenant_id, [row.observation for row in first], received_at)
    told = {found.index for found in reused}
    reused += [
        reused_id(row)
        for row in fitting
        if row.observation.observation_id in conflicting and row.index not in told
    ]
    refusals = sorted([*batch.refused, *misplaced, *reused], key=lambda refusal: refusal.index)
    return ObservationReceipt(
        received=batch.received,
        accepted=len(stored),
        duplicates=batch.received - len(stored) - len(refusals),
        refused=len(refusals),
        refusals=refusals,
    )

"""What a look of the supply watch tells the report: what alarms brought, and one parcel's record, proven."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from serving.db.operations import Operations
from serving.ledger.chain import read_anchors
from serving.watch.alarms.effects import effects
from serving.watch.alarms.life import service_levels
from serving.watch.alarms.records import Whose
from serving.watch.record.checking import ProofBrokenError, check
from serving.watch.record.proofs import as_document, most_told_parcel, record_of_parcel

ALARM_FIGURES = "supply/alarm_figures"
"""Report of the lake: `days`, and by kind the fields of `ServiceLevel` and of `Effects`."""
PARCEL_PROOF = "supply/parcel_proof"
"""Report of the lake: a parcel's record as the API gives it out, and `proven`, `unsealed`, `broken`."""
DAYS = 28


def alarm_figures(url: str, tenant_id: str, now: datetime) -> dict[str, Any]:
    """How the alarms of the last days were looked after, and what they brought.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose alarms.
        now: Business time.
    """
    since = now - timedelta(days=DAYS)
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        brought = {one.kind: asdict(one) for one in effects(conn, tenant_id, since, now)}
        levels = service_levels(conn, tenant_id, since, now)
    return {"days": DAYS, "kinds": [asdict(one) | brought[one.kind] for one in levels]}


def parcel_proof(url: str, tenant_id: str, anchors: Path) -> dict[str, Any]:
    """The record of the parcel of which most is told, checked as whoever holds the answer alone would.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose parcels.
        anchors: Heads of the chain that were written outside the database.

    Returns:
        The document of the parcel with `proven` and `unsealed` records, and `broken`: why it does not hold,
        None where it does. Without any sealed alarm of a parcel an empty `shipment_id`.
    """
    with (
        Operations(url, size=1) as operations,
        operations.transaction(tenant_id, repeatable_read=True) as conn,
    ):
        shipment_id = most_told_parcel(conn, tenant_id)
        if shipment_id is None:
            return {"shipment_id": "", "records": [], "proven": 0, "unsealed": 0, "broken": None}
        document = as_document(shipment_id, record_of_parcel(conn, tenant_id, shipment_id, Whose()))
    known = {one.block_no: one.hash.hex() for one in read_anchors(anchors)}
    try:
        checked = check(json.dumps(document), known)
    except ProofBrokenError as error:
        return document | {"proven": 0, "unsealed": 0, "broken": str(error)}
    return document | {"proven": checked.proven, "unsealed": checked.unsealed, "broken": None}

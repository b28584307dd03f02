"""Parcels of the feeds that are watched: what a scan may name, and whose a parcel is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class WatchedParcel:
    """A parcel under way."""

    shipment_id: str
    order_id: str
    supplier_id: str
    merchant_id: str | None
    shipped_at: datetime
    promised_at: datetime


def put_parcels(conn: Connection, tenant_id: str, parcels: Sequence[WatchedParcel]) -> int:
    """Keep parcels that are not known yet; how many were new."""
    ordered = sorted(parcels, key=lambda parcel: parcel.shipment_id)
    done = conn.execute(
        "insert into watch.parcel (tenant_id, shipment_id, order_id, supplier_id, merchant_id, shipped_at,"
        " promised_at) select %s, n.* from unnest(%s::text[], %s::text[], %s::text[], %s::text[],"
        " %s::timestamptz[], %s::timestamptz[]) as n on conflict do nothing",
        (
            tenant_id,
            [one.shipment_id for one in ordered],
            [one.order_id for one in ordered],
            [one.supplier_id for one in ordered],
            [one.merchant_id for one in ordered],
            [one.shipped_at for one in ordered],
            [one.promised_at for one in ordered],
        ),
    )
    return done.rowcount


def parcels_among(
    conn: Connection, tenant_id: str, shipment_ids: Iterable[str]
) -> dict[str, tuple[str, datetime]]:
    """Supplier and departure of parcels that the platform shipped or that a feed told of, by id."""
    rows = conn.execute(
        "with wanted as (select unnest(%(ids)s::text[]) as shipment_id)"
        " select w.shipment_id, coalesce(s.supplier_id, p.supplier_id), coalesce(s.shipped_at, p.shipped_at)"
        " from wanted w"
        " left join orders.shipment s on s.tenant_id = %(tenant)s and s.shipment_id = w.shipment_id"
        " left join watch.parcel p on p.tenant_id = %(tenant)s and p.shipment_id = w.shipment_id"
        " where coalesce(s.supplier_id, p.supplier_id) is not null",
        {"tenant": tenant_id, "ids": sorted(set(shipment_ids))},
    )
    return {shipment_id: (supplier_id, shipped_at) for shipment_id, supplier_id, shipped_at in rows}

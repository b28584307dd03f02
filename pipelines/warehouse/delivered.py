"""Delivered order lines with what was complained about them, for the quality brake. One query."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import duckdb
import polars as pl

from models.supply.brake.estimates import DELIVERED


def delivered_lines(
    connection: duckdb.DuckDBPyConnection,
    *,
    since: datetime,
    as_of: datetime,
    quality_reasons: Iterable[str],
    safety_reasons: Iterable[str],
) -> pl.DataFrame:
    """Merchandise that reached its buyer, also what was refunded since.

    A line is delivered when its parcel arrived; without any parcel, when it was ordered, as in a store. Who
    complains has the goods, whatever parcels say. A line counts as its whole units, at least one. Its batch
    is known where the scans of its parcels name one and no other.

    Args:
        connection: The published warehouse.
        since: Lines that were ordered after this moment, and older ones that somebody says did harm.
        as_of: Cases that were received by this moment.
        quality_reasons: Reason codes that blame the goods.
        safety_reasons: Reason codes that tell of harm.

    Returns:
        Columns of `models.supply.brake.estimates.DELIVERED` and `consumer_id`, by order and line.
    """
    frame = connection.execute(
        """
        with parcels as (
            select order_id, supplier_id, min(delivered_at) as delivered_at
            from core.fct_shipments group by all
        ),
        scanned as (
            select s.order_id, o.sku_id, any_value(o.batch_id) as batch_id
            from core.fct_supply_observations as o join core.fct_shipments as s using (shipment_id)
            where o.kind = 'parcel_scan' and o.batch_id is not null and o.received_at <= $as_of
            group by all having count(distinct o.batch_id) = 1
        ),
        cases as (
            select order_id, line_no,
                min(opened_at) filter (list_contains($quality, reason_code)) as complained_at,
                max(opened_at) filter (list_contains($safety, reason_code)) as harmed_at
            from core.fct_after_sales where received_at <= $as_of group by all
        )
        select l.sku_id, l.supplier_id, l.category_l2_id as category_id, l.order_id, l.line_no,
            l.consumer_id, b.batch_id,
            greatest(1, floor(l.qty)) as units,
            least(
                case when p.order_id is null then l.placed_at else p.delivered_at end,
                c.complained_at, c.harmed_at
            ) as delivered_at,
            c.complained_at, c.harmed_at
        from core.fct_order_lines as l
        left join parcels as p on l.order_id = p.order_id and l.supplier_id = p.supplier_id
        left join scanned as b on l.order_id = b.order_id and l.sku_id = b.sku_id
        left join cases as c on l.order_id = c.order_id and l.line_no = c.line_no
        where l.is_merchandise and l.qty_milli > 0
            and (l.placed_at > $since or c.harmed_at is not null)
            and (l.is_counted or p.delivered_at is not null
                or coalesce(c.complained_at, c.harmed_at) is not null)
        order by l.order_id, l.line_no
        """,
        {
            "since": since,
            "as_of": as_of,
            "quality": sorted({*quality_reasons, *safety_reasons}),
            "safety": sorted(safety_reasons),
        },
    ).pl()
    kinds = {**DELIVERED, "consumer_id": pl.String()}
    return frame.select(pl.col(name).cast(kind) for name, kind in kinds.items())


def with_texts(lines: pl.DataFrame, texts: Iterable[tuple[str, str, str, datetime]]) -> pl.DataFrame:
    """Lines that reached their buyer, a buyer's text counted as the first complaint that it may be.

    Who bought it is told by the line: a text of anybody else is of no line. Of several lines of the sku in an
    order it is one, if there is one that is complained of already. Who complains has the goods.

    Args:
        lines: As of `delivered_lines`.
        texts: Order, sku, consumer and moment of what blames the goods.

    Returns:
        Columns of `models.supply.brake.estimates.DELIVERED`, in the order of `lines`.
    """
    schema = {
        "order_id": pl.String(),
        "sku_id": pl.String(),
        "consumer_id": pl.String(),
        "written_at": DELIVERED["complained_at"],
    }
    written = pl.DataFrame(list(texts), schema=schema, orient="row")
    key = ["order_id", "sku_id", "consumer_id"]
    chosen = lines.sort(pl.col("complained_at").is_null(), "line_no").unique(
        key, keep="first", maintain_order=True
    )
    written = written.join(chosen.select(*key, "line_no"), on=key)
    told = lines.join(written, on=[*key, "line_no"], how="left", maintain_order="left")
    return (
        told.with_columns(
            complained_at=pl.min_horizontal("complained_at", "written_at"),
            delivered_at=pl.min_horizontal("delivered_at", "written_at"),
        )
        .select(*DELIVERED)
        .drop_nulls("delivered_at")
    )
